/** Does events: the pure engine decides, this file stores what it decided and carries out its commands, in one transaction. */
import { sql } from 'kysely';
import type { Command, ExecutionEvent, FunctionTable } from '#features/pipelines/feature.ts';
import { decide } from '#features/pipelines/feature.ts';
import type { Recorder } from '#features/audit/feature.ts';
import { assert } from '#kernel/errors.ts';
import type { Act } from '#platform/call.ts';
import type { Randomness } from '#platform/clock.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Attempt } from './attempts.ts';
import { forgetDelivered } from './delivered.ts';
import { patience } from './lease.ts';
import type { Execution } from './store.ts';
import { saveProgress } from './store.ts';

/** Told when an account has something to claim; the payload is its id. */
export const attemptsChannel = 'sallyport_attempts';

export interface EngineServices {
  readonly functions: FunctionTable;
  readonly record: Recorder;
  readonly randomness: Randomness;
}

/** An event without what the engine adds: format and time. */
export type NewEvent = ExecutionEvent extends infer E ? (E extends ExecutionEvent ? Omit<E, 'formatVersion' | 'atMs'> : never) : never;

export interface Posted {
  /** As the event left it; what was given is out of date. */
  readonly execution: Execution;
  /** Why the event changed nothing; null when it did. */
  readonly ignored: string | null;
}

/** Posts an event to a locked execution. Commands that answer with events are answered in the same transaction. */
export async function post(services: EngineServices, tx: Tx, execution: Execution, event: NewEvent, now: Date): Promise<Posted> {
  const stored: ExecutionEvent[] = [];
  const acts: Act[] = [];
  const queue: NewEvent[] = [event];
  let { state } = execution;
  let ignored: string | null = null;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const complete = { formatVersion: 1, atMs: now.getTime(), ...next } as ExecutionEvent;
    const decision = decide(state, complete, services.functions);
    if (decision.ignored !== undefined) {
      if (next === event) ignored = decision.ignored;
      continue;
    }
    stored.push(complete);
    state = decision.state;
    for (const command of decision.commands) queue.push(...(await carryOut(services, tx, { execution, command, now, acts })));
  }
  if (stored.length === 0) return { execution, ignored };
  const context = { accountId: execution.accountId, now, caller: null, address: null, requestId: execution.id, action: 'execution' };
  await services.record(tx, context, acts);
  return { execution: await saveProgress(tx, execution, { state, events: stored, now }), ignored };
}

/** Posts what nothing can be in the way of: what was written beside it would otherwise be in rows and in no event. */
export async function postSurely(services: EngineServices, tx: Tx, execution: Execution, event: NewEvent, now: Date): Promise<Execution> {
  const posted = await post(services, tx, execution, event, now);
  assert(posted.ignored === null, `\`${event.type}\` was ignored: ${posted.ignored}`);
  return posted.execution;
}

/** Names the attempt an event is about. */
export function under(attempt: Attempt): { stepUid: string; attempt: number; fence: string } {
  return { stepUid: attempt.stepUid, attempt: attempt.number, fence: String(attempt.fence) };
}

interface Order {
  readonly execution: Execution;
  readonly command: Command;
  readonly now: Date;
  readonly acts: Act[];
}

const engineActor = { type: 'system', uid: 'engine', path: 'engine' } as const;

/** Each command is safe to do twice. Returns the events that answer it. */
async function carryOut({ randomness }: EngineServices, tx: Tx, { execution, command, now, acts }: Order): Promise<NewEvent[]> {
  const { accountId, id: executionId } = execution;
  switch (command.type) {
    case 'offer_attempt': {
      const { stepUid, attempt, timeoutMs, runnerLabels } = command;
      await tx.insertInto('attempt').values({
        account_id: accountId, id: randomness.uid(), execution_id: executionId, step_uid: stepUid, number: attempt, status: 'offered', fence: 0,
        runner_id: null, claim_id: null, lease_until: null, lease_limit: null, cancel: false, timeout_ms: timeoutMs, labels: JSON.stringify(runnerLabels), offered_at: now, started_at: null, ended_at: null, result_hash: null, log_totals: null,
      }).onConflict((conflict) => conflict.columns(['account_id', 'execution_id', 'step_uid', 'number']).doNothing()).execute();
      await sql`select pg_notify(${attemptsChannel}, ${accountId})`.execute(tx);
      return [{ type: 'attempt_offered', stepUid, attempt }];
    }
    case 'cancel_attempt': {
      const place = tx.updateTable('attempt')
        .where('account_id', '=', accountId).where('execution_id', '=', executionId).where('step_uid', '=', command.stepUid).where('number', '=', command.attempt);
      if (command.started) {
        const limit = new Date(now.getTime() + patience.endMs);
        await place.set({ cancel: true, lease_limit: sql<Date>`least(lease_limit, ${limit}::timestamptz)` }).where('status', '=', 'started').execute();
        return [];
      }
      const withdrawn = await place.set({ status: 'withdrawn', cancel: true, ended_at: now }).where('status', 'in', ['offered', 'leased']).returning('id').execute();
      for (const { id: attemptId } of withdrawn) await forgetDelivered(tx, { accountId, attemptId });
      return [];
    }
    case 'set_timer': {
      const payload = JSON.stringify({ accountId, executionId, timer: command.timer });
      await tx.insertInto('job').values({
        id: randomness.uid(), account_id: accountId, name: 'execution.timer', payload, run_at: new Date(now.getTime() + command.afterMs),
        attempts: 0, locked_until: null, last_error: null, unique_key: `timer:${executionId}:${command.timer}`,
      }).onConflict((conflict) => conflict.column('unique_key').doNothing()).execute();
      return [];
    }
    case 'end_execution':
      return [];
    case 'audit': {
      const resource = { kind: 'execution', uid: executionId, path: execution.pipelinePath };
      const outcome = command.outcome === 'failure' ? 'failed' : command.outcome;
      acts.push({ action: command.action, actor: engineActor, scope: execution.scope, resource, outcome, detail: { ...command.detail, ...(command.stepUid === null ? {} : { step: command.stepUid }) } });
      return [];
    }
  }
}
