/**
 * Manifests from YAML files: positions kept so that every fault is shown with file, line and column; aliases, merge keys,
 * duplicate keys and tags refused; secret values fetched here and never by the server.
 */
import { isUtf8 } from 'node:buffer';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LineCounter, isAlias, isCollection, isMap, isPair, isScalar, isSeq, parseAllDocuments, visit } from 'yaml';
import type { Document, Node } from 'yaml';
import type { FieldError } from '#kernel/errors.ts';
import { UsageError } from './command-line.ts';

export interface ManifestFile {
  readonly path: string;
  readonly manifest: Record<string, unknown>;
  /** Where a JSON Pointer of the manifest stands: `file:line:column`. */
  readonly locate: (pointer: string) => string;
}

export interface ValueSources {
  readonly variable: (name: string) => string | undefined;
  readonly stdin: () => Promise<string>;
}

const maxFileBytes = 4 * 1024 * 1024;
const maxDepth = 64;
const maxNodes = 400_000;

/** The manifest a document of another form (such as a bare pipeline) means. */
export interface Wrapped {
  readonly manifest: Record<string, unknown>;
  /** Where a place of the manifest lies in the file, as JSON Pointers. */
  readonly pointerInFile: (pointer: string) => string;
}

/** Null = the document is a manifest itself. Pointers of errors are those of the file. */
export type Wrapper = (document: Record<string, unknown>) => Promise<Wrapped | { readonly errors: readonly FieldError[] } | null>;

export async function readManifestFiles(paths: readonly string[], sources: ValueSources, wrap: Wrapper): Promise<ManifestFile[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  if (files.length === 0) throw new UsageError('there is no .yaml, .yml or .json file');
  const manifests: ManifestFile[] = [];
  for (const file of files) manifests.push(...(await readOne(file, sources, wrap)));
  if (manifests.length === 0) throw new UsageError(`there is no document in ${files.map((file) => `\`${file}\``).join(', ')}`);
  return manifests;
}

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return ['-'];
  const kind = await stat(path).catch(() => null);
  if (kind === null) throw new UsageError(`\`${path}\` does not exist`);
  if (!kind.isDirectory()) return [path];
  const names = (await readdir(path, { recursive: true })).filter((name) => /\.(ya?ml|json)$/.test(name));
  return names.toSorted().map((name) => join(path, name));
}

async function readOne(path: string, sources: ValueSources, wrap: Wrapper): Promise<ManifestFile[]> {
  const text = path === '-' ? await sources.stdin() : utf8(await readFile(path), path);
  if (Buffer.byteLength(text) > maxFileBytes) throw new UsageError(`\`${path}\` has more than ${maxFileBytes} bytes`);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, merge: false, version: '1.2', schema: 'core' }) as Document.Parsed[];
  const found: ManifestFile[] = [];
  for (const document of documents) {
    const place = (offset: number): string => `${path}:${lines.linePos(offset).line}:${lines.linePos(offset).col}`;
    const [error] = document.errors;
    if (error !== undefined) throw new UsageError(`${place(error.pos[0])}: ${withoutPlace(error.message)}`);
    refuseUnsafe(document, place);
    const data: unknown = document.toJS({ maxAliasCount: 0 });
    if (data === null) continue; // a `---` with nothing behind it
    if (typeof data !== 'object' || Array.isArray(data)) throw new UsageError(`${place(document.range[0])}: a manifest is a mapping`);
    const wrapped = await wrap(data as Record<string, unknown>);
    const locate = (pointer: string): string => place(offsetOf(document.contents as Node, pointer));
    if (wrapped === null) found.push({ path, manifest: await withValues(data as Record<string, unknown>, sources, locate), locate });
    else if ('errors' in wrapped) throw new UsageError(wrapped.errors.map(({ pointer, message }) => `${locate(pointer)}: \`${pointer}\` ${message}`).join('\n'));
    else found.push({ path, manifest: wrapped.manifest, locate: (pointer) => locate(wrapped.pointerInFile(pointer)) });
  }
  return found;
}

function utf8(bytes: Buffer, path: string): string {
  if (!isUtf8(bytes)) throw new UsageError(`\`${path}\` is no text in UTF-8`);
  return bytes.toString('utf8');
}

