import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Node } from 'oxc-parser';
import { literalText, walk } from './source.ts';
import type { Source } from './source.ts';

/** One way in which a file names another module. */
export interface Import {
  /** As written; undefined if it is computed and so cannot be read. */
  readonly specifier: string | undefined;
  /** Path of the file in this repository; undefined for packages and Node's own modules. */
  readonly target: string | undefined;
  readonly line: number;
}

/** Turns a specifier written in a file into a path of the repository. */
export type Resolve = (from: string, specifier: string) => string | undefined;

/** Resolves relative specifiers and the `imports` of package.json. */
export function resolver(root: string): Resolve {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { imports?: Record<string, string> };
  const prefixes = Object.entries(manifest.imports ?? {}).map(([from, to]) => [from.replace('*', ''), to.replace('*', '')] as const);
  return (from, specifier) => {
    if (/^\.{0,2}\//.test(specifier)) return posix.normalize(posix.join(posix.dirname(from), specifier));
    const prefix = prefixes.find(([start]) => specifier.startsWith(start));
    return prefix && posix.normalize(specifier.replace(prefix[0], prefix[1]));
  };
}

/**
 * Every module a file names: static and dynamic imports, re-exports, `import type`, `import('…')` as a type, `require`,
 * `import.meta.resolve`, and `new URL('./x.ts', import.meta.url)`, by which workers and scripts are started.
 */
export function importsOf(source: Source, resolve: Resolve): Import[] {
  const found: Import[] = [];
  const add = (node: Node, specifier: string | undefined): void => {
    const target = specifier === undefined ? undefined : resolve(source.path, specifier);
    found.push({ specifier, target, line: source.lineAt(node.start) });
  };
  walk(source.program, (node) => {
    const named = moduleNamedBy(node);
    if (named) add(node, named.specifier);
  });
  return found;
}

function moduleNamedBy(node: Node): { specifier: string | undefined } | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'TSImportType':
      return { specifier: node.source.value };
    case 'ExportNamedDeclaration':
      return node.source ? { specifier: node.source.value } : undefined;
    case 'TSExternalModuleReference':
      return { specifier: node.expression.value };
    case 'ImportExpression':
      return { specifier: literalText(node.source) };
    case 'CallExpression':
      return namedByCall(node.callee, literalText(node.arguments[0]));
    case 'NewExpression':
      return moduleUrl(node.callee, node.arguments);
    default:
      return undefined;
  }
}

function namedByCall(callee: Node, specifier: string | undefined): { specifier: string | undefined } | undefined {
  if (isNamed(callee, 'require')) return { specifier };
  const resolves = callee.type === 'MemberExpression' && callee.object.type === 'MetaProperty' && isNamed(callee.property, 'resolve');
  return resolves && specifier !== undefined ? { specifier } : undefined; // a computed one finds a file, it loads none
}

function moduleUrl(callee: Node, [path, base]: readonly Node[]): { specifier: string } | undefined {
  if (!isNamed(callee, 'URL') || base?.type !== 'MemberExpression' || base.object.type !== 'MetaProperty') return undefined;
  const text = literalText(path);
  return text !== undefined && /\.[cm]?[jt]sx?$/.test(text) ? { specifier: /^\.{0,2}\//.test(text) ? text : `./${text}` } : undefined;
}

function isNamed(node: Node, name: string): boolean {
  return node.type === 'Identifier' && node.name === name;
}
