/** Acting as another principal: no more than both may do, at each use, with both names in the audit. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { keepBootstrapToken } from '#features/credentials/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import type { StoredRow } from './audit-rows.ts';
import { auditMark } from './audit-rows.ts';
import type { BindingWish, Made, TokenWish } from './principals.ts';
import { makeToken, makeUser, scopeApi } from './principals.ts';
import { only, startTrustWorld } from './trust-world.ts';

const minuteMs = 60_000;

let server: TestServer;
let names = 0;
before(async () => {
  server = await startTestServer();
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Service', scope: 'payments/checkout', identifier: 'web', spec: {} },
    { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', spec: {} },
    { kind: 'Role', identifier: 'viewer', spec: { level: 'account', permissions: ['service.view'] } },
    { kind: 'Role', identifier: 'editor', spec: { level: 'account', permissions: ['service.view', 'service.edit', 'service.delete', 'service.create'] } },
    { kind: 'Role', identifier: 'impersonator', spec: { level: 'account', permissions: ['user.view', 'user.impersonate', 'service_account.impersonate'] } },
  ]);
});

/** A user of this test alone; those who act for others may impersonate everybody. */
const user = (bindings: readonly BindingWish[], wish?: TokenWish): Promise<Made> => makeUser(server, `user_${++names}`, bindings, wish);
const helper = (bindings: readonly BindingWish[], wish?: TokenWish): Promise<Made> => user([{ role: 'impersonator' }, ...bindings], wish);

const api = (path: string): string => `${server.api}/${path}`;
const ask = (by: string, who: string | object, more: object = {}): Promise<RemoteAnswer> => {
  const principal = typeof who === 'string' ? { type: 'user', path: who } : who;
  return server.call({ method: 'POST', path: api('api-tokens:impersonate'), token: by, body: { principal, reason: 'ticket 7', ...more } });
};

async function actAs(by: Made, who: Made | object, more: object = {}): Promise<{ readonly token: string; readonly id: string; readonly expiresAt: string }> {
  const answer = await ask(by.token, 'identifier' in who ? (who as Made).identifier : who, more);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body as { token: string; id: string; expiresAt: string };
}

const services = (scope = 'payments/checkout'): string => `${scopeApi(server, scope)}/services`;
const read = (token: string): Promise<RemoteAnswer> => server.call({ method: 'GET', path: `${services()}/web`, token });
const make = (token: string): Promise<RemoteAnswer> => server.call({ method: 'POST', path: services(), token, body: { identifier: `made_${++names}`, spec: {} } });
const unbind = (who: Made, number: number): Promise<RemoteAnswer> => server.call({ method: 'DELETE', path: api(`role-bindings/${who.identifier}_${number}`) });

