/**
 * Whether a session still stands: what its issuer's rules and its mappings said at the exchange they must say now.
 * Answered from the world alone and kept until what it is made from changes.
 */
import { anyGrantNow } from '#features/access/feature.ts';
import type { Caller, Principal, WorkloadEvidence } from '#kernel/caller.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import type { Claims } from './jwt.ts';
import { keyDigest } from './proof.ts';
import { checkAudience, checkIssuer, checkTimes } from './registered-claims.ts';
import type { ClaimMappingFacts, IssuerFacts, RecordedMapping } from './schema.ts';
import type { StoredSession } from './store.ts';
import { subjectOf, workloadId } from './workload.ts';

export interface Standing {
  /** False = dead: the issuer would no longer let it in, or nothing is granted any more. */
  readonly lives: boolean;
  readonly mayAdminister: boolean;
}

/** A session and what of it counts at one time. The evidence is the same object for as long as that is so. */
export interface SessionInForce {
  readonly session: StoredSession;
  readonly mappings: readonly RecordedMapping[];
  readonly evidence: WorkloadEvidence;
}

const standingKey = Symbol('trust standing of sessions');
/** All that a standing is made from: what grants mean, and whether their scopes are there. */
const standingKinds = ['trusted_issuer', 'claim_mapping', 'role', 'resource_group', 'resource_type', 'organization', 'project'];
const dead: Standing = { lives: false, mayAdminister: false };

export function standingOf(world: World, kinds: Kinds, inForce: SessionInForce, now: Date): Standing {
  const known = world.derive(standingKey, standingKinds, () => new WeakMap<WorkloadEvidence, Standing>());
  let standing = known.get(inForce.evidence);
  if (standing === undefined) known.set(inForce.evidence, (standing = decideStanding(world, kinds, inForce, now)));
  return standing;
}

export function principalOf({ issuer, subject, label }: Pick<StoredSession, 'issuer' | 'subject' | 'label'>): Principal {
  return { type: 'workload', uid: workloadId(issuer, subject), path: label };
}

export function callerOf({ session, evidence }: SessionInForce, mayAdminister: boolean): Caller {
  return {
    accountId: session.accountId,
    principal: principalOf(session),
    credential: { kind: 'session', id: session.id },
    bounds: session.less === null ? 'principal' : session.less.bounds,
    workload: evidence,
    mayAdminister,
    expiresAt: session.expiresAt,
  };
}

function decideStanding(world: World, kinds: Kinds, inForce: SessionInForce, now: Date): Standing {
  const { session } = inForce;
  const issuer = world.get(session.issuerUid);
  if (issuer?.kind !== 'trusted_issuer' || !issuerStillAccepts(session, issuer.facts as IssuerFacts)) return dead;
  if (!anyGrantNow(world, kinds, callerOf(inForce, false), now)) return dead;
  return { lives: true, mayAdminister: allMayAdminister(world, inForce) };
}

/** The rules as they are now, at the time of the exchange, on the claims and the key of then. */
function issuerStillAccepts({ claims, proof, createdAt, subject, isDirect }: StoredSession, facts: IssuerFacts): boolean {
  if (isDirect && facts.spec.acceptDirectly !== true) return false;
  const { rules, keys } = facts;
  if (!rules.algorithms.includes(proof.algorithm) || subjectOf(facts, claims) !== subject) return false;
  const isKeyKnown = keys.from === 'inline' ? (keys.set?.keys.some((key) => keyDigest(key) === proof.key) ?? false) : keys.fingerprint === proof.source;
  if (!isKeyKnown) return false;
  try {
    checkIssuer(claims as Claims, rules);
    checkAudience(claims as Claims, rules);
    checkTimes(claims as Claims, rules, createdAt.getTime() / 1_000);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

/**
 * Rights of one mapping are not to be used under the word of another: every mapping that still gives something must say
 * so, at the exchange and now.
 */
function allMayAdminister(world: World, { session: { claims, issuerUid }, mappings, evidence }: SessionInForce): boolean {
  const giving = mappings.flatMap((recorded) => {
    const entry = world.get(recorded.mappingUid);
    const facts = entry?.kind === 'claim_mapping' ? (entry.facts as ClaimMappingFacts) : null;
    return facts !== null && facts.issuerUid === issuerUid && facts.grantsFor(claims, evidence.use).length > 0 ? [{ recorded, facts }] : [];
  });
  return giving.length > 0 && giving.every(({ recorded, facts }) => recorded.mayAdminister && facts.mayAdminister);
}
