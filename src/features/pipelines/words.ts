/** The building bricks of the pipeline schema: strict objects that suggest, enumerations that know what is not yet there. */
import { z } from 'zod';
import { nearest } from '#kernel/identifier.ts';

/** A strict object whose complaint about unknown fields names the nearest known one. */
export function strict<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownField(key, shape)).join('; ') : mustBe(issue, 'a map')),
  });
}

/** Message for one field a strict object does not have. */
function unknownField(key: string, shape: Readonly<Record<string, unknown>>): string {
  const near = nearest(key, Object.keys(shape));
  return `unknown field \`${shown(key)}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`;
}

/** One of `known`; of `notYet` it says that this exists and is not supported, of anything else what is near. */
export function oneOf<const T extends readonly string[]>(
  what: string, known: T, notYet: readonly string[] = [],
): z.ZodEnum<{ [word in T[number]]: word }> {
  return z.enum(known as readonly T[number][], { error: (issue) => unknownWord(issue.input, what, known, notYet) }) as never;
}

export function unknownWord(word: unknown, what: string, known: readonly string[], notYet: readonly string[]): string {
  const supported = `use ${known.map((one) => `\`${one}\``).join(known.length === 2 ? ' or ' : ', ')}`;
  if (word === undefined) return `${what} is missing; ${supported}`;
  if (typeof word !== 'string') return `${what} must be a word; ${supported}`;
  if (notYet.includes(word)) return `${what} \`${word}\` is not supported yet; ${supported}`;
  const near = nearest(word, known);
  return `unknown ${what} \`${shown(word)}\`; ${near === undefined ? supported : `did you mean \`${near}\`?`}`;
}

/** Text of at most `maxBytes` in UTF-8. */
export function text(maxBytes: number): z.ZodString {
  return z
    .string({ error: (issue) => mustBe(issue, 'text') })
    .refine((value) => Buffer.byteLength(value) <= maxBytes, { error: `must have at most ${maxBytes} bytes` });
}

export function list<T extends z.ZodType>(element: T, max: number): z.ZodArray<T> {
  return z.array(element, { error: (issue) => mustBe(issue, 'a list') }).max(max, { error: `must have at most ${max} entries` });
}

export function mustBe(issue: { readonly code?: string | undefined; readonly input?: unknown }, what: string): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  return issue.input === undefined ? 'is required' : `must be ${what}`;
}

const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069`]/g;

/** A user's word for a message: short and printable. */
export function shown(word: string): string {
  const printable = word.toWellFormed().replace(unprintable, '\ufffd');
  return printable.length > 128 ? `${printable.slice(0, 128)}…` : printable;
}