describe('who acts as another', () => {
  test('escalation upwards: is refused what the other holds and oneself does not', async () => {
    const strong = await user([{ role: 'editor' }]);
    const weak = await helper([{ role: 'viewer' }]);
    problem(await ask(weak.token, strong.identifier), 403, 'access.escalation');
    problem(await ask(weak.token, 'admin'), 403, 'access.escalation');
  });

  test('escalation upwards by a bounded token: is refused what the token may not do', async () => {
    const other = await user([{ role: 'viewer' }]);
    const bounded = await helper([{ role: 'editor' }], { mayAdminister: false, bounds: [{ permissions: ['user.impersonate', 'user.view'], includeChildScopes: true }] });
    problem(await ask(bounded.token, other.identifier), 403, 'access.escalation');
  });

  test('needs the permission, and learns nobody’s name without it', async () => {
    const other = await user([]);
    const stranger = await user([{ role: 'editor' }]);
    const [there, notThere] = [await ask(stranger.token, other.identifier), await ask(stranger.token, 'nobody_at_all')];
    problem(there, 404, 'access.not_found');
    problem(notThere, 404, 'access.not_found');
    problem(await ask((await user([{ role: 'account_viewer' }])).token, other.identifier), 403, 'access.denied');
  });

  test('does what both may: neither the actor’s rights nor the principal’s alone are enough', async () => {
    const other = await user([{ role: 'viewer' }]);
    const actor = await helper([{ role: 'editor' }]);
    const { token } = await actAs(actor, other);
    assert.equal((await read(token)).status, 200);
    problem(await make(token), 403, 'access.denied');
    assert.equal((await make(actor.token)).status, 201);
    const later = [{ kind: 'RoleBinding', identifier: `${other.identifier}_more`, spec: { principal: { type: 'user', id: other.identifier }, role: 'account_viewer', resourceGroup: 'all_resources_including_child_scopes' } }];
    await server.apply(later);
    assert.equal((await server.call({ method: 'GET', path: api('roles'), token: other.token })).status, 200);
    problem(await server.call({ method: 'GET', path: api('roles/editor'), token }), 404, 'access.not_found');
  });

  test('is asked about itself as both: check without a principal', async () => {
    const other = await user([{ role: 'editor' }]);
    const actor = await helper([{ role: 'editor' }]);
    const { token } = await actAs(actor, other);
    const may = async (by: string) => ((await server.call({ method: 'POST', path: api('access:check'), token: by, body: { permission: 'service.edit', resource: 'payments/checkout/web' } })).body as { allowed: boolean }).allowed;
    assert.equal(await may(token), true);
    assert.equal((await unbind(actor, 1)).status, 204);
    assert.deepEqual([await may(token), await may(other.token)], [false, true]);
  });

  test('the actor loses a right: it is gone at the next request, list and all', async () => {
    const other = await user([{ role: 'viewer' }]);
    const actor = await helper([{ role: 'viewer' }]);
    const { token } = await actAs(actor, other);
    const list = () => server.call({ method: 'GET', path: services(), token });
    assert.deepEqual([(await read(token)).status, (await list()).status], [200, 200]);
    assert.equal((await unbind(actor, 1)).status, 204);
    assert.deepEqual([(await read(token)).status, (await list()).status, (await read(other.token)).status], [404, 404, 200]);
  });

  test('the actor may not impersonate any more: it is over', async () => {
    const other = await user([{ role: 'viewer' }]);
    const actor = await helper([{ role: 'viewer' }]);
    const { token } = await actAs(actor, other);
    assert.equal((await unbind(actor, 0)).status, 204);
    problem(await read(token), 401, 'credential.invalid');
    assert.equal((await read(actor.token)).status, 200);
  });

  for (const who of ['actor', 'principal'] as const) {
    for (const end of ['disabled', 'deleted'] as const) {
      test(`the ${who} is ${end}: it is over`, async () => {
        const made = { actor: await helper([{ role: 'viewer' }]), principal: await user([{ role: 'viewer' }]) };
        const { token } = await actAs(made.actor, made.principal);
        assert.equal((await read(token)).status, 200);
        const { identifier } = made[who];
        if (end === 'disabled') await server.apply([{ kind: 'User', identifier, spec: { email: `${identifier}@example.com`, disabled: true } }]);
        else assert.equal((await server.call({ method: 'DELETE', path: api(`users/${identifier}?cascade=true`) })).status, 204);
        problem(await read(token), 401, 'credential.invalid');
      });
    }
  }

  test('revoked parent: it ends with the token it was made with', async () => {
    const actor = await helper([{ role: 'viewer' }]);
    const second = await makeToken(server, { type: 'user', path: actor.identifier });
    const other = await user([{ role: 'viewer' }]);
    const { token } = await actAs(second, other);
    assert.equal((await server.call({ method: 'DELETE', path: api(`api-tokens/${second.tokenId}`), token: actor.token })).status, 204);
    problem(await server.call({ method: 'GET', path: api('api-tokens'), token }), 401, 'credential.invalid');
  });

  test('another account: it is nothing there', async () => {
    const other = await server.addAccount('elsewhere');
    const { token } = await actAs(await helper([]), await user([]));
    problem(await server.call({ method: 'GET', path: `${other.api}/organizations`, token }), 401, 'credential.invalid');
    problem(await server.call({ method: 'POST', path: `${other.api}/api-tokens:impersonate`, token: other.adminToken, body: { principal: { type: 'service_account', path: 'payments/ci' }, reason: 'x' } }), 404, 'access.not_found');
  });

  test('cannot be the caller, nor somebody disabled', async () => {
    const actor = await helper([]);
    problem(await ask(actor.token, actor.identifier), 400, 'request.invalid');
    const asleep = await user([]);
    await server.apply([{ kind: 'User', identifier: asleep.identifier, spec: { email: `${asleep.identifier}@example.com`, disabled: true } }]);
    problem(await ask(actor.token, asleep.identifier), 400, 'request.invalid');
  });

  test('a reason is asked for, and the time is bounded: 15 minutes, an hour at most, never beyond the token it is made with', async () => {
    const actor = await helper([], { ttl: '30m' });
    const other = await user([]);
    problem(await ask(actor.token, other.identifier, { reason: '' }), 400, 'request.invalid');
    problem(await ask(actor.token, other.identifier, { reason: 'x'.repeat(201) }), 400, 'request.invalid');
    for (const ttl of ['61m', '45m']) problem(await ask(actor.token, other.identifier, { ttl }), 400, 'request.invalid');
    const { token, expiresAt } = await actAs(actor, other);
    assert.ok(Math.abs(Date.parse(expiresAt) - server.clock.now().getTime() - 15 * minuteMs) < minuteMs);
    server.clock.advance(16 * minuteMs);
    problem(await read(token), 401, 'credential.invalid');
  });
});

