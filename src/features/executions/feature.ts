/** Executions: start, watch, abort; and the work that goes on without anybody asking. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { Target } from '#kernel/decision.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { Reply } from '#kernel/operation.ts';
import { page } from '#features/resources/feature.ts';
import { isFinal } from '#features/pipelines/feature.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { post } from './engine.ts';
import { readLogs } from './logs.ts';
import type { LogPosition } from './logs.ts';
import { executionView, logPage } from './schema.ts';
import type { ReadyRun, StartServices } from './start.ts';
import { planRun, sealRun, startBody, writeRun } from './start.ts';
import type { Execution } from './store.ts';
import { attemptsOf, findExecution, listExecutions, lockExecution } from './store.ts';
import type { TimerServices } from './timers.ts';
import { fireTimers, loseExpiredLeases } from './timers.ts';
import { viewOf } from './view.ts';

export { createDesk } from './desk.ts';
export { openSealedOutput } from './store.ts';
export { allFunctions } from './functions.ts';

export interface ExecutionServices extends StartServices, TimerServices {
  readonly timersMs: number;
}

const identified = z.strictObject({ id: z.uuid() });

export function executionsFeature(services: ExecutionServices): Manifest {
  const { read } = services.database;

  const start = operation({
    name: 'execution.start',
    summary: 'Starts a pipeline; the run may do what its starter may do, decided anew at each use',
    method: 'POST',
    path: '{scope}/executions',
    levels: ['project'],
    input: { body: startBody },
    output: executionView,
    access: { shape: 'plan', plan: (call: Call, { body }: { body: z.infer<typeof startBody> }) => planRun(services, call, body) },
    audit: null,
    dialect: 'api',
    idempotent: true,
    prepare: (call, _input, run: ReadyRun) => sealRun(services, call, run),
    write: async (tx, call, _input, sealed) => {
      const execution = await writeRun(services, tx, call, sealed);
      return new Reply(viewOf(execution, await attemptsOf(tx, call.account.id, execution.id)), { status: 202 });
    },
  });

  const list = operation({
    name: 'execution.list',
    summary: 'Executions of a project, newest first, as far as the caller may view them',
    method: 'GET',
    path: '{scope}/executions',
    levels: ['project'],
    input: { query: page },
    output: z.strictObject({ items: z.array(executionView), next: z.string().nullable() }),
    access: { shape: 'each', kind: 'execution' },
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => listPage(services, call, query),
  });

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

  return {
    name: 'executions',
    operations: [start, list, get, logs, abort],
    jobs: [
      { name: 'executions.leases', everyMs: services.timersMs, run: () => loseExpiredLeases(services) },
      { name: 'executions.timers', everyMs: services.timersMs, run: () => fireTimers(services) },
    ],
  };
}

/** Conditions on executions read the tags of their pipeline. */
function targetOfExecution(call: Call, execution: Execution): Target {
  const pipeline = call.world.get(execution.pipelineUid);
  return { kind: 'execution', scope: execution.scope, identifier: null, tags: pipeline?.tags ?? {}, attributes: {} };
}

/** Who started it sees it and may stop it; others need the permission. */
function mayTouch(call: Call, execution: Execution, permission: string): boolean {
  return execution.starterUid === call.caller.principal.uid || call.decide({ permission, target: targetOfExecution(call, execution) }).allowed;
}

async function seen(services: ExecutionServices, call: Call, id: string, permission: string): Promise<Execution> {
  const execution = await findExecution(services.database.read, call.account.id, id);
  if (execution === null || execution.scope !== call.scope || !mayTouch(call, execution, 'execution.view')) throw refusal('access.not_found');
  if (permission !== 'execution.view' && !mayTouch(call, execution, permission)) throw refusal('access.denied', { say: `you need \`${permission}\` here` });
  return execution;
}

async function listPage(services: ExecutionServices, call: Call, query: z.infer<typeof page>) {
  const { principal } = call.caller;
  const binding = ['execution', call.account.id, call.scope, principal.type, principal.uid];
  const shown: Execution[] = [];
  let before = query.cursor === undefined ? null : positionOf(services.cursors.decode(binding, query.cursor));
  for (let more = true; more && shown.length <= query.limit; ) {
    const some = await listExecutions(services.database.read, call.account.id, call.scope, { limit: 200, before });
    for (const execution of some) if (mayTouch(call, execution, 'execution.view')) shown.push(execution);
    more = some.length === 200;
    const last = some.at(-1);
    before = last === undefined ? null : { at: last.createdAt, id: last.id };
  }
  const items = shown.slice(0, query.limit);
  const last = items.at(-1);
  const attempts = await Promise.all(items.map((execution) => attemptsOf(services.database.read, call.account.id, execution.id)));
  return {
    items: items.map((execution, i) => viewOf(execution, attempts[i]!)),
    next: shown.length > query.limit && last !== undefined ? services.cursors.encode(binding, `${last.createdAt.toISOString()} ${last.id}`) : null,
  };
}

function positionOf(text: string): { at: Date; id: string } {
  const [at, id] = text.split(' ');
  return { at: new Date(at!), id: id! };
}
