/** How far an execution is. Plain data; only `decide` makes the next one. */
import type { Plan, PlanOutput, PlanStage, PlanStep } from './plan.ts';
import type { ExecutionRecord, Status } from './schema.ts';

type AttemptStatus =
  /** Asked for by a command, not yet recorded as offered. */
  | 'wanted'
  | 'offered'
  | 'leased'
  | 'started'
  | 'ended'
  | 'lost'
  /** Taken back before it started. */
  | 'withdrawn';

export interface AttemptState {
  readonly number: number;
  readonly status: AttemptStatus;
  readonly runner: string | null;
  readonly fence: string | null;
  readonly leaseUntilMs: number | null;
  /** What the delivered environment was made of; every output inherits it. */
  readonly taint: { readonly secrets: readonly string[]; readonly untrusted: boolean };
  readonly exit: string | null;
}

export interface OutputState {
  readonly name: string;
  readonly value: { readonly text: string } | { readonly sealed: string };
  readonly secrets: readonly string[];
  readonly untrusted: boolean;
}

/** Why something is not simply successful. The message may be shown to whoever may see the execution. */
export interface StatusReason {
  readonly code: string;
  readonly message: string;
}

export interface StepState {
  readonly uid: string;
  readonly status: Status;
  readonly attempts: readonly AttemptState[];
  readonly outputs: readonly OutputState[];
  readonly reason: StatusReason | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

export interface StageState {
  readonly uid: string;
  readonly status: Status;
  /** Its steps are being stopped, and it will end so. */
  readonly stopping: 'Aborted' | 'Expired' | null;
  readonly reason: StatusReason | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

export interface State {
  readonly formatVersion: 1;
  readonly plan: Plan;
  /** Null only while a plan is rehearsed before there is an execution. */
  readonly record: ExecutionRecord | null;
  readonly status: Status;
  readonly stopping: 'Aborted' | 'Expired' | null;
  readonly reason: StatusReason | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  /** In the order of the plan. */
  readonly stages: readonly StageState[];
  readonly steps: readonly StepState[];
}

/** An execution that has not started: the beginning of every fold. */
export function initialState(plan: Plan, record: ExecutionRecord | null): State {
  const fresh = { status: 'NotStarted', reason: null, startedAtMs: null, endedAtMs: null } as const;
  return {
    formatVersion: 1,
    plan,
    record,
    ...fresh,
    stopping: null,
    stages: plan.stages.map(({ uid }) => ({ uid, ...fresh, stopping: null })),
    steps: plan.steps.map(({ uid }) => ({ uid, ...fresh, attempts: [], outputs: [] })),
  };
}

export function planStage(plan: Plan, uid: string): PlanStage | undefined {
  return plan.stages.find((stage) => stage.uid === uid);
}

export function planStep(plan: Plan, uid: string): PlanStep | undefined {
  return plan.steps.find((step) => step.uid === uid);
}

function stepState(state: State, uid: string): StepState | undefined {
  return state.steps.find((step) => step.uid === uid);
}

/** The output a step declares under this name. */
export function declaredOutput(plan: Plan, stepUid: string, name: string): PlanOutput | undefined {
  return planStep(plan, stepUid)?.outputs.find((output) => output.name === name);
}

export interface SealedOutput {
  readonly ref: string;
  readonly secrets: readonly string[];
  readonly untrusted: boolean;
}

/** Where a sealed output is kept, for the resolver of `outputs.getSecret`; null while there is none. */
export function sealedOutput(state: State, stepUid: string, name: string): SealedOutput | null {
  const output = stepState(state, stepUid)?.outputs.find((one) => one.name === name);
  if (output === undefined || !('sealed' in output.value)) return null;
  return { ref: output.value.sealed, secrets: output.secrets, untrusted: output.untrusted };
}
