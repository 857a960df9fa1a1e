import type { Node } from 'oxc-parser';
import { literalText, walk } from './source.ts';
import type { Source } from './source.ts';

export interface NamedTest {
  /** Of a template the part before the first `${`; empty if it comes from a table. */
  readonly name: string;
  /** False if it, or a suite around it, is skipped or to do whatever happens. */
  readonly runs: boolean;
}

export interface TestsOfFile {
  /** Every place that declares a test or a suite. */
  readonly named: readonly NamedTest[];
  /** All strings of the file; the names of tests in a table are among them. */
  readonly literals: ReadonlySet<string>;
}

const testFunctions = ['test', 'it', 'describe', 'suite'];

/** Finds the tests of a file without running it. */
export function testsIn(source: Source): TestsOfFile {
  const named: NamedTest[] = [];
  const literals = new Set<string>();
  walk(source.program, (node, around) => {
    const text = literalText(node);
    if (text !== undefined) literals.add(text);
    if (!isTestCall(node)) return;
    const runs = ![...around, node].some((one) => isTestCall(one) && neverRuns(one));
    named.push({ name: nameOf(node.arguments[0]), runs });
  });
  return { named, literals };
}

interface Call {
  readonly type: 'CallExpression';
  readonly callee: Node;
  readonly arguments: readonly Node[];
}

/** `test(…)`, `it.skip(…)`, `t.test(…)`. */
function isTestCall(node: Node): node is Node & Call {
  if (node.type !== 'CallExpression') return false;
  const { callee } = node;
  if (callee.type === 'Identifier') return testFunctions.includes(callee.name);
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return false;
  if (callee.property.name === 'test') return node.arguments.length > 1; // `pattern.test(text)` has one
  const modes = ['skip', 'todo', 'only'];
  return callee.object.type === 'Identifier' && testFunctions.includes(callee.object.name) && modes.includes(callee.property.name);
}

function nameOf(node: Node | undefined): string {
  if (node?.type === 'TemplateLiteral') return node.quasis[0]?.value.cooked ?? '';
  return literalText(node) ?? '';
}

function neverRuns(call: Call): boolean {
  const { callee } = call;
  if (callee.type === 'MemberExpression' && callee.property.type === 'Identifier' && ['skip', 'todo'].includes(callee.property.name)) return true;
  return call.arguments.some((given) => optionsForbid(given) || bodySkips(given));
}

function optionsForbid(node: Node): boolean {
  if (node.type !== 'ObjectExpression') return false;
  return node.properties.some((one) => {
    if (one.type !== 'Property' || one.key.type !== 'Identifier' || !['skip', 'todo'].includes(one.key.name)) return false;
    return isAlwaysTrue(one.value);
  });
}

function isAlwaysTrue(node: Node): boolean {
  if (node.type === 'Literal') return Boolean(node.value);
  return node.type === 'TemplateLiteral';
}

/** `t.skip()` or `t.todo()` as a statement of the body itself, so that nothing decides about it. */
function bodySkips(node: Node): boolean {
  if (node.type !== 'ArrowFunctionExpression' && node.type !== 'FunctionExpression') return false;
  const statements = node.body?.type === 'BlockStatement' ? node.body.body : [];
  return statements.some((one) => {
    const call = one.type === 'ExpressionStatement' ? one.expression : undefined;
    const callee = call?.type === 'CallExpression' ? call.callee : undefined;
    return callee?.type === 'MemberExpression' && callee.property.type === 'Identifier' && ['skip', 'todo'].includes(callee.property.name);
  });
}
