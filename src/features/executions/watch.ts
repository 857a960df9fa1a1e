/** One execution: what it does, what it printed, and stopping it. */
import { z } from 'zod';
import { isFinal } from '#features/pipelines/feature.ts';
import type { ResourceServices } from '#features/resources/feature.ts';
import { authorOf } from '#features/resources/feature.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { operation } from '#platform/call.ts';
import { attemptsOf } from './attempts.ts';
import type { EngineServices } from './engine.ts';
import { post } from './engine.ts';
import type { LogPosition } from './logs.ts';
import { readLogs } from './logs.ts';
import { identified, onExecution } from './on-execution.ts';
import { executionView, logPage } from './schema.ts';
import type { ExecutionHead, Place } from './store.ts';
import { findExecution, lockExecution } from './store.ts';
import { viewOf } from './view.ts';

export type WatchServices = Pick<ResourceServices, 'database' | 'cursors'> & EngineServices;

export function watchOperations(services: WatchServices): AnyOperation[] {
  const common = { levels: ['project'] as const, audit: null, dialect: 'api' as const };

  const get = operation({
    ...common,
    name: 'execution.get',
    summary: 'One execution with its stages, steps and attempts',
    method: 'GET',
    path: '{scope}/executions/{id}',
    input: { params: identified },
    output: executionView,
    access: onExecution(services, 'view'),
    prepare: async (_call, _input, head) => view(services, head),
  });

  const logs = operation({
    ...common,
    name: 'execution.logs',
    summary: 'Masked output of an execution, from where the caller stopped reading',
    method: 'GET',
    path: '{scope}/executions/{id}/logs',
    input: { params: identified, query: z.strictObject({ after: z.string().max(maxCursor).optional() }) },
    output: logPage,
    access: onExecution(services, 'view'),
    // Whether it has ended was read before the log: what came until then is in the page or a later one.
    prepare: async (call, { query }, head) => {
      const binding = ['execution.logs', call.account.id, head.id, call.caller.principal.type, call.caller.principal.uid];
      const after = query.after === undefined ? {} : (JSON.parse(services.cursors.decode(binding, query.after)) as LogPosition);
      const { chunks, next } = await readLogs(services.database.read, placeOf(head), after);
      return { chunks, next: services.cursors.encode(binding, JSON.stringify(next)), ended: isFinal(head.status) && chunks.length === 0 };
    },
  });

  const abort = operation({
    ...common,
    name: 'execution.abort',
    summary: 'Stops an execution: running steps are told to end, nothing new starts',
    method: 'POST',
    path: '{scope}/executions/{id}/abort',
    input: { params: identified },
    output: executionView,
    access: onExecution(services, 'abort'),
    prepare: async (_call, _input, head) => placeOf(head),
    write: async (tx, call, _input, place: Place) => {
      const locked = await lockExecution(tx, place);
      assert(locked !== null, 'an execution is gone');
      if (isFinal(locked.status)) throw refusal('execution.finished');
      const { execution, ignored } = await post(services, tx, locked, { type: 'abort_requested', by: authorOf(call.caller) }, call.now);
      if (ignored === null) call.note({ action: 'execution.abort', scope: call.scope, resource: { kind: 'execution', uid: locked.id, path: locked.pipelinePath } });
      return viewOf(execution, await attemptsOf(tx, place));
    },
  });

  return [get, logs, abort];
}

/** A URL has to hold it, beside a token. */
const maxCursor = 16_384;

async function view({ database: { read } }: WatchServices, head: ExecutionHead) {
  const place = placeOf(head);
  const execution = await findExecution(read, place);
  assert(execution !== null, 'an execution is gone');
  return viewOf(execution, await attemptsOf(read, place));
}

function placeOf({ accountId, id }: ExecutionHead): Place {
  return { accountId, executionId: id };
}
