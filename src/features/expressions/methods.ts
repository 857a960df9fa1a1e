import { refusal } from '#kernel/errors.ts';
import type { Refusal } from '#kernel/errors.ts';
import { equal } from './compare.ts';
import type { Data } from './schema.ts';
import { occurrences } from './search.ts';
import { bytesOf, checkBytes, isList, textOf, typeOf } from './value.ts';

/** How many arguments a method takes. */
interface Signature {
  readonly min: number;
  readonly max: number;
}

type Implementation<T> = Signature & { readonly run: (target: T, args: readonly Data[]) => Data };
type Methods<T> = Readonly<Record<string, Implementation<T>>>;

/** Methods of text. Searching is literal and positions count UTF-16 units, as in the Java strings users know. */
const ofText: Methods<string> = {
  split: { min: 1, max: 1, run: (text, [separator]) => split(text, searched('split', separator)) },
  contains: { min: 1, max: 1, run: (text, [part]) => indexOf(text, word('contains', part)) >= 0 },
  indexOf: { min: 1, max: 1, run: (text, [part]) => indexOf(text, word('indexOf', part)) },
  startsWith: { min: 1, max: 1, run: (text, [part]) => text.startsWith(word('startsWith', part)) },
  endsWith: { min: 1, max: 1, run: (text, [part]) => text.endsWith(word('endsWith', part)) },
  replace: {
    min: 2, max: 2, run: (text, [from, to]) => replace(text, searched('replace', from), word('replace', to)),
  },
  concat: { min: 1, max: 1, run: (text, [more]) => concat(text, word('concat', more)) },
  substring: { min: 1, max: 2, run: (text, [from, to]) => substring(text, from, to) },
  toLowerCase: { min: 0, max: 0, run: (text) => text.toLowerCase() },
  toUpperCase: { min: 0, max: 0, run: (text) => text.toUpperCase() },
  trim: { min: 0, max: 0, run: (text) => text.trim() },
  length: { min: 0, max: 0, run: (text) => text.length },
  size: { min: 0, max: 0, run: (text) => text.length },
  isEmpty: { min: 0, max: 0, run: (text) => text === '' },
};

const ofList: Methods<readonly Data[]> = {
  contains: { min: 1, max: 1, run: (list, [item]) => list.some((candidate) => equal(candidate, item!)) },
  join: { min: 1, max: 1, run: (list, [separator]) => join(list, word('join', separator)) },
  size: { min: 0, max: 0, run: (list) => list.length },
  isEmpty: { min: 0, max: 0, run: (list) => list.length === 0 },
};

const ofObject: Methods<object> = {
  size: { min: 0, max: 0, run: (object) => Object.keys(object).length },
  isEmpty: { min: 0, max: 0, run: (object) => Object.keys(object).length === 0 },
};

/** A step that has not run has no output: asking whether it is empty is the one question it answers. */
const ofNull: Methods<null> = { isEmpty: { min: 0, max: 0, run: () => true } };

/** `get(x)` is the same as `[x]`; the parser makes an index of it. */
const get: Signature = { min: 1, max: 1 };

/** Every method name of the language. */
export const methodNames: readonly string[] = [
  ...new Set(['get', ...Object.keys(ofText), ...Object.keys(ofList), ...Object.keys(ofObject)]),
].sort();

/** The argument counts of a method; undefined when no type has it. Where types share a name they share the counts. */
export function methodSignature(name: string): Signature | undefined {
  if (name === 'get') return get;
  return own<Signature>(ofText, name) ?? own<Signature>(ofList, name) ?? own<Signature>(ofObject, name);
}

/** Calls a method. Refuses one that the target's type does not have, and too large a result before making it. */
export function callMethod(target: Data, name: string, args: readonly Data[]): Data {
  if (typeof target === 'string') return found(ofText, name, target).run(target, args);
  if (target === null) return found(ofNull, name, target).run(target, args);
  if (typeof target !== 'object') throw unavailable(name, target);
  if (isList(target)) return found(ofList, name, target).run(target, args);
  return found(ofObject, name, target).run(target, args);
}

function found<T>(methods: Methods<T>, name: string, target: Data): Implementation<T> {
  const method = own(methods, name);
  if (method === undefined) throw unavailable(name, target);
  return method;
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function unavailable(name: string, target: Data): Refusal {
  return refusal('expression.invalid', { say: `\`${name}()\` is not offered on ${typeOf(target)}` });
}

function word(method: string, argument: Data | undefined): string {
  if (argument === null || argument === undefined || typeof argument === 'object') {
    const got = typeOf(argument ?? null);
    throw refusal('expression.invalid', { say: `\`${method}()\` takes text, not ${got}` });
  }
  return textOf(argument);
}

function searched(method: string, argument: Data | undefined): string {
  const text = word(method, argument);
  if (text === '') throw refusal('expression.invalid', { say: `\`${method}()\` cannot search for an empty text` });
  return text;
}

function indexOf(text: string, part: string): number {
  return part === '' ? 0 : occurrences(text, part, 1)[0] ?? -1;
}

function split(text: string, separator: string): Data {
  const places = occurrences(text, separator);
  checkBytes(Buffer.byteLength(text) + (places.length + 1) * 4);
  return pieces(text, separator, places);
}

function replace(text: string, from: string, to: string): string {
  const places = occurrences(text, from);
  const change = Buffer.byteLength(to) - Buffer.byteLength(from);
  checkBytes(Buffer.byteLength(text) + places.length * change);
  return pieces(text, from, places).join(to);
}

function pieces(text: string, separator: string, places: readonly number[]): string[] {
  let start = 0;
  const result: string[] = [];
  for (const place of places) {
    result.push(text.slice(start, place));
    start = place + separator.length;
  }
  result.push(text.slice(start));
  return result;
}

function concat(text: string, more: string): string {
  checkBytes(Buffer.byteLength(text) + Buffer.byteLength(more));
  return text + more;
}

function substring(text: string, from: Data | undefined, to: Data | undefined): string {
  const end = to === undefined ? text.length : to;
  const inside = isPosition(from) && isPosition(end) && from <= end && end <= text.length;
  if (!inside) {
    const say = '`substring()` takes a start and an end inside the text, counted from 0';
    throw refusal('expression.invalid', { say });
  }
  return text.slice(from, end);
}

function isPosition(data: Data | undefined): data is number {
  return typeof data === 'number' && Number.isSafeInteger(data) && data >= 0;
}

function join(list: readonly Data[], separator: string): string {
  checkBytes(bytesOf(list) - list.length * 4 + Math.max(0, list.length - 1) * Buffer.byteLength(separator));
  return list.map(textOf).join(separator);
}
