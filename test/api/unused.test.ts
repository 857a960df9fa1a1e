/** Which permissions nobody used: what counts as use, by whom, for how long, and who is told. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { announced } from '#features/access/announced.ts';
import { createUseRecorder, usageFeature } from '#features/usage/feature.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import type { BindingWish, Made } from './principals.ts';
import { makeToken, makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, pipeline, step } from './runs.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, only, startTrustWorld } from './trust-world.ts';

interface Item {
  readonly type: string;
  readonly path: string;
  readonly principal?: string;
  readonly role: string;
  readonly scope: string;
  readonly permissions: readonly { readonly permission: string; readonly lastUsed: string | null }[];
  readonly all: boolean;
  readonly youngerThan: boolean;
}

interface Page {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly observedSince: string;
  readonly observedDays: number;
}

const dayMs = 86_400_000;
const editing = ['service.view', 'service.create', 'service.edit', 'service.delete'];
let world: TrustWorld;
let server: TestServer;
let names = 0;

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  const role = (identifier: string, ...permissions: string[]) => ({ kind: 'Role', identifier, spec: { level: 'account', permissions } });
  await server.apply([
    { kind: 'Service', scope: checkout, identifier: 'web', spec: {} },
    { kind: 'Service', scope: checkout, identifier: 'api', spec: {} },
    { kind: 'Secret', scope: checkout, identifier: 'password', spec: { type: 'text', value: 'correct-horse-battery' } },
    { kind: 'Connector', identifier: 'partner', spec: { type: 'jwt', audiences: ['https://partner.example'], usableFrom: [checkout] } },
    { kind: 'ResourceType', identifier: 'todo', spec: { external: true, levels: ['org'], verbs: ['view', 'edit'] } },
    { kind: 'ResourceGroup', scope: checkout, identifier: 'api_alone', spec: { resources: [{ type: 'service', identifiers: ['api'] }] } },
    role('editor', ...editing),
    role('asker', 'access.check'),
    role('explainer', 'access.explain', 'role_binding.view'),
    role('todo_keeper', 'todo.view', 'todo.edit'),
    role('impersonator', 'user.impersonate'),
    role('binder', 'role.bind', 'role_binding.create'),
    role('starter', 'pipeline.execute', 'secret.access', 'connector.access', 'secret.edit'),
    pipeline('uses', { build: [step('secret', { env: { X: '<+secrets.getValue("password")>' } }), step('token', { env: { X: '<+secrets.getJWT("account.partner")>' } })] }),
  ]);
});

/** Somebody of this test alone. */
const somebody = (...bindings: BindingWish[]): Promise<Made> => makeUser(server, `somebody_${++names}`, bindings);
const editor = (): Promise<Made> => somebody({ role: 'account.editor', scope: checkout });
const bindingOf = ({ identifier }: Made, scope = checkout, number = 0): string => `${scope === '/' ? '' : `${scope}/`}${identifier}_${number}`;

const services = (): string => `${scopeApi(server, checkout)}/services`;
const read = ({ token }: { token: string }, name = 'web') => server.call({ method: 'GET', path: `${services()}/${name}`, token });
const edit = ({ token }: { token: string }, name = 'web') => server.call({ method: 'PUT', path: `${services()}/${name}`, token, body: { name: `Called ${++names}`, spec: {} } });

async function asked(body: object, { token, on = server }: { readonly token?: string; readonly on?: TestServer } = {}): Promise<Page> {
  const answer = await on.call({ method: 'POST', path: `${on.api}/access:unused`, body, ...(token === undefined ? {} : { token }) });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Page;
}

async function all(body: object, how: Parameters<typeof asked>[1] = {}): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page = await asked({ ...body, ...(cursor === undefined ? {} : { cursor }) }, how);
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** What is not used of what this binding or mapping gives, sorted. */
async function unused(path: string, { days = 30, on = server }: { days?: number; on?: TestServer } = {}): Promise<string[]> {
  return (await all({ days, limit: 200 }, { on })).filter((item) => item.path === path).flatMap(({ permissions }) => permissions.map(({ permission }) => permission)).toSorted();
}

