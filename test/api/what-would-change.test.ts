/** Who gains and who loses what if documents were applied: told to those who may explain, applying nothing. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import type { Made } from './principals.ts';
import { makeUser } from './principals.ts';

type Document = Record<string, unknown>;

interface Resource {
  readonly kind: string;
  readonly id: string;
  readonly scope: string;
  readonly permissions: readonly string[];
}

interface Item {
  readonly type: string;
  readonly path: string;
  readonly gains: readonly Resource[];
  readonly loses: readonly Resource[];
  readonly conditionChanged?: { readonly before: Document; readonly after: Document };
  readonly issuerChanged?: true;
}

interface Page {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly revision: number;
}

let server: TestServer;
let reviewer: Made;

const doc = (kind: string, identifier: string, spec: object, scope?: string, more: object = {}): Document => ({ kind, ...(scope === undefined ? {} : { scope }), identifier, ...more, spec });
const bind = (identifier: string, principal: object, role: string, resourceGroup: string, more: object = {}): Document =>
  doc('RoleBinding', identifier, { principal, role: `account.${role}`, resourceGroup, ...more }, 'payments');
const alice = { type: 'user', id: 'alice' };
const bob = { type: 'user', id: 'bob' };
const team = { type: 'user_group', id: 'account.team' };
const inCheckout = { scopes: [{ scope: 'payments/checkout' }] };
const service = (identifier: string, tier: string, scope = 'payments/checkout'): Document => doc('Service', identifier, {}, scope, { tags: { tier } });
const mapping = (when: string, more: object = {}, tier: object = { equals: 'front' }): Document => doc('ClaimMapping', 'robots', {
  issuer: 'corporate', when: [{ claim: '/client_id', equals: when }],
  grants: [{ role: 'looker', scope: 'payments/checkout', resources: [{ type: 'service', where: { 'tags.tier': tier } }] }], ...more,
});
const issuer = (url: string): Document => doc('TrustedIssuer', 'corporate', { issuer: url, audiences: ['https://sallyport.example'], keys: { jwksUri: `${url}/jwks` }, algorithms: ['RS256'] });

const world: readonly Document[] = [
  doc('Organization', 'payments', {}),
  ...['checkout', 'refunds'].map((identifier) => doc('Project', identifier, {}, 'payments')),
  service('web', 'front'), service('api', 'back'), service('ledger', 'back', 'payments/refunds'),
  ...['alice', 'bob', 'carol'].map((identifier) => doc('User', identifier, { email: `${identifier}@example.com` })),
  doc('ServiceAccount', 'ci', {}, 'payments'),
  doc('UserGroup', 'team', { members: [alice, { type: 'user_group', id: 'inner' }] }),
  doc('UserGroup', 'inner', { members: [] }),
  doc('Role', 'editor', { level: 'account', permissions: ['service.view', 'service.edit'] }),
  doc('Role', 'looker', { level: 'account', permissions: ['service.view'] }),
  doc('ResourceGroup', 'front', { includeChildScopes: true, resources: [{ type: 'service', where: { 'tags.tier': { equals: 'front' } } }] }, 'payments'),
  doc('ResourceGroup', 'of_checkout', { ...inCheckout, resources: [{ type: 'service' }] }, 'payments'),
  bind('team', team, 'editor', 'front'),
  bind('bob', bob, 'looker', 'of_checkout'),
  issuer('https://as.example'),
  mapping('robot'),
  doc('ClaimMapping', 'by_tier', {
    issuer: 'corporate', when: [{ claim: '/client_id', equals: 'recovery' }],
    grants: [{ role: 'looker', scope: 'payments/checkout', resources: [{ type: 'service', where: { 'tags.tier': { equalsClaim: '/tier' } } }] }],
  }),
];

const pruned = [bind('ci', { type: 'service_account', id: 'ci' }, 'looker', 'of_checkout'), doc('Role', 'kept', { level: 'account', permissions: [] })];

before(async () => {
  server = await startTestServer();
  await server.apply(world);
  const { status, body } = await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: pruned, set: 'robots' } });
  assert.equal(status, 200, JSON.stringify(body));
  const kinds = ['user', 'user_group', 'service_account', 'role', 'role_binding', 'resource_group', 'organization', 'project', 'service', 'claim_mapping', 'trusted_issuer'];
  await server.apply([
    doc('Role', 'reviewer', { level: 'account', permissions: ['access.explain', ...kinds.map((kind) => `${kind}.view`)] }),
    doc('Role', 'explainer', { level: 'account', permissions: ['access.explain', 'role_binding.view'] }),
  ]);
  reviewer = await makeUser(server, 'reviewer', [{ role: 'reviewer' }]);
});

const ask = (body: object, token = reviewer.token): Promise<RemoteAnswer> => server.call({ method: 'POST', path: `${server.api}/access:whatWouldChange`, body, token });

async function pages(body: object, limit = 200): Promise<Page[]> {
  const all: Page[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const answer = await ask({ ...body, limit, ...(cursor === undefined ? {} : { cursor }) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const page = answer.body as Page;
    all.push(page);
    cursor = page.next;
  }
  return all;
}

function linesOf(items: readonly Item[]): string[] {
  return items.flatMap(({ type, path, gains, loses }) => [['+', gains] as const, ['-', loses] as const].flatMap(([sign, all]) => (
    all.map(({ id, permissions }) => `${type}:${path} ${sign} ${permissions.join()} ${id}`)
  )));
}

/** What changes for others than those who may do or view everything. */
async function told(documents: readonly Document[], more: object = {}): Promise<string[]> {
  return linesOf(othersIn(await pages({ documents, ...more })));
}

