import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { clientClaims, terraformClaims } from '#test/parties/issuer.ts';
import { issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { jwtType, only, startTrustWorld, tokenExchange } from './trust-world.ts';

let world: TrustWorld;
let strict: TestServer;

before(async () => {
  world = await startTrustWorld();
  await world.server.apply([only('many', { when: [{ claim: '/terraform_organization_id', equals: 'org-abc' }] })]);
  strict = await world.anotherNode({ allowPrivateOrigin: [world.hcp.url, world.corporate.url], exchangesPerSecond: 1, refusedExchangesPerMinute: 100_000 });
});

const exchange = async (token: string): Promise<number> =>
  (await strict.call({ method: 'POST', path: '/accounts/default/oauth/token', form: { grant_type: tokenExchange, subject_token: token, subject_token_type: jwtType }, token: null })).status;
const run = (n: number, key = world.hcp.key) => world.hcp.token(terraformClaims({ terraform_workspace_id: `ws-${n}` }), { key });

describe('exchanges are limited', () => {
  test('per issuer: who has used up theirs leaves the others theirs, and forged tokens use up nothing', async () => {
    await world.server.sql('delete from rate_bucket');
    const forger = issuerKey('RS256', world.hcp.key.kid);
    for (let n = 0; n < 20; n++) assert.equal(await exchange(run(1, forger)), 400);
    const statuses: number[] = [];
    for (let n = 0; n < 12; n++) statuses.push(await exchange(run(n)));
    assert.equal(statuses[0], 200, 'twenty forgeries in its name lock nobody out');
    assert.equal(statuses.at(-1), 429);
    assert.equal(await exchange(world.corporate.token(clientClaims(), { header: { typ: 'at+jwt' } })), 200, 'another issuer');
  });

  test('and a refusal says when to come again', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => strict.call({ method: 'POST', path: '/accounts/default/oauth/token', form: { grant_type: tokenExchange, subject_token: run(n), subject_token_type: jwtType }, token: null })));
    const refused = answers.find(({ status }) => status === 429)!;
    assert.deepEqual([(refused.body as { error: string }).error, Number(refused.headers['retry-after']) >= 1], ['temporarily_unavailable', true]);
  });
});
