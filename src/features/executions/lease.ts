/** Leases of attempts: who holds one now. Every refusal is the same, whatever the reason. */
import type { AttemptRef } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Attempt, AttemptStatus } from './attempts.ts';
import { attemptOf } from './attempts.ts';
import type { Execution } from './store.ts';
import { lockExecution } from './store.ts';

export function staleFence(): Error {
  return refusal('runner.stale_fence');
}

/** Locks execution and attempt, in this order as everybody does, and confirms that the lease is still this runner's. */
export async function lockLease(tx: Tx, ref: AttemptRef, now: Date): Promise<{ execution: Execution; attempt: Attempt }> {
  const { execution, attempt } = await lockBoth(tx, ref);
  if (!holds(attempt, ref, now)) throw staleFence();
  return { execution, attempt };
}

export async function lockBoth(tx: Tx, ref: { readonly accountId: string; readonly attemptId: string }): Promise<{ execution: Execution; attempt: Attempt }> {
  const { accountId } = ref;
  const found = await tx.selectFrom('attempt').select('execution_id').where('account_id', '=', accountId).where('id', '=', ref.attemptId).executeTakeFirst();
  const execution = found === undefined ? null : await lockExecution(tx, { accountId, executionId: found.execution_id });
  if (execution === null) throw staleFence();
  return { execution, attempt: await lockAttempt(tx, ref) };
}

/** For what changes no execution: logs and heartbeats. Whoever has locked an attempt locks no execution after it. */
export async function lockAttempt(tx: Tx, ref: { readonly accountId: string; readonly attemptId: string }): Promise<Attempt> {
  const row = await tx.selectFrom('attempt').selectAll().where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).forUpdate().executeTakeFirst();
  if (row === undefined) throw staleFence();
  return attemptOf(row);
}

export function holds(attempt: Attempt, ref: AttemptRef, now: Date): boolean {
  const open = attempt.status === 'leased' || attempt.status === 'started';
  return open && isLeaseOf(attempt, ref) && attempt.leaseUntil !== null && now < attempt.leaseUntil;
}

/** Whether it was this lease, also when it is over. */
export function isLeaseOf(attempt: Attempt, ref: AttemptRef): boolean {
  return attempt.runnerId === ref.runnerId && attempt.fence === ref.fence;
}

/** A call that fits the lease but not how far the attempt is. */
export function expectStatus(attempt: Attempt, status: AttemptStatus): void {
  if (attempt.status !== status) throw refusal('runner.protocol', { say: `the attempt is ${attempt.status}` });
}
