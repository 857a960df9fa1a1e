import { canonicalJson } from '#kernel/canonical.ts';
import { contains } from '#kernel/scope.ts';
import type { ConditionSpec } from '#features/trust/claim-condition.ts';
import { mappingsOf } from '#features/trust/account-trust.ts';
import type { IssuerMapping } from '#features/trust/match.ts';
import { compileMapping } from '#features/trust/compile-mapping.ts';
import type { ClaimMappingFacts } from '#features/trust/schema.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** An issuer may have ten thousand mappings, and a check of one is no search through all. */
const maxCandidates = 200;

/**
 * Whoever this mapping lets in, another one lets in too, and gives as much for as long. Told only to those who may view
 * the other, and of mappings above nothing is said at all.
 */
export const shadowed: MappingRule = ({ draft, spec, issuerUid, after }) => {
  const facts = compileMapping({ ...draft, tags: {} });
  if (facts.grants.length === 0) return [];
  const self = after.find('claim_mapping', draft.scope, draft.identifier)?.uid;
  const index = mappingsOf(after, issuerUid);
  const candidates = new Set<IssuerMapping>(index.others.slice(0, maxCandidates));
  for (const { claim, equals, oneOf } of spec.when) {
    for (const value of equals === undefined ? (oneOf ?? []) : [equals]) {
      for (const mapping of index.byValue.get(claim)?.get(value) ?? []) if (candidates.size < 2 * maxCandidates) candidates.add(mapping);
    }
  }
  const other = [...candidates].find((mapping) => {
    const entry = after.get(mapping.uid);
    return mapping.uid !== self && entry !== undefined && contains(draft.scope, entry.scope) && covers(mapping.facts, facts);
  });
  return other === undefined ? [] : [{ ...finding('lint.shadowed', '/when', `\`${other.path}\` lets in all whom this lets in and gives as much; delete one of them, or narrow \`${other.path}\``), mentions: other.uid }];
};

/** True only when it is plain. */
function covers(wide: ClaimMappingFacts, narrow: ClaimMappingFacts): boolean {
  if (wide.ttlSeconds < narrow.ttlSeconds || (narrow.mayAdminister && !wide.mayAdminister)) return false;
  const { singleUse, maxTokenAgeSeconds, proofOfPossession } = wide.use;
  if (singleUse || maxTokenAgeSeconds !== null || proofOfPossession) return false;
  if (wide.spec.condition !== undefined && wide.spec.condition !== narrow.spec.condition) return false;
  if (!wide.spec.when.every((condition) => narrow.spec.when.some((own) => implies(own, condition)))) return false;
  const given = new Set(wide.grants.map(({ fingerprint }) => fingerprint));
  return narrow.grants.every(({ fingerprint }) => given.has(fingerprint));
}

/** Whatever meets `narrow` meets `wide`. */
function implies(narrow: ConditionSpec, wide: ConditionSpec): boolean {
  if (narrow.claim !== wide.claim) return false;
  if (canonicalJson(narrow) === canonicalJson(wide)) return true;
  if (wide.exists === true) return narrow.absent !== true;
  const values = narrow.equals === undefined ? narrow.oneOf : [narrow.equals];
  if (values === undefined || values.length === 0) return false;
  return values.every((value) => wide.equals === value || wide.oneOf?.includes(value) === true);
}