function othersIn(found: readonly Page[]): Item[] {
  return found.flatMap(({ items }) => items).filter(({ path }) => path !== 'admin' && path !== 'reviewer');
}

const both = 'service.view,service.edit';

describe('tells of', () => {
  const rows: readonly (readonly [guarantee: string, documents: readonly Document[], lines: readonly string[]])[] = [
    ['a role that holds more, to whom it is bound through a group', [doc('Role', 'editor', { level: 'account', permissions: ['service.view', 'service.edit', 'service.delete'] })], ['user:alice + service.delete payments/checkout/web']],
    ['a role that holds less', [doc('Role', 'editor', { level: 'account', permissions: ['service.view'] })], ['user:alice - service.edit payments/checkout/web']],
    ['a binding that is added, and only what it adds', [bind('more', alice, 'looker', 'of_checkout')], ['user:alice + service.view payments/checkout/api']],
    ['a binding that is disabled', [bind('bob', bob, 'looker', 'of_checkout', { disabled: true })], ['user:bob - service.view payments/checkout/api', 'user:bob - service.view payments/checkout/web']],
    ['a binding that has expired', [bind('bob', bob, 'looker', 'of_checkout', { expiresAt: '2020-01-01T00:00:00Z' })], ['user:bob - service.view payments/checkout/api', 'user:bob - service.view payments/checkout/web']],
    ['a binding of another role, both ways', [bind('bob', bob, 'editor', 'front')], ['user:bob + service.edit payments/checkout/web', 'user:bob - service.view payments/checkout/api']],
    ['a member that comes through a nested group', [doc('UserGroup', 'inner', { members: [{ type: 'user', id: 'carol' }] })], [`user:carol + ${both} payments/checkout/web`]],
    ['a member that goes, unless it stays by another way', [doc('UserGroup', 'team', { members: [{ type: 'user_group', id: 'inner' }] }), doc('UserGroup', 'inner', { members: [alice] })], []],
    ['a member that goes', [doc('UserGroup', 'team', { members: [] })], [`user:alice - ${both} payments/checkout/web`]],
    ['another extent of a resource group', [doc('ResourceGroup', 'of_checkout', { scopes: [{ scope: 'payments/refunds' }], resources: [{ type: 'service' }] }, 'payments')], ['service_account:payments/ci', 'user:bob'].flatMap((who) => [`${who} + service.view payments/refunds/ledger`, `${who} - service.view payments/checkout/api`, `${who} - service.view payments/checkout/web`])],
    ['a tag that conditions read, those of claims too: who brings the new value gains, who brings the old one loses', [service('api', 'front')], [
      `user:alice + ${both} payments/checkout/api`, 'workload:by_tier + service.view payments/checkout/api', 'workload:by_tier - service.view payments/checkout/api', 'workload:robots + service.view payments/checkout/api',
    ]],
    ['a user that is disabled', [doc('User', 'bob', { email: 'bob@example.com', disabled: true })], ['user:bob - service.view payments/checkout/api', 'user:bob - service.view payments/checkout/web']],
    ['a resource that is made', [service('new', 'back')], ['service_account:payments/ci + service.view payments/checkout/new', 'user:bob + service.view payments/checkout/new', 'workload:by_tier + service.view payments/checkout/new']],
    ['principals, roles and bindings that are all made together', [
      doc('User', 'dora', { email: 'dora@example.com' }), doc('Role', 'deleter', { level: 'account', permissions: ['service.delete'] }), bind('dora', { type: 'user', id: 'dora' }, 'deleter', 'front'),
    ], ['user:dora + service.delete payments/checkout/web']],
    ['a project that is made, with what lies in it', [doc('Project', 'fraud', {}, 'payments'), service('scan', 'front', 'payments/fraud')], [`user:alice + ${both} payments/fraud/scan`]],
    ['a mapping that reaches more', [mapping('robot', {}, { oneOf: ['front', 'back'] })], ['workload:robots + service.view payments/checkout/api']],
    ['nothing where names, descriptions and what is as it was come in', [doc('Role', 'editor', { level: 'account', permissions: ['service.view', 'service.edit'] }, undefined, { name: 'Editor', description: 'edits' }), bind('bob', bob, 'looker', 'of_checkout')], []],
    ['nothing where an end is set that has not come', [bind('bob', bob, 'looker', 'of_checkout', { expiresAt: '2099-01-01T00:00:00Z' })], []],
  ];
  for (const [guarantee, documents, lines] of rows) {
    test(guarantee, async () => assert.deepEqual(await told(documents), lines));
  }

  test('what a set leaves behind when it is pruned', async () => {
    assert.deepEqual(await told(pruned.slice(1), { set: 'robots', prune: true }), ['service_account:payments/ci - service.view payments/checkout/api', 'service_account:payments/ci - service.view payments/checkout/web']);
    assert.deepEqual(await told(pruned.slice(1), { set: 'robots' }), []);
  });

  test('an issuer that goes, and its mappings with it', async () => {
    const made = [{ ...issuer('https://other.example'), identifier: 'other' }, { ...mapping('x', { issuer: 'other' }), identifier: 'others' }];
    await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: made, set: 'others' } });
    assert.deepEqual(await told([doc('Role', 'kept_too', { level: 'account', permissions: [] })], { set: 'others', prune: true }), ['workload:others - service.view payments/checkout/web']);
  });

  test('everything an administrator gains in a new project, what has no documents too', async () => {
    const lines = linesOf((await pages({ documents: [doc('Project', 'fraud', {}, 'payments')] })).flatMap(({ items }) => items)).filter((line) => line.startsWith('user:admin '));
    assert.ok(lines.some((line) => /^user:admin \+ project\.view,.* payments\/fraud$/.test(line)));
    assert.ok(lines.some((line) => /^user:admin \+ audit\.view.* payments\/fraud$/.test(line)));
  });
});