describe('what acts as another makes nothing that lasts', () => {
  let token: string;
  let actor: Made;
  let own: string;
  before(async () => {
    const other = await user([{ role: 'account_admin' }]);
    own = other.tokenId;
    actor = await user([{ role: 'account_admin' }]);
    ({ token } = await actAs(actor, other));
  });
  const post = (path: string, body: object): Promise<RemoteAnswer> => server.call({ method: 'POST', path: api(path), token, body });

  test('no token, for itself or another', async () => {
    problem(await post('api-tokens', { name: 'kept' }), 403, 'access.denied');
    problem(await post('api-tokens', { name: 'kept', principal: { type: 'service_account', path: 'payments/ci' } }), 403, 'access.denied');
    problem(await post('api-tokens', { name: 'kept', mayAdminister: true }), 403, 'access.administer');
  });

  test('no further impersonation', async () => void problem(await ask(token, { type: 'service_account', path: 'payments/ci' }), 403, 'access.denied'));

  test('no change of access or trust, and no registration of a runner', async () => {
    const role = { kind: 'Role', identifier: 'made_by_nobody', spec: { level: 'account', permissions: ['service.view'] } };
    problem(await post('manifests:apply', { documents: [role] }), 403, 'access.administer');
    problem(await post('runner-registrations', { identifier: 'made_by_nobody', labels: [] }), 403, 'access.administer');
  });

  test('and only itself is its own: the principal’s tokens are seen and revoked with the permission alone', async () => {
    const other = await user([{ role: 'viewer' }]);
    const plain = await actAs(actor, other);
    const list = await server.call({ method: 'GET', path: api('api-tokens'), token: plain.token });
    assert.deepEqual((list.body as { items: { id: string; kind: string }[] }).items.map(({ id, kind }) => [id, kind]), [[plain.id, 'impersonation']]);
    problem(await server.call({ method: 'DELETE', path: api(`api-tokens/${other.tokenId}`), token: plain.token }), 404, 'access.not_found');
    assert.equal((await server.call({ method: 'DELETE', path: api(`api-tokens/${plain.id}`), token: plain.token })).status, 204);
    problem(await read(plain.token), 401, 'credential.invalid');
    assert.notEqual(own, other.tokenId);
  });
});

describe('the audit', () => {
  const both = ({ action, outcome, actor, personal }: StoredRow) => [action, outcome, actor, (personal['actor']?.value as { by?: string } | undefined)?.by ?? null];

  test('names both, of what is done and of what is refused, and why it began', async () => {
    const other = await user([{ role: 'editor' }]);
    const actor = await helper([{ role: 'editor' }]);
    const since = await auditMark(server);
    const { token, id } = await actAs(actor, other);
    assert.equal((await make(token)).status, 201);
    assert.equal((await server.call({ method: 'DELETE', path: api('roles/editor'), token })).status, 404);
    await ask(token, 'admin');
    const rows = await since();
    const [who, by] = [`user:${other.identifier}`, `user:${actor.identifier}`];
    assert.deepEqual(rows.map(both), [
      ['api_token.impersonate', 'success', by, null],
      ['service.create', 'success', who, by],
      ['role.delete', 'refused', who, by],
      ['api_token.impersonate', 'refused', who, by],
    ]);
    const { reason } = rows[0]!.detail as { reason: string };
    assert.deepEqual([reason, rows[0]!.resource], ['ticket 7', `api_token ${id}`]);
    const listed = await server.call({ method: 'GET', path: `${scopeApi(server, 'payments/checkout')}/audit?limit=1` });
    const [item] = (listed.body as { items: { actor: { path: string; by: string }; via: string }[] }).items;
    assert.deepEqual([item!.actor.path, item!.actor.by, item!.via], [other.identifier, by, `impersonation:${id}`]);
  });

  test('names one who was refused to begin', async () => {
    const weak = await helper([]);
    const since = await auditMark(server);
    problem(await ask(weak.token, 'admin'), 403, 'access.escalation');
    assert.deepEqual((await since()).map(both), [['api_token.impersonate', 'refused', `user:${weak.identifier}`, null]]);
  });
});

describe('one who is no user', () => {
  test('may act as a user, and a user as it', async () => {
    await server.apply([
      { kind: 'ServiceAccount', identifier: 'bot', spec: {} },
      { kind: 'RoleBinding', identifier: 'bot', spec: { principal: { type: 'service_account', id: 'bot' }, role: 'impersonator', resourceGroup: 'all_resources_including_child_scopes' } },
    ]);
    const bot = await makeToken(server, { type: 'service_account', path: 'bot' });
    const person = await helper([]);
    for (const { token } of [await actAs(bot, person), await actAs(person, { type: 'service_account', path: 'bot' })]) {
      assert.equal((await server.call({ method: 'GET', path: api(`users/${person.identifier}`), token })).status, 200);
    }
  });

  test('is not the bootstrap token, nor a session', async () => {
    const bootstrap = `bootstrap-${'i'.repeat(40)}`;
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, server.account.id, bootstrap);
    const other = await user([]);
    problem(await ask(bootstrap, other.identifier), 403, 'access.denied');
    const world = await startTrustWorld();
    await world.server.apply([only('caller')]);
    const session = await world.exchangeAs('caller');
    problem(await world.server.call({ method: 'POST', path: `${world.server.api}/api-tokens:impersonate`, token: session, body: { principal: { type: 'user', path: 'admin' }, reason: 'x' } }), 403, 'access.denied');
  });
});
