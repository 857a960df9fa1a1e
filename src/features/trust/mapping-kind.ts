/** Claim mappings: issuer and conditions on claims → grants. */
import { givenByMapping } from '#features/access/feature.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Given, Kind, Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { compileMapping } from './compile-mapping.ts';
import { mappingFaults } from './mapping-faults.ts';
import type { ClaimMappingFacts, ClaimMappingSpec } from './schema.ts';
import { claimMappingSpec } from './schema.ts';
import { asksForLess } from './token-use.ts';

export function claimMappingKind(kinds: () => Kinds): Kind<ClaimMappingSpec> {
  return {
    name: 'claim_mapping',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: claimMappingSpec,
    version: 1,
    administers: true,
    facts: compileMapping,
    check: (draft, after) => mappingFaults(draft, after, kinds().of(after)),
    gives: (change) => newGrants(change, kinds()),
  };
}

/** Each grant over all it can reach, unless the change only takes away. */
function newGrants(change: { before: Entry | null; after: Entry | null; worldAfter: World }, kinds: Kinds): Given[] {
  const { before, after, worldAfter } = change;
  if (after === null) return [];
  const facts = after.facts as ClaimMappingFacts;
  if (before !== null && givesNoMore(before.facts as ClaimMappingFacts, facts)) return [];
  return facts.grants.flatMap((grant) =>
    givenByMapping(worldAfter, kinds, after, grant.targets()).map(({ bound, why }) => ({ bound, why: `it gives what the ${why} grants`, pointer: `/grants/${grant.index}` })),
  );
}

/** True only when it is plain that the mapping lets in nobody else, and gives nothing it did not give. */
function givesNoMore(before: ClaimMappingFacts, after: ClaimMappingFacts): boolean {
  if (before.issuerUid !== after.issuerUid || (after.mayAdminister && !before.mayAdminister) || after.ttlSeconds > before.ttlSeconds) return false;
  if (asksForLess(before.use, after.use)) return false;
  if (before.spec.condition !== undefined && before.spec.condition !== after.spec.condition) return false;
  const asked = new Set(after.spec.when.map((condition) => canonicalJson(condition)));
  if (!before.spec.when.every((condition) => asked.has(canonicalJson(condition)))) return false;
  const given = new Set(before.grants.map((grant) => grant.fingerprint));
  return after.grants.every((grant) => given.has(grant.fingerprint));
}
