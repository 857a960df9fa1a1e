/**
 * The execution engine: one pure function from a state and an event to the next state and what has to be done. It never
 * throws and never looks at a clock; an event that does not fit is ignored, with the reason.
 */
import { advance } from './advance.ts';
import type { Command, EventOf, ExecutionEvent } from './events.ts';
import { failStep } from './failure.ts';
import type { FunctionTable } from './language.ts';
import { finishStep } from './outcome.ts';
import { isFinal } from './schema.ts';
import type { AttemptState, State, StatusReason, StepState } from './state.ts';
import { planStep } from './state.ts';
import { stopAll, stopStage } from './stop.ts';
import { Work } from './work.ts';

export interface Decision {
  readonly state: State;
  readonly commands: readonly Command[];
  /** Why the event changed nothing; absent when it did. */
  readonly ignored?: string;
}

/** Does one event. The same events in the same order give the same state, whatever came in between and was ignored. */
export function decide(state: State, event: ExecutionEvent, functions: FunctionTable): Decision {
  if (isFinal(state.status)) return { state, commands: [], ignored: 'the execution has ended' };
  const work = new Work(state, { functions, atMs: event.atMs });
  const ignored = handle(work, event);
  if (ignored !== null) return { state, commands: [], ignored };
  advance(work);
  return { state: work.state(), commands: work.commands };
}

/** The state that a list of events leads to. */
export function replay(initial: State, events: Iterable<ExecutionEvent>, functions: FunctionTable): State {
  let state = initial;
  for (const event of events) state = decide(state, event, functions).state;
  return state;
}

function handle(work: Work, event: ExecutionEvent): string | null {
  switch (event.type) {
    case 'execution_started': return started(work);
    case 'abort_requested': return abort(work, event);
    case 'timer_fired': return timer(work, event);
    case 'attempt_offered': return onAttempt(work, event, ['wanted'], (step, attempt) => {
      work.attempt(step, { ...attempt, status: 'offered' });
    });
    case 'attempt_leased': return onAttempt(work, event, ['offered'], (step, attempt) => {
      const { runner, fence, leaseUntilMs, taint } = event;
      work.attempt(step, { ...attempt, status: 'leased', runner, fence, leaseUntilMs, taint });
    });
    case 'attempt_started': return onAttempt(work, event, ['leased'], (step, attempt) => {
      work.attempt(step, { ...attempt, status: 'started' });
      work.step({ ...work.stepOf(step.uid), status: 'Running', startedAtMs: event.atMs });
    });
    case 'attempt_ended': return onAttempt(work, event, ['started'], (step, attempt) => ended(work, event, step, attempt));
    case 'attempt_lost': return onAttempt(work, event, ['leased', 'started'], (step, attempt) => lost(work, step, attempt));
    case 'runner_refused': return onAttempt(work, event, ['leased'], (step, attempt) => {
      work.attempt(step, { ...attempt, status: 'lost' });
      offerAgain(work, step, { code: 'runner.refused', message: event.message });
    });
    case 'step_resolved_failed': return onAttempt(work, event, ['offered', 'leased'], (step, attempt) => {
      work.withdraw(step, attempt);
      const { code, message } = event;
      work.audit({ action: 'step.refuse', outcome: 'refused', stepUid: step.uid, detail: { code } });
      const category = code.startsWith('expression.') ? 'Unknown' : 'Authorization';
      failStep(work, step.uid, { status: 'Failed', category, reason: { code, message } });
    });
  }
}

type AttemptEvent = Extract<ExecutionEvent, { stepUid: string }>;

type Act = (step: StepState, attempt: AttemptState) => void;

/** An event counts only for the newest attempt of its step, in one of these states, under its fence. */
function onAttempt(work: Work, event: AttemptEvent, fitting: readonly AttemptState['status'][], act: Act): string | null {
  const step = work.find(event.stepUid);
  if (step === undefined) return 'the plan has no such step';
  const attempt = step.attempts.at(-1);
  if (attempt === undefined || event.attempt > attempt.number) return 'there is no such attempt yet';
  if (event.attempt < attempt.number) return 'there is a newer attempt';
  if (!fitting.includes(attempt.status)) return `the attempt is ${attempt.status}`;
  if ('fence' in event && event.type !== 'attempt_leased' && event.fence !== attempt.fence) return 'the fence is stale';
  act(step, attempt);
  return null;
}

