/** One execution: what it does, what it printed, and stopping it. */
import { z } from 'zod';
import { isFinal } from '#features/pipelines/feature.ts';
import type { Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { post } from './engine.ts';
import type { EngineServices } from './engine.ts';
import type { LogPosition } from './logs.ts';
import { readLogs } from './logs.ts';
import { executionView, logPage } from './schema.ts';
import type { ResourceServices } from '#features/resources/feature.ts';
import type { Execution } from './store.ts';
import { attemptsOf, findExecution, lockExecution } from './store.ts';
import { viewOf } from './view.ts';

type WatchServices = Pick<ResourceServices, 'database' | 'cursors'> & EngineServices;

const identified = z.strictObject({ id: z.uuid() });

export function watchOperations(services: WatchServices): AnyOperation[] {
  const { read } = services.database;

  const get = operation({
    name: 'execution.get',
    summary: 'One execution with its stages, steps and attempts',
    method: 'GET',
    path: '{scope}/executions/{id}',
    levels: ['project'],
    input: { params: identified },
    output: executionView,
    access: { shape: 'self' },
    audit: null,
    dialect: 'api',
    prepare: async (call, { params }) => {
      const execution = await seen(services, call, params.id, 'execution.view');
      return viewOf(execution, await attemptsOf(read, call.account.id, execution.id));
    },
  });

  const logs = operation({
    name: 'execution.logs',
    summary: 'Masked output of an execution, from where the caller stopped reading',
    method: 'GET',
    path: '{scope}/executions/{id}/logs',
    levels: ['project'],
    input: { params: identified, query: z.strictObject({ after: z.string().max(65_536).optional() }) },
    output: logPage,
    access: { shape: 'self' },
    audit: null,
    dialect: 'api',
    prepare: async (call, { params, query }) => {
      // Whether it has ended is read before the log: what came until then is in the page or a later one.
      const execution = await seen(services, call, params.id, 'execution.view');
      const binding = ['execution.logs', call.account.id, params.id, call.caller.principal.uid];
      const after = query.after === undefined ? {} : (JSON.parse(services.cursors.decode(binding, query.after)) as LogPosition);
      const { chunks, next } = await readLogs(read, { accountId: call.account.id, executionId: execution.id }, after);
      return { chunks, next: services.cursors.encode(binding, JSON.stringify(next)), ended: isFinal(execution.state.status) && chunks.length === 0 };
    },
  });

  const abort = operation({
    name: 'execution.abort',
    summary: 'Stops an execution: running steps are told to end, nothing new starts',
    method: 'POST',
    path: '{scope}/executions/{id}/abort',
    levels: ['project'],
    input: { params: identified },
    output: executionView,
    access: { shape: 'self' },
    audit: null,
    dialect: 'api',
    prepare: (call, { params }) => seen(services, call, params.id, 'execution.abort'),
    write: async (tx, call, _input, { id }) => {
      const execution = (await lockExecution(tx, call.account.id, id))!;
      if (isFinal(execution.state.status)) throw refusal('execution.finished');
      const { state, ignored } = await post(services, tx, execution, { type: 'abort_requested', by: `${call.caller.principal.type}:${call.caller.principal.path}`.slice(0, 512) }, call.now);
      if (ignored === null) call.note({ action: 'execution.abort', scope: call.scope, resource: { kind: 'execution', uid: id, path: execution.pipelinePath } });
      return viewOf({ ...execution, state }, await attemptsOf(tx, call.account.id, id));
    },
  });

  return [get, logs, abort];
}

/** Conditions on executions read the tags of their pipeline. */
function targetOfExecution(call: Call, execution: Execution): Target {
  const pipeline = call.world.get(execution.pipelineUid);
  return { kind: 'execution', scope: execution.scope, identifier: null, tags: pipeline?.tags ?? {}, attributes: {} };
}

/** Who started it sees it and may stop it; others need the permission. */
export function mayTouch(call: Call, execution: Execution, permission: string): boolean {
  return execution.starterUid === call.caller.principal.uid || call.decide({ permission, target: targetOfExecution(call, execution) }).allowed;
}

async function seen(services: WatchServices, call: Call, id: string, permission: string): Promise<Execution> {
  const execution = await findExecution(services.database.read, call.account.id, id);
  if (execution === null || execution.scope !== call.scope || !mayTouch(call, execution, 'execution.view')) throw refusal('access.not_found');
  if (permission !== 'execution.view' && !mayTouch(call, execution, permission)) throw refusal('access.denied', { say: `you need \`${permission}\` here` });
  return execution;
}
