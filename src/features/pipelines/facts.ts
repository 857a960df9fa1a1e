/** What a minted token may say about a step: a pure view of plan and execution record, of nothing else (CONTRACTS §6). */
import { assert } from '#kernel/errors.ts';
import type { Plan } from './plan.ts';
import type { EnvironmentEntity, ExecutionFacts, NamedEntity } from '#kernel/execution-facts.ts';
import type { ExecutionRecord } from './schema.ts';
import { planStage, planStep } from './state.ts';

/** Facts of one step, of a stage outside its steps (`stepUid` null), or of the execution as a whole (both null). */
export function executionFacts(
  { plan, record }: { readonly plan: Plan; readonly record: ExecutionRecord },
  at: { readonly stepUid: string } | { readonly stageUid: string } | null,
): ExecutionFacts {
  const step = at !== null && 'stepUid' in at ? planStep(plan, at.stepUid) : undefined;
  assert(at === null || !('stepUid' in at) || step !== undefined, 'facts of a step that the plan does not have');
  const stageUid = step?.stage ?? (at !== null && 'stageUid' in at ? at.stageUid : null);
  const stage = stageUid === null ? undefined : planStage(plan, stageUid);
  const { identifier, uid, name } = plan.pipeline;
  return {
    account: entity(record.account),
    organization: entity(record.organization),
    project: entity(record.project),
    pipeline: { identifier, uid, name },
    executionId: record.executionId,
    stage: stage === undefined ? null : { identifier: stage.identifier, type: stage.type },
    step: step === undefined ? null : { identifier: step.identifier, type: step.type },
    environment: environmentOf(record, stage?.environment ?? null),
    service: serviceOf(record, stage?.service ?? null),
    trigger: record.trigger,
    triggeredBy: record.triggeredBy,
    origin: record.origin,
  };
}

/** The record resolves every reference of the plan when the run starts; a missing one is a defect, never a null claim. */
function environmentOf(record: ExecutionRecord, reference: string | null): EnvironmentEntity | null {
  if (reference === null) return null;
  const found = record.environments.find((one) => one.reference === reference);
  assert(found !== undefined, 'the execution record does not resolve an environment of its plan');
  return { ...entity(found), type: found.type };
}

function serviceOf(record: ExecutionRecord, reference: string | null): NamedEntity | null {
  if (reference === null) return null;
  const found = record.services.find((one) => one.reference === reference);
  assert(found !== undefined, 'the execution record does not resolve a service of its plan');
  return entity(found);
}

function entity({ identifier, uid, name }: NamedEntity): NamedEntity {
  return { identifier, uid, name };
}
