/** Runners as administrators see them: list, read, pause or relabel, remove. */
import { z } from 'zod';
import type { Check } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { resourcePath } from '#kernel/scope.ts';
import { identifier } from '#features/resources/schema.ts';
import type { Call } from '#platform/call.ts';
import { on, operation } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import { runnerTarget, trustChecks } from './registration.ts';
import { labels } from './schema.ts';
import { changeRunner, findNamed, listRunners } from './store.ts';
import type { Runner } from './store.ts';

export interface RunnerOperationServices {
  readonly database: Database;
  readonly cursors: Cursors;
}

const time = z.iso.datetime({ precision: 3 });

const runnerView = z.strictObject({
  id: z.uuid(),
  identifier: z.string(),
  path: z.string(),
  scope: z.string(),
  labels: z.array(z.string()),
  state: z.enum(['active', 'paused']),
  createdAt: time,
  createdBy: z.string().describe('who made its registration'),
  seenAt: time.nullable().describe('when it last asked for work, to a quarter of a minute'),
});

const named = z.strictObject({ identifier });
const changeBody = z.strictObject({ labels, state: z.enum(['active', 'paused']).describe('a paused runner finishes what it has and gets nothing new') });
const batch = 200;

export function runnerOperations(services: RunnerOperationServices): AnyOperation[] {
  const list = operation({
    name: 'runner.list',
    summary: 'Runners of a scope that the caller may view',
    method: 'GET',
    path: '{scope}/runners',
    input: { query: page },
    output: z.strictObject({ items: z.array(runnerView), next: z.string().nullable() }),
    access: { shape: 'each', kind: 'runner' },
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => listPage(services, call, query),
  });

  const get = operation({
    name: 'runner.get',
    summary: 'Reads one runner',
    method: 'GET',
    path: '{scope}/runners/{identifier}',
    input: { params: named },
    output: runnerView,
    access: on('runner.view', async (call: Call, { params }: { params: z.infer<typeof named> }) => {
      const runner = await find(services, call, params.identifier);
      return runner === null ? null : { target: targetOf(runner), found: runner };
    }),
    audit: null,
    dialect: 'api',
    prepare: async (_call, _input, runner: Runner) => viewOf(runner),
  });

  const update = operation({
    name: 'runner.update',
    summary: 'Replaces the labels of a runner, pauses it or lets it go on',
    method: 'PUT',
    path: '{scope}/runners/{identifier}',
    input: { params: named, body: changeBody },
    output: runnerView,
    access: {
      shape: 'plan',
      // Labels decide which steps hand it their secrets, so changing them is trusting it anew.
      plan: async (call: Call, { params }: { params: z.infer<typeof named>; body: z.infer<typeof changeBody> }) => {
        const runner = await visible(services, call, params.identifier);
        return planOn(call, runner, trustChecks({ permission: 'runner.edit', target: targetOf(runner) }));
      },
    },
    audit: 'runner.update',
    dialect: 'api',
    prepare: async (_call, { body }, runner: Runner) => ({ runner, body }),
    write: async (tx, call, _input, { runner, body }) => {
      await changeRunner(tx, runner, body);
      const changed = [['/labels', runner.labels, body.labels], ['/state', runner.state, body.state]] as const;
      const diff = changed.filter(([, before, after]) => JSON.stringify(before) !== JSON.stringify(after)).map(([pointer, before, after]) => ({ pointer, before, after }));
      call.note({ scope: runner.scope, resource: resourceOf(runner), diff });
      return viewOf({ ...runner, ...body });
    },
  });

  const remove = operation({
    name: 'runner.delete',
    summary: 'Removes a runner: from now on nothing it says is accepted',
    method: 'DELETE',
    path: '{scope}/runners/{identifier}',
    input: { params: named },
    output: null,
    access: {
      shape: 'plan',
      plan: async (call: Call, { params }: { params: z.infer<typeof named> }) => {
        const runner = await visible(services, call, params.identifier);
        return planOn(call, runner, [{ ask: 'permission', permission: 'runner.delete', target: targetOf(runner), world: 'before' }, { ask: 'administer', kind: 'runner' }]);
      },
    },
    audit: 'runner.delete',
    dialect: 'api',
    prepare: async (_call, _input, runner: Runner) => runner,
    write: async (tx, call, _input, runner) => {
      await changeRunner(tx, runner, { state: 'removed' });
      call.note({ scope: runner.scope, resource: resourceOf(runner) });
      return null;
    },
  });

  return [list, get, update, remove];
}

async function listPage({ database, cursors }: RunnerOperationServices, call: Call, query: z.infer<typeof page>) {
  const { items, next } = await pageOf(cursors, call, {
    noun: 'runner', query,
    read: ({ after, limit }) => visibleRunners(database, call, { after: after ?? '', limit }),
    keyOf: (runner) => runner.identifier,
  });
  return { items: items.map(viewOf), next };
}

async function visibleRunners(database: Database, call: Call, { after, limit }: { readonly after: string; readonly limit: number }): Promise<Runner[]> {
  const shown: Runner[] = [];
  for (let from = after; ; ) {
    call.signal.throwIfAborted();
    const found = await listRunners(database.read, call.account.id, call.scope, { after: from, limit: batch });
    for (const runner of found) {
      if (call.decide({ permission: 'runner.view', target: targetOf(runner) }).allowed && shown.push(runner) === limit) return shown;
    }
    if (found.length < batch) return shown;
    from = found.at(-1)!.identifier;
  }
}

async function find({ database }: RunnerOperationServices, call: Call, name: string): Promise<Runner | null> {
  if (!call.world.hasScope(call.scope)) return null;
  const runner = await findNamed(database.read, call.account.id, { scope: call.scope, identifier: name });
  return runner === null || runner.state === 'removed' ? null : runner;
}

/** The runner if the caller may view it; otherwise nothing may tell that it is there. */
async function visible(services: RunnerOperationServices, call: Call, name: string): Promise<Runner> {
  const runner = await find(services, call, name);
  if (runner === null) throw refusal('access.not_found');
  const question = { permission: 'runner.view', target: targetOf(runner) };
  if (!call.decide(question).allowed) {
    throw refusal('access.not_found', { evidence: { permission: 'runner.view', kind: 'runner', scope: runner.scope, identifier: runner.identifier } });
  }
  call.used(question);
  return runner;
}

function planOn(call: Call, runner: Runner, checks: readonly Check[]) {
  return { checks, before: call.world, after: call.world.overlay([]), found: runner };
}

function targetOf(runner: Runner) {
  return runnerTarget(runner.scope, runner.identifier);
}

function resourceOf(runner: Runner) {
  return { kind: 'runner', uid: runner.id, path: resourcePath(runner.scope, runner.identifier) };
}

function viewOf(runner: Runner): z.infer<typeof runnerView> {
  const { id, identifier: name, scope, labels: given, state, createdBy } = runner;
  return {
    id, identifier: name, path: resourcePath(scope, name), scope, labels: [...given], state: state === 'paused' ? 'paused' : 'active',
    createdAt: runner.createdAt.toISOString(), createdBy, seenAt: runner.seenAt?.toISOString() ?? null,
  };
}
