/** What a failure strategy makes of a failed step. */
import type { ErrorCategory } from './document.ts';
import { finishStep } from './outcome.ts';
import type { PlanStrategy } from './plan.ts';
import { planStage, planStep } from './state.ts';
import type { StatusReason } from './state.ts';
import { stopAll } from './stop.ts';
import type { Work } from './work.ts';

export interface Failure {
  readonly status: 'Failed' | 'Errored' | 'Expired';
  readonly category: ErrorCategory;
  readonly reason: StatusReason;
}

/** Ends a failed step as its own strategies say, then its stage's; without one it stays failed. */
export function failStep(work: Work, stepUid: string, failure: Failure): void {
  const step = planStep(work.plan, stepUid)!;
  const stage = planStage(work.plan, step.stage)!;
  const { category, reason } = failure;
  const action = actionFor(step.failureStrategies, category) ?? actionFor(stage.failureStrategies, category) ?? 'MarkAsFailure';
  if (action === 'Ignore') return finishStep(work, stepUid, { status: 'IgnoreFailed', reason });
  if (action === 'MarkAsSuccess') return finishStep(work, stepUid, { status: 'Success', reason });
  finishStep(work, stepUid, { status: failure.status, reason });
  if (action === 'Abort' && work.stopping === null) {
    const message = `the step \`${stepUid}\` failed and its failure strategy is \`Abort\``;
    stopAll(work, 'Aborted', { code: 'strategy.abort', message });
  }
}

/** A strategy that names the error goes before one that takes all. */
function actionFor(strategies: readonly PlanStrategy[], category: ErrorCategory): PlanStrategy['action'] | undefined {
  const named = strategies.find(({ errors }) => errors.includes(category));
  return (named ?? strategies.find(({ errors }) => errors.includes('AllErrors')))?.action;
}
