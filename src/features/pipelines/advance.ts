/** What can go on now: starts, skips and ends stages and steps until nothing more follows from what has ended. */
import { Refusal } from '#kernel/errors.ts';
import { contextOf } from './context.ts';
import { failStep } from './failure.ts';
import { compileCondition, evaluate } from './language.ts';
import { finishStep, isFailing } from './outcome.ts';
import type { PlanStage, PlanStep, PlanWhen } from './plan.ts';
import { isFinal } from './schema.ts';
import type { Status } from './schema.ts';
import type { StatusReason } from './state.ts';
import type { Work } from './work.ts';

export function advance(work: Work): void {
  if (work.status === 'NotStarted') return;
  // Each round ends, starts or skips at least one of a bounded number of parts.
  while (round(work)) continue;
  const stages = work.stages();
  if (!stages.every(({ status }) => isFinal(status))) return;
  const failing = stages.find(({ status }) => isFailing(status));
  if (work.stopping !== null) work.end(work.stopping, work.reason);
  else if (failing !== undefined && isFailing(failing.status)) work.end(failing.status, failing.reason);
  else work.end('Success', null);
}

function round(work: Work): boolean {
  let moved = false;
  for (const stage of work.plan.stages) {
    const { status } = work.stageOf(stage.uid);
    if (status === 'Running' || status === 'Discontinuing') moved = insideStage(work, stage) || moved;
    if (status !== 'NotStarted' || !ended(stage.after.map((uid) => work.stageOf(uid).status))) continue;
    enterStage(work, stage);
    moved = true;
  }
  return moved;
}

function enterStage(work: Work, stage: PlanStage): void {
  const earlier = work.stages().filter(({ status }) => isFinal(status)).map(({ status }) => status);
  const verdict = work.stopping === null
    ? verdictOf(work, stage.when, { earlier, stageUid: stage.uid, stepUid: null })
    : skip('it was stopped before');
  const current = work.stageOf(stage.uid);
  if (verdict.run) {
    work.stage({ ...current, status: 'Running', startedAtMs: work.atMs });
    if (stage.timeoutMs !== null) work.setTimer(`stage/${stage.uid}`, stage.timeoutMs);
    return;
  }
  for (const step of work.stepsOf(stage.uid)) finishStep(work, step.uid, { status: 'Skipped', reason: null });
  const status = verdict.failed ? 'Errored' : 'Skipped';
  work.stage({ ...current, status, reason: verdict.reason, endedAtMs: work.atMs });
}

function insideStage(work: Work, stage: PlanStage): boolean {
  let moved = false;
  for (const step of work.plan.steps) {
    if (step.stage !== stage.uid || work.stepOf(step.uid).status !== 'NotStarted') continue;
    if (ended(step.after.map((uid) => work.stepOf(uid).status))) {
      enterStep(work, step);
      moved = true;
    }
  }
  const steps = work.stepsOf(stage.uid);
  if (!ended(steps.map(({ status }) => status))) return moved;
  const current = work.stageOf(stage.uid);
  const failing = steps.find(({ status }) => isFailing(status));
  const status: Status = current.stopping ?? (failing !== undefined && isFailing(failing.status) ? failing.status : 'Success');
  const reason = current.stopping === null && failing !== undefined ? failing.reason : current.reason;
  work.stage({ ...current, status, reason, endedAtMs: work.atMs });
  return true;
}

function enterStep(work: Work, step: PlanStep): void {
  const earlier = work.stepsOf(step.stage).filter(({ status }) => isFinal(status)).map(({ status }) => status);
  const verdict = work.stoppingOf(step.uid) === null
    ? verdictOf(work, step.when, { earlier, stageUid: step.stage, stepUid: step.uid })
    : skip('it was stopped before');
  if (verdict.run) work.offer(step);
  else if (verdict.failed) failStep(work, step.uid, { status: 'Errored', category: 'Unknown', reason: verdict.reason });
  else finishStep(work, step.uid, { status: 'Skipped', reason: verdict.reason });
}

type Verdict = { readonly run: true } | { readonly run: false; readonly failed: boolean; readonly reason: StatusReason };

interface Viewpoint {
  readonly stageUid: string;
  readonly stepUid: string | null;
}

function verdictOf(work: Work, when: PlanWhen, at: Viewpoint & { readonly earlier: readonly Status[] }): Verdict {
  const failing = at.earlier.some(isFailing);
  if (when.after === 'Success' && failing) return skip('something before it failed');
  if (when.after === 'Failure' && !failing) return skip('nothing before it failed');
  if (when.condition === null) return { run: true };
  return conditionVerdict(work, when.condition, at);
}

/** A condition that is null is not met; one that is neither true nor false is a fault. */
function conditionVerdict(work: Work, condition: string, { stageUid, stepUid }: Viewpoint): Verdict {
  const { functions } = work;
  try {
    const context = contextOf({ state: work.state(), functions, stageUid, stepUid, work: work.reading });
    const outcome = evaluate(compileCondition(condition, functions), { context, sink: 'plain' });
    const data = outcome.kind === 'value' ? outcome.value.data : undefined;
    if (data === true || data === 'true') return { run: true };
    if (data === false || data === 'false' || data === null) return skip('its condition is not met');
    return fault('expression.invalid', 'the condition must be `true` or `false`');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return fault(error.code, error.say ?? error.record.title);
  }
}

function skip(message: string): Verdict {
  return { run: false, failed: false, reason: { code: 'skipped', message } };
}

function fault(code: string, message: string): Verdict {
  return { run: false, failed: true, reason: { code, message } };
}

function ended(statuses: readonly Status[]): boolean {
  return statuses.every(isFinal);
}