describe('of workloads', () => {
  const itemFor = async (document: Document): Promise<Item | undefined> => (await pages({ documents: [document] })).flatMap(({ items }) => items).find(({ path }) => path === 'robots');

  for (const [guarantee, more, key, values] of [
    ['another value of a claim', mapping('automaton'), 'when', [[{ claim: '/client_id', equals: 'robot' }], [{ claim: '/client_id', equals: 'automaton' }]]],
    ['an expression', mapping('robot', { condition: 'claims.phase == "apply"' }), 'condition', [null, 'claims.phase == "apply"']],
    ['a token of single use', mapping('robot', { singleUse: true }), 'singleUse', [false, true]],
    ['an age of tokens', mapping('robot', { maxTokenAge: '5m' }), 'maxTokenAgeSeconds', [null, 300]],
    ['a proof of possession', mapping('robot', { proofOfPossession: true }), 'proofOfPossession', [false, true]],
    ['the right to administer', mapping('robot', { mayAdminister: true }), 'mayAdminister', [false, true]],
  ] as const) {
    test(`tells who can come, before and after, where only the condition is another: ${guarantee}`, async () => {
      const { gains, loses, conditionChanged } = (await itemFor(more))!;
      assert.deepEqual([gains, loses], [[], []]);
      assert.deepEqual([conditionChanged?.before[key], conditionChanged?.after[key]], values);
    });
  }

  test('tells that the issuer takes other tokens', async () => {
    const item = (await itemFor(issuer('https://new.example')))!;
    assert.deepEqual([item.issuerChanged, item.conditionChanged, item.gains, item.loses], [true, undefined, [], []]);
  });

  test('tells of scopes that are taken from a claim otherwise, though the same are reached', async () => {
    const from = (map: object): Document => doc('ClaimMapping', 'mapped', { issuer: 'corporate', when: [{ claim: '/client_id', equals: 'm' }], grants: [{ role: 'looker', scope: { from: '/project', map }, resources: [{ type: 'service' }] }] });
    await server.apply([from({ a: 'payments/checkout', b: 'payments/refunds' })]);
    const items = (await pages({ documents: [from({ b: 'payments/checkout', a: 'payments/refunds' })] })).flatMap((page) => page.items);
    assert.deepEqual(items.map(({ path, gains, loses, conditionChanged }) => [path, gains, loses, (conditionChanged?.after['grants'] as { scope: unknown }[] | undefined)?.map(({ scope }) => scope)]), [
      ['mapped', [], [], [{ from: '/project', map: { b: 'payments/checkout', a: 'payments/refunds' } }]],
    ]);
  });
});