const without = (...used: string[]): string[] => editing.filter((permission) => !used.includes(permission)).toSorted();

describe('counts as use', () => {
  test('what one did oneself, and of that no more than was needed', async () => {
    const who = await editor();
    assert.deepEqual(await unused(bindingOf(who)), without());
    assert.equal((await read(who)).status, 200);
    assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
    assert.equal((await edit(who)).status, 200);
    assert.deepEqual(await unused(bindingOf(who)), without('service.view', 'service.edit'));
  });

  test('a list, as the view of what lies there', async () => {
    const who = await editor();
    assert.equal((await server.call({ method: 'GET', path: services(), token: who.token })).status, 200);
    assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
  });

  test('a list of projects, for whoever has something in one of them alone', async () => {
    const who = await somebody({ role: 'project_viewer', scope: checkout });
    assert.equal((await server.call({ method: 'GET', path: `${scopeApi(server, 'payments')}/projects`, token: who.token })).status, 200);
    assert.equal((await unused(bindingOf(who))).includes('project.view'), false);
  });

  test('an export, as the view of what it shows', async () => {
    const who = await editor();
    assert.equal((await server.call({ method: 'GET', path: `${server.api}/manifests`, token: who.token })).status, 200);
    assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
  });

  test('an apply that changes nothing, as a view and not as an edit', async () => {
    const who = await editor();
    const body = { documents: [{ kind: 'Service', scope: checkout, identifier: 'api', spec: {} }] };
    assert.equal((await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body, token: who.token })).status, 200);
    assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
  });

  test('what members of a group did, nested ones too, for as long as they are members', async () => {
    const member = await somebody();
    const group = `group_${++names}`;
    const groups = (identifier: string) => [
      { kind: 'UserGroup', identifier: `inner_${group}`, spec: { members: [{ type: 'user', id: identifier }] } },
      { kind: 'UserGroup', identifier: group, spec: { members: [{ type: 'user_group', id: `inner_${group}` }] } },
    ];
    const binding = { principal: { type: 'user_group', id: `account.${group}` }, role: 'account.editor', resourceGroup: 'all_project_level_resources' };
    await server.apply([...groups(member.identifier), { kind: 'RoleBinding', scope: checkout, identifier: group, spec: binding }]);
    assert.equal((await read(member)).status, 200);
    assert.deepEqual(await unused(`${checkout}/${group}`), without('service.view'));
    await server.apply(groups((await somebody()).identifier));
    assert.deepEqual(await unused(`${checkout}/${group}`), without());
  });

  test('what a user did, for a binding of all users of the place', async () => {
    const [busy, idle] = ['platform/busy', 'platform/idle'] as const;
    const everybody = (scope: string) => ({ kind: 'RoleBinding', scope, identifier: 'everybody', spec: { principal: { type: 'user_group', id: 'all_project_users' }, role: 'account.editor', resourceGroup: 'all_project_level_resources' } });
    await server.apply([busy, idle].flatMap((scope) => [{ kind: 'Project', scope: 'platform', identifier: scope.slice('platform/'.length), spec: {} }, everybody(scope)]));
    const [who] = [await somebody({ role: 'account.asker', scope: busy }), await somebody({ role: 'account.asker', scope: idle })];
    assert.equal((await server.call({ method: 'GET', path: `${scopeApi(server, busy)}/services`, token: who.token })).status, 200);
    assert.deepEqual([await unused(`${busy}/everybody`), await unused(`${idle}/everybody`)], [without('service.view'), without()]);
    assert.equal((await all({ days: 30, limit: 200 })).find(({ path }) => path === `${idle}/everybody`)?.principal, 'user_group:all_project_users');
  });

  test('nothing that a user of the place did who is none any more', async () => {
    const scope = 'platform/left';
    const left = await somebody();
    const stay = (more: object) => ({ kind: 'RoleBinding', scope, identifier: 'stay', spec: { principal: { type: 'user', id: left.identifier }, role: 'account.asker', resourceGroup: 'all_project_level_resources', ...more } });
    await server.apply([
      { kind: 'Project', scope: 'platform', identifier: 'left', spec: {} }, stay({}),
      { kind: 'RoleBinding', scope, identifier: 'everybody', spec: { principal: { type: 'user_group', id: 'all_project_users' }, role: 'account.editor', resourceGroup: 'all_project_level_resources' } },
    ]);
    assert.equal((await server.call({ method: 'GET', path: `${scopeApi(server, scope)}/services`, token: left.token })).status, 200);
    assert.deepEqual(await unused(`${scope}/everybody`), without('service.view'));
    for (const over of [{ disabled: true }, { expiresAt: new Date(server.clock.now().getTime() - 1_000).toISOString() }]) {
      await server.apply([stay(over)]);
      assert.deepEqual(await unused(`${scope}/everybody`), without());
    }
  });

  test('what the session of a claim mapping did', async () => {
    await server.apply([only('ws_uses', { grants: [{ ...administers, role: 'editor' }] })]);
    const token = await world.exchangeAs('ws_uses');
    assert.equal((await edit({ token })).status, 200);
    assert.deepEqual(await unused('ws_uses'), without('service.view', 'service.edit'));
  });

  test('what somebody did as another, for both', async () => {
    const [other, actor] = [await editor(), await somebody({ role: 'account.editor', scope: checkout }, { role: 'impersonator' })];
    const body = { principal: { type: 'user', path: other.identifier }, reason: 'of a test' };
    const { token } = (await server.call({ method: 'POST', path: `${server.api}/api-tokens:impersonate`, token: actor.token, body })).body as { token: string };
    assert.equal((await read({ token })).status, 200);
    for (const who of [other, actor]) assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
    assert.deepEqual(await unused(bindingOf(actor, '/', 1)), []);
  });

  test('what a run used of its starter’s', async () => {
    const runs = new Runs(server);
    const starter = await somebody({ role: 'account.starter', scope: checkout });
    await runs.start('uses', { token: starter.token });
    // The start asks for all that it names; what is recorded of it is taken away, and the steps use it again.
    await all({ days: 30 });
    await server.sql(`delete from permission_use where permission like '%.access'`);
    server.clock.advance(dayMs);
    await runs.drain();
    assert.deepEqual(await unused(bindingOf(starter)), ['secret.edit']);
  });

  test('what lets somebody give what it does not hold', async () => {
    const binder = await somebody({ role: 'binder' });
    const spec = { principal: { type: 'user', id: (await somebody()).identifier }, role: 'account.editor', resourceGroup: 'all_project_level_resources' };
    const body = { documents: [{ kind: 'RoleBinding', scope: checkout, identifier: `given_${++names}`, spec }] };
    assert.equal((await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body, token: binder.token })).status, 200);
    assert.deepEqual(await unused(bindingOf(binder, '/')), []);
  });

  test('for an application that asks about others: its right to ask, and of kinds of other systems what they are allowed', async () => {
    const [application, keeper] = [await somebody({ role: 'account.asker', scope: 'payments' }), await somebody({ role: 'account.todo_keeper', scope: 'payments' })];
    const ask = (verb: string) => server.call({
      method: 'POST', path: '/accounts/default/access/v1/evaluation', token: application.token,
      body: { subject: { type: 'user', id: keeper.identifier }, action: { name: verb }, resource: { type: 'todo', id: '1', properties: { scope: 'payments' } } },
    });
    assert.deepEqual((await ask('edit')).body, { decision: true });
    assert.deepEqual(await unused(bindingOf(keeper, 'payments')), ['todo.view']);
    assert.deepEqual(await unused(bindingOf(application, 'payments')), []);
  });
});

