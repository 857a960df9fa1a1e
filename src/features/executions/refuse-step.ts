/** A step the run may not or cannot have: it fails, and the audit has why. */
import type { Caller } from '#kernel/caller.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Attempt } from './attempts.ts';
import type { EngineServices } from './engine.ts';
import { postSurely } from './engine.ts';
import type { Execution } from './store.ts';

/** Of a place that is away: the step fails with the reason, and its failure strategy says what then. */
const tellsWhy: ReadonlySet<string> = new Set(['keys.unsealable', 'cloud.unavailable']);

/** False for what has nothing to do with the step: a lease that is over, a database that is away, facts that are old. */
export function isFaultOfStep(error: unknown): error is Refusal {
  if (!(error instanceof Refusal) || error.code.startsWith('runner.')) return false;
  return error.record.status < 500 || tellsWhy.has(error.code);
}

export interface RefusedStep {
  readonly execution: Execution;
  readonly attempt: Attempt;
  readonly error: Refusal;
  readonly now: Date;
  /** The run grant; null when it could not be opened. */
  readonly caller: Caller | null;
}

/** Whoever may see the execution reads what was refused. */
export async function refuseStep(services: EngineServices, tx: Tx, { execution, attempt, error, now, caller }: RefusedStep): Promise<void> {
  const message = (error.say ?? error.record.title).slice(0, 4_000);
  await postSurely(services, tx, execution, { type: 'step_resolved_failed', stepUid: attempt.stepUid, attempt: attempt.number, code: error.code, message }, now);
  const context = { accountId: execution.accountId, now, caller, address: null, requestId: execution.id, action: 'run.use' };
  const resource = { kind: 'execution', uid: execution.id, path: execution.pipelinePath };
  const detail = { step: attempt.stepUid, attempt: attempt.id, code: error.code, because: error.because ?? message, ...(error.evidence === undefined ? {} : { evidence: error.evidence }) };
  await services.record(tx, context, [{ outcome: 'refused', scope: execution.scope, resource, detail }]);
}
