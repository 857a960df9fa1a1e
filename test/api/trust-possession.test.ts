import assert from 'node:assert/strict';
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import { selfSignedCertificate } from '#test/parties/certificate.ts';
import type { Holder } from '#test/parties/holder.ts';
import { newHolder } from '#test/parties/holder.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import { compactJws, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { makeToken } from './principals.ts';
import type { TrustWorld } from './trust-world.ts';
import { jwtType, only, startTrustWorld, tokenExchange } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let hcp: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server, hcp } = world);
  await server.apply([only('proven', { proofOfPossession: true }), only('free')]);
});

const tokenPath = '/accounts/default/oauth/token';
const outside = (name: string) => hcp.token(terraformClaims({ terraform_workspace_id: name }));
const proofOf = (holder: Holder, path: string, more: { nonce?: string | undefined; token?: string; method?: string } = {}, changes: Parameters<Holder['proof']>[1] = {}) =>
  holder.proof({ method: 'POST', url: `${server.url}${path}`, nowSeconds: world.nowSeconds(), ...more }, changes);
const exchange = (name: string, headers: Record<string, string>, on = server) =>
  on.call({ method: 'POST', path: tokenPath, form: { grant_type: tokenExchange, subject_token: outside(name), subject_token_type: jwtType }, headers, token: null });

async function nonce(): Promise<string> {
  const answer = await exchange('proven', { dpop: proofOf(newHolder(), tokenPath) });
  assert.deepEqual([answer.status, (answer.body as { error: string }).error], [400, 'use_dpop_nonce']);
  return answer.headers['dpop-nonce']!;
}

async function bound(name = 'proven', holder = newHolder()): Promise<{ readonly token: string; readonly holder: Holder; readonly nonce: string; readonly answer: RemoteAnswer }> {
  const fresh = await nonce();
  const answer = await exchange(name, { dpop: proofOf(holder, tokenPath, { nonce: fresh }) });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return { token: (answer.body as { access_token: string }).access_token, holder, nonce: answer.headers['dpop-nonce']!, answer };
}

const checkPath = () => `${server.api}/access:check`;
const check = (headers: Record<string, string>, on = server) => on.call({ method: 'POST', path: checkPath(), body: { permission: 'pipeline.edit', resource: 'payments/checkout/recover' }, headers, token: null });
const challengeOf = ({ status, headers }: RemoteAnswer) => [status, /error="(\w+)"/.exec(headers['www-authenticate'] ?? '')?.[1]];

