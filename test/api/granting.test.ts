/** Attempts to get more than one holds (CONTRACTS §5), each over HTTP and each in vain. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import type { Made } from './principals.ts';
import { makeToken, makeUser, scopeApi, userDocuments } from './principals.ts';

let server: TestServer;
let manager: Made;

type Document = Record<string, unknown>;

const doc = (kind: string, identifier: string, spec: object, scope?: string, more: object = {}): Document => ({ kind, ...(scope === undefined ? {} : { scope }), identifier, ...more, spec });
const user = (id: string) => ({ type: 'user', id });
const group = (id: string) => ({ type: 'user_group', id });
const everything = 'all_resources_including_child_scopes';
const binding = (identifier: string, principal: object, role: string, resourceGroup = everything, scope?: string): Document =>
  doc('RoleBinding', identifier, { principal, role, resourceGroup }, scope);

/** May change everything access is made of, and holds none of what the bindings here give. */
const managed = ['role', 'role_binding', 'resource_group', 'user', 'service_account', 'user_group', 'organization', 'project', 'trusted_issuer', 'claim_mapping', 'connector', 'secret'];
const managerRole = doc('Role', 'manager', {
  level: 'account',
  permissions: [...managed.flatMap((kind) => ['view', 'create', 'edit', 'delete'].map((verb) => `${kind}.${verb}`)), 'runner.create', 'api_token.create', 'api_token.view', 'api_token.delete'],
});

const plainRole = (permissions: readonly string[]): Document => doc('Role', 'plain', { level: 'account', permissions });
const narrowGroup = (resources: readonly object[]): Document => doc('ResourceGroup', 'narrow', { resources }, 'payments');
const powerful = (members: readonly object[]): Document => doc('UserGroup', 'powerful', { members });
const inner = (members: readonly object[]): Document => doc('UserGroup', 'inner', { members });
const tagged = (tags: Record<string, string>): Document => doc('ServiceAccount', 'robot', {}, 'payments', { tags });
const issuer = (url: string): Document => doc('TrustedIssuer', 'corporate', { issuer: url, audiences: ['https://sallyport.example'], keys: { jwksUri: `${url}/jwks` }, algorithms: ['RS256'] });
const mapping = (role: string): Document => doc('ClaimMapping', 'robots', { issuer: 'corporate', when: [{ claim: '/sub', equals: 'x' }], grants: [{ role, scope: 'payments', resources: [{ type: 'secret' }] }] });

const world: readonly Document[] = [
  doc('Organization', 'payments', {}),
  doc('Organization', 'platform', {}),
  doc('Project', 'checkout', {}, 'payments'),
  managerRole,
  plainRole(['role.view']),
  doc('Role', 'reader', { level: 'account', permissions: ['secret.view'] }),
  doc('Role', 'impersonator', { level: 'account', permissions: ['service_account.impersonate'] }),
  doc('Role', 'binder', { level: 'account', permissions: ['role_binding.view', 'role_binding.create', 'role_binding.edit', 'role.bind'] }),
  ...userDocuments('victim', [{ role: 'reader' }]),
  doc('User', 'sleeper', { email: 'sleeper@example.com', disabled: true }),
  binding('sleeper', user('sleeper'), 'reader'),
  binding('off', user('manager'), 'reader'),
  binding('plain', user('manager'), 'plain'),
  inner([]),
  powerful([group('inner')]),
  binding('powerful', group('powerful'), 'reader'),
  narrowGroup([{ type: 'role' }]),
  binding('narrow', user('manager'), 'account.reader', 'narrow', 'payments'),
  tagged({ team: 'edge' }),
  doc('ResourceGroup', 'core', { includeChildScopes: true, resources: [{ type: 'service_account', where: { 'tags.team': { equals: 'core' } } }] }, 'payments'),
  binding('core', user('victim'), 'account.impersonator', 'core', 'payments'),
  doc('ResourceGroup', 'crew', { resources: [{ type: 'service_account', where: { 'principal.tags.crew': { equals: 'red' } } }] }, 'payments'),
  binding('crew', user('manager'), 'account.impersonator', 'crew', 'payments'),
  doc('ResourceGroup', 'ship', { resources: [{ type: 'service_account', condition: 'principal.tags.ship == "blue"' }] }, 'payments'),
  binding('ship', user('manager'), 'account.impersonator', 'ship', 'payments'),
  doc('ResourceGroup', 'namesakes', { resources: [{ type: 'service_account', where: { 'tags.owner': { equalsPrincipal: 'tags.owner' } } }] }, 'payments'),
  binding('namesakes', user('manager'), 'account.impersonator', 'namesakes', 'payments'),
  issuer('https://corporate.example'),
  mapping('reader'),
  doc('ClaimMapping', 'harmless', { issuer: 'corporate', when: [{ claim: '/sub', equals: 'y' }], grants: [] }),
  doc('Secret', 'password', { type: 'text', value: 'correct horse battery' }, 'payments'),
];

