/** What happens without anybody asking: leases that ran out, timers that are due. */
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { EngineServices } from './engine.ts';
import { post } from './engine.ts';
import { lockExecution } from './store.ts';

export interface TimerServices extends EngineServices {
  readonly database: Database;
  readonly clock: Clock;
}

const batch = 100;

/** A runner that did not renew its lease is lost: what it may have started is never run again by itself. */
export async function loseExpiredLeases(services: TimerServices): Promise<void> {
  const due = await services.database.read.selectFrom('attempt').select(['account_id', 'id', 'execution_id'])
    .where('status', 'in', ['leased', 'started']).where('lease_until', '<', services.clock.now()).limit(batch).execute();
  for (const { account_id, id, execution_id } of due) {
    await services.database.transaction(async (tx) => {
      const execution = await lockExecution(tx, account_id, execution_id);
      const attempt = await tx.selectFrom('attempt').selectAll().where('account_id', '=', account_id).where('id', '=', id).forUpdate().executeTakeFirst();
      const now = services.clock.now();
      // It was renewed, or ended, while we came here.
      if (execution === null || attempt === undefined || attempt.lease_until === null || attempt.lease_until >= now) return;
      if (attempt.status !== 'leased' && attempt.status !== 'started') return;
      await tx.updateTable('attempt').set({ status: 'lost', ended_at: now }).where('account_id', '=', account_id).where('id', '=', id).execute();
      await post(services, tx, execution, { type: 'attempt_lost', stepUid: attempt.step_uid, attempt: attempt.number, fence: String(attempt.fence) }, now);
    });
  }
}

interface TimerPayload {
  readonly accountId: string;
  readonly executionId: string;
  readonly timer: string;
}

export async function fireTimers(services: TimerServices): Promise<void> {
  const due = await services.database.read.selectFrom('job').select('id').where('name', '=', 'execution.timer').where('run_at', '<=', services.clock.now()).limit(batch).execute();
  for (const { id } of due) {
    await services.database.transaction(async (tx) => {
      const job = await tx.deleteFrom('job').where('id', '=', id).returning('payload').executeTakeFirst();
      if (job === undefined) return;
      const { accountId, executionId, timer } = job.payload as unknown as TimerPayload;
      const execution = await lockExecution(tx, accountId, executionId);
      if (execution !== null) await post(services, tx, execution, { type: 'timer_fired', timer }, services.clock.now());
    });
  }
}