test('a grant whose scope a claim comes to name is lost by some workloads, and one that needs no claim any more gained', async () => {
  const to = (scope: unknown): Document => doc('ClaimMapping', 'claimed', { issuer: 'corporate', when: [{ claim: '/client_id', equals: 'c' }], grants: [{ role: 'looker', scope, resources: [{ type: 'service' }] }] });
  const [fixed, named] = [to('payments/refunds'), to({ from: '/project', map: { a: 'payments/refunds' } })];
  for (const [from, into, sign] of [[fixed, named, '-'], [named, fixed, '+']] as const) {
    await server.apply([from]);
    assert.deepEqual((await told([into])).filter((line) => line.startsWith('workload:claimed')), [`workload:claimed ${sign} service.view payments/refunds/ledger`]);
  }
});

describe('pages', () => {
  const many = [doc('Role', 'editor', { level: 'account', permissions: ['service.view', 'service.delete'] }), bind('bob', bob, 'editor', 'of_checkout'), service('new', 'front')];

  test('of any size tell the same, each no more than its limit', async () => {
    const whole = linesOf((await pages({ documents: many })).flatMap(({ items }) => items)).toSorted();
    assert.ok(whole.length > 6);
    for (const limit of [1, 2, 5]) {
      const parts = await pages({ documents: many }, limit);
      for (const { items } of parts) assert.ok(new Set(items.flatMap(({ path, gains, loses }) => [...gains, ...loses].map(({ id }) => `${path} ${id}`))).size <= limit);
      assert.deepEqual(linesOf(parts.flatMap(({ items }) => items)).toSorted(), whole);
    }
  });

  test('belong to the caller and the documents', async () => {
    const { next } = (await ask({ documents: many, limit: 1 })).body as Page;
    problem(await ask({ documents: many.slice(1), limit: 1, cursor: next }), 400, 'request.invalid');
    problem(await ask({ documents: many, limit: 1, cursor: next }, server.adminToken), 400, 'request.invalid');
  });

  test('end when the account has changed, with the advice to ask again', async () => {
    const { next } = (await ask({ documents: many, limit: 1 })).body as Page;
    await server.apply([doc('Role', 'passing', { level: 'account', permissions: [] })]);
    assert.match(problem(await ask({ documents: many, limit: 1, cursor: next }), 409, 'resource.conflict').detail ?? '', /ask again from the start/);
  });

  test('are all of the time of the first: what expires between two of them is no change', async () => {
    const until = new Date(server.clock.now().getTime() + 60_000).toISOString();
    await server.apply([bind('soon_over', { type: 'user', id: 'carol' }, 'looker', 'of_checkout', { expiresAt: until })]);
    const documents = [bind('more', alice, 'looker', 'of_checkout'), doc('UserGroup', 'inner', { members: [{ type: 'user', id: 'carol' }] }), bind('soon_over', { type: 'user', id: 'carol' }, 'looker', 'of_checkout', { disabled: true })];
    const whole = await told(documents);
    const first = (await ask({ documents, limit: 1 })).body as Page;
    server.clock.advance(61_000);
    const second = (await ask({ documents, cursor: first.next! })).body as Page;
    assert.deepEqual(linesOf(othersIn([first, second])).toSorted(), whole.toSorted());
    assert.ok(whole.some((line) => line.startsWith('user:carol - service.view')));
  });
});

