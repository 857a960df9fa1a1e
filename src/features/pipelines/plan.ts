/** From a pipeline document and inputs to the plan of one execution, or to the faults with their places. */
import type { FieldError } from '#kernel/errors.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { ErrorCategory, FailureAction, OutcomeWord, PipelineSpec } from './document.ts';
import { draftPlan } from './draft.ts';
import { inlineDeferred } from './inline.ts';
import { inputsOf, maxInputs, resolveInputs } from './inputs.ts';
import type { Scalar } from './inputs.ts';
import type { PlanIdentity } from './identities.ts';
import type { FunctionTable } from './language.ts';
import { firstErrors, readSpec } from './read.ts';
import { referencesOf } from './references.ts';
import type { PlanReference } from './references.ts';
import { compileEverything, rehearse, withEntities } from './rehearse.ts';
import { documentFaults } from './rules.ts';

/** A value of the plan: text with expressions, or data that is settled. `pointer` is where it stands in the spec. */
export type PlanField =
  | { readonly text: string; readonly pointer: string }
  | { readonly data: Scalar | null; readonly untrusted: boolean; readonly pointer: string };

export interface PlanVariable {
  readonly name: string;
  readonly type: 'String' | 'Number' | 'Secret';
  readonly field: PlanField;
}

export interface PlanWhen {
  /** Runs when what came before in the stage (of a step) or pipeline (of a stage) ended so. */
  readonly after: OutcomeWord;
  readonly condition: string | null;
  readonly pointer: string;
}

export interface PlanStrategy {
  readonly errors: readonly ErrorCategory[];
  readonly action: FailureAction;
}

export interface PlanStage {
  /** The identifier; unique in the plan. */
  readonly uid: string;
  readonly identifier: string;
  readonly name: string;
  readonly type: 'CI' | 'Deployment';
  /** Uids of the stages that must have ended before. */
  readonly after: readonly string[];
  readonly variables: readonly PlanVariable[];
  readonly when: PlanWhen;
  readonly failureStrategies: readonly PlanStrategy[];
  readonly timeoutMs: number | null;
  /** References as they hold in the pipeline's scope. */
  readonly service: string | null;
  readonly environment: string | null;
  readonly pointer: string;
}

export interface PlanOutput {
  readonly name: string;
  /** The variable of the step's shell that holds it when the script ends. */
  readonly from: string;
  readonly secret: boolean;
}

export interface PlanStep {
  /** `<stage>.<step>`; unique in the plan, stable between runs of a revision. */
  readonly uid: string;
  readonly stage: string;
  readonly identifier: string;
  readonly name: string;
  readonly type: 'Run' | 'ShellScript';
  /** Uids of the steps of the same stage that must have ended before. */
  readonly after: readonly string[];
  readonly when: PlanWhen;
  readonly failureStrategies: readonly PlanStrategy[];
  readonly timeoutMs: number;
  /** What a runner must have, all of it, to run the step. */
  readonly runnerLabels: readonly string[];
  readonly shell: 'Bash' | 'Sh';
  readonly script: { readonly text: string; readonly pointer: string };
  readonly environment: readonly { readonly name: string; readonly field: PlanField }[];
  readonly outputs: readonly PlanOutput[];
  /** Absent in plans of earlier releases. */
  readonly identities?: readonly PlanIdentity[];
  readonly pointer: string;
}

/** What an execution will do. Plain JSON, stored with it; never changed once compiled. */
export interface Plan {
  readonly formatVersion: 1;
  readonly pipeline: {
    readonly scope: ScopePath; readonly identifier: string; readonly name: string;
    readonly uid: string; readonly version: number; readonly sha256: string;
  };
  readonly inputs: readonly { readonly name: string; readonly value: Scalar | null; readonly untrusted: boolean }[];
  readonly variables: readonly PlanVariable[];
  readonly timeoutMs: number | null;
  readonly stages: readonly PlanStage[];
  readonly steps: readonly PlanStep[];
  /** What is named in the file and must be allowed before the run starts. Computed names are checked when used. */
  readonly references: readonly PlanReference[];
}

export interface PlanRequest {
  /** The spec of the pipeline: `{ pipeline: … }`. */
  readonly document: unknown;
  readonly scope: ScopePath;
  readonly identifier: string;
  /** The resource's name; without one the file's, without that the identifier. */
  readonly name?: string | null;
  readonly revision: { readonly uid: string; readonly version: number; readonly sha256: string };
  /** By input name (`inputsOf`). All of it is untrusted. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly functions: FunctionTable;
}

export type PlanResult =
  | { readonly plan: Plan }
  | { readonly code: 'pipeline.invalid' | 'pipeline.input'; readonly errors: readonly FieldError[] };

/**
 * Compiles one run. Faults of the file have pointers into the spec (`/pipeline/…`) and code `pipeline.invalid`, faults of
 * the inputs have pointers `/inputs/…` and code `pipeline.input`. The file's faults come first and alone.
 */
export function compilePlan(request: PlanRequest): PlanResult {
  const read = readSpec(request.document);
  if ('errors' in read) return { code: 'pipeline.invalid', errors: read.errors };
  if (Object.keys(request.inputs).length > maxInputs) {
    return { code: 'pipeline.input', errors: [{ pointer: '/inputs', message: `must have at most ${maxInputs} inputs` }] };
  }
  const result = build(read.spec, request, request.inputs);
  if (result.errors.length === 0) return { plan: result.plan };
  const own = result.errors.filter(({ pointer }) => !isInput(pointer));
  if (own.length > 0) return { code: 'pipeline.invalid', errors: firstErrors(own) };
  return { code: 'pipeline.input', errors: firstErrors(result.errors) };
}

/** All faults of a pipeline that can be known without its inputs: for the check at save. Pointers start at the spec. */
export function pipelineFaults(request: Omit<PlanRequest, 'revision' | 'inputs'>): readonly FieldError[] {
  const read = readSpec(request.document);
  if ('errors' in read) return read.errors;
  const revision = { uid: '', version: 0, sha256: '' };
  return firstErrors(build(read.spec, { ...request, revision, inputs: {} }, null).errors);
}

function build(
  spec: PipelineSpec, request: PlanRequest, given: Readonly<Record<string, unknown>> | null,
): { readonly plan: Plan; readonly errors: readonly FieldError[] } {
  const errors: FieldError[] = [...documentFaults(spec.pipeline)];
  const inputs = resolveInputs(inputsOf(spec.pipeline, errors), given, errors);
  const draft = draftPlan(spec.pipeline, { ...request, inputs, errors });
  const plan = inlineDeferred(draft.plan, request.functions, errors);
  if (errors.some(({ pointer }) => !isInput(pointer)) || (given !== null && errors.length > 0)) return { plan, errors };
  compileEverything(plan, request.functions, errors);
  if (errors.some(({ pointer }) => !isInput(pointer))) return { plan, errors };
  const whole = withEntities(plan, draft.entities, { functions: request.functions, errors, unanswered: given === null });
  rehearse(whole, request.functions, errors);
  return { plan: { ...whole, references: referencesOf(whole, request.functions, errors) }, errors };
}

function isInput(pointer: string): boolean {
  return pointer.startsWith('/inputs');
}
