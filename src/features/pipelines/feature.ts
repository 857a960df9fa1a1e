/** Pipelines: documents, their plans, and the pure engine. What runs them is the feature `executions`. */
import type { FieldError } from '#kernel/errors.ts';
import type { Kind } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import type { PipelineSpec } from './document.ts';
import type { FunctionTable } from './language.ts';
import { pipelineFaults } from './plan.ts';
import { manifestFaults } from './rules.ts';
import { environmentKind, executionNoun, pipelineKind, serviceKind } from './schema.ts';

export { workOfMany } from './context.ts';
export { decide } from './decide.ts';
export { executionFacts } from './facts.ts';
export type { Command, ExecutionEvent } from './events.ts';
export { outputFunction } from './inline.ts';
export type { PlanIdentity } from './identities.ts';
export type { FunctionTable, Need } from './language.ts';
export { barePointer, bareToManifest, isBarePipeline } from './manifest.ts';
export { prepareStep, refuseInterpreted } from './payload.ts';
export type { StepPayload } from './payload.ts';
export { compilePlan } from './plan.ts';
export type { Plan, PlanStep } from './plan.ts';
export { namedBy } from './references.ts';
export { defaultLimits, isFinal } from './schema.ts';
export type { ExecutionRecord } from './schema.ts';
export { initialState, planStep, sealedOutput } from './state.ts';
export type { State } from './state.ts';

/** A pipeline is checked at save with the functions its expressions may call. */
export function pipelines(functions: () => FunctionTable): Manifest {
  const kind: Kind<PipelineSpec> = {
    ...pipelineKind,
    check: (draft): readonly FieldError[] => {
      const faults = manifestFaults(draft);
      if (faults.length > 0) return faults;
      return pipelineFaults({ document: draft.spec, scope: draft.scope, identifier: draft.identifier, functions: functions() });
    },
  };
  return { name: 'pipelines', kinds: [environmentKind, serviceKind, kind], nouns: [executionNoun] };
}
