/** Becoming a user of the account, of an organization or of a project gives what the built-in group of its users is given (CONTRACTS §5). */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeToken, makeUser, userDocuments } from './principals.ts';

let server: TestServer;
/** May write all of it, and holds the role `plain` everywhere: not what the users of `payments` and of the account are given. */
let manager: string;

type Document = Record<string, unknown>;

const doc = (kind: string, identifier: string, spec: object, scope?: string): Document => ({ kind, ...(scope === undefined ? {} : { scope }), identifier, spec });
const user = (id: string) => ({ type: 'user', id });
const group = (id: string) => ({ type: 'user_group', id });
const robot = { type: 'service_account', id: 'account.robot' };
const everything = 'all_resources_including_child_scopes';
const bind = (identifier: string, principal: object, scope: string | undefined, more: object = {}, role = 'plain'): Document => (
  doc('RoleBinding', identifier, { principal, role: scope === undefined ? role : `account.${role}`, resourceGroup: everything, ...more }, scope)
);
const bob = (more: object = {}): Document => doc('User', 'bob', { email: 'bob@example.com', ...more });

const managed = ['role_binding', 'user', 'service_account', 'user_group', 'secret'];
const world: readonly Document[] = [
  ...['payments', 'platform'].map((name) => doc('Organization', name, {})),
  ...['checkout', 'refunds'].map((name) => doc('Project', name, {}, 'payments')),
  doc('Role', 'writer', { level: 'account', permissions: managed.flatMap((kind) => ['view', 'create', 'edit', 'delete'].map((verb) => `${kind}.${verb}`)) }),
  doc('Role', 'plain', { level: 'account', permissions: ['secret.view'] }),
  doc('Role', 'strong', { level: 'account', permissions: ['secret.access'] }),
  doc('Role', 'binder', { level: 'account', permissions: ['role.bind'] }),
  doc('ServiceAccount', 'robot', {}),
  ...userDocuments('newcomer'), ...userDocuments('insider'), ...userDocuments('visitor'), ...userDocuments('past'),
  doc('User', 'sleeper', { email: 'sleeper@example.com', disabled: true }),
  doc('UserGroup', 'bound', { members: [] }),
  doc('UserGroup', 'around_nobody', { members: [] }),
  doc('UserGroup', 'around_newcomer', { members: [user('newcomer')] }),
  doc('UserGroup', 'around_insider', { members: [user('insider')] }),
  doc('UserGroup', 'around_robot', { members: [{ type: 'service_account', id: 'robot' }] }),
  bind('bound', group('account.bound'), 'payments/refunds'),
  bind('insider', user('insider'), 'payments'),
  bind('visitor', user('visitor'), 'payments', { expiresAt: '2099-01-01T00:00:00Z' }),
  bind('past', user('past'), 'payments', { expiresAt: '2020-01-01T00:00:00Z' }),
  bind('sleeper', user('sleeper'), 'payments'),
  bind('off', user('newcomer'), 'payments', { disabled: true }),
  // What being a user gives.
  bind('users', group('all_org_users'), 'payments', {}, 'strong'),
  bind('users', group('all_org_users'), 'platform'),
];

before(async () => {
  server = await startTestServer();
  await server.apply([...world, ...userDocuments('manager', [{ role: 'writer' }, { role: 'plain' }])]);
  manager = (await makeToken(server, { type: 'user', path: 'manager' }, { mayAdminister: true })).token;
});

/** Planned only, so that each row stands by itself. */
function tried(documents: readonly Document[], token = manager): Promise<RemoteAnswer> {
  return server.call({ method: 'POST', path: `${server.api}/manifests:plan`, body: { documents }, token });
}