before(async () => {
  server = await startTestServer();
  const off = world.map((document) => (document['identifier'] === 'off' ? { ...document, spec: { ...(document['spec'] as object), disabled: true } } : document));
  await server.apply([...userDocuments('manager', [{ role: 'manager' }]), ...off]);
  manager = await makeToken(server, { type: 'user', path: 'manager' }, { mayAdminister: true });
});

function apply(documents: readonly Document[], token: string): Promise<RemoteAnswer> {
  return server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents }, token });
}

async function revision(): Promise<number> {
  return (await server.sql<{ revision: number }>(`select revision from account where identifier = 'default'`))[0]!.revision;
}

async function holdsNothingMore(): Promise<void> {
  const read = await server.call({ method: 'GET', path: `${scopeApi(server, 'payments')}/role-bindings/core`, token: manager.token });
  assert.equal(read.status, 200);
  for (const permission of ['secret.access', 'secret.govern', 'service_account.impersonate']) {
    const answer = await server.call({ method: 'POST', path: `${server.api}/access:check`, body: { permission, resource: 'payments/password' }, token: manager.token });
    assert.equal((answer.body as { allowed: boolean }).allowed, false, permission);
  }
}

const escalations: readonly [how: string, documents: readonly Document[]][] = [
  ['binding oneself to a role one does not hold', [binding('new', user('manager'), 'account_admin')]],
  ['binding somebody else', [binding('new', user('victim'), 'org_admin', everything, 'platform')]],
  ['binding a group', [binding('new', group('inner'), 'impersonator')]],
  ['binding over more than one holds', [doc('ResourceGroup', 'all_of_it', { includeChildScopes: true, all: true }), binding('new', user('manager'), 'impersonator', 'all_of_it')]],
  ['enabling a binding', [binding('off', user('manager'), 'reader')].map((one) => ({ ...one, spec: { ...(one['spec'] as object), role: 'impersonator' } }))],
  ['turning a binding to oneself', [binding('core', user('manager'), 'account.impersonator', 'core', 'payments')]],
  ['turning a binding to a stronger role', [binding('plain', user('manager'), 'impersonator')]],
  ['adding a permission to a role that is bound', [plainRole(['role.view', 'secret.access'])]],
  ['widening a resource group that is bound', [narrowGroup([{ type: 'role' }, { type: 'service_account' }]), binding('narrow', user('manager'), 'account.impersonator', 'narrow', 'payments')]],
  ['taking a condition off a resource group', [doc('ResourceGroup', 'core', { includeChildScopes: true, resources: [{ type: 'service_account' }] }, 'payments')]],
  ['changing the e-mail address of somebody who holds more', [doc('User', 'admin', { email: 'mallory@example.com' })]],
  ['giving a thing a tag that a condition reads', [tagged({ team: 'core' })]],
  ['creating a thing with such a tag', [doc('ServiceAccount', 'robot_2', {}, 'payments', { tags: { team: 'core' } })]],
  ['giving oneself a tag that a condition reads of who asks', [doc('User', 'manager', { email: 'manager@example.com' }, undefined, { tags: { crew: 'red' } })]],
  ['giving oneself a tag that an expression reads of who asks', [doc('User', 'manager', { email: 'manager@example.com' }, undefined, { tags: { ship: 'blue' } })]],
  ['giving oneself a tag that a condition compares with', [doc('User', 'manager', { email: 'manager@example.com' }, undefined, { tags: { owner: 'core' } })]],
  ['making a scope, a role and a binding in one call', [
    binding('mine', user('manager'), 'own', everything, 'fresh'), doc('Role', 'own', { level: 'org', permissions: ['secret.access'] }, 'fresh'), doc('Organization', 'fresh', {}),
  ]],
  ['making a scope and becoming its admin in one call', [doc('Organization', 'fresh', {}), binding('mine', user('manager'), 'org_admin', everything, 'fresh')]],
  ['naming scopes that may use a connector', [doc('Connector', 'everywhere', { type: 'jwt', audiences: ['https://x.example'], usableFrom: ['payments/**'] })]],
  ['naming scopes that may use a secret', [doc('Secret', 'password', { type: 'text', value: 'correct horse battery', usableFrom: ['payments/checkout'] }, 'payments')]],
  ['a mapping that grants what one does not hold', [doc('ClaimMapping', 'new', { issuer: 'corporate', when: [{ claim: '/sub', equals: 'z' }], grants: [{ role: 'impersonator', scope: 'payments', resources: [{ type: 'service_account' }] }] })]],
  ['adding a grant to a mapping', [doc('ClaimMapping', 'harmless', { issuer: 'corporate', when: [{ claim: '/sub', equals: 'y' }], grants: [{ role: 'account_admin', scope: '/', resourceGroup: everything }] })]],
];

