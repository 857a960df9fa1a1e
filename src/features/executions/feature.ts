/** Executions: start, watch, abort; and the work that goes on without anybody asking. */
import { z } from 'zod';
import type { Manifest } from '#kernel/manifest.ts';
import { Reply } from '#kernel/operation.ts';
import { page } from '#features/resources/feature.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { executionView } from './schema.ts';
import type { ReadyRun, StartServices } from './start.ts';
import { planRun, sealRun, startBody, writeRun } from './start.ts';
import type { Execution } from './store.ts';
import { attemptsOf, listExecutions } from './store.ts';
import type { TimerServices } from './timers.ts';
import { fireTimers, loseExpiredLeases } from './timers.ts';
import { viewOf } from './view.ts';
import { mayTouch, watchOperations } from './watch.ts';

export { createDesk } from './desk.ts';
export { openSealedOutput } from './store.ts';
export { allFunctions } from './functions.ts';

export interface ExecutionServices extends StartServices, TimerServices {
  readonly timersMs: number;
}

export function executionsFeature(services: ExecutionServices): Manifest {
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

  return {
    name: 'executions',
    operations: [start, list, ...watchOperations(services)],
    jobs: [
      { name: 'executions.leases', everyMs: services.timersMs, run: () => loseExpiredLeases(services) },
      { name: 'executions.timers', everyMs: services.timersMs, run: () => fireTimers(services) },
    ],
  };
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
