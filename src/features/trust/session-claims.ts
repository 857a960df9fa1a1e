/**
 * Which redacted claims a session keeps in clear: those a mapping that matched may read, since its rights are decided by
 * them at every request. All others are digests there too.
 */
import { builtinByUid } from '#features/access/feature.ts';
import { isPlainSource } from './recorded-claims.ts';
import type { RecordedClaims } from './recorded-claims.ts';
import { nameOfClaim, redact } from './recorded-claims.ts';
import type { ClaimMappingFacts } from './schema.ts';

type Claims = Readonly<Record<string, unknown>>;

/** `claims` in clear; `recorded` is what the audit may have of them. */
export function keptClaims(claims: Claims, recorded: RecordedClaims, mappings: readonly ClaimMappingFacts[]): Claims {
  const unread = recorded.redacted.filter((pointer) => !mappings.some((mapping) => mayRead(mapping, pointer)));
  return redact(recorded.digest, unread, claims).claims;
}

/** True unless it is plain that it does not: the name is nowhere in the document, and nothing else speaks for it. */
function mayRead({ spec, grants }: ClaimMappingFacts, pointer: string): boolean {
  const name = JSON.stringify(nameOfClaim(pointer)).slice(1, -1);
  const inPointer = JSON.stringify(pointer.split('/')[1]!).slice(1, -1);
  const text = JSON.stringify([spec.when, spec.condition ?? '', spec.grants]);
  if (text.includes(name) || text.includes(inPointer)) return true;
  const expressions = [spec.condition ?? '', ...spec.grants.flatMap(({ resources = [] }) => resources.map((selector) => selector.condition ?? ''))];
  if (!expressions.every(isPlainSource)) return true;
  return grants.some((grant) => grant.targets().some(({ resourceGroupUid }) => resourceGroupUid !== undefined && builtinByUid(resourceGroupUid) === undefined));
}
