/** Leases of attempts: who holds one now. Every refusal is the same, whatever the reason. */
import type { AttemptRef } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Attempt, AttemptStatus } from './attempts.ts';
import { attemptOf } from './attempts.ts';
import type { Execution } from './store.ts';
import { lockExecution } from './store.ts';

/**
 * What a runner may take besides the time of the step: from the claim to the start, and from the step's timeout, or its
 * cancellation, to the result. Then its lease is not renewed any more, or a runner could hold an execution open for ever.
 */
export const patience = { startMs: 5 * 60_000, endMs: 15 * 60_000 } as const;

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

/** Until when a renewal makes it last. One that was on its way for long, or by a clock that is behind, makes none shorter. */
export function renewed({ leaseUntil, leaseLimit }: Pick<Attempt, 'leaseUntil' | 'leaseLimit'>, { now, leaseMs }: { readonly now: Date; readonly leaseMs: number }): Date {
  const until = Math.max(now.getTime() + leaseMs, leaseUntil?.getTime() ?? 0);
  return new Date(Math.min(until, leaseLimit?.getTime() ?? until));
}

/** A call that fits the lease but not how far the attempt is. */
export function expectStatus(attempt: Attempt, status: AttemptStatus): void {
  if (attempt.status !== status) throw refusal('runner.protocol', { say: `the attempt is ${attempt.status}` });
}
