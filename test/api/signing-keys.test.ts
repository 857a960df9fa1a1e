/** The life of the keys of minted tokens: rotation, revocation, other nodes; and what introspection says of tokens. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark } from './audit-rows.ts';
import { makeUser } from './principals.ts';
import { Runs, claimsIn, pipeline, runWorld, step } from './runs.ts';

let server: TestServer;
let runs: Runs;
let issuer: string;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  issuer = `${server.url}/accounts/default`;
  await server.apply([
    ...runWorld,
    { kind: 'Connector', scope: 'payments/checkout', identifier: 'curve', spec: { type: 'jwt', audiences: ['https://partner.example'], algorithm: 'ES256' } },
    pipeline('asks', { build: [step('one', { env: { TOKEN: '<+secrets.getJWT("account.partner")>', CURVE: '<+secrets.getJWT("curve")>' } })] }),
  ]);
});

interface Key {
  readonly id: string;
  readonly algorithm: string;
  readonly state: string;
  readonly signsFrom: string;
  readonly publishedUntil: string | null;
}

async function keysOf(on = server): Promise<Key[]> {
  const answer = await on.call({ method: 'GET', path: `${server.api}/signing-keys` });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { items: Key[] }).items;
}

const keyNow = async (state: string, algorithm = 'RS256'): Promise<Key | undefined> => (await keysOf()).find((key) => key.state === state && key.algorithm === algorithm);
const rotate = (body: object = {}) => server.call({ method: 'POST', path: `${server.api}/signing-keys:rotate`, body });
const revoke = (id: string) => server.call({ method: 'POST', path: `${server.api}/signing-keys/${id}/revoke` });
const tend = () => server.app.mintKeys.tend(server.account.id);

async function published(on = server): Promise<string[]> {
  const { keys } = (await on.call({ method: 'GET', path: '/accounts/default/jwks', token: null })).body as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

async function introspected(token: string, on = server): Promise<Record<string, unknown>> {
  const answer = await on.call({ method: 'POST', path: '/accounts/default/oauth/introspect', form: { token } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Record<string, unknown>;
}

const kidOf = (token: string): string => (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid;

/** A token of a step that goes on, and how to end it. */
async function minted(name = 'TOKEN'): Promise<{ token: string; end: () => Promise<void> }> {
  await runs.start('asks');
  const ref = (await runs.lease())!;
  const token = (await runs.payload(ref)).environment[name]!;
  return { token, end: async () => {
    await runs.begin(ref);
    await runs.end(ref);
  } };
}

