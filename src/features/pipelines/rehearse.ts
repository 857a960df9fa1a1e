/** Finds, before anything runs, the faults of expressions that would otherwise wait for their step. */
import { Refusal } from '#kernel/errors.ts';
import type { ErrorCode, FieldError } from '#kernel/errors.ts';
import { resolveReference } from '#kernel/reference.ts';
import { contextOf, workOfMany } from './context.ts';
import type { EntityField } from './draft.ts';
import { compileCondition, compileField, evaluate, inField, textOf } from './language.ts';
import type { Context, Data, FunctionTable } from './language.ts';
import type { Plan, PlanField, PlanWhen } from './plan.ts';
import { initialState } from './state.ts';

/** Every text is read once, so that no fault of spelling waits for its step. */
export function compileEverything(plan: Plan, functions: FunctionTable, errors: FieldError[]): void {
  for (const { text, pointer } of textsOf(plan)) inField(pointer, errors, () => compileField(text, functions));
  for (const { when } of [...plan.stages, ...plan.steps]) {
    const { condition } = when;
    if (condition !== null) inField(`${when.pointer}/condition`, errors, () => compileCondition(condition, functions));
  }
}

/** All texts with expressions in a plan, conditions apart. */
export function* textsOf(plan: Plan): Generator<{ readonly text: string; readonly pointer: string }> {
  for (const { variables } of [plan, ...plan.stages]) {
    for (const { field } of variables) if ('text' in field) yield field;
  }
  for (const step of plan.steps) {
    yield step.script;
    for (const { field } of step.environment) if ('text' in field) yield field;
  }
}

/** Service and environment are settled when the run starts, because what the run may do depends on them. */
export function withEntities(
  plan: Plan,
  entities: readonly EntityField[],
  run: { readonly functions: FunctionTable; readonly errors: FieldError[]; readonly unanswered: boolean },
): Plan {
  const state = initialState(plan, null);
  const found = new Map<string, string>();
  const work = workOfMany();
  for (const { stage, kind, field } of entities) {
    const context = contextOf({ state, functions: run.functions, stageUid: stage, stepUid: null, work });
    const { pointer } = field;
    const data = 'data' in field ? field.data : inField(pointer, run.errors, () => settled(field.text, context, run.functions));
    if (data === undefined || (data === null && run.unanswered)) continue;
    const reference = data === null ? '' : textOf(data);
    if (resolveReference(reference, plan.pipeline.scope) !== null) {
      found.set(`${stage} ${kind}`, reference);
    } else {
      const such = 'by a reference such as `x`, `org.x` or `account.x` that is known when the run starts';
      run.errors.push({ pointer, message: `must name the ${kind} ${such}` });
    }
  }
  const stages = plan.stages.map((stage) => ({
    ...stage,
    service: found.get(`${stage.uid} service`) ?? null,
    environment: found.get(`${stage.uid} environment`) ?? null,
  }));
  return { ...plan, stages };
}

function settled(text: string, context: Context, functions: FunctionTable): Data {
  const outcome = evaluate(compileField(text, functions), { context, sink: 'plain' });
  return outcome.kind === 'value' ? outcome.value.data : null;
}

/** These do not depend on what steps put out; any other fault may be gone when the step runs. */
const certain: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['expression.unresolved', 'expression.forbidden', 'expression.limit']);
const circular: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['expression.limit']);

/**
 * Evaluates every field as if nothing had run yet. A path that does not exist, a variable that is made of itself and a
 * value that may not come where it is written are found now.
 */
export function rehearse(plan: Plan, functions: FunctionTable, errors: FieldError[]): void {
  const state = initialState(plan, null);
  const work = workOfMany();
  const attempt = (pointer: string, codes: ReadonlySet<ErrorCode>, evaluation: () => unknown): void => {
    inField(pointer, errors, () => {
      try {
        evaluation();
      } catch (error) {
        if (!(error instanceof Refusal) || codes.has(error.code)) throw error;
      }
    });
  };
  const field = (value: PlanField, context: Context, codes = certain): void => {
    if (!('text' in value)) return;
    const template = compileField(value.text, functions);
    attempt(value.pointer, codes, () => evaluate(template, { context, sink: 'environment' }));
  };
  const condition = (when: PlanWhen, context: Context): void => {
    if (when.condition === null) return;
    const template = compileCondition(when.condition, functions);
    attempt(`${when.pointer}/condition`, certain, () => evaluate(template, { context, sink: 'plain' }));
  };
  const outside = contextOf({ state, functions, stageUid: null, stepUid: null, work });
  for (const variable of plan.variables) field(variable.field, outside, circular);
  for (const stage of plan.stages) {
    const context = contextOf({ state, functions, stageUid: stage.uid, stepUid: null, work });
    condition(stage.when, context);
    for (const variable of stage.variables) field(variable.field, context);
  }
  for (const step of plan.steps) {
    const context = contextOf({ state, functions, stageUid: step.stage, stepUid: step.uid, work });
    condition(step.when, context);
    attempt(step.script.pointer, certain, () => evaluate(compileField(step.script.text, functions), { context, sink: 'script' }));
    for (const variable of step.environment) field(variable.field, context);
  }
}
