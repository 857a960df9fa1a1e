/** Why: what allowed, what was missing, and the smallest grant that would help; a thousand checks at once. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import type { Made } from './principals.ts';
import { makeUser } from './principals.ts';

interface Explained {
  readonly allowed: boolean;
  readonly reasons: readonly { readonly code: string; readonly binding?: string; readonly condition?: string }[];
  readonly bindings: readonly { readonly binding: string; readonly groupPath: readonly string[] }[];
  readonly grant: { readonly summary: string; readonly documents: readonly Record<string, unknown>[] } | null;
  readonly correlationId: string;
}

let server: TestServer;
let alice: Made;
let helper: Made;

const everything = 'all_resources_including_child_scopes';

before(async () => {
  server = await startTestServer();
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'refunds', spec: {} },
    { kind: 'Service', scope: 'payments/checkout', identifier: 'web', tags: { tier: 'front' }, spec: {} },
    { kind: 'Service', scope: 'payments/checkout', identifier: 'api', tags: { tier: 'back' }, spec: {} },
    { kind: 'Role', identifier: 'service_editor', spec: { level: 'account', permissions: ['service.view', 'service.edit'] } },
    { kind: 'Role', identifier: 'helper', spec: { level: 'account', permissions: ['access.check'] } },
    { kind: 'ResourceGroup', scope: 'payments', identifier: 'front', spec: { includeChildScopes: true, resources: [{ type: 'service', where: { 'tags.tier': { equals: 'front' } } }] } },
    { kind: 'ServiceAccount', scope: 'payments/refunds', identifier: 'robot', spec: {} },
    { kind: 'ResourceType', identifier: 'todo', spec: { external: true, levels: ['org'], verbs: ['view', 'edit'], attributes: { owner: 'string' } } },
    { kind: 'ExternalResource', scope: 'payments', identifier: 'todo_1', spec: { type: 'todo', id: 'list/1', attributes: { owner: 'bob' } } },
    { kind: 'ResourceGroup', scope: 'payments', identifier: 'todos_of_alice', spec: { resources: [{ type: 'todo', where: { owner: { equals: 'alice' } } }] } },
    { kind: 'Role', identifier: 'todo_editor', spec: { level: 'account', permissions: ['todo.edit'] } },
  ]);
  alice = await makeUser(server, 'alice');
  helper = await makeUser(server, 'helper', [{ role: 'helper' }]);
  await server.apply([
    { kind: 'UserGroup', identifier: 'fronters', spec: { members: [{ type: 'user', id: 'alice' }] } },
    { kind: 'RoleBinding', scope: 'payments', identifier: 'fronters', spec: { principal: { type: 'user_group', id: 'account.fronters' }, role: 'account.service_editor', resourceGroup: 'front' } },
    { kind: 'RoleBinding', scope: 'payments', identifier: 'todos', spec: { principal: { type: 'user', id: 'alice' }, role: 'account.todo_editor', resourceGroup: 'todos_of_alice' } },
  ]);
});

const ask = (body: object, token?: string) => server.call({ method: 'POST', path: `${server.api}/access:explain`, body, ...(token === undefined ? {} : { token }) });

async function explained(body: object, token?: string): Promise<Explained> {
  const answer = await ask(body, token);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Explained;
}

const question = (permission: string, resource: unknown, principal = 'user:alice') => ({ principal, permission, resource });

describe('why', () => {
  test('names the binding that allowed, and the group on the way', async () => {
    const { allowed, reasons, bindings } = await explained(question('service.edit', 'payments/checkout/web'));
    assert.equal(allowed, true);
    assert.deepEqual(reasons[0], { code: 'allowed', binding: 'payments/fronters', groupPath: ['fronters'], role: 'service_editor', resourceGroup: 'payments/front' });
    assert.ok(bindings.some(({ binding, groupPath }) => binding === 'payments/fronters' && groupPath[0] === 'fronters'));
  });

  test('names the one thing the nearest binding lacked', async () => {
    const { allowed, reasons } = await explained(question('service.edit', 'payments/checkout/api'));
    assert.equal(allowed, false);
    assert.deepEqual([reasons[0]?.code, reasons[0]?.binding, reasons[0]?.condition], ['condition_not_met', 'payments/fronters', 'tags.tier']);
  });

  for (const [guarantee, permission, resource] of [
    ['a document', 'service.edit', 'payments/checkout/api'],
    ['a scope in itself', 'project.edit', 'payments/checkout'],
    ['what has no documents', 'audit.view', 'payments/checkout'],
    ['a resource of another system', 'todo.edit', { scope: 'payments', identifier: 'list/1' }],
  ] as const) {
    test(`tells a grant that helps, and no more than that: ${guarantee}`, async () => {
      const { grant } = await explained(question(permission, resource));
      assert.ok(grant !== null && grant.documents.length > 0);
      const plan = await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: grant.documents } });
      assert.equal(plan.status, 200, JSON.stringify(plan.body));
      assert.equal((await explained(question(permission, resource))).allowed, true);
      for (const { kind, scope, identifier } of grant.documents.toReversed() as { kind: string; scope: string; identifier: string }[]) {
        const [org, project] = scope.split('/');
        const collection = { Role: 'roles', ResourceGroup: 'resource-groups', RoleBinding: 'role-bindings' }[kind];
        const path = `${server.api}/orgs/${org}${project === undefined ? '' : `/projects/${project}`}/${collection}/${identifier}`;
        assert.equal((await server.call({ method: 'DELETE', path })).status, 204);
      }
      assert.equal((await explained(question(permission, resource))).allowed, false);
    });
  }

  test('tells to enable what is disabled rather than to grant anew', async () => {
    const binding = { principal: { type: 'user', id: 'alice' }, role: 'account_viewer', resourceGroup: everything, disabled: true };
    await server.apply([{ kind: 'RoleBinding', identifier: 'asleep', spec: binding }]);
    const { reasons, grant } = await explained(question('organization.view', 'payments'));
    assert.deepEqual([reasons[0]?.code, grant], ['binding_disabled', { summary: 'enable the role binding `asleep`', documents: [] }]);
  });

  test('tells no grant where none can help', async () => {
    for (const body of [
      question('service.edit', 'payments/checkout/web', 'service_account:payments/refunds/robot'),
      question('service.edit', 'payments/checkout/web', 'user:nobody'),
      question('service.shout', 'payments/checkout/web'),
    ]) {
      const { allowed, grant } = await explained(body);
      assert.deepEqual([allowed, grant], [false, null], JSON.stringify(body));
    }
  });
});

describe('about oneself', () => {
  test('anybody learns the decision, the own bindings and an id for the administrator, and no near misses', async () => {
    const own = { permission: 'service.edit', resource: 'payments/checkout/api' };
    const { allowed, reasons, bindings, grant, correlationId } = await explained(own, alice.token);
    assert.deepEqual([allowed, reasons, grant], [false, [], null]);
    assert.ok(bindings.some(({ binding }) => binding === 'payments/fronters'));
    const listed = await server.call({ method: 'GET', path: `${server.api}/audit?requestId=${correlationId}` });
    const { items } = listed.body as { items: { action: string; detail: unknown; actor: { path: string } }[] };
    assert.deepEqual(items.map(({ action, actor }) => [action, actor.path]), [['access.explain', 'alice']]);
  });
});

describe('about others', () => {
  test('who may check learns the answer and not the reasons', async () => {
    const { allowed, reasons, bindings, grant } = await explained(question('service.edit', 'payments/checkout/api'), helper.token);
    assert.deepEqual([allowed, reasons, bindings, grant], [false, [], [], null]);
  });

  test('who may not is told nothing, whether somebody is there or not', async () => {
    const answers = await Promise.all(['user:admin', 'user:nobody'].map((who) => ask(question('service.edit', 'payments/checkout/api', who), alice.token)));
    for (const answer of answers) problem(answer, 404, 'access.not_found');
  });
});

describe('many checks', () => {
  const many = (body: object, token?: string) => server.call({ method: 'POST', path: `${server.api}/access:checkMany`, body, ...(token === undefined ? {} : { token }) });
  const web = { permission: 'service.edit', resource: 'payments/checkout/web' };
  const api = { permission: 'service.edit', resource: 'payments/checkout/api' };

  for (const [semantic, checks, expected] of [
    ['all', [web, api, web], [true, false, true]],
    ['deny_on_first', [web, api, web], [true, false]],
    ['permit_on_first', [api, web, api], [false, true]],
    ['permit_on_first', [api, api], [false, false]],
  ] as const) {
    test(`${semantic} answers ${expected.join(', ')}`, async () => {
      const answer = await many({ principal: 'user:alice', checks, semantic });
      assert.deepEqual((answer.body as { results: { allowed: boolean }[] }).results.map(({ allowed }) => allowed), expected);
    });
  }

  test('a thousand are answered, one more is refused', async () => {
    const thousand = await many({ principal: 'user:alice', checks: Array.from({ length: 1_000 }, () => web) });
    assert.equal((thousand.body as { results: unknown[] }).results.length, 1_000);
    problem(await many({ checks: Array.from({ length: 1_001 }, () => web) }), 400, 'request.invalid');
  });

  test('one scope where the caller may not ask refuses all of them', async () => {
    problem(await many({ principal: 'user:admin', checks: [web, { permission: 'organization.view', resource: 'payments' }] }, alice.token), 404, 'access.not_found');
  });
});

describe('a resource of another system', () => {
  test('what is stored wins over what the caller says of it', async () => {
    const lie = { scope: 'payments', identifier: 'list/1', attributes: { owner: 'alice' } };
    assert.equal((await explained(question('todo.edit', lie))).allowed, false);
  });

  test('what is not registered is as the caller says', async () => {
    for (const [owner, allowed] of [['alice', true], ['bob', false]] as const) {
      assert.equal((await explained(question('todo.edit', { scope: 'payments', identifier: 'list/2', attributes: { owner } }))).allowed, allowed);
    }
  });
});

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

async function all<T>(path: string, body: object, { limit = 200, token }: { limit?: number; token?: string } = {}): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const answer = await server.call({ method: 'POST', path: `${server.api}/access:${path}`, body: { ...body, limit, ...(cursor === undefined ? {} : { cursor }) }, ...(token === undefined ? {} : { token }) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const page = answer.body as Page<T>;
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

describe('who can', () => {
  const who = async (permission: string, resource: unknown, limit = 200) =>
    (await all<{ type: string; path: string; reasons?: { binding?: string }[]; when?: unknown }>('whoCan', { permission, resource }, { limit }));

  test('names people by the binding that allows, through groups too, and nobody else', async () => {
    const found = await who('service.edit', 'payments/checkout/web');
    assert.deepEqual(found.map(({ type, path }) => [type, path]), [['user', 'admin'], ['user', 'alice']]);
    assert.equal(found[1]?.reasons?.[0]?.binding, 'payments/fronters');
    assert.deepEqual((await who('service.edit', 'payments/checkout/api')).map(({ path }) => path), ['admin']);
  });

  test('is complete page by page, whatever the size of the pages', async () => {
    const whole = await who('todo.edit', { scope: 'payments', identifier: 'new', attributes: { owner: 'alice' } });
    for (const limit of [1, 2, 3]) assert.deepEqual(await who('todo.edit', { scope: 'payments', identifier: 'new', attributes: { owner: 'alice' } }, limit), whole);
  });

  test('leaves out who is disabled, and whose binding is over', async () => {
    await server.apply([
      { kind: 'User', identifier: 'sleeper', spec: { email: 'sleeper@example.com', disabled: true } },
      { kind: 'User', identifier: 'late', spec: { email: 'late@example.com' } },
      ...['sleeper', 'late'].map((id) => ({
        kind: 'RoleBinding', identifier: `of_${id}`,
        spec: { principal: { type: 'user', id }, role: 'service_editor', resourceGroup: everything, ...(id === 'late' ? { expiresAt: new Date(server.clock.now().getTime() + 60_000).toISOString() } : {}) },
      })),
    ]);
    assert.deepEqual((await who('service.edit', 'payments/checkout/api')).map(({ path }) => path), ['admin', 'late']);
    server.clock.advance(60_000);
    assert.deepEqual((await who('service.edit', 'payments/checkout/api')).map(({ path }) => path), ['admin']);
  });

  test('tells of workloads that could come, with the claims they would need', async () => {
    await server.apply([
      { kind: 'TrustedIssuer', identifier: 'corporate', spec: { issuer: 'https://as.example', audiences: ['https://sallyport.example'], keys: { jwksUri: 'https://as.example/jwks' }, algorithms: ['RS256'] } },
      { kind: 'ClaimMapping', identifier: 'robots', spec: { issuer: 'corporate', when: [{ claim: '/client_id', equals: 'robot' }], grants: [{ role: 'service_editor', scope: 'payments/checkout', resources: [{ type: 'service', where: { 'tags.tier': { equalsClaim: '/tier' } } }] }] } },
    ]);
    const workloads = (await who('service.edit', 'payments/checkout/web')).filter(({ type }) => type === 'workload');
    assert.deepEqual(workloads, [{ type: 'workload', path: 'robots', issuer: 'corporate', when: [{ claim: '/client_id', equals: 'robot' }] }]);
    assert.deepEqual((await who('service.edit', 'payments/checkout')).filter(({ type }) => type === 'workload'), []);
  });

  test('is for those who may explain', async () => {
    for (const token of [alice.token, helper.token]) {
      problem(await server.call({ method: 'POST', path: `${server.api}/access:whoCan`, body: { permission: 'service.edit', resource: 'payments/checkout/web' }, token }), 404, 'access.not_found');
    }
  });
});

describe('what can', () => {
  interface Thing {
    readonly kind: string;
    readonly id: string;
    readonly permissions: readonly string[];
  }

  test('tells all that somebody may do, and the same in pages of any size', async () => {
    const whole = await all<Thing>('whatCan', { principal: 'user:alice' });
    const told = whole.map(({ kind, id, permissions }) => `${kind} ${id} ${permissions.join()}`);
    assert.deepEqual(told, ['service payments/checkout/web service.view,service.edit']);
    for (const limit of [1, 2]) assert.deepEqual(await all<Thing>('whatCan', { principal: 'user:alice' }, { limit }), whole);
  });

  test('of an administrator is everything, each with what a check allows', async () => {
    const whole = await all<Thing>('whatCan', { principal: 'user:admin' }, { limit: 7 });
    assert.equal(new Set(whole.map(({ kind, id }) => `${kind} ${id}`)).size, whole.length);
    for (const expected of ['account /', 'organization payments', 'project payments/checkout', 'service payments/checkout/api', 'audit payments', 'todo list/1', 'external_resource payments/todo_1']) {
      assert.ok(whole.some(({ kind, id }) => `${kind} ${id}` === expected), expected);
    }
  });

  test('keeps to a scope and a kind', async () => {
    const told = await all<Thing>('whatCan', { principal: 'user:admin', scope: 'payments/checkout', kind: 'service' });
    assert.deepEqual(told.map(({ id }) => id), ['payments/checkout/api', 'payments/checkout/web']);
  });

  test('about oneself anybody may ask, about others those who may explain', async () => {
    assert.equal((await all<Thing>('whatCan', {}, { token: alice.token })).length, 1);
    problem(await server.call({ method: 'POST', path: `${server.api}/access:whatCan`, body: { principal: 'user:admin' }, token: alice.token }), 404, 'access.not_found');
  });

  test('a cursor of another question is refused', async () => {
    const first = await server.call({ method: 'POST', path: `${server.api}/access:whatCan`, body: { principal: 'user:admin', limit: 1 } });
    const { next } = first.body as Page<Thing>;
    problem(await server.call({ method: 'POST', path: `${server.api}/access:whatCan`, body: { principal: 'user:alice', cursor: next } }), 400, 'request.invalid');
  });
});
