/** Stopping an execution or a stage: what waits is taken back, what runs is cancelled and ends when its runner says so. */
import { finishStep } from './outcome.ts';
import { isFinal } from './schema.ts';
import type { StatusReason, StepState } from './state.ts';
import type { Work } from './work.ts';

export function stopAll(work: Work, how: 'Aborted' | 'Expired', reason: StatusReason): void {
  work.stop(how, reason);
  for (const stage of work.stages()) {
    if (stage.status === 'Running') stopStage(work, stage.uid, how, reason);
  }
}

export function stopStage(work: Work, stageUid: string, how: 'Aborted' | 'Expired', reason: StatusReason): void {
  work.stage({ ...work.stageOf(stageUid), stopping: how, reason, status: 'Discontinuing' });
  for (const step of work.stepsOf(stageUid)) stopStep(work, step, how, reason);
}

function stopStep(work: Work, step: StepState, how: 'Aborted' | 'Expired', reason: StatusReason): void {
  if (isFinal(step.status) || step.status === 'NotStarted') return;
  const attempt = step.attempts.at(-1)!;
  if (attempt.status === 'started') {
    if (step.status === 'Discontinuing') return;
    work.step({ ...step, status: 'Discontinuing' });
    work.cancel(step.uid, attempt);
    return;
  }
  work.withdraw(step, attempt);
  finishStep(work, step.uid, { status: how, reason });
}
