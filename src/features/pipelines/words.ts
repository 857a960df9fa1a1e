/** The building bricks of the pipeline schema: strict objects that suggest, enumerations that know what is not yet there. */
import { z } from 'zod';
import { nearest } from '#kernel/identifier.ts';
import { printable } from '#kernel/printable.ts';

/** An object that refuses unknown fields; what is near is found from the schema by whoever reports the fault. */
export function strict<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, { error: (issue) => mustBe(issue, 'a map') });
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
export function text(maxBytes: number, error = (issue: RawIssue) => mustBe(issue, 'text')): z.ZodString {
  return z
    .string({ error })
    .refine((value) => Buffer.byteLength(value) <= maxBytes, { error: `must have at most ${maxBytes} bytes` });
}

export function list<T extends z.ZodType>(element: T, max: number): z.ZodArray<T> {
  return z.array(element, { error: (issue) => mustBe(issue, 'a list') }).max(max, { error: `must have at most ${max} entries` });
}

/** What zod passes to the function that words an error. */
export interface RawIssue {
  readonly code?: string | undefined;
  readonly input?: unknown;
}

export function mustBe(issue: RawIssue, what: string): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  return issue.input === undefined ? 'is required' : `must be ${what}`;
}

/** A user's word for a message: short, printable, and unable to end the backticks it stands in. */
export function shown(word: string): string {
  const one = printable(word).replaceAll('`', '\ufffd');
  return one.length > 128 ? `${one.slice(0, 128)}…` : one;
}