const refused: readonly [how: string, documents: readonly Document[]][] = [
  ['a binding in the organization', [bind('new', user('newcomer'), 'payments')]],
  ['a binding in a project of it', [bind('new', user('newcomer'), 'payments/checkout')]],
  ['enabling a binding', [bind('off', user('newcomer'), 'payments')]],
  ['a binding after the last one was over', [bind('new', user('past'), 'payments')]],
  ['a binding that lasts longer than the one there is', [bind('new', user('visitor'), 'payments/checkout')]],
  ['letting the binding there is last longer', [bind('visitor', user('visitor'), 'payments', { expiresAt: '2099-01-01T00:00:01Z' })]],
  ['turning a binding to somebody else', [bind('insider', user('newcomer'), 'payments')]],
  ['a binding of a group with a new user in it', [bind('new', group('account.around_newcomer'), 'payments/checkout')]],
  ['a binding of a group that has the new user by a group of the call', [doc('UserGroup', 'around_nobody', { members: [group('around_newcomer')] }), bind('new', group('account.around_nobody'), 'payments')]],
  ['joining a group that is bound in it', [doc('UserGroup', 'bound', { members: [user('newcomer')] })]],
  ['putting a group with a new user into one that is bound', [doc('UserGroup', 'bound', { members: [group('around_insider'), group('around_newcomer')] })]],
  ['joining a group that comes to be around one that is bound, in one call', [doc('UserGroup', 'bound', { members: [group('made')] }), doc('UserGroup', 'made', { members: [user('newcomer')] })]],
  ['a user made and bound in one call', [bind('new', user('bob'), 'payments'), bob()]],
  ['enabling a user who is bound in it', [doc('User', 'sleeper', { email: 'sleeper@example.com' })]],
  ['giving the users of it a role one does not hold', [bind('new', group('all_org_users'), 'payments/checkout', {}, 'strong')]],
  ['giving everybody a role one does not hold', [bind('new', group('all_account_users'), undefined, {}, 'strong')]],
];

const taken: readonly [how: string, documents: readonly Document[]][] = [
  ['a binding in an organization whose users get what one holds', [bind('new', user('newcomer'), 'platform')]],
  ['a binding at the account, which makes nobody a user of an organization', [bind('new', user('newcomer'), undefined)]],
  ['a binding of somebody who is a user already', [bind('new', user('insider'), 'payments/checkout')]],
  ['a binding no longer than the one that made somebody a user', [bind('new', user('visitor'), 'payments/checkout', { expiresAt: '2099-01-01T00:00:00Z' })]],
  ['a disabled binding', [bind('new', user('newcomer'), 'payments', { disabled: true })]],
  ['a binding of a service account', [bind('new', robot, 'payments')]],
  ['a binding of a group without users', [bind('new', group('account.around_robot'), 'payments')]],
  ['a binding of a group of users who are users already', [bind('new', group('account.around_insider'), 'payments')]],
  ['a service account joining a group that is bound', [doc('UserGroup', 'bound', { members: [{ type: 'service_account', id: 'robot' }] })]],
  ['a user of it joining a group that is bound', [doc('UserGroup', 'bound', { members: [user('insider'), group('around_insider')] })]],
  ['a new user while everybody gets nothing', [bob()]],
  ['giving the users of it a role one holds', [bind('new', group('all_org_users'), 'payments/checkout')]],
];

describe('who does not hold what the users of a scope are given does not make a user of it', () => {
  for (const [how, documents] of refused) {
    test(how, async () => {
      problem(await tried(documents), 403, 'access.escalation');
    });
  }
});

describe('who makes nobody a user, or gives nothing by it, needs not hold what users are given', () => {
  for (const [how, documents] of taken) {
    test(how, async () => {
      const answer = await tried(documents);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
    });
  }

  test('an administrator of the account makes users of anything', async () => {
    for (const [how, documents] of refused) assert.equal((await tried(documents, server.adminToken)).status, 200, how);
  });

  test('`role.bind` excuses from holding the role, and not from what new users get beside it', async () => {
    const { token } = await makeUser(server, 'binder', [{ role: 'binder' }, { role: 'writer' }]);
    assert.equal((await tried([bind('new', user('insider'), 'payments')], token)).status, 200);
    problem(await tried([bind('new', user('newcomer'), 'payments')], token), 403, 'access.escalation');
  });

  test('who may explain is told what would be given', async () => {
    await server.apply([doc('Role', 'explainer', { level: 'account', permissions: ['access.explain'] }), bind('explains', user('manager'), undefined, {}, 'explainer')]);
    const { detail } = problem(await tried([bind('new', user('newcomer'), 'payments')]), 403, 'access.escalation');
    assert.match(detail!, /a user of `payments` gets role binding `payments\/users`/);
  });
});

