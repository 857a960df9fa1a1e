/** Manifests → checked documents: kind known, level allowed, spec fits; every fault of every document at once. */
import type { FieldError } from '#kernel/errors.ts';
import { isIdentifier, nearest } from '#kernel/identifier.ts';
import type { Kinds } from '#kernel/kind.ts';
import { visitMarks } from '#kernel/marks.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { levelOf, parseScope } from '#kernel/scope.ts';
import { fieldErrors } from '#platform/http/problem.ts';
import type { Document, Manifest } from './schema.ts';

/** A secret value on its way to being sealed; never part of a stored spec. */
export interface SecretField {
  readonly pointer: string;
  readonly value: string;
}

export interface ReadDocument extends Document {
  readonly index: number;
  readonly secrets: readonly SecretField[];
}

export function readDocuments(kinds: Kinds, manifests: readonly Manifest[]): { documents: ReadDocument[]; errors: FieldError[] } {
  const documents: ReadDocument[] = [];
  const errors: FieldError[] = [];
  const seen = new Map<string, number>();
  manifests.forEach((manifest, index) => {
    const result = readDocument(kinds, manifest, index);
    if ('errors' in result) {
      errors.push(...result.errors.map((error) => ({ ...error, document: index })));
      return;
    }
    const key = `${result.kind} ${result.scope} ${result.identifier}`;
    const earlier = seen.get(key);
    if (earlier !== undefined) errors.push({ document: index, pointer: '/identifier', message: `document ${earlier + 1} of this call names the same resource` });
    seen.set(key, index);
    documents.push(result);
  });
  return { documents, errors: errors.slice(0, 200) };
}

function readDocument(kinds: Kinds, manifest: Manifest, index: number): ReadDocument | { errors: FieldError[] } {
  const kind = kinds.byManifest(manifest.kind);
  if (kind === undefined) return { errors: [{ pointer: '/kind', ...unknownKind(kinds, manifest.kind) }] };
  const scope = parseScope(manifest.scope);
  if (scope === null) return { errors: [{ pointer: '/scope', message: `\`${manifest.scope}\` is not a scope path such as \`/\`, \`org\` or \`org/project\`` }] };
  if (!isIdentifier(manifest.identifier)) {
    return { errors: [{ pointer: '/identifier', message: `\`${manifest.identifier.slice(0, 128)}\` must begin with a letter or \`_\` and go on with at most 127 letters, digits or \`_\`` }] };
  }
  if (!kind.levels.includes(levelOf(scope))) {
    return { errors: [{ pointer: '/scope', message: `a ${manifest.kind} lives at ${kind.levels.join(', ')} scope, not at \`${scope}\`` }] };
  }
  const spec = kind.spec.safeParse(manifest.spec ?? {});
  if (!spec.success) return { errors: fieldErrors(spec.error, kind.spec, ['spec']) };
  const { stripped, secrets } = withoutSecrets(kind.spec, spec.data);
  return {
    index,
    kind: kind.name,
    scope,
    identifier: manifest.identifier,
    name: manifest.name ?? null,
    description: manifest.description ?? null,
    tags: manifest.tags ?? {},
    spec: stripped,
    secrets,
  };
}

function unknownKind(kinds: Kinds, kind: string): { message: string; suggestion?: string } {
  const near = nearest(kind, kinds.manifestNames());
  return near === undefined
    ? { message: `unknown kind \`${kind}\`` }
    : { message: `unknown kind \`${kind}\`; did you mean \`${near}\`?`, suggestion: near };
}

function withoutSecrets(schema: Parameters<typeof visitMarks>[0], spec: unknown): { stripped: unknown; secrets: SecretField[] } {
  const secrets: SecretField[] = [];
  const stripped: unknown = structuredClone(spec);
  visitMarks(schema, stripped, ({ mark, value, path, parent }) => {
    if (mark.secret !== true || typeof value !== 'string') return;
    secrets.push({ pointer: pointerOf(path), value });
    delete (parent as Record<PropertyKey, unknown>)[path.at(-1)!];
  });
  return { stripped, secrets };
}

