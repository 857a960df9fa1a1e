/** CONTRACTS §4 rule 10 at the door: whoever has something in a project can name the way to it, and no other way. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import type { Made } from './principals.ts';
import { makeToken, makeUser, scopeApi } from './principals.ts';

let server: TestServer;
let guest: Made;

before(async () => {
  server = await startTestServer();
  await server.apply([
    ...['payments', 'payrolls', 'platform'].map((identifier) => ({ kind: 'Organization', identifier, name: `Name of ${identifier}`, description: 'secret', tags: { secret: 'yes' }, spec: {} })),
    ...['checkout', 'refunds'].map((identifier) => ({ kind: 'Project', scope: 'payments', identifier, description: 'secret', spec: {} })),
    { kind: 'Project', scope: 'platform', identifier: 'checkout', spec: {} },
    { kind: 'Role', identifier: 'reads', spec: { level: 'account', permissions: ['service.view'] } },
    { kind: 'Role', identifier: 'nothing', spec: { level: 'account', permissions: [] } },
  ]);
  guest = await makeUser(server, 'guest', [{ role: 'account.reads', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' }]);
});

const list = (scope: string, collection: string, token: string, query = ''): Promise<RemoteAnswer> => server.call({ method: 'GET', path: `${scopeApi(server, scope)}/${collection}${query}`, token });
const items = async (...asked: Parameters<typeof list>): Promise<Record<string, unknown>[]> => {
  const answer = await list(...asked);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { items: Record<string, unknown>[] }).items;
};

describe('whoever has something in one project alone', () => {
  test('is told the names of its organization and of it, and not of what lies beside them', async () => {
    assert.deepEqual(await items('/', 'organizations', guest.token), [{ kind: 'Organization', identifier: 'payments', name: 'Name of payments', path: 'payments' }]);
    assert.deepEqual(await items('payments', 'projects', guest.token), [{ kind: 'Project', scope: 'payments', identifier: 'checkout', path: 'payments/checkout' }]);
  });

  test('is told nothing else of them', async () => {
    for (const [path, absent] of [['organizations/payments', 'organizations/absent'], ['orgs/payments/projects/checkout', 'orgs/payments/projects/absent']] as const) {
      const [hidden, missing] = await Promise.all([path, absent].map((each) => server.call({ method: 'GET', path: `${server.api}/${each}`, token: guest.token })));
      problem(hidden!, 404, 'access.not_found');
      assert.deepEqual(seen(hidden!), seen(missing!));
    }
  });

  test('finds no list beside its own way, nor anything more in the lists on it', async () => {
    problem(await list('platform', 'projects', guest.token), 404, 'access.not_found');
    for (const collection of ['service-accounts', 'roles', 'users']) assert.deepEqual(await items('/', collection, guest.token), []);
  });

  test('gets one page of it that betrays no other', async () => {
    const answer = await list('/', 'organizations', guest.token, '?limit=1');
    assert.deepEqual([(answer.body as { items: unknown[] }).items.length, (answer.body as { next: unknown }).next], [1, null]);
  });
});

test('whoever may view an organization is shown all of it, beside the names of others', async () => {
  const { token } = await makeUser(server, 'keeper', [{ role: 'org_viewer', scope: 'platform' }, { role: 'account.reads', scope: 'payments/refunds' }]);
  const found = await items('/', 'organizations', token);
  assert.deepEqual(found.map(({ identifier, description }) => [identifier, description]), [['payments', undefined], ['platform', 'secret']]);
  assert.deepEqual((await items('platform', 'projects', token)).map(({ identifier, version }) => [identifier, version]), [['checkout', 1]]);
});

test('what gives nothing names nothing: an empty role, a disabled binding, bounds that leave nothing', async () => {
  await server.apply([
    { kind: 'User', identifier: 'disabled', spec: { email: 'disabled@example.com' } },
    { kind: 'RoleBinding', scope: 'payments', identifier: 'off', spec: { principal: { type: 'user', id: 'disabled' }, role: 'org_viewer', resourceGroup: 'all_org_level_resources', disabled: true } },
  ]);
  const empty = await makeUser(server, 'empty', [{ role: 'account.nothing', scope: 'payments/checkout' }]);
  const bounded = await makeToken(server, { type: 'user', path: 'guest' }, { bounds: [{ permissions: 'all', scope: 'platform', includeChildScopes: true }] });
  const off = await makeToken(server, { type: 'user', path: 'disabled' });
  for (const { token } of [empty, bounded, off]) problem(await list('/', 'organizations', token), 404, 'access.not_found');
});
