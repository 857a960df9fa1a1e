/**
 * The closed set of matchers for tags, attributes and claims. Compiled once; only a compiled matcher can be evaluated.
 * Comparison is exact, typed and case-sensitive; a missing value matches nothing, negated or not, but `exists: false`.
 */
export type Scalar = string | number | boolean;

export type MatcherSpec =
  | { readonly equals: Scalar }
  | { readonly oneOf: readonly Scalar[] }
  | { readonly glob: string }
  | { readonly exists: boolean }
  | { readonly notEquals: Scalar }
  | { readonly notOneOf: readonly Scalar[] }
  | { readonly notGlob: string }
  | { readonly equalsClaim: string }
  | { readonly equalsPrincipal: string };

/** Values that only the asker has: claims of a session, addressed by JSON Pointer, and what is known of the principal. */
export interface MatchContext {
  readonly claim: (pointer: string) => unknown;
  /** `identifier`, `path`, `type`, `email`, `tags.<key>`. */
  readonly principal: (name: string) => unknown;
}

export type Matcher = (value: unknown, context: MatchContext) => boolean;

export const noClaims: MatchContext = { claim: () => undefined, principal: () => undefined };

export function compileMatcher(spec: MatcherSpec): Matcher {
  if ('equals' in spec) return (value) => value === spec.equals;
  if ('oneOf' in spec) {
    const allowed = new Set<unknown>(spec.oneOf);
    return (value) => value !== undefined && value !== null && allowed.has(value);
  }
  if ('glob' in spec) return (value) => typeof value === 'string' && globMatches(spec.glob, value);
  if ('exists' in spec) return (value) => (value !== undefined && value !== null) === spec.exists;
  if ('notEquals' in spec) return (value) => isScalar(value) && value !== spec.notEquals;
  if ('notOneOf' in spec) return not(compileMatcher({ oneOf: spec.notOneOf }));
  if ('notGlob' in spec) return not(compileMatcher({ glob: spec.notGlob }));
  if ('equalsPrincipal' in spec) return (value, context) => isScalar(value) && value === context.principal(spec.equalsPrincipal);
  return (value, context) => isScalar(value) && value === context.claim(spec.equalsClaim);
}

/** A missing value is neither one thing nor another. */
function not(matcher: Matcher): Matcher {
  return (value, context) => isScalar(value) && !matcher(value, context);
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}

/**
 * `*` is any run of characters (also none, also `/`), `?` is exactly one; everything else is itself. No negation,
 * classes or braces. Time is O(pattern × text) at worst: on a mismatch only the last `*` is retried.
 */
export function globMatches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let retry = 0;
  while (t < text.length) {
    const want = pattern[p];
    if (want === '*') {
      star = p++;
      retry = t;
    } else if (want === '?' || (want !== undefined && want === text[t])) {
      p++;
      t++;
    } else if (star !== -1) {
      p = star + 1;
      t = ++retry;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** Reads a value by JSON Pointer (RFC 6901); own properties only, so `__proto__` is just a name. */
export function readPointer(document: unknown, pointer: string): unknown {
  if (pointer === '') return document;
  if (!pointer.startsWith('/')) return undefined;
  let at: unknown = document;
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) at = /^(?:0|[1-9]\d{0,5})$/.test(key) ? at[Number(key)] : undefined;
    else if (typeof at === 'object' && at !== null && Object.hasOwn(at, key)) at = (at as Record<string, unknown>)[key];
    else return undefined;
  }
  return at;
}

export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