/** The parser names the place once more behind its first line. */
function withoutPlace(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:$/, '');
}

function refuseUnsafe(document: Document.Parsed, place: (offset: number) => string): void {
  let nodes = 0;
  visit(document, {
    Node(_key, node, ancestors) {
      const at = node.range?.[0] ?? 0;
      if (++nodes > maxNodes) throw new UsageError(`${place(at)}: the document has more than ${maxNodes} values`);
      if (ancestors.length > maxDepth * 2) throw new UsageError(`${place(at)}: the document is nested more than ${maxDepth} deep`);
      if (isAlias(node)) throw new UsageError(`${place(at)}: aliases are not accepted; write the value again`);
      if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) throw new UsageError(`${place(at)}: anchors are not accepted`);
      if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) throw new UsageError(`${place(at)}: the tag \`${node.tag}\` is not accepted`);
    },
    Pair(_key, pair) {
      if (isScalar(pair.key) && pair.key.value === '<<') throw new UsageError(`${place(pair.key.range?.[0] ?? 0)}: merge keys are not accepted`);
    },
  });
}

/** Offset of the deepest part of a pointer that the document has. */
function offsetOf(root: Node, pointer: string): number {
  let node: Node = root;
  let offset = root.range?.[0] ?? 0;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      if (pair.value === null) return offset;
      node = pair.value as Node;
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined;
      if (item === undefined) return offset;
      node = item;
      offset = item.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

/** Replaces `valueFrom: { env | file | stdin }` by `value`. */
async function withValues(document: Record<string, unknown>, sources: ValueSources, locate: ManifestFile['locate']): Promise<Record<string, unknown>> {
  const spec = document['spec'];
  if (typeof spec !== 'object' || spec === null || !('valueFrom' in spec)) return document;
  const { valueFrom, ...rest } = spec as Record<string, unknown>;
  const value = await valueOf(valueFrom, sources).catch((error: unknown) => {
    throw error instanceof UsageError ? new UsageError(`${locate('/spec/valueFrom')}: ${error.message}`) : error;
  });
  return { ...document, spec: { ...rest, value } };
}

async function valueOf(from: unknown, sources: ValueSources): Promise<string> {
  const source = (typeof from === 'object' && from !== null ? from : {}) as Record<string, unknown>;
  const [name, ...more] = Object.keys(source);
  if (more.length > 0 || name === undefined) throw new UsageError('`valueFrom` must have exactly one of `env`, `file` and `stdin`');
  if (name === 'stdin') return sources.stdin();
  const argument = String(source[name]);
  if (name === 'file') return readFile(argument, 'utf8').catch(() => Promise.reject(new UsageError(`the file \`${argument}\` of \`valueFrom\` cannot be read`)));
  if (name !== 'env') throw new UsageError(`\`valueFrom\` knows \`env\`, \`file\` and \`stdin\`, not \`${name}\``);
  const value = sources.variable(argument);
  if (value === undefined) throw new UsageError(`the variable \`${argument}\` of \`valueFrom\` is not set`);
  return value;
}

/** Faults the server found, with the place in the user's files. */
export function describeErrors(errors: readonly FieldError[], files: readonly ManifestFile[]): string[] {
  return errors.map((error) => {
    // A document that is no manifest at all fails in the body of the request: `/documents/<n>/…`.
    const inBody = /^\/documents\/(\d+)(.*)$/.exec(error.pointer);
    const file = files[error.document ?? (inBody === null ? -1 : Number(inBody[1]))];
    if (file === undefined) return `${error.pointer}: ${error.message}`;
    const pointer = inBody === null ? error.pointer : inBody[2]!;
    // What is missing has no place of its own, so its name has to be told.
    const missing = missingPart(file.manifest, pointer);
    return `${file.locate(pointer)}: ${missing === '' ? '' : `\`${missing}\`: `}${error.message}`;
  });
}

/** The end of a pointer that the document does not have; empty when it has all of it. */
function missingPart(document: unknown, pointer: string): string {
  const parts = pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  let value = document;
  for (const [at, key] of parts.entries()) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return parts.slice(at).join('/');
    value = (value as Record<string, unknown>)[key];
  }
  return '';
}
