/** How an attempt ended, as its runner says it. */
import { createHash } from 'node:crypto';
import type { AttemptRef, StepResult } from '#features/runners/schema.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Database } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Attempt } from './attempts.ts';
import { findAttempt } from './attempts.ts';
import { forgetDelivered } from './delivered.ts';
import type { EngineServices, NewEvent } from './engine.ts';
import { postSurely, under } from './engine.ts';
import { expectStatus, holds, isLeaseOf, lockBoth, staleFence } from './lease.ts';
import type { ReadyOutputs } from './outputs.ts';
import { haveRoom, keepSealed, maxOutputBytes, noOutputs, sealOutputs } from './outputs.ts';
import { findExecution } from './store.ts';

export interface EndServices extends EngineServices {
  readonly database: Database;
  readonly keyring: Keyring;
}

/** The same result again changes nothing; another one finds its lease over. */
export async function endAttempt(services: EndServices, ref: AttemptRef, result: StepResult, now: Date): Promise<void> {
  const hash = createHash('sha256').update(canonicalJson(result)).digest();
  const attempt = await findAttempt(services.database.read, ref);
  if (attempt === null || !isLeaseOf(attempt, ref)) throw staleFence();
  if (saidBefore(attempt, hash)) return;
  const outputs = holds(attempt, ref, now) ? await outputsOf(services, attempt, result) : noOutputs;
  await services.database.transaction(async (tx) => {
    // The execution first, as everybody locks; a repeat that waited there finds what the first one said.
    const locked = await lockBoth(tx, ref);
    if (isLeaseOf(locked.attempt, ref) && saidBefore(locked.attempt, hash)) return;
    if (!holds(locked.attempt, ref, now)) throw staleFence();
    // Nothing has been started under a refusal; what is lost may have been or not; the others say that something was.
    if (result.exit !== 'lost') expectStatus(locked.attempt, result.exit === 'refused' ? 'leased' : 'started');
    const totals = 'logs' in result && result.logs !== null ? JSON.stringify(result.logs) : null;
    await tx.updateTable('attempt').set({ status: 'outputs' in result ? 'ended' : 'lost', ended_at: now, result_hash: hash, log_totals: totals })
      .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
    await forgetDelivered(tx, ref);
    const { execution } = locked;
    const fits = haveRoom(execution.state, locked.attempt.stepUid, outputs);
    if (fits) await keepSealed(tx, { accountId: ref.accountId, executionId: execution.id }, outputs, now);
    await postSurely(services, tx, execution, fits ? eventOf(locked.attempt, result, outputs) : tooMuch(locked.attempt), now);
  });
}

function saidBefore(attempt: Attempt, hash: Buffer): boolean {
  return attempt.resultHash?.equals(hash) === true;
}

async function outputsOf(services: EndServices, attempt: Attempt, result: StepResult): Promise<ReadyOutputs> {
  if (!('outputs' in result) || result.outputs.length === 0) return noOutputs;
  const execution = await findExecution(services.database.read, attempt);
  if (execution === null) throw staleFence();
  return sealOutputs(services, { execution, stepUid: attempt.stepUid }, result);
}

function eventOf(attempt: Attempt, result: StepResult, outputs: ReadyOutputs): NewEvent {
  if (result.exit === 'refused') return { type: 'runner_refused', ...under(attempt), message: result.message };
  if (result.exit === 'lost') return { type: 'attempt_lost', ...under(attempt) };
  const message = result.message ?? (result.signal !== null ? `ended by ${result.signal}` : result.code === null || result.code === 0 ? undefined : `exit code ${result.code}`);
  return { type: 'attempt_ended', ...under(attempt), exit: result.exit, outputs: [...outputs.events], ...(message === undefined ? {} : { message }) };
}

function tooMuch(attempt: Attempt): NewEvent {
  return { type: 'attempt_ended', ...under(attempt), exit: 'error', outputs: [], message: `the outputs of the run have more than ${maxOutputBytes / 1024 / 1024} MiB together` };
}
