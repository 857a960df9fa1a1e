/** Questions as oracles: what may be asked by somebody who has little tells nothing of what is hidden from it. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import type { Made } from './principals.ts';
import { makeUser } from './principals.ts';

let server: TestServer;
let nobody: Made;
let asker: Made;
let wideAsker: Made;

before(async () => {
  server = await startTestServer();
  const role = (identifier: string, permissions: readonly string[]) => ({ kind: 'Role', identifier, spec: { level: 'account', permissions } });
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Organization', identifier: 'platform', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'secret_merger', spec: {} },
    { kind: 'ResourceType', identifier: 'todo', spec: { external: true, levels: ['account', 'org', 'project'], verbs: ['view'] } },
    role('asker', ['access.check']), role('reader', ['service.view']),
  ]);
  nobody = await makeUser(server, 'nobody', [{ role: 'account.reader', scope: 'platform', resourceGroup: 'all_org_level_resources' }]);
  asker = await makeUser(server, 'asker', [{ role: 'account.asker', scope: 'payments', resourceGroup: 'all_org_level_resources' }]);
  wideAsker = await makeUser(server, 'wide_asker', [{ role: 'account.asker', scope: 'payments' }]);
});

const authzen = (path: string, body: object, token: string): Promise<RemoteAnswer> => server.call({ method: 'POST', path: `/accounts/default/access/v1/${path}`, body, token });

/** The same is asked of a project that is there and of one that is not. */
async function sameOfBoth(ask: (project: string) => Promise<RemoteAnswer>): Promise<RemoteAnswer> {
  const [there, gone] = [await ask('secret_merger'), await ask('no_such_thing')];
  assert.deepEqual(JSON.parse(JSON.stringify(seen(there)).replaceAll('secret_merger', 'PROJECT')), JSON.parse(JSON.stringify(seen(gone)).replaceAll('no_such_thing', 'PROJECT')));
  return there;
}

describe('the names of projects in which one has nothing', () => {
  test('are not told by asking what oneself can do there', async () => {
    problem(await sameOfBoth((project) => server.call({ method: 'POST', path: `${server.api}/access:whatCan`, body: { scope: `payments/${project}` }, token: nobody.token })), 404, 'access.not_found');
  });

  test('are not told by asking whether oneself may', async () => {
    for (const operation of ['check', 'explain']) {
      await sameOfBoth((project) => server.call({ method: 'POST', path: `${server.api}/access:${operation}`, body: { permission: 'service.view', resource: `payments/${project}/web` }, token: nobody.token })
        .then((answer) => ({ ...answer, body: { ...(answer.body as object), correlationId: '' } })));
    }
  });

  const subject = { type: 'user', id: 'admin' };
  const asked: readonly (readonly [how: string, path: string, body: (project: string) => object])[] = [
    ['whether another may, of our own kinds', 'evaluation', (project) => ({ subject, action: { name: 'view' }, resource: { type: 'service', id: `payments/${project}/web` } })],
    ['whether another may, of kinds of other systems', 'evaluation', (project) => ({ subject, action: { name: 'view' }, resource: { type: 'todo', id: '1', properties: { scope: `payments/${project}` } } })],
    ['many at once', 'evaluations', (project) => ({ subject, action: { name: 'view' }, evaluations: [{ resource: { type: 'service', id: `payments/${project}/web` } }] })],
    ['who may', 'search/subject', (project) => ({ subject: { type: 'user' }, action: { name: 'view' }, resource: { type: 'todo', id: '1', properties: { scope: `payments/${project}` } } })],
    ['what another may', 'search/resource', (project) => ({ subject, action: { name: 'view' }, resource: { type: 'todo', properties: { scope: `payments/${project}` } } })],
    ['which actions', 'search/action', (project) => ({ subject, resource: { type: 'todo', id: '1', properties: { scope: `payments/${project}` } } })],
  ];
  for (const [how, path, body] of asked) {
    test(`are not told to whoever may ask in the organization alone: ${how}`, async () => {
      const answer = await sameOfBoth((project) => authzen(path, body(project), asker.token));
      if (path === 'evaluations') assert.equal((answer.body as { evaluations: { decision: boolean }[] }).evaluations[0]?.decision, false);
      else assert.equal(answer.status, 403);
    });
  }

  test('do not matter to whoever may ask everywhere below: of what is not there the answer is no', async () => {
    const answer = await authzen('evaluation', { subject, action: { name: 'view' }, resource: { type: 'service', id: 'payments/no_such_thing/web' } }, wideAsker.token);
    assert.deepEqual([answer.status, answer.body], [200, { decision: false }]);
  });
});
