/** A condition of a claim mapping on one claim: its words, and what decides it. Compiled once; outside text ends here. */
import { z } from 'zod';
import type { Matcher, MatcherSpec } from '#kernel/matcher.ts';
import { compileMatcher, noClaims } from '#kernel/matcher.ts';

const pointerPattern = /^(?:\/(?:[^/~]|~[01])*)+$/;
export const claimPointer = z.string().max(512).regex(pointerPattern, { error: 'must be a JSON Pointer such as `/terraform_workspace_id`' });

/** A bare name means the claim at the top of the token. */
export const claimName = z.string().min(1).max(512).refine((text) => !text.startsWith('/') || pointerPattern.test(text), { error: 'must be a claim or a JSON Pointer such as `/project_id`' });

export const scalar = z.union([z.string().max(1_000), z.number(), z.boolean()], { error: 'must be text, a number or true or false' });

const comparison = {
  equals: scalar.optional(),
  oneOf: z.array(scalar).max(1_000).optional(),
  glob: z.string().min(1).max(512).optional().describe('`*` is any run of characters, `?` is one, all else is itself'),
};

const ofElements = z
  .strictObject(comparison)
  .refine((matchers) => countOf(matchers) === 1, { error: 'must have exactly one of `equals`, `oneOf` and `glob`' });

export const condition = z
  .strictObject({
    claim: claimPointer,
    ...comparison,
    exists: z.literal(true).optional(),
    absent: z.literal(true).optional().describe('the token does not have the claim, or as `null`'),
    any: ofElements.optional().describe('the claim is a list and some element of it is like this'),
    all: ofElements.optional().describe('the claim is a list that is not empty, and every element of it is like this'),
  })
  .refine(({ claim: _claim, ...matchers }) => countOf(matchers) === 1, {
    error: 'must have exactly one of `equals`, `oneOf`, `glob`, `exists: true`, `absent: true`, `any` and `all`',
  });
export type ConditionSpec = z.infer<typeof condition>;
export type ElementSpec = z.infer<typeof ofElements>;

/** What a claim is compared with, as traces show it. */
export type ClaimExpectation = MatcherSpec | { readonly any: MatcherSpec } | { readonly all: MatcherSpec };

export interface CompiledCondition {
  readonly claim: string;
  readonly expected: ClaimExpectation;
  readonly holds: (actual: unknown) => boolean;
}

export function compileCondition(spec: ConditionSpec): CompiledCondition {
  const { claim, any, all } = spec;
  if (any !== undefined) return { claim, expected: { any: matcherOf(any) }, holds: someOf(compileMatcher(matcherOf(any))) };
  if (all !== undefined) return { claim, expected: { all: matcherOf(all) }, holds: everyOf(compileMatcher(matcherOf(all))) };
  if (spec.absent === true) return { claim, expected: { exists: false }, holds: isMissing };
  const expected = matcherOf(spec);
  const matches = compileMatcher(expected);
  return { claim, expected, holds: (actual) => !isMissing(actual) && matches(actual, noClaims) };
}

/** One value is no list of one: what a list says and what a value says are different promises of an issuer. */
function someOf(matches: Matcher): (actual: unknown) => boolean {
  return (actual) => Array.isArray(actual) && actual.some((element) => !isMissing(element) && matches(element, noClaims));
}

/** Of no elements nothing is known, so an empty list does not hold. */
function everyOf(matches: Matcher): (actual: unknown) => boolean {
  return (actual) => Array.isArray(actual) && actual.length > 0 && actual.every((element) => !isMissing(element) && matches(element, noClaims));
}

function matcherOf({ equals, oneOf, glob }: ElementSpec): MatcherSpec {
  if (equals !== undefined) return { equals };
  if (oneOf !== undefined) return { oneOf };
  return glob === undefined ? { exists: true } : { glob };
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

function countOf(matchers: object): number {
  return Object.values(matchers).filter((each) => each !== undefined).length;
}
