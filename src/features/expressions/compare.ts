import { refusal } from '#kernel/errors.ts';
import type { Data } from './schema.ts';
import { isList, textOf, typeOf } from './value.ts';

const decimal = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
const decimalMax = 32;

/**
 * Whether two values are the same. Text and a number, or text and true/false, are compared as text, because variables
 * arrive as text: `"5" == 5`, `"true" == true`. `null` is only itself. Lists and objects are compared by their members.
 */
export function equal(left: Data, right: Data): boolean {
  if (left === null || right === null) return left === right;
  if (typeof left === 'object' || typeof right === 'object') {
    return typeof left === 'object' && typeof right === 'object' && equalMembers(left, right);
  }
  return typeof left === typeof right ? left === right : textOf(left) === textOf(right);
}

function equalMembers(left: Data & object, right: Data & object): boolean {
  if (isList(left) || isList(right)) {
    return isList(left) && isList(right) && left.length === right.length
      && left.every((item, index) => equal(item, right[index]!));
  }
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length
    && keys.every((key) => Object.hasOwn(right, key) && equal(left[key]!, right[key]!));
}

/** Negative, zero or positive. Numbers, numbers with text that is a decimal number, or text with text. */
export function order(left: Data, right: Data): number {
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : Number(left > right);
  const [first, second] = [numberIn(left), numberIn(right)];
  if (first === undefined || second === undefined) {
    throw refusal('expression.invalid', { say: `${typeOf(left)} and ${typeOf(right)} have no order` });
  }
  return first - second;
}

/** A number, or the number that a text spells in decimal; undefined for everything else. */
export function numberIn(data: Data): number | undefined {
  if (typeof data === 'number') return data;
  return typeof data === 'string' && data.length <= decimalMax && decimal.test(data) ? Number(data) : undefined;
}

/** True or false, also as text. `null` is neither: a condition on what has not happened must say what it means. */
export function truth(data: Data): boolean {
  if (data === true || data === 'true') return true;
  if (data === false || data === 'false') return false;
  const help = data === null ? '; compare it with `== null` first' : '';
  throw refusal('expression.invalid', { say: `a condition must be true or false, not ${typeOf(data)}${help}` });
}
