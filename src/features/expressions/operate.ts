import { refusal } from '#kernel/errors.ts';
import type { Binary, BinaryOperator, Conditional, Operation } from './ast.ts';
import { equal, numberIn, order, truth } from './compare.ts';
import { workBytesMax } from './limits.ts';
import { callMethod } from './methods.ts';
import { locating } from './place.ts';
import type { Data, FunctionTable, Source, Value, Work } from './schema.ts';
import { bytesOf, checkBytes, dataFrom, isList, memberOf, textOf, typeOf, unite, valueOf } from './value.ts';

/** What one evaluation has at hand. Every operation counts down its own `work`, and that of all it belongs to. */
export interface Desk {
  readonly source: Source;
  readonly functions: FunctionTable;
  readonly work: readonly Work[];
}

export function deskFor(source: Source, functions: FunctionTable, together?: Work): Desk {
  const own = { bytes: workBytesMax };
  return { source, functions, work: together === undefined ? [own] : [own, together] };
}

/** What is computed from all its operands. */
export type Eager<N> = Exclude<Operation<N>, { type: 'conditional' }>;

/**
 * One operation over evaluated operands (in the order of `operandsOf`). The result carries the union of their taints.
 * `&&` and `||` come here only when both operands count, the ternary never: see `decides` and `chosen`.
 */
export function operate(desk: Desk, node: Eager<unknown>, operands: readonly Value[]): Value {
  return locating(desk.source, node.at, () => {
    const data = operands.map((operand) => spendWork(desk, operand).data);
    const result = node.type === 'call' ? called(desk, node.name, operands) : valueOf(computed(node, data));
    checkBytes(bytesOf(result.data));
    return valueOf(result.data, unite([...operands, result]));
  });
}

/** Counts the reading of one value; refuses when the evaluation, or all it belongs to, has read too much. */
export function spendWork({ work }: Desk, value: Value): Value {
  const bytes = bytesOf(value.data);
  for (const one of work) one.bytes -= bytes;
  if (work.every((one) => one.bytes >= 0)) return value;
  throw refusal('expression.limit', { say: 'this expression reads too much; split it or use smaller values' });
}

/** Whether the left side of `&&` or `||` alone decides; the result is then that side as true or false. */
export function decides(desk: Desk, node: Binary<unknown>, left: Value): Value | undefined {
  const holds = locating(desk.source, node.at, () => truth(left.data));
  return holds === (node.operator === '||') ? valueOf(holds, left) : undefined;
}

/** The branch of a ternary that its condition chooses. */
export function chosen<N>(desk: Desk, node: Conditional<N>, test: Value): N {
  return locating(desk.source, node.at, () => truth(test.data)) ? node.then : node.otherwise;
}

function called(desk: Desk, name: string, args: readonly Value[]): Value {
  const call = desk.functions.get(name)?.call;
  // A stored residual may outlive a function.
  if (call === undefined) throw refusal('expression.unresolved', { say: `the function \`${name}\` is not offered` });
  const result = call(args);
  return valueOf(dataFrom(result.data), result);
}

function computed(node: Exclude<Eager<unknown>, { type: 'call' }>, data: readonly Data[]): Data {
  const [first = null, second = null] = data;
  switch (node.type) {
    case 'member': return member(first, keyIn(second));
    case 'method': return callMethod(first, node.name, data.slice(1));
    case 'list': return data;
    case 'unary': return node.operator === '!' ? !truth(first) : 0 - operand('-', first);
    case 'binary': return binary(node.operator, first, second);
    case 'join': return joined(data);
  }
}

/** A key of a path or an index: text or a whole number from 0. */
export function keyIn(data: Data): string | number {
  if (typeof data === 'string') return data;
  if (typeof data === 'number' && Number.isSafeInteger(data) && data >= 0) return data;
  throw refusal('expression.invalid', { say: 'an index is text or a whole number from 0' });
}

function member(target: Data, key: string | number): Data {
  const found = memberOf(target, key);
  if (found !== undefined) return found;
  const kind = typeof key === 'number' ? 'index' : 'name';
  throw refusal('expression.unresolved', { say: `${typeOf(target)} has no value at this ${kind}` });
}

function binary(operator: BinaryOperator, left: Data, right: Data): Data {
  switch (operator) {
    case '&&': return truth(left) && truth(right);
    case '||': return truth(left) || truth(right);
    case '==': return equal(left, right);
    case '!=': return !equal(left, right);
    case '=~': return isMember(left, right);
    case '<': return order(left, right) < 0;
    case '<=': return order(left, right) <= 0;
    case '>': return order(left, right) > 0;
    case '>=': return order(left, right) >= 0;
    case '+': return typeof left === 'string' || typeof right === 'string'
      ? joined([left, right])
      : finite(operand('+', left) + operand('+', right));
    case '-': return finite(operand('-', left) - operand('-', right));
    case '*': return finite(operand('*', left) * operand('*', right));
    case '/': return finite(operand('/', left) / operand('/', right));
    case '%': return finite(operand('%', left) % operand('%', right));
  }
}

function isMember(item: Data, list: Data): boolean {
  if (isList(list)) return list.some((candidate) => equal(item, candidate));
  const hint = typeof list === 'string' ? '; patterns are not supported yet' : '';
  throw refusal('expression.invalid', { say: `\`=~\` takes a list, not ${typeOf(list)}${hint}` });
}

function operand(operator: string, data: Data): number {
  const number = numberIn(data);
  if (number !== undefined) return number;
  throw refusal('expression.invalid', { say: `\`${operator}\` takes numbers, not ${typeOf(data)}` });
}

function finite(result: number): number {
  if (Number.isFinite(result)) return result === 0 ? 0 : result;
  throw refusal('expression.invalid', { say: 'the result is not a number; is something divided by zero?' });
}

function joined(parts: readonly Data[]): string {
  checkBytes(parts.reduce<number>((sum, part) => sum + bytesOf(part), 0));
  return parts.map(textOf).join('');
}
