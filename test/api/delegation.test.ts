/** Delegated administration: who administers one part of access does exactly that part, and gives what it holds and no more. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { collectionOf } from '#kernel/kind.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser, scopeApi } from './principals.ts';

let server: TestServer;

type Document = Readonly<Record<string, unknown>> & { readonly kind: string; readonly identifier: string };

interface Part {
  readonly kind: string;
  readonly noun: string;
  /** Something new, harmless to make. */
  readonly made: (identifier: string) => Document;
  /** Harmless changes of what is there, which nobody holds anything through. */
  readonly edited: (identifier: string) => Document;
}

const everything = 'all_resources_including_child_scopes';
const scope = 'payments';
const user = (id: string) => ({ type: 'user', id });

/** What the documentation lists, in its order. Users are of the account; everything else is tried in an org. */
const parts: readonly Part[] = [
  { kind: 'User', noun: 'user', made: (identifier) => ({ kind: 'User', identifier, spec: { email: `${identifier}@example.com` } }), edited: (identifier) => ({ kind: 'User', identifier, name: 'Changed', spec: { email: `${identifier}@example.com` } }) },
  { kind: 'UserGroup', noun: 'user_group', made: (identifier) => ({ kind: 'UserGroup', scope, identifier, spec: { members: [user('alice')] } }), edited: (identifier) => ({ kind: 'UserGroup', scope, identifier, spec: { members: [user('bob')] } }) },
  { kind: 'ServiceAccount', noun: 'service_account', made: (identifier) => ({ kind: 'ServiceAccount', scope, identifier, spec: {} }), edited: (identifier) => ({ kind: 'ServiceAccount', scope, identifier, spec: { disabled: true } }) },
  { kind: 'Role', noun: 'role', made: (identifier) => ({ kind: 'Role', scope, identifier, spec: { level: 'org', permissions: ['secret.access'] } }), edited: (identifier) => ({ kind: 'Role', scope, identifier, spec: { level: 'org', permissions: ['secret.edit'] } }) },
  { kind: 'ResourceGroup', noun: 'resource_group', made: (identifier) => ({ kind: 'ResourceGroup', scope, identifier, spec: { includeChildScopes: true, all: true } }), edited: (identifier) => ({ kind: 'ResourceGroup', scope, identifier, spec: { resources: [] } }) },
  {
    kind: 'RoleBinding', noun: 'role_binding',
    made: (identifier) => ({ kind: 'RoleBinding', scope, identifier, spec: { principal: user('alice'), role: 'account.held', resourceGroup: everything } }),
    edited: (identifier) => ({ kind: 'RoleBinding', scope, identifier, spec: { principal: user('bob'), role: 'account.held', resourceGroup: everything } }),
  },
];

/** What any administrator here holds besides its part, and so may give. */
const held = ['service.view'];
const tokens = new Map<string, string>();

