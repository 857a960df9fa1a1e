/** Conditions on values, read naively: exact, typed and case-sensitive; what is missing never matches (CONTRACTS §4, 5). */
import type { Scalar } from '#kernel/matcher.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** What is known of the one who asks. */
export interface AskerValues {
  readonly claims: Claims;
  /** `identifier`, `path`, `type`, `email`, `issuer`, `tags.<key>`. */
  readonly principal: (name: string) => unknown;
}

export const nothingKnown: AskerValues = { claims: {}, principal: () => undefined };

export interface MatcherWords {
  readonly equals?: Scalar;
  readonly oneOf?: readonly Scalar[];
  readonly glob?: string;
  readonly exists?: boolean;
  readonly notEquals?: Scalar;
  readonly notOneOf?: readonly Scalar[];
  readonly notGlob?: string;
  readonly equalsClaim?: string;
  readonly equalsPrincipal?: string;
}

export function holdsFor(matcher: MatcherWords, value: unknown, asker: AskerValues): boolean {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return false; // a negation too says something of a value
  if (matcher.equals !== undefined) return value === matcher.equals;
  if (matcher.oneOf !== undefined) return matcher.oneOf.some((one) => one === value);
  if (matcher.glob !== undefined) return typeof value === 'string' && fits(matcher.glob, value);
  if (matcher.notEquals !== undefined) return value !== matcher.notEquals;
  if (matcher.notOneOf !== undefined) return matcher.notOneOf.every((one) => one !== value);
  if (matcher.notGlob !== undefined) return !(typeof value === 'string' && fits(matcher.notGlob, value));
  if (matcher.equalsClaim !== undefined) return value === claimAt(asker.claims, matcher.equalsClaim);
  if (matcher.equalsPrincipal !== undefined) return value === asker.principal(matcher.equalsPrincipal);
  return matcher.exists === true;
}

/** `*` any run of characters, `?` exactly one, anything else itself. */
function fits(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) return fits(pattern.slice(1), text) || (text !== '' && fits(pattern, text.slice(1)));
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && fits(pattern.slice(1), text.slice(1));
}

/** JSON Pointer (RFC 6901) through objects; what an object inherits is not in it. */
export function claimAt(claims: Claims, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce((at: unknown, part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return own(at, name);
  }, claims);
}

export function own(values: unknown, name: string): unknown {
  return typeof values === 'object' && values !== null && Object.hasOwn(values, name) ? (values as Record<string, unknown>)[name] : undefined;
}
