/** Conditions on values, read naively: exact, typed and case-sensitive; what is missing never matches (CONTRACTS §4, 5). */

type Words = { equals?: unknown; oneOf?: readonly unknown[]; glob?: string; exists?: boolean; equalsClaim?: string };

export function holdsFor(matcher: Words, value: unknown, claims: Readonly<Record<string, unknown>>): boolean {
  if (value === undefined || value === null) return false;
  if (matcher.equals !== undefined) return value === matcher.equals;
  if (matcher.oneOf !== undefined) return matcher.oneOf.some((one) => one === value);
  if (matcher.glob !== undefined) return typeof value === 'string' && fits(matcher.glob, value);
  if (matcher.equalsClaim !== undefined) return typeof value !== 'object' && value === claimAt(claims, matcher.equalsClaim);
  return matcher.exists === true;
}

/** `*` any run of characters, `?` exactly one, anything else itself. */
function fits(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) return fits(pattern.slice(1), text) || (text !== '' && fits(pattern, text.slice(1)));
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && fits(pattern.slice(1), text.slice(1));
}

/** JSON Pointer (RFC 6901) through objects; what an object inherits is not in it. */
export function claimAt(claims: Readonly<Record<string, unknown>>, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce((at: unknown, part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined;
  }, claims);
}
