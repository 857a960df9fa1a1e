/** A claim mapping's document → what can be evaluated: conditions, grants, label. Pure; outside text ends here. */
import type { MappingGrant } from '#kernel/caller.ts';
import type { Draft } from '#kernel/kind.ts';
import { durationSeconds } from '#kernel/marks.ts';
import { readPointer } from '#kernel/matcher.ts';
import { compileCondition } from './claim-condition.ts';
import { claimExpressionOf } from './claim-expression.ts';
import { compileLabel } from './label.ts';
import type { ClaimMappingFacts, ClaimMappingSpec } from './schema.ts';
import type { CompiledGrant } from './scope-grant.ts';
import { compileGrant, isMiss } from './scope-grant.ts';
import type { UseConditions } from './token-use.ts';
import { usesAreMet } from './token-use.ts';

const defaultTtlSeconds = 900;

/** The issuer of a mapping whose reference dangles: nobody's uid. */
const nobody = 'dangling';

export function compileMapping({ scope, spec, refs }: Draft<ClaimMappingSpec>): ClaimMappingFacts {
  const conditions = spec.when.map(compileCondition);
  const expression = spec.condition === undefined ? null : claimExpressionOf(spec.condition);
  const grants = spec.grants.map((grant, i) => compileGrant(grant, i, { at: scope, refs })).filter((grant) => grant !== null);
  const use = usesOf(spec);
  const targets = grants.flatMap((grant) => grant.targets());
  const byClaim = new Set(grants.filter(({ index }) => typeof spec.grants[index]!.scope !== 'string').flatMap((grant) => grant.targets()));
  return {
    issuerUid: refs('/issuer') ?? nobody,
    mayAdminister: spec.mayAdminister === true,
    conditions,
    expression,
    grants,
    ttlSeconds: spec.session?.ttl === undefined ? defaultTtlSeconds : durationSeconds(spec.session.ttl),
    label: spec.session?.label === undefined ? null : compileLabel(spec.session.label),
    spec,
    use,
    grantsFor: (claims, how) => (isMet({ conditions, expression }, claims) && usesAreMet(use, claims, how) ? grants.flatMap((grant) => grantOf(grant, claims)) : []),
    allGrants: () => targets,
    isByClaim: (grant) => byClaim.has(grant),
  };
}

function usesOf({ singleUse, maxTokenAge, proofOfPossession }: ClaimMappingSpec): UseConditions {
  return {
    singleUse: singleUse === true,
    maxTokenAgeSeconds: maxTokenAge === undefined ? null : durationSeconds(maxTokenAge),
    proofOfPossession: proofOfPossession === true,
  };
}

function grantOf(grant: CompiledGrant, claims: Readonly<Record<string, unknown>>): MappingGrant[] {
  const outcome = grant.resolve(claims);
  return isMiss(outcome) ? [] : [outcome];
}

/** An empty list would hold for everybody; the schema refuses it, and so does this. */
export function isMet({ conditions, expression }: Pick<ClaimMappingFacts, 'conditions' | 'expression'>, claims: Readonly<Record<string, unknown>>): boolean {
  if (conditions.length === 0 || !conditions.every((condition) => condition.holds(readPointer(claims, condition.claim)))) return false;
  return expression === null || expression.outcomeFor(claims) === 'holds';
}