describe('a key of minted tokens', () => {
  test('signs with RS256, or with ES256 where the connector says so, and discovery names both', async () => {
    for (const [name, alg] of [['TOKEN', 'RS256'], ['CURVE', 'ES256']] as const) {
      const { token, end } = await minted(name);
      const { protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(`${issuer}/jwks`)), { issuer, audience: 'https://partner.example' });
      assert.equal(protectedHeader.alg, alg);
      await end();
    }
    const { body } = await server.call({ method: 'GET', path: '/accounts/default/.well-known/openid-configuration', token: null });
    assert.deepEqual((body as { id_token_signing_alg_values_supported: string[] }).id_token_signing_alg_values_supported, ['RS256', 'ES256']);
  });

  test('is published before it signs, signs when its time has come, and is published until its tokens are over', async () => {
    await tend();
    const [first, next] = [(await keyNow('current'))!, (await keyNow('next'))!];
    assert.equal(Date.parse(next.signsFrom) - Date.parse(first.signsFrom), 90 * 86_400_000);
    assert.ok((await published()).includes(next.id));
    const answer = await rotate({ algorithms: ['RS256'] });
    const [{ id, signsFrom }] = (answer.body as { items: [Key] }).items;
    assert.equal(id, next.id);
    assert.ok(Date.parse(signsFrom) - server.clock.now().getTime() > 3_500_000, 'not before it has been published for an hour');
    assert.equal((await keyNow('current'))!.id, first.id);
    server.clock.advance(3_600_000);
    assert.equal((await keyNow('current'))!.id, next.id);
    const { token, end } = await minted();
    assert.equal(kidOf(token), next.id);
    await end();
    assert.ok((await published()).includes(first.id));
    server.clock.advance(7_200_000);
    assert.equal((await keysOf()).find((key) => key.id === first.id)!.state, 'over');
    assert.ok(!(await published()).includes(first.id));
    const rows = await auditMark(server);
    await tend();
    assert.equal((await keysOf()).some((key) => key.id === first.id), false);
    assert.deepEqual(await rows(), [], 'the job writes the rows');
  });

  test('signs at once by hand when it has been published for long enough', async () => {
    await tend();
    server.clock.advance(3_600_000);
    const next = (await keyNow('next'))!;
    const rows = await auditMark(server);
    assert.equal((await rotate({ algorithms: ['RS256'] })).status, 200);
    assert.equal((await keyNow('current'))!.id, next.id);
    assert.deepEqual((await rows()).map(({ action, resource, actor }) => [action, resource, actor]), [['signing_key.rotate', `signing_key ${next.id}`, 'user:admin']]);
  });

  test('that is revoked is gone at once, its tokens are dead, the next one signs, and the audit tells', async () => {
    await tend();
    const [bad, next] = [(await keyNow('current'))!, (await keyNow('next'))!];
    const { token, end } = await minted();
    assert.equal((await introspected(token))['active'], true);
    const rows = await auditMark(server);
    assert.deepEqual((await revoke(bad.id)).body, { was: 'current', signsNow: next.id });
    assert.deepEqual((await rows()).map(({ action, resource, actor, outcome }) => [action, resource, actor, outcome]), [['signing_key.revoke', `signing_key ${bad.id}`, 'user:admin', 'success']]);
    assert.ok(!(await published()).includes(bad.id));
    assert.deepEqual(await introspected(token), { active: false });
    const { items: [kept] } = (await server.call({ method: 'GET', path: `${server.api}/connectors/partner/tokens` })).body as { items: [{ id: string; fate: string }] };
    assert.deepEqual([kept.id, kept.fate], [claimsIn(token)['jti'], 'revoked']);
    await end();
    const other = await minted();
    assert.equal(kidOf(other.token), next.id);
    await other.end();
    assert.deepEqual(await server.sql('select octet_length(sealed) as bytes from signing_key where id = $1', [bad.id]), [{ bytes: 0 }]);
    problem(await revoke(bad.id), 404, 'access.not_found');
  });

  test('that was revoked without another to follow is replaced at once', async () => {
    const bad = (await keyNow('current'))!;
    assert.equal(await keyNow('next'), undefined);
    const { signsNow } = (await revoke(bad.id)).body as { signsNow: string };
    const { token, end } = await minted();
    assert.deepEqual([kidOf(token), (await keyNow('current'))!.id], [signsNow, signsNow]);
    await end();
  });

  test('that was revoked on one node signs on no other, and is in no other’s keys, a second later', async () => {
    const other = await startTestServer({ beside: server });
    other.clock.advance(server.clock.now().getTime() - other.clock.now().getTime());
    const bad = (await keyNow('current'))!;
    assert.equal((await other.app.mintKeys.current(server.account.id, 'RS256')).id, bad.id);
    assert.ok((await published(other)).includes(bad.id));
    await revoke(bad.id);
    const since = performance.now();
    while ((await other.app.mintKeys.current(server.account.id, 'RS256')).id === bad.id) assert.ok(performance.now() - since < 10_000, 'it goes on');
    assert.ok(!(await published(other)).includes(bad.id));
    await other.stop();
  });

  test('whose row somebody else wrote is neither used nor published', async () => {
    await server.sql(`insert into signing_key (account_id, id, purpose, algorithm, sealed, created_at, signs_from) select account_id, 'planted', 'mint', algorithm, sealed, created_at, '2000-01-01' from signing_key where purpose = 'mint' and octet_length(sealed) > 0 limit 1`);
    server.app.mintKeys.forget(server.account.id);
    assert.ok(!(await published()).includes('planted'));
    await server.sql(`delete from signing_key where id = 'planted'`);
  });

  test('is seen and changed by those alone who may', async () => {
    const { token } = await makeUser(server, 'viewer', [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }]);
    assert.equal((await server.call({ method: 'GET', path: `${server.api}/signing-keys`, token })).status, 200);
    problem(await server.call({ method: 'POST', path: `${server.api}/signing-keys:rotate`, body: {}, token }), 403, 'access.denied');
    problem(await server.call({ method: 'POST', path: `${server.api}/signing-keys/${(await keyNow('current'))!.id}/revoke`, token }), 403, 'access.denied');
  });
});

