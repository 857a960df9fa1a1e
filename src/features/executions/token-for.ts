/** One more token for a running step: asked of the run grant again, in the ledger and in the audit before it leaves. */
import type { AttemptRef, MadeToken, TokenWish } from '#features/runners/schema.ts';
import type { Caller } from '#kernel/caller.ts';
import type { Refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Attempt } from './attempts.ts';
import { findAttempt } from './attempts.ts';
import type { ClaimServices } from './claim.ts';
import type { IdentityStep } from './deliver-identities.ts';
import { renewIdentity } from './deliver-identities.ts';
import { factsOf, usingOf } from './deliver-step.ts';
import { openGrant } from './grant.ts';
import { holds, lockAttempt, staleFence } from './lease.ts';
import { isFaultOfStep } from './refuse-step.ts';
import type { Execution } from './store.ts';
import { findExecution } from './store.ts';

/** Refuses with what the step did wrong or may not; the audit has it. The step goes on or not, as its runner decides. */
export async function tokenFor(services: ClaimServices, ref: AttemptRef, wish: TokenWish, now: Date): Promise<MadeToken> {
  const { database, snapshots } = services;
  const attempt = await findAttempt(database.read, ref);
  if (attempt === null || !holds(attempt, ref, now)) throw staleFence();
  const execution = await findExecution(database.read, attempt);
  if (execution === null) throw staleFence();
  const context = { accountId: ref.accountId, now, address: null, requestId: execution.id, action: 'run.use' };
  let caller: Caller | null = null;
  try {
    caller = await openGrant(services, attempt, execution.runGrant, now);
    const world = await snapshots.world(ref.accountId);
    const { stepUid } = attempt;
    const step: IdentityStep = { execution, stepUid, attemptId: attempt.id, facts: factsOf({ execution, stepUid }), now };
    const using = usingOf(services, { world, execution, caller, now });
    const { answer, renewed, question } = await renewIdentity(services.identities, using, step, wish);
    await database.transaction(async (tx) => {
      await confirm(tx, ref, now);
      await renewed.record?.(tx);
      await services.record(tx, { ...context, caller }, [renewed.act]);
    });
    services.used(caller, question, now);
    return answer;
  } catch (error) {
    if (!isFaultOfStep(error)) throw error;
    await database.transaction(async (tx) => {
      await confirm(tx, ref, now);
      await services.record(tx, { ...context, caller }, [refused(execution, attempt, error)]);
    });
    throw error;
  }
}

/** The attempt alone is locked: a step that asks often does not hold up its execution. */
async function confirm(tx: Tx, ref: AttemptRef, now: Date): Promise<void> {
  if (!holds(await lockAttempt(tx, ref), ref, now)) throw staleFence();
}

function refused(execution: Execution, attempt: Attempt, error: Refusal) {
  const because = error.because ?? error.say ?? error.record.title;
  const detail = { step: attempt.stepUid, attempt: attempt.id, code: error.code, because, ...(error.evidence === undefined ? {} : { evidence: error.evidence }) };
  return { outcome: 'refused' as const, scope: execution.scope, resource: { kind: 'execution', uid: execution.id, path: execution.pipelinePath }, detail };
}
