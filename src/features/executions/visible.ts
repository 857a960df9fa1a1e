/**
 * Who sees an execution and may stop it: whoever holds `execution.view` and `execution.abort`, and whoever started it for
 * as long as they may still run the pipeline. A credential that is bounded sees what is within its bounds.
 */
import { targetOf } from '#features/resources/feature.ts';
import type { Check, Target } from '#kernel/decision.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import type { ExecutionHead, ListedRuns, PipelineSet } from './store.ts';

/** What is asked for one execution. Together with `refuseMissing` it tells nobody that there is one they may not see. */
export function checksOf(call: Call, execution: ExecutionHead, verb: 'view' | 'abort'): Check[] {
  const pipeline = call.world.get(execution.pipelineUid);
  const check = (permission: string, target: Target): Check => ({ ask: 'permission', permission, target, world: 'before' });
  const runs = { permission: 'pipeline.execute', target: pipelineTarget(pipeline, execution.scope) };
  if (execution.starterUid === call.caller.principal.uid && call.decide(runs).allowed) return [check(runs.permission, runs.target)];
  const target = executionTarget(pipeline, execution.scope);
  const view = check('execution.view', target);
  return verb === 'view' ? [view] : [view, check('execution.abort', target)];
}

/** The same for all executions of a project at once. */
export function listedRuns(call: Call): ListedRuns {
  const pipelines = [...call.world.list('pipeline', call.scope)];
  const where = (permission: string, target: (pipeline: Entry | undefined) => Target): PipelineSet => {
    const allowed = (pipeline: Entry | undefined): boolean => call.decide({ permission, target: target(pipeline) }).allowed;
    return allowed(undefined)
      ? { except: pipelines.filter((pipeline) => !allowed(pipeline)).map(({ uid }) => uid) }
      : { only: pipelines.filter(allowed).map(({ uid }) => uid) };
  };
  return {
    accountId: call.account.id,
    scope: call.scope,
    of: where('execution.view', (pipeline) => executionTarget(pipeline, call.scope)),
    startedBy: { uid: call.caller.principal.uid, of: where('pipeline.execute', (pipeline) => pipelineTarget(pipeline, call.scope)) },
  };
}

/** Conditions on executions read the tags of their pipeline; of one that is gone nothing is known. */
function executionTarget(pipeline: Entry | undefined, scope: ScopePath): Target {
  return { kind: 'execution', scope, identifier: null, tags: pipeline?.tags ?? {}, attributes: {} };
}

function pipelineTarget(pipeline: Entry | undefined, scope: ScopePath): Target {
  return pipeline === undefined ? { kind: 'pipeline', scope, identifier: null, tags: {}, attributes: {} } : targetOf(pipeline);
}
