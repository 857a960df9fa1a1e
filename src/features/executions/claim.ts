/** Leases the oldest offered attempt to a runner; a step the run may not run is refused here, before anybody gets it. */
import { sql } from 'kysely';
import type { ClaimRequest, ClaimedAttempt } from '#features/runners/schema.ts';
import type { Snapshots } from '#features/resources/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import { Refusal, assert } from '#kernel/errors.ts';
import type { World } from '#kernel/world.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { violates } from '#platform/database/database.ts';
import type { Attempt } from './attempts.ts';
import { attemptOf } from './attempts.ts';
import type { PreparedStep, StepServices } from './deliver-step.ts';
import { prepare } from './deliver-step.ts';
import type { EngineServices } from './engine.ts';
import { postSurely } from './engine.ts';
import type { GrantServices } from './grant.ts';
import { openGrant } from './grant.ts';
import { patience, renewed } from './lease.ts';
import { isFaultOfStep, refuseStep } from './refuse-step.ts';
import type { Execution, Place } from './store.ts';
import { findRunGrant, lockExecution } from './store.ts';

export interface ClaimServices extends StepServices, EngineServices, GrantServices {
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly leaseMs: number;
}

const maxCandidates = 20;

export async function claimAttempt(services: ClaimServices, request: ClaimRequest): Promise<ClaimedAttempt | null> {
  const known = await leaseOfClaim(services, request);
  if (known !== undefined) return known;
  let failure: unknown;
  for (const candidate of await candidates(services, request)) {
    try {
      const lease = await tryLease(services, request, candidate);
      if (lease !== null) return lease;
    } catch (error) {
      // The same claim is being answered at this moment.
      if (violates(error, 'attempt_claim')) return (await leaseOfClaim(services, request)) ?? null;
      if (error instanceof Refusal && error.record.retryable === true) throw error;
      // One that cannot be prepared keeps nobody from the next.
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return null;
}

/** What a claim was answered with: its lease, null when that is over, undefined when it is a new claim. */
async function leaseOfClaim({ database }: ClaimServices, { accountId, runnerId, claimId, now }: ClaimRequest): Promise<ClaimedAttempt | null | undefined> {
  const row = await database.read.selectFrom('attempt').select(['id', 'status', 'fence', 'lease_until'])
    .where('account_id', '=', accountId).where('runner_id', '=', runnerId).where('claim_id', '=', claimId).executeTakeFirst();
  if (row === undefined) return undefined;
  const { id, status, fence, lease_until: leaseUntil } = row;
  const holds = (status === 'leased' || status === 'started') && leaseUntil !== null && now < leaseUntil;
  return holds ? { attemptId: id, fence, leaseUntil } : null;
}

async function candidates({ database }: ClaimServices, { accountId, scope, labels }: ClaimRequest): Promise<Attempt[]> {
  let query = database.read.selectFrom('attempt as a')
    .innerJoin('execution as e', (join) => join.onRef('e.account_id', '=', 'a.account_id').onRef('e.id', '=', 'a.execution_id'))
    .selectAll('a').where('a.account_id', '=', accountId).where('a.status', '=', 'offered')
    .where(sql<boolean>`a.labels <@ ${JSON.stringify(labels)}::jsonb`);
  if (scope !== '/') query = query.where((e) => e.or([e('e.scope', '=', scope), e(sql<boolean>`starts_with(e.scope, ${`${scope}/`})`, '=', true)]));
  return (await query.orderBy('a.offered_at').orderBy('a.id').limit(maxCandidates).execute()).map(attemptOf);
}

/** What a decision needs and a transaction should not wait for. */
interface Ready {
  /** The run grant, or why it cannot be opened. */
  readonly caller: Caller | Refusal;
  readonly world: World;
}

/** Null = somebody else has it, or it was refused. */
async function tryLease(services: ClaimServices, request: ClaimRequest, candidate: Attempt): Promise<ClaimedAttempt | null> {
  const { accountId, now } = request;
  const place: Place = { accountId, executionId: candidate.executionId };
  const ready: Ready = { caller: await grantOf(services, place, now), world: await services.snapshots.world(accountId) };
  return services.database.transaction(async (tx) => {
    const execution = await lockExecution(tx, place);
    const row = await tx.selectFrom('attempt').selectAll().where('account_id', '=', accountId).where('id', '=', candidate.id).forUpdate().skipLocked().executeTakeFirst();
    // Whoever waited for the locks may have lost its connection meanwhile.
    request.signal?.throwIfAborted();
    if (execution === null || row?.status !== 'offered') return null;
    const attempt = attemptOf(row);
    const prepared = preparation(services, { execution, attempt, now }, ready);
    if (!(prepared instanceof Refusal)) return lease(services, tx, request, { execution, attempt, prepared });
    await refuseStep(services, tx, { execution, attempt, error: prepared, now, caller: ready.caller instanceof Refusal ? null : ready.caller });
    return null;
  });
}

async function grantOf(services: ClaimServices, place: Place, now: Date): Promise<Caller | Refusal> {
  const sealed = await findRunGrant(services.database.read, place);
  assert(sealed !== null, 'an attempt without an execution');
  try {
    return await openGrant(services, place, sealed, now);
  } catch (error) {
    if (isFaultOfStep(error)) return error;
    throw error;
  }
}

interface Candidate {
  readonly execution: Execution;
  readonly attempt: Attempt;
  readonly now: Date;
}

/** The step made ready, or why it cannot be. Pure, so that it may be done again with its transaction. */
function preparation(services: ClaimServices, { execution, attempt, now }: Candidate, { caller, world }: Ready): PreparedStep | Refusal {
  if (caller instanceof Refusal) return caller;
  try {
    return prepare(services, { execution, stepUid: attempt.stepUid, attemptId: attempt.id, caller, world, now });
  } catch (error) {
    if (isFaultOfStep(error)) return error;
    throw error;
  }
}

async function lease(services: ClaimServices, tx: Tx, request: ClaimRequest, step: { execution: Execution; attempt: Attempt; prepared: PreparedStep }): Promise<ClaimedAttempt> {
  const { execution, attempt, prepared } = step;
  const fence = attempt.fence + 1;
  const leaseLimit = new Date(request.now.getTime() + patience.startMs);
  const leaseUntil = renewed({ leaseUntil: null, leaseLimit }, { now: request.now, leaseMs: services.leaseMs });
  await tx.updateTable('attempt')
    .set({ status: 'leased', fence, runner_id: request.runnerId, claim_id: request.claimId, lease_until: leaseUntil, lease_limit: leaseLimit })
    .where('account_id', '=', attempt.accountId).where('id', '=', attempt.id).execute();
  await postSurely(services, tx, execution, {
    type: 'attempt_leased', stepUid: attempt.stepUid, attempt: attempt.number, fence: String(fence), runner: request.runnerId, leaseUntilMs: leaseUntil.getTime(),
    taint: { secrets: [...prepared.secrets], untrusted: prepared.untrusted },
  }, request.now);
  return { attemptId: attempt.id, fence, leaseUntil };
}