function started(work: Work): string | null {
  if (work.status !== 'NotStarted') return 'the execution has started';
  work.begin();
  return null;
}

function abort(work: Work, { by }: EventOf<'abort_requested'>): string | null {
  if (work.stopping === 'Aborted') return 'it is being aborted';
  stopAll(work, 'Aborted', { code: 'aborted', message: `aborted by \`${by}\`` });
  return null;
}

function timer(work: Work, { timer: name }: EventOf<'timer_fired'>): string | null {
  const [what, subject = '', number = ''] = name.split('/');
  if (what === 'pipeline') {
    if (work.status === 'NotStarted' || work.stopping !== null) return 'there is nothing to stop';
    stopAll(work, 'Expired', { code: 'timeout', message: 'the pipeline took longer than its `timeout`' });
    return null;
  }
  if (what === 'stage') {
    const stage = work.findStage(subject);
    if (stage === undefined || stage.status !== 'Running' || stage.stopping !== null) return 'there is nothing to stop';
    stopStage(work, subject, 'Expired', { code: 'timeout', message: 'the stage took longer than its `timeout`' });
    return null;
  }
  if (what !== 'queue') return 'no such timer';
  const step = work.find(subject);
  const attempt = step?.attempts.at(-1);
  if (step === undefined || attempt === undefined || String(attempt.number) !== number) return 'there is no such attempt';
  if (attempt.status !== 'wanted' && attempt.status !== 'offered') return `the attempt is ${attempt.status}`;
  work.withdraw(step, attempt);
  const { runnerLabels } = planStep(work.plan, step.uid)!;
  const asked = runnerLabels.length === 0 ? '' : `; it asks for one with ${runnerLabels.map((label) => `\`${label}\``).join(', ')}`;
  const reason = { code: 'runner.none', message: `no runner took the step in time${asked}` };
  failStep(work, step.uid, { status: 'Expired', category: 'Timeout', reason });
  return null;
}

function ended(work: Work, { exit, message, outputs }: EventOf<'attempt_ended'>, step: StepState, attempt: AttemptState): void {
  work.attempt(step, { ...attempt, status: 'ended', exit });
  work.keepOutputs(step.uid, attempt, outputs);
  if (exit === 'success') return finishStep(work, step.uid, { status: 'Success', reason: null });
  const stopping = work.stoppingOf(step.uid);
  if (stopping !== null) return finishStep(work, step.uid, { status: stopping, reason: work.reasonOfStop(step.uid) });
  const reason = { code: `step.${exit}`, message: message ?? saying[exit] };
  if (exit === 'timeout') return failStep(work, step.uid, { status: 'Expired', category: 'Timeout', reason });
  failStep(work, step.uid, { status: exit === 'failure' ? 'Failed' : 'Errored', category: 'Unknown', reason });
}

const saying = {
  failure: 'the script failed',
  timeout: 'the step took longer than its `timeout`',
  cancelled: 'the runner stopped the step',
  error: 'the runner could not run the step',
} as const;

/** One that had started may have done its work: it is never run again by itself. */
function lost(work: Work, step: StepState, attempt: AttemptState): void {
  work.attempt(step, { ...attempt, status: 'lost' });
  const code = 'runner.lost';
  if (attempt.status === 'leased') {
    return offerAgain(work, step, { code, message: 'the runner was lost before the step started' });
  }
  work.audit({ action: 'step.lost', outcome: 'failure', stepUid: step.uid, detail: { runner: attempt.runner ?? '' } });
  const message = 'the runner was lost while the step ran; what it did is not known, so it is not run again';
  const reason = { code, message };
  const stopping = work.stoppingOf(step.uid);
  if (stopping !== null) return finishStep(work, step.uid, { status: stopping, reason });
  failStep(work, step.uid, { status: 'Errored', category: 'DelegateRestart', reason });
}

/** Stopping takes back what has not started, so nothing that is being stopped comes here. */
function offerAgain(work: Work, step: StepState, { code, message }: StatusReason): void {
  const offers = step.attempts.length;
  if (offers < work.limits.maxOffers) return work.offer(planStep(work.plan, step.uid)!);
  const reason = { code, message: `${message}; offered ${offers} times` };
  failStep(work, step.uid, { status: 'Errored', category: 'DelegateProvisioning', reason });
}
