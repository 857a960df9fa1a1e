/** A way in that somebody made and nobody has used yet is worth what its maker may do when it is used. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { keepBootstrapToken } from '#features/credentials/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { register } from '#runner/http-transport.ts';
import type { Identity } from '#runner/identity.ts';
import { makeIdentity, publicSealingKey, publicSigningKey } from '#runner/identity.ts';
import { requestToken } from '#runner/request-token.ts';
import type { Registration } from '#test/runners/runner-server.ts';
import type { TestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import { makeToken, makeUser, scopeApi } from './principals.ts';
import { only, startTrustWorld } from './trust-world.ts';
import type { TrustWorld } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
const scope = 'payments/checkout';

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  await server.apply([
    { kind: 'Role', identifier: 'keeper', spec: { level: 'account', permissions: ['runner.create', 'secret.access', 'connector.access'] } },
    { kind: 'UserGroup', identifier: 'keepers', spec: { members: [] } },
    { kind: 'RoleBinding', identifier: 'keepers', spec: { principal: { type: 'user_group', id: 'keepers' }, role: 'keeper', resourceGroup: 'all_resources_including_child_scopes' } },
  ]);
});

async function makeWith(token: string, api = scopeApi(server, scope)): Promise<Registration> {
  const answer = await server.call({ method: 'POST', path: `${api}/runner-registrations`, body: { ttl: '2m' }, token });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body as Registration;
}

function bring(token: string, identity: Identity = makeIdentity(), api = server.api): Promise<RemoteAnswer> {
  const body = { protocol: 1, token, signingKey: publicSigningKey(identity), sealingKey: publicSealingKey(identity) };
  const proof = requestToken(identity.signingKey, { issuer: 'registration', audience: 'registration', path: `${api}/runners:register`, body, now: server.clock.now() });
  return server.call({ method: 'POST', path: `${api}/runners:register`, body: { ...body, proof }, token: null });
}

async function remove(path: string): Promise<void> {
  assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/${path}` })).status, 204);
}

const keeper = async (identifier: string): Promise<string> => (await makeUser(server, identifier, [{ role: 'keeper' }])).token;

interface Loss {
  readonly attack: string;
  /** Somebody who may make a registration, by a token. */
  readonly maker: () => Promise<string>;
  readonly loses: () => Promise<unknown>;
}

const losses: readonly Loss[] = [
  {
    attack: 'an administrator who was dismissed kept a registration token',
    maker: async () => (await makeUser(server, 'dismissed', [{ role: 'account_admin' }])).token,
    loses: () => remove('role-bindings/dismissed_0'),
  },
  { attack: 'its maker was disabled', maker: () => keeper('disabled'), loses: () => server.apply([{ kind: 'User', identifier: 'disabled', spec: { email: 'disabled@example.com', disabled: true } }]) },
  { attack: 'its maker was deleted', maker: () => keeper('deleted'), loses: () => remove('users/deleted?cascade=true') },
  {
    attack: 'its maker left the group',
    maker: async () => {
      const { token } = await makeUser(server, 'leaver');
      await server.apply([{ kind: 'UserGroup', identifier: 'keepers', spec: { members: [{ type: 'user', id: 'leaver' }] } }]);
      return token;
    },
    loses: () => server.apply([{ kind: 'UserGroup', identifier: 'keepers', spec: { members: [] } }]),
  },
  {
    attack: 'its maker may make runners still, but holds no secrets any more',
    maker: async () => {
      await server.apply([{ kind: 'Role', identifier: 'fading', spec: { level: 'account', permissions: ['runner.create', 'secret.access', 'connector.access'] } }]);
      return (await makeUser(server, 'faded', [{ role: 'fading' }])).token;
    },
    loses: () => server.apply([{ kind: 'Role', identifier: 'fading', spec: { level: 'account', permissions: ['runner.create', 'connector.access'] } }]),
  },
  {
    attack: 'the stolen token it was made with was revoked',
    maker: async () => {
      const { token, tokenId } = await makeUser(server, 'robbed', [{ role: 'keeper' }]);
      stolen = tokenId;
      return token;
    },
    loses: () => remove(`api-tokens/${stolen}`),
  },
  {
    attack: 'the session it was made in was revoked',
    maker: async () => {
      await server.apply([only('brief_session', { mayAdminister: true })]);
      return world.exchangeAs('brief_session');
    },
    loses: async () => {
      const [session] = await server.sql<{ id: string }>(`select id from workload_session order by created_at desc limit 1`);
      await remove(`sessions/${session!.id}`);
    },
  },
  {
    attack: 'the mapping of the workload that made it may not administer any more',
    maker: async () => {
      await server.apply([only('demoted', { mayAdminister: true })]);
      return world.exchangeAs('demoted');
    },
    loses: () => server.apply([only('demoted', { mayAdminister: false })]),
  },
  {
    attack: 'the mapping of the workload that made it is gone',
    maker: async () => {
      await server.apply([only('unmapped', { mayAdminister: true })]);
      return world.exchangeAs('unmapped');
    },
    loses: () => remove('claim-mappings/unmapped'),
  },
];
let stolen = '';

describe('a registration is as good as one nobody made when', () => {
  for (const { attack, maker, loses } of losses) {
    test(attack, async () => {
      const token = await maker();
      const [good, late] = [await makeWith(token), await makeWith(token)];
      assert.equal((await bring(good.token)).status, 200);
      await loses();
      const refused = await bring(late.token);
      problem(refused, 401, 'credential.invalid');
      assert.deepEqual(seen(refused), seen(await bring(`sallyport_runner_${randomBytes(32).toString('base64url')}`)));
    });
  }

  test('the bootstrap token it was made with is revoked', async () => {
    const { account, api } = await server.addEmptyAccount('unattended');
    const bootstrap = `first-${randomBytes(32).toString('hex')}`;
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, account.id, bootstrap);
    const [good, late] = [await makeWith(bootstrap, api), await makeWith(bootstrap, api)];
    assert.equal((await bring(good.token, makeIdentity(), api)).status, 200);
    const { items } = (await server.call({ method: 'GET', path: `${api}/api-tokens?principal=system:bootstrap`, token: bootstrap })).body as { items: { id: string }[] };
    assert.equal((await server.call({ method: 'DELETE', path: `${api}/api-tokens/${items[0]!.id}`, token: bootstrap })).status, 204);
    problem(await bring(late.token, makeIdentity(), api), 401, 'credential.invalid');
  });
});

describe('a registration stays good', () => {
  test('when its maker has lost a right that making it does not need', async () => {
    const { token } = await makeUser(server, 'modest', [{ role: 'keeper' }, { role: 'account_viewer' }]);
    const made = await makeWith(token);
    await remove('role-bindings/modest_1');
    assert.equal((await bring(made.token)).status, 200);
  });

  test('when another token of its maker is revoked', async () => {
    const token = await keeper('two_tokens');
    const made = await makeWith(token);
    await remove(`api-tokens/${(await makeToken(server, { type: 'user', path: 'two_tokens' })).tokenId}`);
    assert.equal((await bring(made.token)).status, 200);
  });

  test('for the runner that has used it, whatever becomes of its maker', async () => {
    const token = await keeper('forgotten');
    const { token: registration } = await makeWith(token);
    const identity = makeIdentity();
    const place = { url: server.url, account: 'default' };
    const once = { identity, token: registration, clock: server.clock, signal: new AbortController().signal };
    const first = await register(place, once);
    await remove('users/forgotten?cascade=true');
    assert.deepEqual(await register(place, once), first);
  });
});
