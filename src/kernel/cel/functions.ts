/**
 * The functions of expressions, all of them: a name that is not here is refused when the expression is saved. Each says with
 * `steps` what it costs before it does the work, and gives `failed` for what it cannot take.
 */
import type { Present, Steps, Value } from './values.ts';
import { failed, isFields, isList, maxInt, minInt, namesOf, present, whole } from './values.ts';

export interface CelFunction {
  /** `f(x)`, `x.f()`, or either. */
  readonly form: 'function' | 'method' | 'either';
  /** What a method is called on counts as the first argument. */
  readonly arguments: number;
  /** Its arguments are text, so another constant is a fault. */
  readonly ofText: boolean;
  readonly run: (steps: Steps, ...args: readonly Present[]) => Value;
}

export const celFunctions: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['size', { form: 'either', arguments: 1, ofText: false, run: size }],
  ['int', { form: 'function', arguments: 1, ofText: false, run: (_steps, value) => int(value!) }],
  ['double', { form: 'function', arguments: 1, ofText: false, run: (_steps, value) => double(value!) }],
  ['string', { form: 'function', arguments: 1, ofText: false, run: (_steps, value) => (typeof value === 'object' ? failed : String(value)) }],
  ['startsWith', textMethod((text, part) => text.startsWith(part))],
  ['endsWith', textMethod((text, part) => text.endsWith(part))],
  ['contains', textMethod(contains)],
  ['split', textMethod(split)],
  ['lowerAscii', textMethod((text) => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()), 1)],
  ['upperAscii', textMethod((text) => text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()), 1)],
]);

function textMethod(apply: (text: string, part: string, steps: Steps) => Value, count: 1 | 2 = 2): CelFunction {
  const run = (steps: Steps, text?: Present, part: Present = ''): Value => {
    if (typeof text !== 'string' || typeof part !== 'string') return failed;
    steps.spendOnText(text.length);
    return apply(text, part, steps);
  };
  return { form: 'method', arguments: count, ofText: true, run };
}

/** Characters of a text are code points. */
function size(steps: Steps, of?: Present): Value {
  if (of === undefined) return failed;
  if (isList(of)) return BigInt(of.length);
  if (isFields(of)) return BigInt(namesOf(of).length);
  if (typeof of !== 'string') return failed;
  steps.spend(Math.ceil(of.length / 16));
  let count = 0n;
  for (const _character of of) count += 1n;
  return count;
}

/** At worst each place of the text is compared with the whole part. */
function contains(text: string, part: string, steps: Steps): Value {
  steps.spendOnText(text.length * part.length);
  return text.includes(part);
}

function split(text: string, separator: string, steps: Steps): Value {
  steps.spend(text.length);
  return separator === '' ? [...text] : text.split(separator);
}

/** Text must be digits and nothing else: the empty one is no number. */
function int(value: Present): Value {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'string') return /^-?\d{1,19}$/.test(value) ? whole(BigInt(value)) : failed;
  if (typeof value !== 'number') return failed;
  return value >= Number(minInt) && value < Number(maxInt) ? BigInt(Math.trunc(value)) : failed;
}

function double(value: Present): Value {
  if (typeof value === 'string') return /^-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/.test(value) ? present(Number(value)) : failed;
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : failed;
}
