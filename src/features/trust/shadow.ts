/**
 * Shadow mode: what an exchange of the past would have given under a draft. Pure. Judged by the claims that were kept, so
 * it can be told or it cannot: never guessed.
 */
import type { MappingGrant } from '#kernel/caller.ts';
import type { TokenUse } from '#kernel/caller.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import { Refusal } from '#kernel/errors.ts';
import type { World } from '#kernel/world.ts';
import { requiredMissing } from './account-for-claims.ts';
import { findIssuer, mappingsOf } from './account-trust.ts';
import { idleBecause } from './grant-states.ts';
import type { Claims } from './jwt.ts';
import type { IssuerMapping } from './match.ts';
import type { RecordedClaims } from './recorded-claims.ts';
import { judgeMapping, scopesCannotBeTold } from './recorded-claims.ts';
import { checkAudience, checkTimes } from './registered-claims.ts';
import type { IssuerFacts } from './schema.ts';
import { isMiss } from './scope-grant.ts';
import { usesAreMet } from './token-use.ts';
import { subjectOf } from './workload.ts';

/** An exchange as it was recorded. */
export interface Recorded {
  readonly at: Date;
  readonly claims: RecordedClaims;
  /** How the token came; null = it was not recorded, as of refused ones. */
  readonly use: Omit<TokenUse, 'atMs'> | null;
}

export interface ShadowGrant {
  readonly mapping: string;
  readonly role: string;
  readonly scope: string;
  readonly resourceGroup?: string;
  readonly resources?: readonly unknown[];
  readonly includeChildScopes: boolean;
}

export interface Comparison {
  readonly verdict: 'gains' | 'loses' | 'both' | 'unchanged' | 'cannot_tell';
  readonly gains: readonly ShadowGrant[];
  readonly loses: readonly ShadowGrant[];
  /** Why it cannot be told. */
  readonly because: string | null;
}

/** What some claims give in one world: grants by what they are, and what nobody can know any more. */
interface Given {
  readonly grants: ReadonlyMap<string, ShadowGrant>;
  readonly because: string | null;
}

export function compareWorlds(before: World, after: World, recorded: Recorded): Comparison {
  const [was, would] = [givenIn(before, before, recorded), givenIn(after, before, recorded)];
  const only = (one: Given, other: Given): ShadowGrant[] => [...one.grants].filter(([key]) => !other.grants.has(key)).map(([, grant]) => grant);
  const [gains, loses] = [only(would, was), only(was, would)];
  const because = was.because ?? would.because;
  // What is not known on both sides alike is no difference.
  if (because !== null && !(was.because === would.because && isSame(before, after, recorded))) return { verdict: 'cannot_tell', gains, loses, because };
  const verdict = gains.length > 0 ? (loses.length > 0 ? 'both' : 'gains') : loses.length > 0 ? 'loses' : 'unchanged';
  return { verdict, gains, loses, because: null };
}

/** True when neither the issuer nor any of its mappings is another. */
function isSame(before: World, after: World, { claims }: Recorded): boolean {
  const [was, would] = [before, after].map((world) => findIssuer(world, String(claims.claims['iss'])));
  if (was === undefined || would === undefined || was.facts !== would.facts) return was === would;
  const versions = (world: World): string => canonicalJson(mappingsOf(world, was.uid).all.map(({ uid, facts }) => [uid, facts.spec]));
  return versions(before) === versions(after);
}

function givenIn(world: World, first: World, recorded: Recorded): Given {
  const none = { grants: new Map<string, ShadowGrant>(), because: null };
  const { claims } = recorded.claims;
  const issuer = findIssuer(world, String(claims['iss']));
  if (issuer === undefined || !isAccepted(issuer.facts, recorded)) return none;
  const was = findIssuer(first, String(claims['iss']));
  const isOtherProof = was !== undefined && was.facts !== issuer.facts && asksForOtherProof(was.facts, issuer.facts);
  const grants = new Map<string, ShadowGrant>();
  let because: string | null = null;
  for (const mapping of mappingsOf(world, issuer.uid).all) {
    const judgement = judge(mapping, recorded);
    if (judgement.because !== null) because ??= judgement.because;
    for (const grant of judgement.holds ? mapping.facts.grants : []) {
      const outcome = grant.resolve(claims);
      if (isMiss(outcome) || idleBecause(world, outcome, mapping.facts.spec.grants[grant.index]!) !== null) continue;
      grants.set(keyOf(outcome), viewOf(mapping, mapping.facts.spec.grants[grant.index]!, outcome));
    }
  }
  // Without grants it does not matter whether the token would still be believed.
  if (isOtherProof && grants.size > 0) because = 'the draft changes keys or algorithms, and tokens were not kept';
  return { grants, because };
}

function judge(mapping: IssuerMapping, { at, claims, use }: Recorded): { readonly holds: boolean; readonly because: string | null } {
  const conditions = judgeMapping(mapping.facts, claims);
  if (conditions === 'does_not_hold') return { holds: false, because: null };
  const cannot = (why: string) => ({ holds: false, because: `claim mapping \`${mapping.path}\`: ${why}` });
  if (conditions === 'cannot_tell') return cannot('it reads a claim that was redacted');
  if (scopesCannotBeTold(mapping.facts, claims)) return cannot('it takes a scope from a claim that was redacted');
  if (use === null && mapping.facts.use.proofOfPossession) return cannot('whether a key was proven was not kept');
  return { holds: usesAreMet(mapping.facts.use, claims.claims, { isBound: false, isDirect: false, ...use, atMs: at.getTime() }), because: null };
}

/** The issuer's rules, at the time of the exchange. */
function isAccepted(facts: IssuerFacts, { at, claims: { claims } }: Recorded): boolean {
  if (subjectOf(facts, claims) === null || requiredMissing(facts.preset, claims).length > 0) return false;
  try {
    checkAudience(claims as Claims, facts.rules);
    checkTimes(claims as Claims, facts.rules, at.getTime() / 1_000);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

function asksForOtherProof(before: IssuerFacts, after: IssuerFacts): boolean {
  return before.keys.fingerprint !== after.keys.fingerprint || !before.rules.algorithms.every((one) => after.rules.algorithms.includes(one));
}

/** Equal for grants that give the same, whichever mapping has them. */
function keyOf({ roleUid, scope, resourceGroupUid, resources, includeChildScopes }: MappingGrant): string {
  return canonicalJson([roleUid, scope, resourceGroupUid ?? null, resources ?? null, includeChildScopes]);
}

function viewOf(mapping: IssuerMapping, spec: { readonly role: string; readonly resourceGroup?: string | undefined }, grant: MappingGrant): ShadowGrant {
  return {
    mapping: mapping.path, role: spec.role, scope: grant.scope, includeChildScopes: grant.includeChildScopes,
    ...(spec.resourceGroup === undefined ? {} : { resourceGroup: spec.resourceGroup }), ...(grant.resources === undefined ? {} : { resources: grant.resources }),
  };
}
