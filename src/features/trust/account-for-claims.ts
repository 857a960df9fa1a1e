/** Every claim of a token is accounted for: known to the preset of its issuer, missing from it, or unknown. Pure. */
import { pointerOf, readPointer } from '#kernel/matcher.ts';
import type { Preset } from './presets.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface ClaimsAccount {
  /** JSON Pointers of claims the token has and the preset, or the issuer's document, knows. */
  readonly known: readonly string[];
  /** What the preset says is always there and the token lacks; `required` ones have it refused. */
  readonly missing: readonly { readonly claim: string; readonly required: boolean }[];
  /** JSON Pointers nobody has told of, at most 50 and each cut to 200 characters; what lies inside a known object too. */
  readonly unknown: readonly string[];
}

/** RFC 7519 §4.1 and what OpenID Connect Core §2 and RFC 9068 §2.2 add for tokens about machines. */
const registered = ['/iss', '/sub', '/aud', '/exp', '/nbf', '/iat', '/jti', '/cnf', '/azp', '/client_id', '/scope'];

const maxUnknown = 50;
const maxShownCharacters = 200;

/** With a preset that knows no claims, such as `generic`, none is unknown. `stated`: `immutableClaims` of the issuer. */
export function accountFor(preset: Preset, claims: Claims, stated: Iterable<string> = []): ClaimsAccount {
  const expected = new Set([...registered, ...preset.claims.map(({ claim }) => claim), ...stated]);
  const known: string[] = [];
  const unknown: string[] = [];
  for (const claim of leaves(claims, [], expected)) {
    if (expected.has(claim) || !speaksOfClaims(preset) || isOfFamily(preset, claim)) known.push(claim);
    else if (unknown.length < maxUnknown) unknown.push(claim.length <= maxShownCharacters ? claim : `${claim.slice(0, maxShownCharacters).toWellFormed()}…`);
  }
  const missing = preset.claims
    .filter(({ claim, presence }) => presence !== 'sometimes' && isAbsent(readPointer(claims, claim)))
    .map(({ claim, presence }) => ({ claim, required: presence === 'required' }));
  return { known, missing, unknown };
}

/** Registered, known to the preset, stated, or within or around what is; with a preset that knows no claims, anything. */
export function isKnown(preset: Preset, claim: string, stated: Iterable<string> = []): boolean {
  if (!speaksOfClaims(preset) || isOfFamily(preset, claim)) return true;
  const expected = [...registered, ...preset.claims.map((known) => known.claim), ...stated];
  return expected.some((known) => known === claim || claim.startsWith(`${known}/`) || known.startsWith(`${claim}/`));
}

/** Claims a token of this preset must have and does not. */
export function requiredMissing(preset: Preset, claims: Claims): readonly string[] {
  return preset.claims.filter(({ claim, presence }) => presence === 'required' && isAbsent(readPointer(claims, claim))).map(({ claim }) => claim);
}

function isOfFamily({ families = [] }: Preset, claim: string): boolean {
  return families.some((beginning) => claim.startsWith(beginning));
}

function speaksOfClaims(preset: Preset): boolean {
  return preset.claims.some(({ claim }) => claim !== '/sub');
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** An object is gone into as long as something is known inside it; otherwise it is one claim. */
function* leaves(value: Claims, at: readonly string[], expected: ReadonlySet<string>): Generator<string> {
  for (const [name, item] of Object.entries(value)) {
    const path = [...at, name];
    const pointer = pointerOf(path);
    const isParent = typeof item === 'object' && item !== null && !Array.isArray(item) && hasWithin(expected, `${pointer}/`);
    if (isParent) yield* leaves(item as Claims, path, expected);
    else yield pointer;
  }
}

function hasWithin(expected: ReadonlySet<string>, prefix: string): boolean {
  for (const pointer of expected) if (pointer.startsWith(prefix)) return true;
  return false;
}
