/** From the document and the answered inputs to a plan whose expressions are still text. */
import type { FieldError } from '#kernel/errors.ts';
import { referencePattern } from '#kernel/reference.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { FailureStrategyDocument, PipelineDocument, StageDocument, StepDocument, VariableDocument } from './document.ts';
import { identitiesOf } from './identities.ts';
import { environmentFields, numberOf, secretInputFault } from './inputs.ts';
import type { GivenInput, Scalar } from './inputs.ts';
import { runtimeInputOf } from './language.ts';
import type { Plan, PlanField, PlanRequest, PlanStage, PlanStep, PlanStrategy, PlanVariable, PlanWhen } from './plan.ts';
import { stagesOf, stepsOf } from './rules.ts';
import type { PlacedStage, PlacedStep } from './rules.ts';
import { defaultStepTimeoutMs, durationFault, timeoutMs } from './timeout.ts';

/** A service or environment that a stage names, before it is evaluated. */
export interface EntityField {
  readonly stage: string;
  readonly kind: 'service' | 'environment';
  readonly field: PlanField;
}

interface Run extends Omit<PlanRequest, 'inputs' | 'document'> {
  readonly inputs: ReadonlyMap<string, GivenInput>;
  readonly errors: FieldError[];
}

export interface DraftedPlan {
  readonly plan: Plan;
  readonly entities: readonly EntityField[];
}

export function draftPlan(pipeline: PipelineDocument, run: Run): DraftedPlan {
  const stages = stagesOf(pipeline);
  const { scope, identifier, revision } = run;
  const plan: Plan = {
    formatVersion: 1,
    pipeline: { scope, identifier, name: run.name ?? pipeline.name ?? identifier, ...revision },
    inputs: [...run.inputs.values()].map(({ name, value, untrusted }) => ({ name, value, untrusted })),
    variables: variablesOf(pipeline.variables, '/pipeline', run),
    timeoutMs: timeoutOf(pipeline.timeout, '/pipeline/timeout', run),
    stages: stages.map((placed) => stageOf(placed, before(stages, placed, ({ stage }) => stage.identifier), run)),
    steps: stages.flatMap((placed) => {
      const steps = stepsOf(placed);
      return steps.map((step) => stepOf({ pipeline, placed }, step, before(steps, step, (one) => stepUid(placed.stage, one.step)), run));
    }),
    references: [],
  };
  return { plan, entities: stages.flatMap((placed) => entitiesOf(placed, run)) };
}

/** Those of the group before: with their own predecessors they are everything that must have ended. */
function before<P extends { readonly group: number }>(all: readonly P[], one: P, uid: (placed: P) => string): string[] {
  const nearest = all.findLast(({ group }) => group < one.group)?.group;
  return all.filter(({ group }) => group === nearest).map(uid);
}

function stepUid(stage: StageDocument, step: StepDocument): string {
  return `${stage.identifier}.${step.identifier}`;
}

function stageOf({ stage, pointer }: PlacedStage, after: readonly string[], run: Run): PlanStage {
  return {
    uid: stage.identifier,
    identifier: stage.identifier,
    name: stage.name ?? stage.identifier,
    type: stage.type,
    after,
    variables: variablesOf(stage.variables, pointer, run),
    when: whenOf({ after: stage.when?.pipelineStatus, condition: stage.when?.condition }, `${pointer}/when`, run),
    failureStrategies: strategiesOf(stage.failureStrategies),
    timeoutMs: timeoutOf(stage.timeout, `${pointer}/timeout`, run),
    service: null,
    environment: null,
    pointer,
  };
}

function stepOf({ pipeline, placed }: StepParents, { step, pointer }: PlacedStep, after: readonly string[], run: Run): PlanStep {
  const { stage } = placed;
  return {
    uid: stepUid(stage, step),
    stage: stage.identifier,
    identifier: step.identifier,
    name: step.name ?? step.identifier,
    type: step.type,
    after,
    when: whenOf({ after: step.when?.stageStatus, condition: step.when?.condition }, `${pointer}/when`, run),
    failureStrategies: strategiesOf(step.failureStrategies),
    timeoutMs: timeoutOf(step.timeout, `${pointer}/timeout`, run) ?? defaultStepTimeoutMs,
    runnerLabels: labelsOf([pipeline, stage, step, step.type === 'ShellScript' ? step.spec : {}]),
    shell: step.spec.shell ?? 'Sh',
    script: scriptOf(step, pointer, run),
    environment: environmentOf(step, pointer, run),
    outputs: (step.spec.outputVariables ?? []).map(({ name, type, value }) => ({
      name, from: value ?? name, secret: type === 'Secret',
    })),
    identities: identitiesOf([{ identities: pipeline.identities, pointer: '/pipeline' }, { identities: stage.identities, pointer: placed.pointer }, { identities: step.identities, pointer }]),
    pointer,
  };
}

interface StepParents {
  readonly pipeline: PipelineDocument;
  readonly placed: PlacedStage;
}

/** The innermost place that asks for a runner decides, as documented; an empty list asks for nothing. */
function labelsOf(places: readonly { readonly delegateSelectors?: readonly string[] | undefined }[]): readonly string[] {
  const asked = places.flatMap(({ delegateSelectors = [] }) => (delegateSelectors.length === 0 ? [] : [delegateSelectors])).at(-1);
  return [...new Set(asked)];
}