/** The manager may read secrets' names now, so these need a role it lacks: `reader` is within `manager`. */
const viaStrongerBindings: readonly [how: string, documents: readonly Document[]][] = [
  ['joining a group that grants', [powerful([group('inner'), user('manager')])]],
  ['joining a group inside it', [inner([user('manager')])]],
  ['putting a new group with oneself into it, in one call', [powerful([group('inner'), group('mine')]), doc('UserGroup', 'mine', { members: [user('manager')] })]],
  ['the same with the documents the other way round', [doc('UserGroup', 'mine', { members: [user('manager')] }), powerful([group('inner'), group('mine')])]],
  ['two groups deep', [doc('UserGroup', 'mine', { members: [group('deeper')] }), doc('UserGroup', 'deeper', { members: [user('manager')] }), inner([group('mine')])]],
  ['moving the group’s binding onto a group of one’s own', [doc('UserGroup', 'mine', { members: [user('manager')] }), binding('powerful', group('mine'), 'impersonator')]],
  ['enabling a user who holds more', [doc('User', 'sleeper', { email: 'sleeper@example.com' })]],
  ['changing the issuer of a mapping that grants more', [issuer('https://mallory.example')]],
  ['adding an issuer’s algorithm', [{ ...issuer('https://corporate.example'), spec: { ...(issuer('https://corporate.example')['spec'] as object), algorithms: ['RS256', 'ES256'] } }]],
];

