/** Leases the oldest offered attempt to a runner; a step the run may not run is refused here, before anybody gets it. */
import { sql } from 'kysely';
import type { ClaimRequest, ClaimedAttempt } from '#features/runners/schema.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Snapshots } from '#features/resources/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import type { World } from '#kernel/world.ts';
import type { PreparedStep, StepServices } from './deliver-step.ts';
import { prepare } from './deliver-step.ts';
import type { EngineServices } from './engine.ts';
import { post } from './engine.ts';
import { openGrant } from './grant.ts';
import type { Attempt, Execution } from './store.ts';
import { attemptOf, findExecution, lockExecution } from './store.ts';

export interface ClaimServices extends StepServices, EngineServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly snapshots: Snapshots;
  readonly leaseMs: number;
}

const maxCandidates = 20;

export async function claimAttempt(services: ClaimServices, request: ClaimRequest): Promise<ClaimedAttempt | null> {
  const known = await leaseOfClaim(services, request);
  if (known !== null) return known;
  for (const candidate of await candidates(services, request)) {
    const lease = await tryLease(services, request, candidate);
    if (lease !== null) return lease;
  }
  return null;
}

/** The same claim again gets the same lease while it holds. */
async function leaseOfClaim({ database }: ClaimServices, { accountId, runnerId, claimId, now }: ClaimRequest): Promise<ClaimedAttempt | null> {
  const row = await database.read.selectFrom('attempt').selectAll()
    .where('account_id', '=', accountId).where('runner_id', '=', runnerId).where('claim_id', '=', claimId).where('status', 'in', ['leased', 'started']).executeTakeFirst();
  if (row === undefined || row.lease_until === null || row.lease_until <= now) return null;
  return { attemptId: row.id, fence: row.fence, leaseUntil: row.lease_until };
}

async function candidates({ database }: ClaimServices, { accountId, scope }: ClaimRequest): Promise<Attempt[]> {
  let query = database.read.selectFrom('attempt as a')
    .innerJoin('execution as e', (join) => join.onRef('e.account_id', '=', 'a.account_id').onRef('e.id', '=', 'a.execution_id'))
    .selectAll('a').where('a.account_id', '=', accountId).where('a.status', '=', 'offered');
  if (scope !== '/') query = query.where((e) => e.or([e('e.scope', '=', scope), e(sql<boolean>`starts_with(e.scope, ${`${scope}/`})`, '=', true)]));
  return (await query.orderBy('a.offered_at').orderBy('a.id').limit(maxCandidates).execute()).map(attemptOf);
}

interface Ready {
  readonly caller: Caller;
  readonly world: World;
}

/** Null = somebody else has it, or it was refused. Key work happens before the transaction. */
async function tryLease(services: ClaimServices, request: ClaimRequest, candidate: Attempt): Promise<ClaimedAttempt | null> {
  const { accountId } = request;
  const execution = await findExecution(services.database.read, accountId, candidate.executionId);
  if (execution === null) return null;
  const ready: Ready = {
    caller: await openGrant(services.keyring, { accountId, executionId: execution.id }, execution.runGrant),
    world: await services.snapshots.world(accountId),
  };
  return services.database.transaction(async (tx) => {
    const locked = await lockExecution(tx, accountId, execution.id);
    const row = await tx.selectFrom('attempt').selectAll().where('account_id', '=', accountId).where('id', '=', candidate.id).forUpdate().skipLocked().executeTakeFirst();
    if (locked === null || row?.status !== 'offered') return null;
    const attempt = attemptOf(row);
    try {
      const prepared = prepare(services, { execution: locked, stepUid: attempt.stepUid, attemptId: attempt.id, ...ready, now: request.now });
      return await lease(services, tx, request, { execution: locked, attempt, prepared });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      await refuseStep(services, tx, { execution: locked, attempt, error, now: request.now, caller: ready.caller });
      return null;
    }
  });
}

async function lease(services: ClaimServices, tx: Tx, request: ClaimRequest, step: { execution: Execution; attempt: Attempt; prepared: PreparedStep }): Promise<ClaimedAttempt> {
  const { execution, attempt, prepared } = step;
  const fence = attempt.fence + 1;
  const leaseUntil = new Date(request.now.getTime() + services.leaseMs);
  await tx.updateTable('attempt')
    .set({ status: 'leased', fence, runner_id: request.runnerId, claim_id: request.claimId, lease_until: leaseUntil })
    .where('account_id', '=', attempt.accountId).where('id', '=', attempt.id).execute();
  await post(services, tx, execution, {
    type: 'attempt_leased', stepUid: attempt.stepUid, attempt: attempt.number, fence: String(fence), runner: request.runnerId, leaseUntilMs: leaseUntil.getTime(),
    taint: { secrets: [...prepared.secrets], untrusted: prepared.untrusted },
  }, request.now);
  return { attemptId: attempt.id, fence, leaseUntil };
}

export interface RefusedStep {
  readonly execution: Execution;
  readonly attempt: Attempt;
  readonly error: Refusal;
  readonly now: Date;
  readonly caller: Caller;
}

/** Fails the step. Whoever may see the execution reads what was refused; the audit has why. */
export async function refuseStep(services: EngineServices, tx: Tx, { execution, attempt, error, now, caller }: RefusedStep): Promise<void> {
  await tx.updateTable('attempt').set({ status: 'withdrawn', ended_at: now }).where('account_id', '=', attempt.accountId).where('id', '=', attempt.id).execute();
  const message = (error.say ?? error.record.title).slice(0, 4_000);
  await post(services, tx, execution, { type: 'step_resolved_failed', stepUid: attempt.stepUid, attempt: attempt.number, code: error.code, message }, now);
  const context = { accountId: execution.accountId, now, caller, address: null, requestId: execution.id, action: 'run.use' };
  const resource = { kind: 'execution', uid: execution.id, path: execution.pipelinePath };
  await services.record(tx, context, [
    { outcome: 'refused', scope: execution.scope, resource, detail: { step: attempt.stepUid, code: error.code, because: error.because ?? message, evidence: error.evidence ?? null } },
  ]);
}