describe('is no use', () => {
  test('what was denied', async () => {
    const who = await somebody({ role: 'account.editor', scope: checkout, resourceGroup: 'api_alone' });
    problem(await edit(who, 'web'), 404, 'access.not_found');
    assert.deepEqual(await unused(bindingOf(who)), without());
  });

  test('asking whether one may, and why', async () => {
    const who = await editor();
    for (const question of ['check', 'explain']) {
      const body = { permission: 'service.edit', resource: `${checkout}/web` };
      assert.equal(((await server.call({ method: 'POST', path: `${server.api}/access:${question}`, token: who.token, body })).body as { allowed: boolean }).allowed, true);
    }
    assert.deepEqual(await unused(bindingOf(who)), without());
  });

  test('what others did, and what was done beside or above it', async () => {
    const [idle, busy] = [await editor(), await editor()];
    const elsewhere = await somebody({ role: 'account.editor', scope: 'payments/refunds' }, { role: 'account.editor', scope: checkout });
    for (const who of [busy, elsewhere]) assert.equal((await read(who)).status, 200);
    assert.deepEqual(await unused(bindingOf(idle)), without());
    assert.deepEqual(await unused(bindingOf(elsewhere, 'payments/refunds', 0)), without());
    assert.deepEqual(await unused(bindingOf(elsewhere, checkout, 1)), without('service.view'));
  });

  test('what happened in another account', async () => {
    const other = await server.addAccount(`other_${++names}`);
    const who = await editor();
    assert.equal((await read(who)).status, 200);
    const answer = await server.call({ method: 'POST', path: `${other.api}/access:unused`, body: { days: 30, limit: 200 }, token: other.adminToken });
    assert.deepEqual((answer.body as Page).items.map(({ principal }) => principal), ['user:admin']);
    problem(await server.call({ method: 'POST', path: `${other.api}/access:unused`, body: {} }), 401, 'credential.invalid');
  });
});

