/** What an address may cost before anybody knows who is calling from it. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import { makeToken } from '#features/credentials/token-form.ts';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { makeIdentity, publicSealingKey, publicSigningKey } from '#runner/identity.ts';
import { requestToken } from '#runner/request-token.ts';
import { registerRunner } from '#test/runners/runner-server.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser } from './principals.ts';

/** One comes back every fifteen seconds. */
const limit = 4;
const settings = { refusedCredentialsPerMinute: limit, trustedProxies: ['127.0.0.0/8'] };

let server: TestServer;
before(async () => {
  server = await startTestServer({ settings });
});

interface From {
  readonly on?: TestServer;
  readonly address: string;
}

type Ask = (from: From) => Promise<RemoteAnswer>;

function call({ on = server, address }: From, request: RemoteRequest & { token?: string | null }): Promise<RemoteAnswer> {
  return on.call({ ...request, headers: { 'x-forwarded-for': address } });
}

const madeUp = (): string => makeToken('personal', randomBytes);
const ownTokens = (token: string | null): Ask => (from) => call(from, { method: 'GET', path: `${server.api}/api-tokens`, token });

interface Attempt {
  readonly it: string;
  readonly ask: Ask;
  readonly code: string;
}

const attempts: readonly Attempt[] = [
  { it: 'no credential', ask: ownTokens(null), code: 'credential.missing' },
  { it: 'made-up tokens of our form', ask: (from) => ownTokens(madeUp())(from), code: 'credential.invalid' },
  { it: 'made-up tokens of another form', ask: (from) => ownTokens(randomBytes(30).toString('hex'))(from), code: 'credential.invalid' },
  { it: 'accounts that are not there', ask: (from) => call(from, { method: 'GET', path: `/api/v1/accounts/a${randomBytes(4).toString('hex')}/api-tokens` }), code: 'credential.invalid' },
  {
    it: 'guesses of the setup code', code: 'credential.setup_code',
    ask: (from) => call(from, { method: 'POST', path: `${server.api}/setup`, token: null, body: { code: randomBytes(20).toString('hex'), email: 'm@example.com', password: 'a password for tests only' } }),
  },
  {
    it: 'made-up registration tokens of runners', code: 'credential.invalid',
    ask: (from) => {
      const path = `${server.api}/runners:register`;
      const identity = makeIdentity();
      const body = { protocol: 1, token: `sallyport_runner_${randomBytes(32).toString('base64url')}`, signingKey: publicSigningKey(identity), sealingKey: publicSealingKey(identity) };
      const proof = requestToken(identity.signingKey, { issuer: 'registration', audience: 'registration', path, body, now: server.clock.now() });
      return call(from, { method: 'POST', path, token: null, body: { ...body, proof } });
    },
  },
  {
    it: 'made-up tokens where none is needed', code: 'access.not_found',
    ask: (from) => call(from, { method: 'GET', path: '/accounts/nobody/jwks', token: madeUp() }),
  },
];

/** Asks until it is sent away; what it was told before that, one after the other. */
async function untilSentAway(ask: Ask, from: From): Promise<string[]> {
  const told: string[] = [];
  for (;;) {
    const answer = await ask(from);
    if (answer.status === 429) {
      problem(answer, 429, 'request.rate_limited');
      assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/);
      return told;
    }
    told.push((answer.body as { code: string }).code);
    assert.ok(told.length < 3 * limit, `it is never sent away: ${told.join()}`);
  }
}

/** Some come back while it asks. */
function assertLimit(told: readonly string[]): void {
  assert.ok(told.length >= limit && told.length <= limit + 5, `it was answered ${told.length} times`);
}

describe('an address that is refused again and again is sent away', () => {
  for (const [i, { it, ask, code }] of attempts.entries()) {
    test(`for ${it}`, async () => {
      const told = await untilSentAway(ask, { address: `203.0.113.${i}` });
      assertLimit(told);
      assert.deepEqual(new Set(told), new Set([code]));
    });
  }

  test('through whichever node it comes', async () => {
    const from = { address: '203.0.113.50' };
    const beside = await startTestServer({ beside: server, settings });
    const ask = ownTokens(null);
    let node = 0;
    assertLimit(await untilSentAway(() => ask({ ...from, on: (node += 1) % 2 === 0 ? server : beside }), from));
    for (const on of [server, beside]) assert.equal((await ask({ ...from, on })).status, 429);
    await beside.stop();
  });

  test('with all addresses of its network, where it has an IPv6 network of its own', async () => {
    const ask = ownTokens(null);
    let host = 0;
    assertLimit(await untilSentAway(() => ask({ address: `2001:db8:1:1::${(host += 1).toString(16)}` }), { address: '' }));
    assert.equal((await ask({ address: '2001:db8:1:2::1' })).status, 401);
  });
});

describe('at an address that was sent away', () => {
  const from = { address: '198.51.100.7' };
  const elsewhere = { address: '198.51.100.8' };
  const exhaust = async (): Promise<void> => void (await untilSentAway(ownTokens(null), from));

  test('nothing is looked up for a stranger', async () => {
    await exhaust();
    const holder = new Client({ ...server.rows.owner });
    await holder.connect();
    await holder.query('begin');
    await holder.query('lock table credential, runner, runner_registration in access exclusive mode');
    for (const { it, ask } of attempts) assert.equal((await ask(from)).status, 429, it);
    await holder.query('rollback');
    await holder.end();
  });

  test('a caller this node knows goes on, also after somebody else was revoked', async () => {
    const [{ token: known }, { token: fresh }] = [await makeUser(server, 'known'), await makeUser(server, 'fresh')];
    assert.equal((await ownTokens(known)(elsewhere)).status, 200);
    await exhaust();
    assert.equal((await ownTokens(known)(from)).status, 200);
    assert.equal((await ownTokens(fresh)(from)).status, 429);
    const { body } = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { name: 'short-lived' } });
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/api-tokens/${(body as { id: string }).id}` })).status, 204);
    assert.equal((await ownTokens(known)(from)).status, 200);
    assert.equal((await ownTokens(fresh)(elsewhere)).status, 200);
    assert.equal((await ownTokens(fresh)(from)).status, 200, 'and is known from now on');
  });

  test('what everybody may read is served', async () => {
    await exhaust();
    for (const path of ['/healthz', '/openapi.json', '/accounts/default/jwks']) assert.equal((await call(from, { method: 'GET', path, token: null })).status, 200, path);
  });
});

test('a runner is not shut out by what runs beside it', async () => {
  const from = { address: '198.51.100.30' };
  const { signingKey, registration } = await registerRunner(server);
  const claim = () => {
    const path = `${server.api}/runner/claims`;
    const body = { protocol: 1, claimId: randomUUID(), waitMs: 0 };
    return call(from, { method: 'POST', path, body, token: requestToken(signingKey, { issuer: registration.runnerId, audience: registration.audience, path, body, now: server.clock.now() }) });
  };
  assert.equal((await claim()).status, 200);
  await untilSentAway(ownTokens(null), from);
  assert.equal((await claim()).status, 200);
});

test('good callers cost their address nothing', async () => {
  const from = { address: '198.51.100.20' };
  for (let i = 0; i < 2 * limit; i++) assert.equal((await ownTokens(server.adminToken)(from)).status, 200);
  assert.equal((await ownTokens(null)(from)).status, 401);
});
