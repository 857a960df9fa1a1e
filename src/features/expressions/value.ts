import { assert, refusal } from '#kernel/errors.ts';
import { dataDepthMax, valueBytesMax } from './limits.ts';
import type { Data, Taint, Value } from './schema.ts';

const none: ReadonlySet<string> = new Set();

/** The taint of what the pipeline's author wrote and of what the server knows by itself. */
export const trusted: Taint = { secrets: none, untrusted: false };

/** The taint of everything that an outsider can choose. */
export const untrusted: Taint = { secrets: none, untrusted: true };

/** A value with its taint; without one it is trusted. */
export function valueOf(data: Data, taint: Taint = trusted): Value {
  return { data, secrets: taint.secrets, untrusted: taint.untrusted };
}

/** The union of taints. Nothing in the language ever makes a taint smaller. */
export function unite(taints: readonly Taint[]): Taint {
  const isUntrusted = taints.some((taint) => taint.untrusted);
  const withSecrets = taints.filter((taint) => taint.secrets.size > 0);
  if (withSecrets.length === 0) return isUntrusted ? untrusted : trusted;
  if (withSecrets.length === 1) return { secrets: withSecrets[0]!.secrets, untrusted: isUntrusted };
  const secrets = new Set<string>();
  for (const taint of withSecrets) for (const uid of taint.secrets) secrets.add(uid);
  return { secrets, untrusted: isUntrusted };
}

/** Bytes a value takes: UTF-8 for text, about its JSON for a list or an object. Refuses what nests too deep. */
export function bytesOf(data: Data, depth = 0): number {
  if (typeof data === 'string') return Buffer.byteLength(data);
  if (data === null || typeof data !== 'object') return 8;
  checkDepth(depth);
  let bytes = 4;
  if (isList(data)) {
    for (const item of data) bytes += bytesOf(item, depth + 1) + 4;
  } else {
    for (const key of Object.keys(data)) bytes += Buffer.byteLength(key) + bytesOf(data[key]!, depth + 1) + 8;
  }
  return bytes;
}

/** Refuses to go deeper than `dataDepthMax` levels into a value. */
export function checkDepth(depth: number): void {
  if (depth < dataDepthMax) return;
  throw refusal('expression.limit', { say: `this value nests deeper than ${dataDepthMax} levels` });
}

/** Refuses a value that would be larger than `valueBytesMax`. Call it with a computed size before making the value. */
export function checkBytes(bytes: number): void {
  if (bytes > valueBytesMax) {
    throw refusal('expression.limit', { say: `this value would be larger than ${valueBytesMax / 1024} KiB` });
  }
}

/**
 * A copy of `input` as `Data`: own enumerable members only, objects without a prototype, the key `__proto__` and
 * undefined members left out. Refuses what is too large or too deep; anything that JSON cannot hold is a defect.
 */
export function dataFrom(input: unknown): Data {
  if (typeof input === 'string') {
    checkBytes(Buffer.byteLength(input));
    return input;
  }
  return copy(input, 0, { bytes: valueBytesMax });
}

function copy(input: unknown, depth: number, room: { bytes: number }): Data {
  if (input === null || input === undefined) return spend(room, 8, null);
  if (typeof input === 'boolean') return spend(room, 8, input);
  if (typeof input === 'string') return spend(room, Buffer.byteLength(input) + 4, input);
  if (typeof input === 'number') {
    assert(Number.isFinite(input), 'expression data holds a number that JSON cannot hold');
    return spend(room, 8, input);
  }
  assert(typeof input === 'object', `expression data holds a ${typeof input}`);
  checkDepth(depth);
  spend(room, 4, null);
  if (Array.isArray(input)) return Array.from(input, (item: unknown) => copy(item, depth + 1, room));
  const prototype: unknown = Object.getPrototypeOf(input);
  assert(prototype === null || prototype === Object.prototype, 'expression data holds an instance of a class');
  const object = Object.create(null) as Record<string, Data>;
  for (const key of Object.keys(input)) {
    const member = (input as Record<string, unknown>)[key];
    if (key === '__proto__' || member === undefined) continue;
    object[spend(room, Buffer.byteLength(key) + 8, key)] = copy(member, depth + 1, room);
  }
  return object;
}

function spend<T>(room: { bytes: number }, bytes: number, passed: T): T {
  room.bytes -= bytes;
  if (room.bytes < 0) checkBytes(valueBytesMax + 1);
  return passed;
}

/** A value as text: strings as they are, `null` as the word, lists and objects as JSON. */
export function textOf(data: Data): string {
  if (typeof data === 'string') return data;
  return data !== null && typeof data === 'object' ? JSON.stringify(data) : String(data);
}

/** The word for a value's type in messages. Messages never show the value itself: it may be secret. */
export function typeOf(data: Data): string {
  if (data === null) return 'null';
  if (typeof data === 'object') return isList(data) ? 'a list' : 'an object';
  return data === true || data === false ? 'true or false' : `a ${typeof data}`;
}

export function isList(data: Data): data is readonly Data[] {
  return Array.isArray(data);
}

/** The own member of an object or list, or undefined. Inherited members (`constructor`, `length`) do not exist. */
export function memberOf(data: Data, key: string | number): Data | undefined {
  if (data === null || typeof data !== 'object') return undefined;
  if (isList(data)) return typeof key === 'number' && Object.hasOwn(data, key) ? data[key] : undefined;
  return key !== '__proto__' && Object.hasOwn(data, key) ? data[key] : undefined;
}