describe('the time', () => {
  test('is counted in days: what was used on the day the time began is used, a day later it is not', async () => {
    const who = await editor();
    assert.equal((await read(who)).status, 200);
    const day = server.clock.now().toISOString().slice(0, 10);
    server.clock.advance(2 * dayMs);
    assert.deepEqual(await unused(bindingOf(who), { days: 2 }), without('service.view'));
    const item = (await all({ days: 1, limit: 200 })).find(({ path }) => path === bindingOf(who))!;
    assert.deepEqual(item.permissions.find(({ permission }) => permission === 'service.view'), { permission: 'service.view', lastUsed: day });
    assert.deepEqual([item.all, item.youngerThan], [true, false]);
    assert.equal((await read(who)).status, 200);
    assert.deepEqual(await unused(bindingOf(who), { days: 1 }), without('service.view'));
  });

  test('before recording began is not spoken of, and what is younger is marked', async () => {
    const who = await editor();
    const page = await asked({ days: 365, limit: 1 });
    assert.ok(page.observedDays < 365 && page.observedDays >= 0);
    assert.match(page.observedSince, /^\d{4}-\d\d-\d\d$/);
    const before = page.observedDays;
    server.clock.advance(3 * dayMs);
    assert.equal((await asked({ days: 365, limit: 1 })).observedDays, before + 3);
    const young = async (days: number) => (await all({ days, limit: 200 })).find(({ path }) => path === bindingOf(who))?.youngerThan;
    assert.deepEqual([await young(10), await young(2)], [true, false]);
  });

  test('is kept over restarts, and by a node that stops', async () => {
    const who = await editor();
    const node = await startTestServer({ beside: server });
    node.clock.advance(server.clock.now().getTime() - node.clock.now().getTime());
    assert.equal((await node.call({ method: 'GET', path: `${services()}/web`, token: who.token })).status, 200);
    await node.stop();
    assert.deepEqual(await unused(bindingOf(who)), without('service.view'));
    const next = await startTestServer({ beside: server });
    next.clock.advance(server.clock.now().getTime() - next.clock.now().getTime());
    assert.deepEqual(await unused(bindingOf(who), { on: next }), without('service.view'));
  });

  test('ends with who used it, and after 400 days', async () => {
    const [gone, old] = [await editor(), await editor()];
    for (const who of [gone, old]) assert.equal((await read(who)).status, 200);
    await all({ days: 30 });
    const rows = async (who: string) => (await server.sql<{ n: number }>(`select count(*)::int as n from permission_use where subject_uid = $1`, [who]))[0]!.n;
    const uid = async ({ identifier }: Made) => (await server.sql<{ uid: string }>(`select uid from resource where kind = 'user' and identifier = $1`, [identifier]))[0]!.uid;
    const [goneUid, oldUid] = [await uid(gone), await uid(old)];
    assert.deepEqual([await rows(goneUid), await rows(oldUid)], [1, 1]);
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/users/${gone.identifier}?cascade=true` })).status, 204);
    assert.equal(await rows(goneUid), 0);
    await server.sql(`update permission_use set last_used = last_used - 401 where subject_uid = $1`, [oldUid]);
    const { database, clock, app } = server;
    const feature = usageFeature({ database, clock, kinds: app.kinds, cursors: { encode: () => '', decode: () => '' }, uses: createUseRecorder({ database }) });
    await feature.jobs!.find(({ name }) => name === 'usage.sweep')!.run(new AbortController().signal);
    assert.equal(await rows(oldUid), 0);
  });
});

describe('the answer', () => {
  test('names binding, principal, role and scope, and tells when nothing of it was used', async () => {
    const who = await editor();
    const item = (await all({ days: 30, limit: 200 })).find(({ path }) => path === bindingOf(who))!;
    const { type, principal, role, scope, all: nothing, permissions } = item;
    assert.deepEqual({ type, principal, role, scope, nothing }, { type: 'role_binding', principal: `user:${who.identifier}`, role: 'editor', scope: checkout, nothing: true });
    assert.deepEqual(permissions.map(({ lastUsed }) => lastUsed), editing.map(() => null));
  });

  test('has what the binding can give where it reaches, and no permission of a kind that cannot lie there', async () => {
    const who = await somebody({ role: 'account_admin', resourceGroup: 'all_account_level_resources' });
    const permissions = await unused(bindingOf(who, '/'));
    assert.deepEqual(['user.edit', 'organization.edit', 'pipeline.execute', 'service.edit'].map((one) => permissions.includes(one)), [true, true, false, true]);
    const nouns = new Set((await unused(bindingOf(await somebody({ role: 'account_admin' }), '/'))).map((permission) => permission.split('.')[0]));
    assert.ok(nouns.has('pipeline'));
    assert.deepEqual(announced.filter(({ name }) => nouns.has(name)), [], 'of kinds yet to come nobody can use any');
    const narrow = await somebody({ role: 'project_admin', scope: checkout, resourceGroup: 'api_alone' });
    assert.ok((await unused(bindingOf(narrow))).every((permission) => permission.startsWith('service.')));
  });

  test('leaves out bindings that give nothing now', async () => {
    const who = await somebody();
    const spec = { principal: { type: 'user', id: who.identifier }, role: 'editor', resourceGroup: 'all_account_level_resources' };
    await server.apply([
      { kind: 'RoleBinding', identifier: `asleep_${who.identifier}`, spec: { ...spec, disabled: true } },
      { kind: 'RoleBinding', identifier: `over_${who.identifier}`, spec: { ...spec, expiresAt: new Date(server.clock.now().getTime() - 1_000).toISOString() } },
    ]);
    assert.deepEqual((await all({ days: 30, limit: 200 })).filter(({ path }) => path.endsWith(`_${who.identifier}`)), []);
  });

  test('is the same in pages of one as in pages of many, also in the middle of a mapping', async () => {
    const map = { checkout, refunds: 'payments/refunds', edge: 'platform/edge' };
    await server.apply([only('ws_many', { grants: [{ role: 'project_viewer', scope: { from: '/terraform_project_id', map }, resourceGroup: 'all_project_level_resources' }] })]);
    const [one, many] = [await all({ days: 30, limit: 1 }), await all({ days: 30, limit: 200 })];
    assert.deepEqual(one, many);
    assert.deepEqual(many.filter(({ path }) => path === 'ws_many').map(({ scope }) => scope).toSorted(), [checkout, 'payments/refunds', 'platform/edge']);
    assert.equal(new Set(many.map(({ type, path, scope }) => `${type} ${path} ${scope}`)).size, many.length);
  });

  test('is about a scope and what is below it, and a cursor about one question', async () => {
    const who = await somebody({ role: 'account.editor', scope: checkout }, { role: 'account.editor', scope: 'platform' });
    const paths = (await all({ days: 30, scope: 'payments', limit: 200 })).map(({ path }) => path);
    assert.deepEqual([paths.includes(bindingOf(who)), paths.includes(bindingOf(who, 'platform', 1)), paths.every((path) => path.startsWith('payments/'))], [true, false, true]);
    const { next } = await asked({ days: 30, limit: 1 });
    problem(await server.call({ method: 'POST', path: `${server.api}/access:unused`, body: { days: 31, limit: 1, cursor: next } }), 400, 'request.invalid');
  });
});

describe('who may ask', () => {
  const ask = (token: string, body: object = {}) => server.call({ method: 'POST', path: `${server.api}/access:unused`, token, body });

  test('whoever may explain in the scope; others learn nothing of it', async () => {
    const nobody = await makeToken(server, { type: 'user', path: (await somebody()).identifier });
    problem(await ask(nobody.token), 404, 'access.not_found');
    const explainer = await somebody({ role: 'account.explainer', scope: 'payments' });
    assert.equal((await ask(explainer.token, { scope: 'payments' })).status, 200);
    assert.equal((await ask(explainer.token, { scope: checkout })).status, 200);
    problem(await ask(explainer.token), 404, 'access.not_found');
    problem(await ask(explainer.token, { scope: 'platform' }), 404, 'access.not_found');
    problem(await ask(explainer.token, { scope: 'nowhere' }), 404, 'access.not_found');
  });

  test('is told of those bindings and mappings alone that it may view', async () => {
    await server.apply([{ ...only('ws_inside'), scope: 'payments', identifier: 'ws_inside', spec: { ...(only('ws_inside')['spec'] as object), issuer: 'account.hcp' } }]);
    const explainer = await somebody({ role: 'account.explainer', scope: 'payments' });
    const types = new Set((await all({ scope: 'payments', limit: 200 }, { token: explainer.token })).map(({ type }) => type));
    assert.deepEqual([...types], ['role_binding']);
    assert.ok((await all({ scope: 'payments', limit: 200 })).some(({ type }) => type === 'claim_mapping'));
  });

  for (const [guarantee, body, pointer] of [
    ['no days', { days: 0 }, '/days'],
    ['more days than are kept', { days: 366 }, '/days'],
    ['half a day', { days: 1.5 }, '/days'],
    ['a scope that is none', { scope: 'a/b/c' }, '/scope'],
    ['too long a page', { limit: 201 }, '/limit'],
    ['a field nobody knows', { until: 'today' }, '/until'],
  ] as const) {
    test(`refused is ${guarantee}`, async () => {
      const { errors } = problem(await server.call({ method: 'POST', path: `${server.api}/access:unused`, body }), 400, 'request.invalid');
      assert.equal(errors?.[0]?.pointer, pointer);
    });
  }
});
