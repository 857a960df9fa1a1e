import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseSync, visitorKeys } from 'oxc-parser';
import type { Node, Program } from 'oxc-parser';

/** A source file, parsed. `path` is relative to the root of the repository, with `/`. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  /** The line of an offset, from 1. */
  lineAt(offset: number): number;
}

const sourceFiles = '**/*.{ts,tsx,mts,cts,js,jsx,mjs,cjs}';

/** Paths of the source files below these folders, sorted. Folders that do not exist hold none. */
export function listSources(root: string, folders: readonly string[]): string[] {
  const found = globSync(folders.map((folder) => `${folder}/${sourceFiles}`), { cwd: root, exclude: ['**/node_modules/**'] });
  return found.map((path) => path.split(sep).join('/')).toSorted();
}

/** Reads and parses one file. Throws if it is not valid TypeScript. */
export function readSource(root: string, path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const { program, errors } = parseSync(path, text);
  const [error] = errors;
  const lineAt = lineFinder(text);
  if (error) throw new Error(`${path}:${lineAt(error.labels[0]?.start ?? 0)}: cannot be parsed: ${error.message}`);
  return { path, text, program, lineAt };
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

/** Calls `visit` for every node in the order of the text, with the nodes around it, outermost first. */
export function walk(program: Program, visit: (node: Node, around: readonly Node[]) => void): void {
  const around: Node[] = [];
  const enter = (node: Node): void => {
    visit(node, around);
    around.push(node);
    for (const key of visitorKeys[node.type] ?? []) {
      const child = (node as unknown as Record<string, unknown>)[key];
      for (const one of Array.isArray(child) ? child : [child]) if (isNode(one)) enter(one);
    }
    around.pop();
  };
  enter(program);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value;
}

/** The text of a string literal or of a template without expressions; undefined for everything else. */
export function literalText(node: Node | null | undefined): string | undefined {
  if (node?.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined;
  if (node?.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0]?.value.cooked ?? undefined;
  return undefined;
}

export function isTestFile(path: string): boolean {
  return /\.test\.[cm]?[jt]sx?$/.test(path);
}
