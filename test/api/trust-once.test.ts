import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, jwtType, only, startTrustWorld, tokenExchange, workspace } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let hcp: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server, hcp } = world);
});

const tokenFor = (workspaceId: string, claims: object = {}) => hcp.token(terraformClaims({ terraform_workspace_id: workspaceId, ...claims }));
const edits = (session: string, project: string) => world.may(session, 'pipeline.edit', `payments/${project}/recover`);

describe('a mapping of single use', () => {
  const once = (name: string, changes: object = {}) => only(name, { singleUse: true, ...changes });

  test('takes a token once: the second exchange is refused like any other, and the audit says why', async () => {
    await server.apply([once('once')]);
    const token = tokenFor('once', { jti: 'run-1' });
    assert.equal(await edits(await world.exchange(token), 'checkout'), true);
    const again = await world.tryExchange(token);
    const { correlation_id: id, ...body } = again.body as { correlation_id: string };
    assert.deepEqual([again.status, body], [400, { error: 'invalid_request', error_description: 'the token is not accepted' }]);
    const [event] = await world.audit({ requestId: id });
    assert.deepEqual([event!.detail.code, event!.detail.check], ['trust.used_before', 'token_id']);
    assert.match(event!.detail.because, /used before/);
  });

  test('tells tokens by their `jti`, not by their bytes', async () => {
    await server.apply([once('by_jti')]);
    await world.exchange(tokenFor('by_jti', { jti: 'one' }));
    assert.equal((await world.tryExchange(tokenFor('by_jti', { jti: 'one', terraform_run_id: 'another' }))).status, 400);
    await world.exchange(tokenFor('by_jti', { jti: 'two' }));
  });

  test('gives nothing to a token without `jti`', async () => {
    await server.apply([once('no_jti')]);
    const refused = await world.tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'no_jti' }), { without: ['jti'] }));
    const [event] = await world.audit({ requestId: (refused.body as { correlation_id: string }).correlation_id });
    assert.equal(event!.detail.code, 'trust.no_mapping');
    const own = event!.diff!.mappings!.find(({ mapping }) => mapping === 'no_jti') as unknown as { uses: string[] };
    assert.deepEqual(own.uses, ['the token has no `jti`, so nobody can tell whether it was used']);
  });

  test('says nothing to the other mappings of the token: they go on', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'both' }];
    await server.apply([workspace({ when, singleUse: true }, 'both_once'), workspace({ when, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'both_often')]);
    const token = tokenFor('both', { jti: 'both' });
    const [first, second] = [await world.exchange(token), await world.exchange(token)];
    assert.deepEqual([await edits(first, 'checkout'), await edits(first, 'refunds')], [true, true]);
    assert.deepEqual([await edits(second, 'checkout'), await edits(second, 'refunds')], [false, true]);
  });

  test('counts each mapping for itself: what one has used is new to another', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'apart' }];
    await server.apply([workspace({ when, singleUse: true }, 'apart_a')]);
    const token = tokenFor('apart', { jti: 'apart' });
    await world.exchange(token);
    await server.apply([workspace({ when, singleUse: true, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'apart_b')]);
    const second = await world.exchange(token);
    assert.deepEqual([await edits(second, 'checkout'), await edits(second, 'refunds')], [false, true]);
    assert.equal((await world.tryExchange(token)).status, 400);
  });

  test('raced 200 ways on two nodes: exactly one wins', { timeout: 60_000 }, async () => {
    await server.apply([once('raced')]);
    const other = await world.anotherNode({ refusedExchangesPerMinute: 100_000 });
    const form = { grant_type: tokenExchange, subject_token: tokenFor('raced', { jti: 'raced' }), subject_token_type: jwtType };
    // A slow machine may be told to try again; then it does.
    const ask = async (node: TestServer): Promise<number> => {
      for (;;) {
        const { status } = await node.call({ method: 'POST', path: '/accounts/default/oauth/token', form, token: null });
        if (status !== 503) return status;
      }
    };
    const statuses = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n % 2 === 0 ? server : other)));
    assert.deepEqual(statuses.toSorted(), [200, ...Array<number>(199).fill(400)]);
    assert.equal((await server.sql(`select 1 from workload_session where claims @> '{"jti":"raced"}'`)).length, 1);
  });

  test('forgets what was used only when the token can be good no more', async () => {
    await server.apply([once('kept')]);
    await world.exchange(tokenFor('kept', { jti: 'kept' }));
    const keeps = `select keep_until from used_jti where keep_until > now() order by keep_until desc limit 1`;
    const [row] = (await server.sql(keeps)) as { keep_until: Date }[];
    assert.ok(row!.keep_until.getTime() / 1_000 >= world.nowSeconds() + 300 + 60, 'to its end and the greatest skew');
  });
});

describe('a mapping with a greatest age', () => {
  test('takes a token while it is young, and its session goes on when it no longer is', async () => {
    await server.apply([only('young', { maxTokenAge: '1m', session: { ttl: '4m' } })]);
    const token = tokenFor('young', { iat: world.nowSeconds() - 30 });
    const session = await world.exchange(token);
    server.clock.advance(45_000);
    assert.equal((await world.tryExchange(token)).status, 400, 'too old for an exchange');
    assert.equal(await edits(session, 'checkout'), true, 'the session was made in time');
  });

  test('gives nothing to a token without `iat`', async () => {
    await server.apply([only('ageless', { maxTokenAge: '1h' })]);
    assert.equal((await world.tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'ageless' }), { without: ['iat'] }))).status, 400);
  });

  test('bites sessions that were made with an older token when it is set', async () => {
    await server.apply([only('stricter_age')]);
    const session = await world.exchange(tokenFor('stricter_age', { iat: world.nowSeconds() - 120 }));
    assert.equal(await edits(session, 'checkout'), true);
    await server.apply([only('stricter_age', { maxTokenAge: '1m' })]);
    assert.equal(await edits(session, 'checkout'), 401);
  });
});

test('a mapping that wants a key proven gives nothing to a token that comes without, and ends sessions that did', async () => {
  await server.apply([only('proven')]);
  const session = await world.exchangeAs('proven');
  await server.apply([only('proven', { proofOfPossession: true })]);
  assert.equal(await edits(session, 'checkout'), 401);
  assert.equal((await world.tryExchange(tokenFor('proven'))).status, 400);
});
