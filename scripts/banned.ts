import type { Node } from 'oxc-parser';
import { literalText, walk } from './source.ts';
import type { Source } from './source.ts';

/** What this file can find in the syntax of a source file. Where each is banned is decided in `tidy.ts`. */
export type Ban =
  | 'process.env'
  | 'Date.now'
  | 'new Date()'
  | 'Math.random'
  | 'fetch'
  | 'computed RegExp'
  | 'setTimeout'
  | 'only'
  | 'skip reason'
  | 'inline type';

export interface Use {
  readonly ban: Ban;
  readonly line: number;
}

const testFunctions = ['test', 'it', 'describe', 'suite'];

/** Every use in the order of the text. Reads syntax, so strings and comments never count. */
export function usesIn(source: Source): Use[] {
  const found: Use[] = [];
  const names: Names = { declared: namesDeclared(source), fixed: fixedTexts(source) };
  walk(source.program, (node) => {
    for (const ban of bansOf(node, names)) found.push({ ban, line: source.lineAt(node.start) });
  });
  return found;
}

interface Names {
  /** Names a file gives to something of its own, which then are not the global ones. */
  readonly declared: ReadonlySet<string>;
  /** Names of constant texts. */
  readonly fixed: ReadonlySet<string>;
}

function bansOf(node: Node, names: Names): Ban[] {
  switch (node.type) {
    case 'MemberExpression':
      return bansOfMember(node.object, memberName(node));
    case 'CallExpression':
      return bansOfCall(node.callee, node.arguments, names);
    case 'NewExpression':
      if (isGlobal(node.callee, 'Date')) return node.arguments.length === 0 ? ['new Date()'] : [];
      return isGlobal(node.callee, 'RegExp') ? computedPattern(node.arguments, names) : [];
    case 'VariableDeclarator':
      return node.init && isGlobal(node.init, 'process') && takes(node.id, 'env') ? ['process.env'] : [];
    case 'ImportDeclaration':
      return bansOfImport(node.source.value, node.specifiers);
    case 'ExportSpecifier':
      return node.exportKind === 'type' ? ['inline type'] : [];
    case 'Property':
      return bansOfOption(node.key, node.value);
    default:
      return [];
  }
}

function bansOfMember(object: Node, name: string | undefined): Ban[] {
  if (name === 'env' && isGlobal(object, 'process')) return ['process.env'];
  if (name === 'now' && isGlobal(object, 'Date')) return ['Date.now'];
  if (name === 'random' && isGlobal(object, 'Math')) return ['Math.random'];
  if (name === 'fetch' && isGlobal(object, 'globalThis')) return ['fetch'];
  if (name === 'only' && object.type === 'Identifier' && testFunctions.includes(object.name)) return ['only'];
  return [];
}

function bansOfCall(callee: Node, given: readonly Node[], names: Names): Ban[] {
  if (isGlobal(callee, 'Date')) return ['new Date()'];
  if (isGlobal(callee, 'RegExp')) return computedPattern(given, names);
  if (isGlobal(callee, 'fetch')) return names.declared.has('fetch') ? [] : ['fetch'];
  if (isGlobal(callee, 'setTimeout')) return names.declared.has('setTimeout') ? [] : ['setTimeout'];
  return [];
}

function computedPattern([pattern]: readonly Node[], names: Names): Ban[] {
  return pattern && isFixedPattern(pattern, names.fixed) ? [] : ['computed RegExp'];
}

/** Made of literals, constant texts and escaped values only. */
function isFixedPattern(node: Node, fixed: ReadonlySet<string>): boolean {
  if (node.type === 'Identifier') return fixed.has(node.name);
  if (node.type === 'TemplateLiteral') return node.expressions.every((one) => isFixedPattern(one, fixed));
  if (node.type === 'CallExpression') return memberName(node.callee) === 'escape' && isGlobalMember(node.callee, 'RegExp');
  return literalText(node) !== undefined;
}

function isGlobalMember(node: Node, object: string): boolean {
  return node.type === 'MemberExpression' && isGlobal(node.object, object);
}

function bansOfImport(from: string, specifiers: readonly Node[]): Ban[] {
  const names = specifiers.flatMap((one) => (one.type === 'ImportSpecifier' ? [one] : []));
  const found: Ban[] = names.some((one) => one.importKind === 'type') ? ['inline type'] : [];
  const imports = (name: string): boolean => names.some((one) => one.imported.type === 'Identifier' && one.imported.name === name);
  if (/^(node:)?process$/.test(from) && imports('env')) found.push('process.env');
  if (/^(node:)?timers(\/promises)?$/.test(from) && imports('setTimeout')) found.push('setTimeout');
  return found;
}

function bansOfOption(key: Node, value: Node): Ban[] {
  const name = key.type === 'Identifier' ? key.name : literalText(key);
  if (name === 'only' && value.type === 'Literal' && value.value === true) return ['only'];
  return name === 'skip' && reasonsIn(value).some((reason) => !reason.startsWith('needs: ')) ? ['skip reason'] : [];
}

/** The strings an expression can have as its value, as far as it shows them. */
function reasonsIn(value: Node): string[] {
  if (value.type === 'ConditionalExpression') return [...reasonsIn(value.consequent), ...reasonsIn(value.alternate)];
  if (value.type === 'LogicalExpression') return [...reasonsIn(value.left), ...reasonsIn(value.right)];
  if (value.type === 'ParenthesizedExpression') return reasonsIn(value.expression);
  if (value.type === 'TemplateLiteral') return [value.quasis[0]?.value.cooked ?? ''];
  const text = literalText(value);
  return text === undefined ? [] : [text];
}

function memberName(node: Node): string | undefined {
  if (node.type !== 'MemberExpression') return undefined;
  return node.computed ? literalText(node.property) : node.property.type === 'Identifier' ? node.property.name : undefined;
}

/** `name`, or the same through `globalThis`. */
function isGlobal(node: Node, name: string): boolean {
  if (node.type === 'Identifier') return node.name === name;
  return node.type === 'MemberExpression' && isGlobal(node.object, 'globalThis') && memberName(node) === name;
}

function takes(pattern: Node, name: string): boolean {
  if (pattern.type !== 'ObjectPattern') return false;
  return pattern.properties.some((one) => one.type === 'Property' && one.key.type === 'Identifier' && one.key.name === name);
}

/** Names of the constants at the top of a file whose value is a text written there. */
function fixedTexts(source: Source): Set<string> {
  const names = new Set<string>();
  for (const statement of source.program.body) {
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    if (declaration?.type !== 'VariableDeclaration' || declaration.kind !== 'const') continue;
    for (const { id, init } of declaration.declarations) {
      if (id.type === 'Identifier' && literalText(init) !== undefined) names.add(id.name);
    }
  }
  return names;
}

function namesDeclared(source: Source): Set<string> {
  const names = new Set<string>();
  const add = (node: Node | null | undefined): void => {
    if (node?.type === 'Identifier') names.add(node.name);
    if (node?.type === 'AssignmentPattern') add(node.left);
    if (node?.type === 'ObjectPattern') for (const one of node.properties) add(one.type === 'Property' ? one.value : one.argument);
  };
  walk(source.program, (node) => {
    if (node.type === 'VariableDeclarator' || node.type === 'FunctionDeclaration') add(node.id);
    if (node.type === 'ImportSpecifier' || node.type === 'ImportDefaultSpecifier') add(node.local);
    if (node.type === 'FunctionDeclaration' || node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression') {
      for (const parameter of node.params) add(parameter);
    }
  });
  return names;
}
