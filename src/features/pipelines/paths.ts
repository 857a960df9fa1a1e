/** Which variable or output a path of an expression means, seen from a stage. */
import type { Plan, PlanOutput, PlanVariable } from './plan.ts';
import { planStage, planStep } from './state.ts';

type Path = readonly (string | number)[];

/** `rest` is what follows, into a value that is a list or an object. */
export type Place =
  /** `stage` null = a variable of the pipeline. */
  | { readonly kind: 'variable'; readonly stage: string | null; readonly variable: PlanVariable; readonly rest: Path }
  | { readonly kind: 'output'; readonly step: string; readonly output: PlanOutput; readonly rest: Path };

/**
 * `pipeline.variables.x`, `stage.variables.x`, `pipeline.stages.s.variables.x`; `steps.t.output.outputVariables.x`, the same
 * below `execution`, `stage.spec.execution` and `pipeline.stages.s.spec.execution`. Null for every other path.
 */
export function placeOf(plan: Plan, stageUid: string | null, path: Path): Place | null {
  if (path[0] === 'pipeline' && path[1] === 'variables') return variableIn(plan.variables, null, path.slice(2));
  if (path[0] === 'pipeline') {
    return path[1] === 'stages' && typeof path[2] === 'string' ? inStage(plan, path[2], path.slice(3)) : null;
  }
  if (stageUid === null) return null;
  if (path[0] === 'stage') return inStage(plan, stageUid, path.slice(1));
  if (path[0] === 'execution') return inExecution(plan, stageUid, path.slice(1));
  return path[0] === 'steps' ? inExecution(plan, stageUid, path) : null;
}

function inStage(plan: Plan, stageUid: string, path: Path): Place | null {
  const stage = planStage(plan, stageUid);
  if (stage === undefined) return null;
  if (path[0] === 'variables') return variableIn(stage.variables, stageUid, path.slice(1));
  return path[0] === 'spec' && path[1] === 'execution' ? inExecution(plan, stageUid, path.slice(2)) : null;
}

function inExecution(plan: Plan, stageUid: string, path: Path): Place | null {
  if (path[0] !== 'steps' || typeof path[1] !== 'string' || path[2] !== 'output' || path[3] !== 'outputVariables') return null;
  const step = planStep(plan, `${stageUid}.${path[1]}`);
  const output = step?.outputs.find(({ name }) => name === path[4]);
  return step === undefined || output === undefined ? null : { kind: 'output', step: step.uid, output, rest: path.slice(5) };
}

function variableIn(variables: readonly PlanVariable[], stage: string | null, path: Path): Place | null {
  const variable = variables.find(({ name }) => name === path[0]);
  return variable === undefined ? null : { kind: 'variable', stage, variable, rest: path.slice(1) };
}