describe('refuses', () => {
  const harmless = [bind('more', alice, 'looker', 'of_checkout')];
  const faulty: readonly (readonly [guarantee: string, body: object])[] = [
    ['an unknown kind', { documents: [doc('Rule', 'x', {})] }],
    ['a spec that does not fit', { documents: [doc('Role', 'x', { level: 'planet', permissions: [] })] }],
    ['a reference that leads nowhere', { documents: [bind('x', { type: 'user', id: 'nobody' }, 'looker', 'of_checkout')] }],
    ['a scope that is not there', { documents: [doc('Role', 'x', { level: 'org', permissions: [] }, 'nowhere')] }],
    ['a resource named twice', { documents: [harmless[0]!, harmless[0]!] }],
    ['a built-in role', { documents: [doc('Role', 'account_admin', { level: 'account', permissions: [] })] }],
    ['pruning without a set', { documents: harmless, prune: true }],
    ['what leaves no administrator', { documents: [doc('User', 'admin', { email: 'admin@example.com', disabled: true })] }],
  ];
  for (const [guarantee, body] of faulty) {
    test(`as apply does: ${guarantee}`, async () => {
      const applied = await server.call({ method: 'POST', path: `${server.api}/manifests:plan`, body });
      assert.ok(applied.status >= 400 && applied.status < 500);
      assert.deepEqual(seen(await ask(body)), seen(applied));
    });
  }

  test('who may not explain, whatever it may apply', async () => {
    const { token } = await makeUser(server, 'applier', [{ role: 'account_viewer' }]);
    problem(await ask({ documents: harmless }, token), 404, 'access.not_found');
  });

  test('who may explain in a part of the account only, since the answer would lack the rest', async () => {
    const { token } = await makeUser(server, 'above', [{ role: 'reviewer', resourceGroup: 'all_account_level_resources' }]);
    assert.match(problem(await ask({ documents: harmless }, token), 403, 'access.denied').detail ?? '', /all_resources_including_child_scopes/);
  });

  test('documents of resources the caller may not view: with the same bytes, whether they are there or not', async () => {
    const { token } = await makeUser(server, 'explainer', [{ role: 'explainer' }]);
    const answers = await Promise.all(['editor', 'nothing'].map((name) => ask({ documents: [doc('Role', name, { level: 'account', permissions: [] })] }, token)));
    for (const answer of answers) problem(answer, 404, 'access.not_found');
    assert.deepEqual(seen(answers[0]!), seen(answers[1]!));
  });

  test('references to what the caller may not view: as to what is not there', async () => {
    const { token } = await makeUser(server, 'explainer_too', [{ role: 'explainer' }]);
    const probe = async (role: string) => JSON.stringify(problem(await ask({ documents: [bind('x', alice, role, 'of_checkout')] }, token), 400, 'request.invalid').errors).replaceAll(role, 'ROLE');
    assert.equal(await probe('editor'), await probe('nothing'));
  });

  test('to prune a set with something in it the caller may not view', async () => {
    const { token } = await makeUser(server, 'explainer_three', [{ role: 'explainer' }]);
    problem(await ask({ documents: [pruned[0]!], set: 'robots', prune: true }, token), 404, 'access.not_found');
  });
});

test('nothing is applied, and nothing but refusals is in the audit', async () => {
  const count = async () => (await server.sql<{ n: string }>('select (select count(*) from resource) || \' \' || (select revision from account where identifier = $1) as n', ['default']))[0]!.n;
  const before = await count();
  await pages({ documents: [service('new', 'back'), ...pruned.slice(1)], set: 'robots', prune: true });
  assert.equal(await count(), before);
});
