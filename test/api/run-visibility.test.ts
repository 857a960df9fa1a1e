import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { ExecutionView } from '#features/executions/schema.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import { auditMark } from './audit-rows.ts';
import { makeToken, makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, pipeline, runWorld, step } from './runs.ts';
import type { Started } from './runs.ts';

let server: TestServer;
let runs: Runs;

describe('who sees an execution', () => {
  const stranger = '00000000-0000-7000-8000-000000000000';
  let mine: Started;
  let others: Started;
  let tagged: Started;
  const tokens: Record<string, string> = {};

  before(async () => {
    server = await startTestServer();
    runs = new Runs(server);
    await server.apply([
      ...runWorld,
      { kind: 'Role', identifier: 'runner', spec: { level: 'project', permissions: ['pipeline.execute'] } },
      { kind: 'Role', identifier: 'watcher', spec: { level: 'project', permissions: ['execution.view'] } },
      { kind: 'Role', identifier: 'stopper', spec: { level: 'project', permissions: ['execution.abort'] } },
      { kind: 'ResourceGroup', scope: checkout, identifier: 'of_app_x', spec: { resources: [{ type: 'execution', where: { 'tags.application': { equals: 'app_x' } } }] } },
      pipeline('of_app', { tags: { application: 'app_x' }, build: [step('only')] }), pipeline('of_nobody', { build: [step('only')] }),
    ]);
    const make = async (name: string, role: string, group = 'all_project_level_resources', scope = checkout) => {
      tokens[name] = (await makeUser(server, `see_${name}`, [{ role, scope, resourceGroup: group }])).token;
    };
    await make('starter', 'account.runner');
    await make('other_starter', 'account.runner');
    await make('watcher', 'account.watcher');
    await make('stopper', 'account.stopper');
    await make('viewer', 'project_viewer');
    await make('admin', 'project_admin');
    await make('tagged', 'account.watcher', 'of_app_x');
    await make('elsewhere', 'project_admin', 'all_project_level_resources', 'payments/ledger');
    const bounds = (permissions: readonly string[]) => ({ bounds: [{ permissions, scope: checkout, includeChildScopes: false, resources: 'all' }] });
    const own = { type: 'user', path: 'see_starter' } as const;
    tokens['starter within other bounds'] = (await makeToken(server, own, bounds(['secret.view']))).token;
    tokens['starter within bounds that run it'] = (await makeToken(server, own, bounds(['pipeline.execute']))).token;
    mine = await runs.start('of_nobody', { token: tokens['starter']! });
    others = await runs.start('of_nobody', { token: tokens['other_starter']! });
    tagged = await runs.start('of_app', { token: tokens['other_starter']! });
  });

  /** Which of the three, and what an abort of the first is answered with. */
  const rows: [who: string, sees: readonly ('mine' | 'others' | 'tagged')[], abort: number][] = [
    ['admin', ['mine', 'others', 'tagged'], 200],
    ['viewer', ['mine', 'others', 'tagged'], 403],
    ['watcher', ['mine', 'others', 'tagged'], 403],
    ['stopper', [], 404],
    ['tagged', ['tagged'], 404],
    ['starter', ['mine'], 200],
    ['other_starter', ['others', 'tagged'], 404],
    ['starter within bounds that run it', ['mine'], 200],
    ['starter within other bounds', [], 404],
    ['elsewhere', [], 404],
  ];
  for (const [who, sees, abort] of rows) {
    test(`${who}: ${sees.length === 0 ? 'none' : sees.join(', ')}, and the same in the list and of the log`, async () => {
      const token = tokens[who]!;
      const all = { mine, others, tagged };
      for (const [name, run] of Object.entries(all)) {
        const expected = (sees as readonly string[]).includes(name) ? 200 : 404;
        assert.deepEqual([(await runs.call(run, { token })).status, (await runs.call(run, { token, below: '/logs' })).status], [expected, expected], name);
      }
      const list = await server.call({ method: 'GET', path: `${scopeApi(server, checkout)}/executions?limit=200`, token });
      // Who has nothing at all there is not told that the project is there.
      if (list.status !== 200) problem(list, 404, 'access.not_found');
      const ids = list.status === 200 ? (list.body as { items: { id: string }[] }).items.map(({ id }) => id) : [];
      for (const [name, run] of Object.entries(all)) assert.equal(ids.includes(run.id), (sees as readonly string[]).includes(name), name);
      assert.equal((await runs.call({ ...mine, id: stranger }, { token })).status, 404);
      if (abort !== 200) assert.equal((await runs.call(mine, { token, below: '/abort' })).status, abort);
    });
  }

  test('one that may not be seen is told of like one that is not there, in the answer and in the audit', async () => {
    const refusal = async (id: string): Promise<unknown> => {
      const rows_ = await auditMark(server);
      const answer = await runs.call({ ...mine, id }, { token: tokens['tagged']! });
      problem(answer, 404, 'access.not_found');
      return JSON.parse(JSON.stringify([seen(answer), (await rows_()).map(({ action, scope, detail }) => [action, scope, detail])]).replaceAll(id, 'ID')) as unknown;
    };
    assert.deepEqual(await refusal(mine.id), await refusal(stranger));
  });

  test('an execution is found in its project alone', async () => {
    problem(await runs.call({ scope: 'payments/ledger', id: mine.id }), 404, 'access.not_found');
    const other = await server.addAccount('other_runs');
    const answer = await server.call({ method: 'GET', path: `${other.api}/orgs/payments/projects/checkout/executions/${mine.id}`, token: other.adminToken });
    assert.equal(answer.status, 404);
  });

  test('who lost the right to run it sees nothing more of what they started', async () => {
    const { token } = await makeUser(server, 'leaver', [{ role: 'account.runner', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const run = await runs.start('of_nobody', { token });
    assert.equal((await runs.call(run, { token })).status, 200);
    await server.apply([{ kind: 'RoleBinding', scope: checkout, identifier: 'leaver_0', spec: { principal: { type: 'user', id: 'leaver' }, role: 'account.stopper', resourceGroup: 'all_project_level_resources' } }]);
    for (const below of ['', '/logs', '/abort']) problem(await runs.call(run, { token, below }), 404, 'access.not_found');
  });

  test('a list has full pages of what is visible, newest first, and no cursor that tells of others', async () => {
    const token = tokens['tagged']!;
    const made: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      await runs.start('of_nobody');
      made.unshift((await runs.start('of_app')).id);
    }
    const page = async (query: string) => (await server.call({ method: 'GET', path: `${scopeApi(server, checkout)}/executions?${query}`, token })).body as { items: ExecutionView[]; next: string | null };
    const seenIds: string[] = [];
    let cursor: string | null = null;
    do {
      const { items, next }: { items: ExecutionView[]; next: string | null } = await page(`limit=2${cursor === null ? '' : `&cursor=${cursor}`}`);
      if (next !== null) assert.equal(items.length, 2);
      seenIds.push(...items.map(({ id }) => id));
      cursor = next;
    } while (cursor !== null);
    assert.deepEqual(seenIds, [...made, tagged.id]);
    await runs.drain();
  });
});
