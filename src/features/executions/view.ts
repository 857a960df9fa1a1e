/** Rows and state → what a caller sees. */
import type { State } from '#features/pipelines/feature.ts';
import type { Attempt } from './attempts.ts';
import type { ExecutionItem, ExecutionView } from './schema.ts';
import type { Execution } from './store.ts';

const hiddenOutput = '***';

/** `attempts`: at least those of this execution. */
export function viewOf(execution: Execution, attempts: readonly Attempt[]): ExecutionView {
  const { state } = execution;
  const own = attempts.filter((attempt) => attempt.executionId === execution.id);
  const record = state.record!;
  const { triggeredBy } = record;
  return {
    id: execution.id,
    pipeline: execution.pipelinePath,
    sequence: record.sequenceId,
    revision: { version: state.plan.pipeline.version, sha256: state.plan.pipeline.sha256 },
    status: state.status,
    reason: state.reason,
    stages: state.plan.stages.map((stage) => {
      const { status, reason } = state.stages.find((each) => each.uid === stage.uid)!;
      const steps = state.plan.steps.filter((step) => step.stage === stage.uid);
      return { identifier: stage.identifier, name: stage.name, type: stage.type, status, reason, steps: steps.map((step) => stepView(state, step.uid, own)) };
    }),
    startedBy: {
      type: triggeredBy.type, id: triggeredBy.id, name: triggeredBy.name,
      ...(record.origin === null ? {} : { origin: { iss: record.origin.issuer, sub: record.origin.subject, session_id: record.origin.sessionId } }),
    },
    outputs: Object.fromEntries(state.steps.flatMap((step) => Object.entries(outputsOf(state, step.uid)).map(([name, value]) => [`${step.uid}.${name}`, value]))),
    createdAt: execution.createdAt.toISOString(),
    endedAt: execution.endedAt?.toISOString() ?? null,
  };
}

export function itemOf(execution: Execution, attempts: readonly Attempt[]): ExecutionItem {
  const { outputs: _outputs, stages, ...rest } = viewOf(execution, attempts);
  return { ...rest, stages: stages.map((stage) => ({ ...stage, steps: stage.steps.map(({ outputs: _of, ...step }) => step) })) };
}

function stepView(state: State, uid: string, attempts: readonly Attempt[]): ExecutionView['stages'][number]['steps'][number] {
  const plan = state.plan.steps.find((step) => step.uid === uid)!;
  const step = state.steps.find((each) => each.uid === uid)!;
  return {
    identifier: plan.identifier,
    name: plan.name,
    type: plan.type,
    status: step.status,
    reason: step.reason,
    startedAt: timeOf(step.startedAtMs),
    endedAt: timeOf(step.endedAtMs),
    attempts: attempts.filter((attempt) => attempt.stepUid === uid).map(({ id, number, status, runnerId }) => ({ id, number, status, runner: runnerId })),
    outputs: outputsOf(state, uid),
  };
}

function outputsOf(state: State, uid: string): Record<string, string> {
  const { outputs } = state.steps.find((each) => each.uid === uid)!;
  return Object.fromEntries(outputs.map(({ name, value }) => [name, 'text' in value ? value.text : hiddenOutput]));
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