describe('introspection of a minted token', () => {
  test('says that it is good while its attempt goes on, and nothing but that it is not once it has ended', async () => {
    const { token, end } = await minted();
    const { iss, aud, sub, iat, nbf, exp, jti } = claimsIn(token);
    assert.deepEqual(await introspected(token), { active: true, iss, aud, sub, iat, nbf, exp, jti });
    await end();
    assert.deepEqual(await introspected(token), { active: false });
  });

  test('says that it is not good once its time is over, though its attempt goes on', async () => {
    const { token, end } = await minted('CURVE');
    assert.equal((await introspected(token))['active'], true);
    await server.sql(`update attempt set lease_until = lease_until + interval '1 hour' where status in ('leased', 'started')`);
    server.clock.advance(10 * 60_000);
    assert.deepEqual(await introspected(token), { active: false });
    await end();
  });

  test('says the same of what is forged', async () => {
    const { token, end } = await minted();
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const head = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
    const written = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const jwk = JSON.stringify((await server.app.mintKeys.published(server.account.id))[0]);
    const hs = `${written({ ...head, alg: 'HS256' })}.${payload}`;
    const forged: [says: string, token: string][] = [
      ['other claims', `${header}.${written({ ...claimsIn(token), sub: 'x' })}.${signature}`],
      ['no signature', `${header}.${payload}.`],
      ['alg none', `${written({ ...head, alg: 'none' })}.${payload}.${signature}`],
      ['another algorithm, with the public key for a secret', `${hs}.${createHmac('sha256', jwk).update(hs).digest('base64url')}`],
      ['a key nobody knows', `${written({ ...head, kid: 'x' })}.${payload}.${signature}`],
      ['another type', `${written({ ...head, typ: 'at+jwt' })}.${payload}.${signature}`],
      ['no token', 'x'], ['dots', '..'], ['a long text', 'a'.repeat(10_000)],
    ];
    for (const [says, text] of forged) assert.deepEqual(await introspected(text), { active: false }, says);
    assert.equal((await introspected(token))['active'], true);
    await end();
  });

  test('knows no token of another account', async () => {
    const { token, end } = await minted();
    const sister = await server.addAccount('sister');
    const answer = await server.call({ method: 'POST', path: '/accounts/sister/oauth/introspect', form: { token }, token: sister.adminToken });
    assert.deepEqual(answer.body, { active: false });
    await end();
  });
});

describe('an independent verifier', () => {
  test('verifies every token across rotations under load', async () => {
    const jwks = createRemoteJWKSet(new URL(`${issuer}/jwks`), { cacheMaxAge: 300_000, cooldownDuration: 30_000 });
    const kids = new Set<string>();
    const verifyOne = async (): Promise<void> => {
      const { token, end } = await minted();
      const { protectedHeader } = await jwtVerify(token, jwks, { issuer, audience: 'https://partner.example', currentDate: server.clock.now() });
      kids.add(protectedHeader.kid!);
      await end();
    };
    for (let round = 0; round < 3; round++) {
      await tend();
      // What it has of our keys is as old as it may be when the next one begins.
      await jwks.reload();
      server.clock.advance(3_600_000);
      const [answer] = await Promise.all([rotate({ algorithms: ['RS256'] }), (async () => {
        for (let i = 0; i < 4; i++) await verifyOne();
      })()]);
      assert.equal(answer.status, 200);
      await verifyOne();
    }
    assert.ok(kids.size >= 3, `${kids.size} keys signed`);
  });
});
