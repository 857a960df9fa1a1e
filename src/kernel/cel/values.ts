/**
 * Values of expressions: JSON without `null`, and whole numbers written in the source as `bigint`. `failed` stands for a
 * missing key, a wrong type or an overflow; the others for what nobody knows yet, because nobody has asked.
 */

export const failed: unique symbol = Symbol('no value');
/** Whoever asks may bring what it takes, or nothing. */
export const anything: unique symbol = Symbol('any value');
/** False, or no value. */
export const neverTrue: unique symbol = Symbol('never true');
/** True, or no value. */
export const neverFalse: unique symbol = Symbol('never false');

type Fields = Readonly<Record<string, unknown>>;
export type Present = string | number | bigint | boolean | readonly unknown[] | Fields;
export type Value = Present | typeof failed | typeof anything | typeof neverTrue | typeof neverFalse;

/** Counts the work of one evaluation; there is no other way for it to go on for long. */
export class Steps {
  #left: number;
  readonly #most: number;

  constructor(most: number) {
    this.#left = this.#most = most;
  }

  get spent(): number {
    return this.#most - this.#left;
  }

  /** Text of this many characters is looked at. */
  spendOnText(characters: number): void {
    this.spend(Math.ceil(characters / 64));
  }

  spend(steps: number): void {
    if (steps > this.#left) throw outOfSteps;
    this.#left -= steps;
  }
}

/** One object for all, since nobody reads where it came from. */
export const outOfSteps = new Error('an expression took too many steps');

/** What is read from outside: `null` is missing, and nothing but JSON is a value. */
export function present(value: unknown): Value {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : failed;
    case 'object':
      return value === null ? failed : (value as Present);
    default:
      return value === anything ? anything : failed;
  }
}

export function isList(value: Value): value is readonly unknown[] {
  return Array.isArray(value);
}

export function isFields(value: Value): value is Fields {
  return typeof value === 'object' && !Array.isArray(value);
}

/** Own fields only, so `constructor` and `__proto__` are names like others; no value becomes a name by conversion. */
export function member(of: Present, key: Present): Value {
  if (isFields(of)) return typeof key === 'string' && Object.hasOwn(of, key) ? present(of[key]) : failed;
  if (!isList(of) || !isNumber(key)) return failed;
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < of.length ? present(of[index]) : failed;
}

/** Names of fields that have a value. */
export function namesOf(fields: Fields): string[] {
  return Object.keys(fields).filter((name) => fields[name] !== null && fields[name] !== undefined);
}

/** Numbers are equal when they are the same number, whole or not; values of different types are different. */
export function isEqual(a: Value, b: Value, steps: Steps): boolean {
  steps.spend(1);
  if (typeof a === 'symbol' || typeof b === 'symbol') return false;
  if (isNumber(a)) return isNumber(b) && a >= b && a <= b;
  if (typeof a === 'string') return typeof b === 'string' && isEqualText(a, b, steps);
  if (typeof a === 'boolean') return a === b;
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, i) => isEqual(present(item), present(b[i]), steps));
  if (!isFields(a) || !isFields(b)) return false;
  const names = namesOf(a);
  return names.length === namesOf(b).length && names.every((name) => isEqual(present(a[name]), member(b, name), steps));
}

function isEqualText(a: string, b: string, steps: Steps): boolean {
  if (a.length !== b.length) return false;
  steps.spendOnText(a.length);
  return a === b;
}

/** Negative, zero or positive; null when the two have no order. */
export function order(a: Present, b: Present, steps: Steps): number | null {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (typeof a !== 'string' || typeof b !== 'string') return null;
  steps.spendOnText(Math.min(a.length, b.length));
  return a < b ? -1 : a > b ? 1 : 0;
}

export type Arithmetic = '+' | '-' | '*' | '/' | '%';

const arithmetic: Readonly<Record<Arithmetic, { readonly whole: (a: bigint, b: bigint) => bigint; readonly real: (a: number, b: number) => number }>> = {
  '+': { whole: (a, b) => a + b, real: (a, b) => a + b },
  '-': { whole: (a, b) => a - b, real: (a, b) => a - b },
  '*': { whole: (a, b) => a * b, real: (a, b) => a * b },
  '/': { whole: (a, b) => a / b, real: (a, b) => a / b },
  '%': { whole: (a, b) => a % b, real: (a, b) => a % b },
};

/**
 * Whole numbers of the source stay whole; a number from JSON makes the result one. Division by zero and what does not fit
 * into 64 bits or a double have no value.
 */
export function calculate(by: Arithmetic, a: Present, b: Present): Value {
  if (!isNumber(a) || !isNumber(b)) return failed;
  if ((by === '/' || by === '%') && Number(b) === 0) return failed;
  if (typeof a === 'bigint' && typeof b === 'bigint') return whole(arithmetic[by].whole(a, b));
  return present(arithmetic[by].real(Number(a), Number(b)));
}

export const minInt = -(2n ** 63n);
export const maxInt = 2n ** 63n - 1n;

export function whole(value: bigint): Value {
  return value >= minInt && value <= maxInt ? value : failed;
}

function isNumber(value: Present | Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
