/** Names that decide about a token and have an id beside them: what is pinned, and what is compared with the pin. Pure. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '#kernel/canonical.ts';
import { globMatches, readPointer } from '#kernel/matcher.ts';
import { celPointers } from './claim-expression.ts';
import { isStated, placed, readByExpression } from './lint/compared.ts';
import type { Match } from './match.ts';
import type { Preset } from './presets.ts';
import { tenantClaimsOf } from './presets.ts';
import type { ClaimMappingSpec } from './schema.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface NamePin {
  /** Hexadecimal SHA-256; equal for the same name of the same tenant. */
  readonly pin: string;
  /** Tenant as the mapping states it, and names this one is among; for people. */
  readonly tenant: string;
  readonly claim: string;
  readonly name: string;
  /** Claim of the id, and what it is; null when the token does not say. */
  readonly idClaim: string;
  readonly id: string | null;
}

const maxShownCharacters = 200;

/**
 * What a matching mapping trusts by name: a claim that names something with an id which the mapping does not state. A name
 * goes with the names it is one among. The tenant's id counts as far as the mapping states it: a stranger's is then not meant.
 */
export function namePinsOf({ mapping }: Match, preset: Preset, claims: Claims): NamePin[] {
  const { spec, expression } = mapping.facts;
  const trusted = trustedClaims(spec, expression === null || expression.cel === null ? [] : celPointers(expression.cel));
  return preset.claims.flatMap(({ claim, names, namedIn = [], namesLike = '*' }): NamePin[] => {
    if (names === undefined || !trusted.has(claim) || isStated(spec, names)) return [];
    const name = readPointer(claims, claim);
    if (typeof name !== 'string' || !globMatches(namesLike, name)) return [];
    const tenants = tenantClaimsOf(preset).filter((tenant) => tenant !== names && isStated(spec, tenant)).map((tenant) => [tenant, readPointer(claims, tenant)]);
    const around = namedIn.map((other) => [other, readPointer(claims, other) ?? null]);
    const pin = createHash('sha256').update(canonicalJson([tenants, around, claim, name])).digest('hex');
    const place = [...tenants, ...around].flatMap(([, value]) => (value === null || value === undefined ? [] : [String(value)])).join(' ');
    return [{ pin, tenant: shown(place), claim, name: shown(name), idClaim: names, id: idOf(readPointer(claims, names)) }];
  });
}

/** Whether a mapping lets anybody in, or gives anything, on the word of this name. */
export function trustsName(spec: ClaimMappingSpec, preset: Preset, claim: string): boolean {
  const names = preset.claims.find((known) => known.claim === claim)?.names;
  return names !== undefined && trustedClaims(spec, readByExpression(spec)).has(claim) && !isStated(spec, names);
}

/** Claims whose value decides whether the mapping matches, or what it gives. */
function trustedClaims(spec: ClaimMappingSpec, read: Iterable<string>): ReadonlySet<string> {
  const compared = placed(spec).filter(({ condition }) => condition.exists !== true && condition.absent !== true).map(({ condition }) => condition.claim);
  const inGrants = spec.grants.flatMap(({ scope, resources = [] }) => [
    ...(typeof scope === 'object' ? [scope.from] : []),
    ...resources.flatMap(({ where = {} }) => Object.values(where).flatMap((matcher) => ('equalsClaim' in matcher && typeof matcher.equalsClaim === 'string' ? [matcher.equalsClaim] : []))),
  ]);
  return new Set([...compared, ...read, ...inGrants]);
}

/** Long ids by their hash: an id is only ever compared. */
function idOf(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value);
  return text.length <= maxShownCharacters ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

function shown(text: string): string {
  return text.length <= maxShownCharacters ? text : `${text.slice(0, maxShownCharacters).toWellFormed()}…`;
}
