/** The next state of an execution in the making: what `decide` and its rules change, then read off once. */
import { assert } from '#kernel/errors.ts';
import { workOfMany } from './context.ts';
import type { Command, EndStatus } from './events.ts';
import type { FunctionTable } from './language.ts';
import type { Plan, PlanStep } from './plan.ts';
import { defaultLimits, isFinal } from './schema.ts';
import type { ExecutionLimits, Status } from './schema.ts';
import { declaredOutput, planStep } from './state.ts';
import type { AttemptState, OutputState, StageState, State, StatusReason, StepState } from './state.ts';

type Stop = 'Aborted' | 'Expired';

export class Work {
  readonly atMs: number;
  readonly functions: FunctionTable;
  readonly limits: ExecutionLimits;
  readonly commands: Command[] = [];
  /** What all conditions may read that follow from one event: it is done while a transaction is open. */
  readonly reading = workOfMany();
  readonly #initial: State;
  readonly #stages: Map<string, StageState>;
  readonly #steps: Map<string, StepState>;
  #head: Pick<State, 'status' | 'stopping' | 'reason' | 'startedAtMs' | 'endedAtMs'>;

  constructor(state: State, { atMs, functions }: { readonly atMs: number; readonly functions: FunctionTable }) {
    this.atMs = atMs;
    this.functions = functions;
    this.limits = state.record?.limits ?? defaultLimits;
    this.#initial = state;
    this.#head = state;
    this.#stages = new Map(state.stages.map((stage) => [stage.uid, stage]));
    this.#steps = new Map(state.steps.map((step) => [step.uid, step]));
  }

  get plan(): Plan {
    return this.#initial.plan;
  }

  get status(): Status {
    return this.#head.status;
  }

  get stopping(): Stop | null {
    return this.#head.stopping;
  }

  get reason(): StatusReason | null {
    return this.#head.reason;
  }

  state(): State {
    const { status, stopping, reason, startedAtMs, endedAtMs } = this.#head;
    const [stages, steps] = [[...this.#stages.values()], [...this.#steps.values()]];
    return { ...this.#initial, status, stopping, reason, startedAtMs, endedAtMs, stages, steps };
  }

  find(stepUid: string): StepState | undefined {
    return this.#steps.get(stepUid);
  }

  findStage(stageUid: string): StageState | undefined {
    return this.#stages.get(stageUid);
  }

  stepOf(uid: string): StepState {
    const step = this.#steps.get(uid);
    assert(step !== undefined, 'a step of the plan has no state');
    return step;
  }

  stageOf(uid: string): StageState {
    const stage = this.#stages.get(uid);
    assert(stage !== undefined, 'a stage of the plan has no state');
    return stage;
  }

  stepsOf(stageUid: string): StepState[] {
    return this.plan.steps.filter(({ stage }) => stage === stageUid).map(({ uid }) => this.stepOf(uid));
  }

  stages(): StageState[] {
    return [...this.#stages.values()];
  }

  step(next: StepState): void {
    this.#steps.set(next.uid, next);
  }

  stage(next: StageState): void {
    this.#stages.set(next.uid, next);
  }

  /** Replaces the attempt with the same number. */
  attempt(step: StepState, next: AttemptState): void {
    const current = this.stepOf(step.uid);
    this.step({ ...current, attempts: current.attempts.map((one) => (one.number === next.number ? next : one)) });
  }

  begin(): void {
    this.#head = { ...this.#head, status: 'Running', startedAtMs: this.atMs };
    if (this.plan.timeoutMs !== null) this.setTimer('pipeline', this.plan.timeoutMs);
  }

  stop(stopping: Stop, reason: StatusReason): void {
    this.#head = { ...this.#head, status: this.#head.status === 'NotStarted' ? 'Running' : 'Discontinuing', stopping, reason };
  }

  end(status: EndStatus, reason: StatusReason | null): void {
    this.#head = { ...this.#head, status, reason, endedAtMs: this.atMs };
    this.commands.push({ type: 'end_execution', status, reason });
    const outcome = status === 'Success' ? 'success' : 'failure';
    this.audit({ action: 'execution.end', outcome, stepUid: null, detail: { status } });
  }

  audit(parts: Omit<Extract<Command, { type: 'audit' }>, 'type'>): void {
    this.commands.push({ type: 'audit', ...parts });
  }

  /** Asks for the next attempt of a step. */
  offer(step: PlanStep): void {
    const current = this.stepOf(step.uid);
    assert(!isFinal(current.status), 'a step that has ended is offered');
    const attempt: AttemptState = {
      number: current.attempts.length + 1,
      status: 'wanted',
      runner: null,
      fence: null,
      leaseUntilMs: null,
      taint: { secrets: [], untrusted: false },
      exit: null,
    };
    this.step({ ...current, status: 'Queued', attempts: [...current.attempts, attempt] });
    this.commands.push({ type: 'offer_attempt', stepUid: step.uid, attempt: attempt.number, timeoutMs: step.timeoutMs, runnerLabels: step.runnerLabels });
    this.setTimer(`queue/${step.uid}/${attempt.number}`, this.limits.queueMs);
  }

  /** Takes back an attempt that has not started: whoever holds it is refused the start. */
  withdraw(step: StepState, attempt: AttemptState): void {
    this.attempt(step, { ...attempt, status: 'withdrawn' });
    this.cancel(step.uid, attempt);
  }

  cancel(stepUid: string, { number, fence, status }: AttemptState): void {
    this.commands.push({ type: 'cancel_attempt', stepUid, attempt: number, fence, started: status === 'started' });
  }

  setTimer(timer: string, afterMs: number): void {
    this.commands.push({ type: 'set_timer', timer, afterMs });
  }

  /** How a step will end because it, its stage or the execution is being stopped; null when nothing stops it. */
  stoppingOf(stepUid: string): Stop | null {
    return this.#head.stopping ?? this.stageOf(planStep(this.plan, stepUid)!.stage).stopping;
  }

  reasonOfStop(stepUid: string): StatusReason | null {
    return this.#head.stopping === null ? this.stageOf(planStep(this.plan, stepUid)!.stage).reason : this.#head.reason;
  }

  /** Keeps what the step declares, each once, with the taints of all that was delivered to it. */
  keepOutputs(stepUid: string, attempt: AttemptState, outputs: readonly OutputState[]): void {
    const outside = this.#initial.record?.untrusted === true;
    const kept = new Map<string, OutputState>();
    for (const output of outputs) {
      const declared = declaredOutput(this.plan, stepUid, output.name);
      // A secret output that did not come sealed is dropped: better no value than one in the open.
      if (declared === undefined || kept.has(output.name) || (declared.secret && 'text' in output.value)) continue;
      kept.set(output.name, {
        ...output,
        secrets: [...new Set([...output.secrets, ...attempt.taint.secrets])],
        untrusted: output.untrusted || attempt.taint.untrusted || outside,
      });
    }
    this.step({ ...this.stepOf(stepUid), outputs: [...kept.values()] });
  }
}