describe('a manager of access who does not hold it is refused', () => {
  before(async () => {
    // From here on the group, the sleeper and the mapping hold what the manager does not.
    await server.apply([binding('powerful', group('powerful'), 'impersonator'), binding('sleeper', user('sleeper'), 'impersonator'), {
      ...mapping('impersonator'), spec: { ...(mapping('impersonator')['spec'] as object), grants: [{ role: 'impersonator', scope: 'payments', resources: [{ type: 'service_account' }] }] },
    }]);
  });

  for (const [how, documents] of [...escalations, ...viaStrongerBindings]) {
    test(how, async () => {
      const [since, at] = [await auditMark(server), await revision()];
      const answer = await apply(documents, manager.token);
      const { detail = '' } = problem(answer, 403, 'access.escalation');
      assert.equal(detail, '', 'bindings are named only to who may explain');
      assert.deepEqual(told(await since()).map(({ action, outcome, actor }) => ({ action, outcome, actor })), [{ action: 'manifest.apply', outcome: 'refused', actor: 'user:manager' }]);
      assert.equal(await revision(), at, 'nothing of it is kept');
    });
  }

  test('making a token of somebody who holds more', async () => {
    for (const path of ['admin', 'sleeper']) {
      const answer = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { principal: { type: 'user', path }, name: 'mine now' }, token: manager.token });
      problem(answer, 403, 'access.escalation');
    }
    await makeUserToken('plain_user');
  });

  test('registering a runner, which sees the secrets of its scope', async () => {
    const answer = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/runner-registrations`, body: {}, token: manager.token });
    problem(answer, 403, 'access.escalation');
  });

  test('one step at a time as well as at once', async () => {
    await apply([doc('UserGroup', 'stepping', { members: [user('manager')] })], manager.token).then((answer) => assert.equal(answer.status, 200));
    problem(await apply([powerful([group('inner'), group('stepping')])], manager.token), 403, 'access.escalation');
    problem(await apply([binding('new', group('stepping'), 'impersonator')], manager.token), 403, 'access.escalation');
  });

  test('whatever was tried, nothing more is held', holdsNothingMore);

  test('who may explain is told what would be given', async () => {
    const explainer = doc('Role', 'explainer', { level: 'account', permissions: ['access.explain'] });
    await server.apply([explainer, binding('explains', user('manager'), 'explainer')]);
    const { detail } = problem(await apply([inner([user('manager')])], manager.token), 403, 'access.escalation');
    assert.match(detail!, /a new member gets role binding `powerful`/);
  });
});

async function makeUserToken(identifier: string): Promise<void> {
  await server.apply(userDocuments(identifier));
  const answer = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { principal: { type: 'user', path: identifier }, name: 'of one who holds nothing' }, token: manager.token });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
}

describe('what one holds may be given', () => {
  test('the admin of an org binds within it, and not beside or above it', async () => {
    const { token } = await makeUser(server, 'org_head', [{ role: 'org_admin', scope: 'payments' }]);
    assert.equal((await apply([binding('a', user('victim'), 'org_viewer', everything, 'payments')], token)).status, 200);
    assert.equal((await apply([binding('b', user('victim'), 'project_admin', everything, 'payments/checkout')], token)).status, 200);
    problem(await apply([binding('c', user('victim'), 'org_viewer', everything, 'platform')], token), 404, 'access.not_found');
    problem(await apply([binding('d', user('victim'), 'org_viewer', everything)], token), 404, 'access.not_found');
  });

  test('what is made in the call is held by the admin of its parent', async () => {
    const answer = await apply([
      doc('Organization', 'made', {}), doc('Role', 'own', { level: 'org', permissions: ['secret.access'] }, 'made'), binding('own', user('victim'), 'own', everything, 'made'),
    ], server.adminToken);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  });

  test('`role.bind` lets its holder bind a role at its scope without holding it, and nowhere else', async () => {
    const { token } = await makeUser(server, 'binder', [{ role: 'account.binder', scope: 'payments' }]);
    assert.equal((await apply([binding('bound', user('victim'), 'org_admin', everything, 'payments')], token)).status, 200);
    problem(await apply([binding('bound', user('victim'), 'org_admin', everything, 'platform')], token), 404, 'access.not_found');
  });
});

describe('a credential', () => {
  const change: readonly [what: string, documents: readonly Document[]][] = [
    ['a role', [doc('Role', 'by_token', { level: 'org', permissions: [] })]],
    ['a role binding', [binding('by_token', user('victim'), 'account_viewer')]],
    ['an issuer', [{ ...issuer('https://another.example'), identifier: 'another' }]],
    ['a claim mapping', [doc('ClaimMapping', 'by_token', { issuer: 'corporate', when: [{ claim: '/sub', equals: 'q' }], grants: [] })]],
  ];
  test('made without mayAdminister changes nothing of trust and access, even an admin’s', async () => {
    const { token } = await makeToken(server, { type: 'user', path: 'admin' });
    for (const [what, documents] of change) {
      const answer = await apply(documents, token);
      assert.equal(problem(answer, 403, 'access.administer').errors?.[0]?.document, 0, what);
    }
    assert.equal((await apply([doc('UserGroup', 'by_token', { members: [] })], token)).status, 200);
    const remove = await server.call({ method: 'DELETE', path: `${server.api}/roles/plain?cascade=true`, token });
    problem(remove, 403, 'access.administer');
  });

  test('made without mayAdminister makes none that has it', async () => {
    const { token } = await makeToken(server, { type: 'user', path: 'admin' });
    const make = (body: object) => server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { name: 'more', ...body }, token });
    problem(await make({ mayAdminister: true, ttl: '1h' }), 403, 'access.administer');
    assert.equal((await make({ ttl: '1h' })).status, 201);
  });

  test('that is narrowed gives no more than it has', async () => {
    const bounds = [{ permissions: 'all', scope: 'payments', includeChildScopes: true }];
    const { token } = await makeToken(server, { type: 'user', path: 'admin' }, { mayAdminister: true, bounds });
    assert.equal((await apply([binding('within', user('victim'), 'org_viewer', everything, 'payments')], token)).status, 200);
    problem(await apply([binding('beside', user('victim'), 'org_viewer', everything, 'platform')], token), 404, 'access.not_found');
    problem(await apply([binding('above', user('victim'), 'account_viewer', everything)], token), 404, 'access.not_found');
    const own = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { name: 'wider', ttl: '1h', bounds: [{ permissions: 'all' }] }, token });
    problem(own, 400, 'request.invalid');
    const others = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { name: 'other', ttl: '1h', principal: { type: 'user', path: 'manager' } }, token });
    problem(others, 404, 'access.not_found');
  });

  test('that is narrowed to some permissions cannot bind a role that has others', async () => {
    const bounds = [{ permissions: ['role_binding.view', 'role_binding.create', 'secret.view'], scope: '/', includeChildScopes: true }];
    const { token } = await makeToken(server, { type: 'user', path: 'admin' }, { mayAdminister: true, bounds });
    assert.equal((await apply([binding('narrow_reader', user('victim'), 'reader')], token)).status, 200);
    problem(await apply([binding('narrow_more', user('victim'), 'impersonator')], token), 403, 'access.escalation');
  });
});

describe('the last administrator', () => {
  let account: Awaited<ReturnType<TestServer['addAccount']>>;
  const adminBinding = (spec: object): Document => doc('RoleBinding', 'setup_admin_admin', { principal: user('admin'), role: 'account_admin', resourceGroup: everything, ...spec });
  const call = (method: string, path: string, body?: unknown) => server.call({ method, path: `${account.api}/${path}`, token: account.adminToken, ...(body === undefined ? {} : { body }) });
  const save = (...documents: Document[]) => call('POST', 'manifests:apply', { documents });

  before(async () => {
    account = await server.addAccount('lonely');
    assert.equal((await save(doc('UserGroup', 'admins', { members: [] }), doc('ServiceAccount', 'asleep', { disabled: true }), doc('Organization', 'somewhere', {}))).status, 200);
  });

  const removals: readonly [how: string, ask: () => Promise<RemoteAnswer>][] = [
    ['by deleting the binding', () => call('DELETE', 'role-bindings/setup_admin_admin')],
    ['by disabling the binding', () => save(adminBinding({ disabled: true }))],
    ['by letting it expire', () => save(adminBinding({ expiresAt: '2020-01-01T00:00:00Z' }))],
    ['by letting it expire later', () => save(adminBinding({ expiresAt: '2099-01-01T00:00:00Z' }))],
    ['by leaving one whose binding ends', () => save(adminBinding({ disabled: true }), ...userDocuments('brief', []), doc('RoleBinding', 'brief', { principal: user('brief'), role: 'account_admin', resourceGroup: everything, expiresAt: '2099-01-01T00:00:00Z' }))],
    ['by binding another role', () => save(adminBinding({ role: 'account_viewer' }))],
    ['by binding over less', () => save(adminBinding({ resourceGroup: 'all_account_level_resources' }))],
    ['by binding an empty group instead', () => save(adminBinding({ principal: group('admins') }))],
    ['by binding somebody disabled instead', () => save(adminBinding({ principal: { type: 'service_account', id: 'asleep' } }))],
    ['by disabling the user', () => save(doc('User', 'admin', { email: 'admin@example.com', disabled: true }))],
    ['by deleting the user', () => call('DELETE', 'users/admin?cascade=true')],
    ['in a call that also makes one who is disabled', () => save(adminBinding({ disabled: true }), doc('User', 'other', { email: 'o@example.com', disabled: true }), binding('other', user('other'), 'account_admin'))],
  ];
  for (const [how, ask] of removals) {
    test(`cannot be removed ${how}`, async () => {
      problem(await ask(), 409, 'access.last_admin');
    });
  }

  test('may go when somebody else is one, also through a group', async () => {
    const answer = await save(adminBinding({ principal: group('admins') }), doc('UserGroup', 'admins', { members: [group('inner_admins')] }), doc('UserGroup', 'inner_admins', { members: [user('admin')] }));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    problem(await save(doc('UserGroup', 'inner_admins', { members: [] })), 409, 'access.last_admin');
    problem(await call('DELETE', 'user-groups/inner_admins?cascade=true'), 409, 'access.last_admin');
  });

  test('is one of two who remove each other through two nodes', async () => {
    const other = await startTestServer({ beside: server });
    const api = account.api;
    assert.equal((await save(adminBinding({}), ...userDocuments('second', []))).status, 200);
    const second = await server.call({ method: 'POST', path: `${api}/api-tokens`, token: account.adminToken, body: { principal: { type: 'user', path: 'second' }, name: 'second', mayAdminister: true, ttl: '1d' } });
    const secondToken = (second.body as { token: string }).token;
    for (let round = 0; round < 5; round++) {
      // Whoever is left lets the other in again.
      const restore = [adminBinding({}), binding('second', user('second'), 'account_admin')];
      const answers = await Promise.all([account.adminToken, secondToken].map((token) => server.call({ method: 'POST', path: `${api}/manifests:apply`, token, body: { documents: restore } })));
      assert.ok(answers.some((answer) => answer.status === 200), JSON.stringify(answers.map((answer) => answer.body)));
      const at = String((answers.find((answer) => answer.status === 200)!.body as { revision: number }).revision);
      const remove = (node: TestServer, token: string, name: string) =>
        node.call({ method: 'DELETE', path: `${api}/role-bindings/${name}`, token, headers: { 'sallyport-min-revision': at } });
      const [first, last] = await Promise.all([remove(server, account.adminToken, 'second'), remove(other, secondToken, 'setup_admin_admin')]);
      assert.deepEqual([first!.status, last!.status].filter((status) => status === 204).length, 1, JSON.stringify([first, last]));
    }
  });
});