function scriptOf(step: StepDocument, at: string, run: Run): PlanStep['script'] {
  const [text, pointer] = step.type === 'Run'
    ? [step.spec.command, `${at}/spec/command`]
    : [step.spec.source.spec.script, `${at}/spec/source/spec/script`];
  if (asksForInput(text)) {
    const instead = 'write the script here, and give it what varies as an environment variable of the step';
    run.errors.push({ pointer, message: `a script cannot be an input; ${instead}` });
  }
  return { text, pointer };
}

function environmentOf(step: StepDocument, at: string, run: Run): PlanStep['environment'] {
  return environmentFields(step).map(({ name, type, value, path }) => {
    const pointer = at + pointerOf(path);
    return { name, field: type === 'Secret' ? secretOf(value, pointer, run) : fieldOf(value, pointer, run) };
  });
}

function variablesOf(variables: readonly VariableDocument[] | undefined, at: string, run: Run): PlanVariable[] {
  return (variables ?? []).map((variable, i) => {
    const { name, type } = variable;
    const pointer = `${at}/variables/${i}/value`;
    const value = variable.value ?? variable.default;
    if (value === undefined || value === '') {
      if (variable.required === true) {
        const remedy = 'give one, or ask for it with `<+input>`';
        run.errors.push({ pointer, message: `the variable \`${name}\` is required and has no value; ${remedy}` });
      }
      return { name, type, field: { data: value ?? null, untrusted: false, pointer } };
    }
    if (type === 'Secret') return { name, type, field: secretOf(value, pointer, run) };
    const field = fieldOf(value, pointer, run);
    if (type === 'Number' && 'text' in field && !field.text.includes('<+')) {
      const data = numberOf(field.text);
      if (data === null) run.errors.push({ pointer, message: 'must be a number, because the variable is a `Number`' });
      return { name, type, field: { data, untrusted: false, pointer } };
    }
    return { name, type, field };
  });
}

/** What a `Secret` holds is the name of a secret; its value is read only for the step that uses it. */
function secretOf(value: Scalar, pointer: string, run: Run): PlanField {
  const text = String(value);
  if (asksForInput(text)) {
    run.errors.push({ pointer, message: secretInputFault });
  } else if (referencePattern.test(text)) {
    return { text: `<+secrets.getValue("${text}")>`, pointer };
  } else if (!text.includes('<+')) {
    run.errors.push({ pointer, message: 'must name a secret: `x`, `org.x`, `account.x`, or `<+secrets.getValue("x")>`' });
  }
  return { text, pointer };
}

function fieldOf(value: Scalar, pointer: string, run: Run): PlanField {
  const given = run.inputs.get(pointer);
  if (given !== undefined) return { data: given.value, untrusted: given.untrusted, pointer };
  return typeof value === 'string' ? { text: value, pointer } : { data: value, untrusted: false, pointer };
}

interface WhenDocument {
  readonly after: PlanWhen['after'] | undefined;
  readonly condition: string | boolean | undefined;
}

function whenOf(when: WhenDocument, pointer: string, run: Run): PlanWhen {
  const condition = when.condition === undefined || when.condition === '' ? null : String(when.condition);
  if (condition !== null && asksForInput(condition)) {
    const message = 'a condition cannot be an input; compare a variable that is one';
    run.errors.push({ pointer: `${pointer}/condition`, message });
  }
  return { after: when.after ?? 'Success', condition, pointer };
}

function strategiesOf(strategies: readonly FailureStrategyDocument[] | undefined): PlanStrategy[] {
  return (strategies ?? []).map(({ onFailure }) => ({ errors: onFailure.errors, action: onFailure.action.type }));
}

function timeoutOf(value: string | undefined, pointer: string, run: Run): number | null {
  if (value === undefined) return null;
  const given = run.inputs.get(pointer);
  const text = given === undefined ? value : given.value;
  if (text === null) return null;
  const ms = timeoutMs(String(text));
  // What a caller gave was checked when it was put against the question; here only the author's default can be wrong.
  if (ms === null && given?.untrusted !== true) run.errors.push({ pointer, message: durationFault });
  return ms;
}

function entitiesOf({ stage, pointer }: PlacedStage, run: Run): EntityField[] {
  if (stage.type !== 'Deployment') return [];
  const { service, environment } = stage.spec;
  const entities: EntityField[] = [];
  if (service !== undefined) {
    const field = fieldOf(service.serviceRef, `${pointer}/spec/service/serviceRef`, run);
    entities.push({ stage: stage.identifier, kind: 'service', field });
  }
  if (environment !== undefined) {
    const field = fieldOf(environment.environmentRef, `${pointer}/spec/environment/environmentRef`, run);
    entities.push({ stage: stage.identifier, kind: 'environment', field });
  }
  return entities;
}

/** True for `<+input>` with whatever follows it; a fault in what follows is reported where inputs are collected. */
function asksForInput(text: string): boolean {
  try {
    return runtimeInputOf(text) !== null;
  } catch {
    return true;
  }
}