describe('a session bound to a key by DPoP', () => {
  test('is given for a proof with our nonce, says so, and serves a mapping that wants one', async () => {
    const { token, holder, answer, nonce: next } = await bound();
    assert.equal((answer.body as { token_type: string }).token_type, 'DPoP');
    const done = await check({ authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { nonce: next, token }) });
    assert.deepEqual([done.status, (done.body as { allowed: boolean }).allowed], [200, true]);
    const seen = (await world.oauth('introspect', { token }, server.adminToken)).body as { token_type: string; cnf: { jkt: string } };
    const { kty, crv, x, y } = holder.key.publicKey.export({ format: 'jwk' });
    const thumbprint = createHash('sha256').update(`{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"}`).digest('base64url');
    assert.deepEqual([seen.token_type, seen.cnf], ['DPoP', { jkt: thumbprint }]);
  });

  for (const alg of ['ES384', 'EdDSA', 'PS256', 'RS256']) {
    test(`may be signed for with ${alg}`, async () => {
      const { token, holder, nonce: next } = await bound('proven', newHolder(alg));
      assert.equal((await check({ authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { nonce: next, token }) })).status, 200);
    });
  }

  test('is nobody as a Bearer, nor without a proof', async () => {
    const { token, holder, nonce: next } = await bound();
    assert.deepEqual(challengeOf(await check({ authorization: `Bearer ${token}`, dpop: proofOf(holder, checkPath(), { nonce: next, token }) })), [401, 'invalid_token']);
    assert.deepEqual(challengeOf(await check({ authorization: `Bearer ${token}` })), [401, 'invalid_token']);
    assert.deepEqual(challengeOf(await check({ authorization: `DPoP ${token}` })), [401, 'invalid_dpop_proof']);
  });

  test('asks for a nonce and takes the proof that has it', async () => {
    const { token, holder } = await bound();
    const asked = await check({ authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { token }) });
    assert.deepEqual(challengeOf(asked), [401, 'use_dpop_nonce']);
    const done = await check({ authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { token, nonce: asked.headers['dpop-nonce'] }) });
    assert.equal(done.status, 200);
  });

  type Cheat = (honest: { token: string; holder: Holder; nonce: string }) => string;
  const cheats: [says: string, cheat: Cheat, error: string][] = [
    ['of another key', ({ token, nonce: n }) => proofOf(newHolder(), checkPath(), { token, nonce: n }), 'invalid_token'],
    ['with the public key of the holder, signed by another', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { signer: newHolder().key }), 'invalid_dpop_proof'],
    ['for another method', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n, method: 'GET' }), 'invalid_dpop_proof'],
    ['for another path', ({ token, holder, nonce: n }) => proofOf(holder, `${server.api}/roles`, { token, nonce: n }), 'invalid_dpop_proof'],
    ['for another host', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { claims: { htu: `https://evil.example${checkPath()}` } }), 'invalid_dpop_proof'],
    ['for another token', ({ holder, nonce: n }) => proofOf(holder, checkPath(), { token: 'another', nonce: n }), 'invalid_dpop_proof'],
    ['for no token', ({ holder, nonce: n }) => proofOf(holder, checkPath(), { nonce: n }), 'invalid_dpop_proof'],
    ['made long ago', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { claims: { iat: world.nowSeconds() - 3_600 } }), 'invalid_dpop_proof'],
    ['made in the future', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { claims: { iat: world.nowSeconds() + 3_600 } }), 'invalid_dpop_proof'],
    ['with a nonce of its own', ({ token, holder }) => proofOf(holder, checkPath(), { token, nonce: 'mine' }), 'use_dpop_nonce'],
    ['without `jti`', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { without: ['jti'] }), 'invalid_dpop_proof'],
    ['without `iat`', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { without: ['iat'] }), 'invalid_dpop_proof'],
    ['of the type of an access token', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { header: { typ: 'at+jwt' } }), 'invalid_dpop_proof'],
    ['with a critical extension', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { header: { crit: ['b64'], b64: false } }), 'invalid_dpop_proof'],
    ['with its private key published', ({ token, holder, nonce: n }) => proofOf(holder, checkPath(), { token, nonce: n }, { header: { jwk: holder.key.privateKey.export({ format: 'jwk' }) } }), 'invalid_dpop_proof'],
    ['with a shared secret for a key', ({ token, nonce: n }) => compactJws({ typ: 'dpop+jwt', alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } }, { jti: randomUUID(), htm: 'POST', htu: `${server.url}${checkPath()}`, iat: world.nowSeconds(), nonce: n, ath: createHash('sha256').update(token).digest('base64url') }, (input) => createHmac('sha256', 'secret').update(input).digest()), 'invalid_dpop_proof'],
    ['with the algorithm none', ({ token, nonce: n }) => compactJws({ typ: 'dpop+jwt', alg: 'none', jwk: issuerKey('ES256', 'x').jwk }, { nonce: n, ath: token }, () => Buffer.of(1)), 'invalid_dpop_proof'],
    ['that is no token', () => 'hello', 'invalid_dpop_proof'],
  ];
  for (const [says, cheat, error] of cheats) {
    test(`refuses a proof ${says}`, async () => {
      const honest = await bound();
      const answer = await check({ authorization: `DPoP ${honest.token}`, dpop: cheat(honest) });
      assert.deepEqual(challengeOf(answer), [401, error], JSON.stringify(answer.body));
    });
  }

  test('refuses a proof that was used, on every node', async () => {
    const { token, holder, nonce: next } = await bound();
    const other = await world.anotherNode({ publicUrl: server.url });
    const headers = { authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { token, nonce: next }) };
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => check(headers, n % 2 === 0 ? server : other)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.deepEqual(new Set(answers.filter(({ status }) => status !== 200).map((answer) => challengeOf(answer)[1])), new Set(['invalid_dpop_proof']));
  });

  test('is not had with a proof that was used for another', async () => {
    const holder = newHolder();
    const headers = { dpop: proofOf(holder, tokenPath, { nonce: await nonce() }) };
    const answers = [await exchange('proven', headers), await exchange('proven', headers)];
    assert.deepEqual(answers.map(({ status, body }) => [status, (body as { error?: string }).error]), [[200, undefined], [400, 'invalid_dpop_proof']]);
  });

  test('refuses nonces that are old', async () => {
    const { token, holder, nonce: next } = await bound();
    server.clock.advance(130_000);
    assert.deepEqual(challengeOf(await check({ authorization: `DPoP ${token}`, dpop: proofOf(holder, checkPath(), { token, nonce: next }) })), [401, 'use_dpop_nonce']);
  });

  test('starts from two `DPoP` headers never', async () => {
    const fresh = await nonce();
    const proof = () => proofOf(newHolder(), tokenPath, { nonce: fresh });
    const body = new URLSearchParams({ grant_type: tokenExchange, subject_token: outside('proven'), subject_token_type: jwtType }).toString();
    const { request } = await import('node:http');
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${server.url}${tokenPath}`, { method: 'POST', headers: ['content-type', 'application/x-www-form-urlencoded', 'content-length', String(Buffer.byteLength(body)), 'dpop', proof(), 'dpop', proof()] }, (answer) => resolve(answer.resume().statusCode));
      sent.on('error', reject).end(body);
    });
    assert.equal(status, 400);
  });
});

test('the scheme DPoP is for sessions that are bound, and for nothing else', async () => {
  const session = await world.exchangeAs('free');
  assert.deepEqual(challengeOf(await check({ authorization: `DPoP ${session}` })), [401, 'invalid_token']);
  const personal = (await makeToken(server, { type: 'user', path: 'admin' })).token;
  assert.equal((await check({ authorization: `DPoP ${personal}` })).status, 401);
  assert.equal((await check({ authorization: `Bearer ${personal}` })).status, 200);
});

describe('a session bound to a client certificate', () => {
  const believed = { clientCertificates: true, trustedProxies: ['127.0.0.0/8'] };
  const header = (pem: string) => ({ 'client-cert': `:${pem.replaceAll(/-----[A-Z ]+-----|\s/g, '')}:` });

  test('is good with that certificate alone, as a trusted proxy tells of it', async () => {
    const proxied = await world.anotherNode({ ...believed, publicUrl: server.url });
    const [own, other] = [header(selfSignedCertificate(['runner.example']).certificatePem), header(selfSignedCertificate(['runner.example']).certificatePem)];
    const answer = await exchange('proven', own, proxied);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { access_token: token, token_type: type } = answer.body as { access_token: string; token_type: string };
    assert.equal(type, 'Bearer');
    const authorization = `Bearer ${token}`;
    const statuses = [await check({ authorization, ...own }, proxied), await check({ authorization, ...other }, proxied), await check({ authorization }, proxied)].map(({ status }) => status);
    assert.deepEqual(statuses, [200, 401, 401]);
    assert.equal((await check({ authorization, ...own })).status, 401, 'a node that was not told to believe the header');
    const seen = (await world.oauth('introspect', { token }, server.adminToken)).body as { cnf: Record<string, string> };
    assert.deepEqual(Object.keys(seen.cnf), ['x5t#S256']);
  });

  test('is not made from a header of somebody who is no trusted proxy', async () => {
    const open = await world.anotherNode({ clientCertificates: true, trustedProxies: ['10.0.0.0/8'], publicUrl: server.url });
    assert.equal((await exchange('proven', header(selfSignedCertificate(['runner.example']).certificatePem), open)).status, 400);
    assert.equal((await exchange('proven', header(selfSignedCertificate(['runner.example']).certificatePem))).status, 400);
  });
});
