/** What happens without anybody asking: leases that ran out, timers that are due. Every node looks; one of them is first. */
import { isFinal } from '#features/pipelines/feature.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { isOver } from './attempts.ts';
import { forgetDelivered } from './delivered.ts';
import type { EngineServices } from './engine.ts';
import { post, postSurely, under } from './engine.ts';
import { lockBoth } from './lease.ts';
import { findHead, lockExecution } from './store.ts';

export interface TimerServices extends EngineServices {
  readonly database: Database;
  readonly clock: Clock;
}

const batch = 100;

/** A runner that did not renew its lease is lost: what it may have started is never run again by itself. */
export async function loseExpiredLeases(services: TimerServices): Promise<void> {
  const due = await services.database.read.selectFrom('attempt').select(['account_id as accountId', 'id as attemptId'])
    .where('status', 'in', ['leased', 'started']).where('lease_until', '<', services.clock.now()).orderBy('lease_until').limit(batch).execute();
  await eachInTurn(services, due, async (tx, ref) => {
    const { execution, attempt } = await lockBoth(tx, ref);
    const now = services.clock.now();
    // It was renewed, or ended, while we came here.
    if (isOver(attempt) || attempt.leaseUntil === null || attempt.leaseUntil >= now) return;
    await tx.updateTable('attempt').set({ status: 'lost', ended_at: now }).where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
    await forgetDelivered(tx, ref);
    await postSurely(services, tx, execution, { type: 'attempt_lost', ...under(attempt) }, now);
  });
}

interface TimerPayload {
  readonly accountId: string;
  readonly executionId: string;
  readonly timer: string;
}

export async function fireTimers(services: TimerServices): Promise<void> {
  const due = await services.database.read.selectFrom('job').select('id')
    .where('name', '=', 'execution.timer').where('run_at', '<=', services.clock.now()).orderBy('run_at').limit(batch).execute();
  await eachInTurn(services, due, async (tx, { id }) => {
    const job = await tx.deleteFrom('job').where('id', '=', id).returning('payload').executeTakeFirst();
    if (job === undefined) return;
    const { timer, ...place } = job.payload as unknown as TimerPayload;
    // Most are of steps that were taken long ago, in executions that have ended; those are not read for it.
    const head = await findHead(tx, place);
    const execution = head === null || isFinal(head.status) ? null : await lockExecution(tx, place);
    if (execution !== null) await post(services, tx, execution, { type: 'timer_fired', timer }, services.clock.now());
  });
}

/** One that fails keeps none of the others waiting; it is tried again next time, and what it failed with is told. */
async function eachInTurn<T>({ database }: TimerServices, due: readonly T[], act: (tx: Tx, one: T) => Promise<void>): Promise<void> {
  let failure: unknown;
  for (const one of due) {
    try {
      await database.transaction((tx) => act(tx, one));
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}