before(async () => {
  server = await startTestServer();
  await server.apply([
    { kind: 'Organization', identifier: scope, spec: {} },
    ...['alice', 'bob'].map((identifier) => ({ kind: 'User', identifier, spec: { email: `${identifier}@example.com` } })),
    { kind: 'Role', identifier: 'held', spec: { level: 'account', permissions: held } },
    { kind: 'Role', identifier: 'strong', spec: { level: 'account', permissions: ['secret.access'] } },
    ...parts.map(({ noun }) => ({ kind: 'Role', identifier: `${noun}_administrator`, spec: { level: 'account', permissions: ['view', 'create', 'edit', 'delete'].map((verb) => `${noun}.${verb}`) } })),
    ...parts.map(({ made, noun }) => made(`there_${noun}`)),
    // What gives something that none of them holds.
    { kind: 'User', identifier: 'sleeper', spec: { email: 'sleeper@example.com', disabled: true } },
    { kind: 'ServiceAccount', scope, identifier: 'asleep', spec: { disabled: true } },
    { kind: 'UserGroup', scope, identifier: 'strong', spec: { members: [] } },
    { kind: 'UserGroup', scope, identifier: 'weak', spec: { members: [] } },
    { kind: 'Role', scope, identifier: 'bound', spec: { level: 'org', permissions: [] } },
    { kind: 'ResourceGroup', scope, identifier: 'bound', spec: { resources: [] } },
    ...[user('sleeper'), { type: 'service_account', id: 'asleep' }, { type: 'user_group', id: 'strong' }].map((principal, i) => (
      { kind: 'RoleBinding', scope, identifier: `strong_${i}`, spec: { principal, role: 'account.strong', resourceGroup: everything } })),
    { kind: 'RoleBinding', scope, identifier: 'weak', spec: { principal: { type: 'user_group', id: 'weak' }, role: 'account.held', resourceGroup: everything } },
    { kind: 'RoleBinding', scope, identifier: 'bound_role', spec: { principal: user('alice'), role: 'bound', resourceGroup: everything } },
    { kind: 'RoleBinding', scope, identifier: 'bound_group', spec: { principal: user('alice'), role: 'account.strong', resourceGroup: 'bound' } },
    { kind: 'RoleBinding', scope, identifier: 'asleep', spec: { principal: user('bob'), role: 'account.strong', resourceGroup: everything, disabled: true } },
  ]);
  for (const { noun } of parts) tokens.set(noun, (await makeUser(server, `${noun}_only`, [{ role: `${noun}_administrator` }, { role: 'held' }])).token);
  tokens.set('nothing', (await makeUser(server, 'nothing_only', [{ role: 'held' }])).token);
});

function save(document: Document, token: string): Promise<RemoteAnswer> {
  return server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: [document] }, token });
}

function at({ noun, kind }: Part, identifier?: string): string {
  return `${kind === 'User' ? server.api : scopeApi(server, scope)}/${collectionOf(noun)}${identifier === undefined ? '' : `/${identifier}`}`;
}

describe('the administrator of one part', () => {
  for (const own of parts) {
    for (const part of parts) {
      const is = own === part;
      test(`of ${own.noun} ${is ? 'views, makes, changes and deletes' : 'neither views nor makes, changes or deletes'} a ${part.noun}`, async () => {
        const token = tokens.get(own.noun)!;
        const [there, fresh] = [`there_${part.noun}`, `of_${own.noun}_${part.noun}`];
        const made = await save(part.made(fresh), token);
        const { kind: _kind, scope: _scope, identifier: _identifier, ...body } = part.edited(is ? fresh : there);
        const edited = await server.call({ method: 'PUT', path: at(part, is ? fresh : there), body, token });
        const applied = await save(part.edited(is ? fresh : there), token);
        const viewed = await server.call({ method: 'GET', path: at(part, is ? fresh : there), token });
        const listed = await server.call({ method: 'GET', path: at(part), token });
        const deleted = await server.call({ method: 'DELETE', path: at(part, is ? fresh : there), token });
        const statuses = [made, edited, applied, viewed, deleted].map(({ status }) => status);
        assert.deepEqual(statuses, is ? [200, 200, 200, 200, 204] : [404, 404, 404, 404, 404], JSON.stringify([made, edited, applied].map((answer) => answer.body)));
        const names = (listed.body as { items: { identifier: string }[] }).items.map(({ identifier }) => identifier);
        assert.equal(names.includes(there), is);
        assert.equal((await server.call({ method: 'GET', path: at(part, there) })).status, 200, 'what is not its own stays');
      });
    }
  }

  test('of nothing does nothing of it', async () => {
    for (const part of parts) assert.equal((await save(part.made(`of_nothing_${part.noun}`), tokens.get('nothing')!)).status, 404, part.noun);
  });

  test('in one org does nothing in another, nor at the account', async () => {
    await server.apply([{ kind: 'Organization', identifier: 'platform', spec: {} }]);
    for (const part of parts.filter(({ kind }) => kind !== 'User')) {
      const { token } = await makeUser(server, `${part.noun}_local`, [{ role: `account.${part.noun}_administrator`, scope }, { role: 'account.held', scope }]);
      assert.equal((await save(part.made(`local_${part.noun}`), token)).status, 200, part.noun);
      for (const other of ['platform', '/']) assert.equal((await save({ ...part.made(`local_${part.noun}_2`), scope: other }, token)).status, 404, `${part.noun} in ${other}`);
    }
  });
});