describe('when everybody is given something', () => {
  let provisioner: string;
  before(async () => {
    await server.apply([bind('everybody', group('all_account_users'), undefined, {}, 'strong'), bind('provisioner', { type: 'service_account', id: 'robot' }, undefined, {}, 'writer')]);
    provisioner = (await makeToken(server, { type: 'service_account', path: 'robot' }, { mayAdminister: true })).token;
  });

  test('making a user gives it, which a service account does not hold by itself', async () => {
    problem(await tried([bob()], provisioner), 403, 'access.escalation');
  });

  test('a user does: it is one of everybody', async () => {
    assert.equal((await tried([bob()])).status, 200);
  });

  test('making one who is disabled does not give it, and enabling the user does', async () => {
    assert.equal((await tried([bob({ disabled: true })], provisioner)).status, 200);
    problem(await tried([doc('User', 'sleeper', { email: 'sleeper@example.com' })], provisioner), 403, 'access.escalation');
  });

  test('making a service account does not', async () => {
    assert.equal((await tried([doc('ServiceAccount', 'another', {})], provisioner)).status, 200);
  });

  test('a token made without mayAdminister makes no user', async () => {
    const { token } = await makeToken(server, { type: 'user', path: 'admin' });
    problem(await tried([bob()], token), 403, 'access.administer');
    assert.equal((await tried([bob({ disabled: true })], token)).status, 200);
  });
});

describe('what users are given follows who is one', () => {
  const may = async (who: string, permission: string): Promise<boolean> => {
    const answer = await server.call({ method: 'POST', path: `${server.api}/access:check`, body: { principal: `user:${who}`, permission, resource: 'payments/x' } });
    return (answer.body as { allowed: boolean }).allowed;
  };

  test('from the binding that makes somebody a user to the one that ends it, and the reason names the group', async () => {
    await server.apply([...userDocuments('guest'), doc('Secret', 'x', { type: 'text', value: 'correct horse battery' }, 'payments'), bind('everybody', group('all_account_users'), undefined)]);
    assert.equal(await may('guest', 'secret.access'), false);
    await server.apply([bind('guest', user('guest'), 'payments/checkout')]);
    assert.equal(await may('guest', 'secret.access'), true);
    const explained = await server.call({ method: 'POST', path: `${server.api}/access:explain`, body: { principal: 'user:guest', permission: 'secret.access', resource: 'payments/x' } });
    const { reasons } = explained.body as { reasons: readonly { binding: string; groupPath: readonly string[] }[] };
    assert.deepEqual(reasons.map(({ binding, groupPath }) => [binding, groupPath]), [['payments/users', ['all_org_users']]]);
    await server.apply([bind('guest', user('guest'), 'payments/checkout', { expiresAt: '2020-01-01T00:00:00Z' })]);
    assert.equal(await may('guest', 'secret.access'), false);
  });

  test('who can, what can and searches tell the same', async () => {
    const who = await server.call({ method: 'POST', path: `${server.api}/access:whoCan`, body: { permission: 'secret.access', resource: 'payments/x' } });
    const told = (who.body as { items: readonly { type: string; path: string }[] }).items.map(({ type, path }) => `${type}:${path}`);
    assert.deepEqual(told, ['user:admin', 'user:insider', 'user:visitor']);
    for (const name of ['insider', 'newcomer']) {
      const what = await server.call({ method: 'POST', path: `${server.api}/access:whatCan`, body: { principal: `user:${name}`, kind: 'secret' } });
      const { items } = what.body as { items: readonly { id: string; permissions: readonly string[] }[] };
      assert.deepEqual(items.filter(({ permissions }) => permissions.includes('secret.access')).map(({ id }) => id), name === 'insider' ? ['payments/x'] : []);
    }
    const search = await server.call({
      method: 'POST', path: `/accounts/${server.account.identifier}/access/v1/search/subject`,
      body: { subject: { type: 'user' }, action: { name: 'access' }, resource: { type: 'secret', id: 'payments/x' } },
    });
    assert.deepEqual((search.body as { results: readonly { id: string }[] }).results.map(({ id }) => id), ['admin', 'insider', 'visitor']);
  });
});