describe('and gives no more than it holds', () => {
  const binding = (identifier: string, role: string, more: object = {}) => ({ kind: 'RoleBinding', scope, identifier, spec: { principal: user('bob'), role, resourceGroup: everything, ...more } });
  const rows: readonly [who: string, does: string, document: Document, allowed: boolean][] = [
    ['user', 'disables somebody who holds more', { kind: 'User', identifier: 'sleeper', name: 'Still asleep', spec: { email: 'sleeper@example.com', disabled: true } }, true],
    ['user', 'wakes somebody who holds more', { kind: 'User', identifier: 'sleeper', spec: { email: 'sleeper@example.com' } }, false],
    ['user', 'takes over the address of an administrator', { kind: 'User', identifier: 'admin', spec: { email: 'mallory@example.com' } }, false],
    ['service_account', 'wakes one that holds more', { kind: 'ServiceAccount', scope, identifier: 'asleep', spec: {} }, false],
    ['user_group', 'adds to a group what the group gives and it holds', { kind: 'UserGroup', scope, identifier: 'weak', spec: { members: [user('bob')] } }, true],
    ['user_group', 'adds to a group that gives more', { kind: 'UserGroup', scope, identifier: 'strong', spec: { members: [user('bob')] } }, false],
    ['role', 'adds to a bound role what it holds where it is bound', { kind: 'Role', scope, identifier: 'bound', spec: { level: 'org', permissions: held } }, true],
    ['role', 'adds to a bound role what it does not hold', { kind: 'Role', scope, identifier: 'bound', spec: { level: 'org', permissions: ['secret.access'] } }, false],
    ['resource_group', 'widens one that a stronger role is bound through', { kind: 'ResourceGroup', scope, identifier: 'bound', spec: { resources: [{ type: 'secret' }] } }, false],
    ['role_binding', 'binds a role it holds', binding('new', 'account.held'), true],
    ['role_binding', 'binds a role it does not hold', binding('new', 'account.strong'), false],
    ['role_binding', 'wakes a binding of a stronger role', binding('asleep', 'account.strong'), false],
    ['role_binding', 'binds what it administers by', binding('new', 'account.role_binding_administrator'), true],
    ['role_binding', 'binds the administration of roles', binding('new', 'account.role_administrator'), false],
    ['role_binding', 'binds the admin of the org', binding('new', 'org_admin'), false],
  ];
  for (const [who, does, document, allowed] of rows) {
    test(`the administrator of ${who} ${allowed ? 'may' : 'may not'}: ${does}`, async () => {
      const answer = await save(document, tokens.get(who)!);
      if (allowed) assert.equal(answer.status, 200, JSON.stringify(answer.body));
      else problem(answer, 403, 'access.escalation');
    });
  }

  test('the administrator of bindings binds more by `role.bind`, at its scope', async () => {
    await server.apply([{ kind: 'Role', identifier: 'binder', spec: { level: 'account', permissions: ['role.bind'] } }]);
    const { token } = await makeUser(server, 'binder', [{ role: 'role_binding_administrator' }, { role: 'account.binder', scope }]);
    assert.equal((await save(binding('by_right', 'account.strong'), token)).status, 200);
    problem(await save({ ...binding('by_right', 'strong'), scope: '/' }, token), 403, 'access.escalation');
  });

  test('all of them together still hold nothing else', async () => {
    const { token } = await makeUser(server, 'all_of_them', [...parts.map(({ noun }) => ({ role: `${noun}_administrator` })), { role: 'held' }]);
    for (const [, , document, allowed] of rows.filter((row) => !row[3] && !JSON.stringify(row[2]).includes('role_administrator'))) {
      assert.equal(allowed, false);
      problem(await save(document, token), 403, 'access.escalation');
    }
    for (const permission of ['secret.access', 'connector.access', 'secret.view', 'organization.delete']) {
      const answer = await server.call({ method: 'POST', path: `${server.api}/access:check`, body: { permission, resource: permission.startsWith('organization') ? 'payments' : 'payments/x' }, token });
      assert.equal((answer.body as { allowed: boolean }).allowed, false, permission);
    }
  });
});
