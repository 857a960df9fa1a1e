/** What an issuer that was registered, and then turned hostile or was taken over, can do: nothing, to others least of all. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { openDatabase } from '#platform/database/database.ts';
import { createMetrics } from '#platform/metrics.ts';
import type { Outbound, OutboundSettings } from '#platform/outbound.ts';
import { createOutbound } from '#platform/outbound.ts';
import { testDatabase } from '#test/database/database.ts';
import { atEnd } from '#test/endings.ts';
import { selfSignedCertificate } from '#test/parties/certificate.ts';
import type { TestIssuer, Trick } from '#test/parties/issuer.ts';
import { discoveryPath, keysPath, startIssuer } from '#test/parties/issuer.ts';
import { issuerKey } from '#test/parties/tokens.ts';
import { until } from '#test/until.ts';
import { compileIssuer } from './compile-issuer.ts';
import type { IssuerKeys } from './keys.ts';
import { createIssuerKeys } from './keys.ts';
import type { TrustedIssuerSpec } from './schema.ts';
import { readToken, verifyToken } from './verify.ts';

const accountId = '00000000-0000-7000-8000-000000000001';
const minute = 60_000;

let database: Database;
let hostile: TestIssuer;
let outbound: Outbound;
let shiftMs = 0;
const clock = { now: () => new Date(systemClock.now().getTime() + shiftMs), monotonicMs: () => systemClock.monotonicMs() + shiftMs };

before(async () => {
  const rows = await testDatabase();
  database = await openDatabase({ login: { ...rows.application }, maxConnections: 4, onError: () => undefined });
  atEnd(() => database.close());
  await database.read.insertInto('account').values({ id: accountId, identifier: 'default', name: null, revision: 0, disabled: false, created_at: clock.now() }).execute();
});

beforeEach(async () => {
  shiftMs = 0;
  hostile = await startIssuer({ nowSeconds: () => Math.floor(clock.now().getTime() / 1_000) });
  outbound = createOutbound({ allowPrivateOrigins: [hostile.url] });
  await database.read.deleteFrom('issuer_keys').execute();
});

afterEach(async () => {
  await outbound.close();
  await hostile.stop();
});

const newKeys = (by: Outbound = outbound): IssuerKeys => createIssuerKeys({ outbound: by, clock, database, metrics: createMetrics() });

function registered(at: TestIssuer = hostile, changes: Partial<TrustedIssuerSpec> = {}, uid = '00000000-0000-7000-8000-000000000002') {
  const spec: TrustedIssuerSpec = { issuer: at.url, audiences: ['us'], keys: { discovery: true }, algorithms: ['RS256', 'ES256'], ...changes };
  return { accountId, uid, facts: compileIssuer({ spec }) };
}

const tokenOf = (at: TestIssuer, options: Parameters<TestIssuer['token']>[1] = {}) => readToken(at.token({ aud: 'us', sub: 'x' }, options));

/** Null = accepted, else why not. */
async function because(keys: IssuerKeys, at = registered(), preview = tokenOf(hostile)): Promise<string | null> {
  try {
    await verifyToken(preview, at.facts.rules, await keys.keysFor(at, preview), clock.now());
    return null;
  } catch (error) {
    return (error as { because?: string }).because ?? String(error);
  }
}

const privateJwk = issuerKey('RS256', 'private').privateKey.export({ format: 'jwk' });

describe('a hostile issuer', () => {
  const answers: [says: string, path: string, trick: () => Trick, why: RegExp][] = [
    ['redirects its keys to the metadata service', keysPath, () => ({ kind: 'redirect', to: 'http://169.254.169.254/latest/meta-data' }), /redirects are never followed/],
    ['redirects its discovery inside', discoveryPath, () => ({ kind: 'redirect', to: 'http://10.0.0.1/' }), /redirects are never followed/],
    ['sends a set of 20 MB', keysPath, () => ({ kind: 'flood', bytes: 20 * 1_024 * 1_024 }), /larger|bytes|too/],
    ['sends a discovery of 20 MB', discoveryPath, () => ({ kind: 'flood', bytes: 20 * 1_024 * 1_024 }), /larger|bytes|too/],
    ['publishes 51 keys', keysPath, () => ({ kind: 'bytes', body: JSON.stringify({ keys: Array.from({ length: 51 }, (_, n) => ({ ...hostile.key.jwk, kid: `k${n}` })) }) }), /more than 50 keys/],
    ['publishes a private key', keysPath, () => ({ kind: 'bytes', body: JSON.stringify({ keys: [hostile.key.jwk, { ...privateJwk, kid: 'p' }] }) }), /private member/],
    ['publishes a symmetric key', keysPath, () => ({ kind: 'bytes', body: JSON.stringify({ keys: [hostile.key.jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 's' }] }) }), /is symmetric/],
    ['publishes two keys of one id', keysPath, () => ({ kind: 'bytes', body: JSON.stringify({ keys: [hostile.key.jwk, { ...issuerKey('RS256', hostile.key.kid).jwk }] }) }), /same `kid`/],
    ['publishes JSON with a member twice', keysPath, () => ({ kind: 'bytes', body: '{"keys":[],"keys":[]}' }), /not acceptable JSON/],
    ['publishes JSON 10,000 deep', keysPath, () => ({ kind: 'bytes', body: '['.repeat(10_000) }), /not acceptable JSON/],
    ['says that it is somebody else', discoveryPath, () => ({ kind: 'bytes', body: JSON.stringify({ issuer: 'https://token.actions.githubusercontent.com', jwks_uri: `${hostile.url}${keysPath}` }) }), /of another issuer/],
    ['says that its keys lie inside', discoveryPath, () => ({ kind: 'bytes', body: JSON.stringify({ issuer: hostile.url, jwks_uri: 'http://10.0.0.1/keys' }) }), /another origin/],
    ['answers with a page', keysPath, () => ({ kind: 'bytes', body: '<html></html>', type: 'text/html' }), /content type|text\/html/],
  ];
  for (const [says, path, trick, why] of answers) {
    test(`${says}: nothing of it is believed`, async () => {
      hostile.trick(path, trick());
      assert.match((await because(newKeys()))!, why);
    });
    test(`${says}: keys that were good stay so`, async () => {
      const keys = newKeys();
      assert.equal(await because(keys), null);
      hostile.trick(path, trick());
      shiftMs = 60 * minute;
      assert.equal(await because(keys), null);
    });
  }

  test('drips a byte at a time: given up after five seconds', async () => {
    hostile.trick(keysPath, { kind: 'drip', everyMs: 50 });
    assert.match((await because(newKeys()))!, /within \d+ ms/);
  });

  test('whose name leads inside once its keys are asked for again (rebinding) is not followed there', async () => {
    const addresses = ['93.184.216.34', '127.0.0.1'];
    const settings: OutboundSettings = { allowPrivateOrigins: [], resolve: async () => [addresses.shift() ?? '127.0.0.1'] };
    const rebinding = createOutbound(settings);
    atEnd(() => rebinding.close());
    const named = { ...hostile, url: 'https://issuer.example' } as TestIssuer;
    addresses.shift();
    assert.match((await because(newKeys(rebinding), registered(named), tokenOf(hostile)))!, /private|loopback|not public|127\.0\.0\.1/);
    assert.equal(hostile.asked(discoveryPath), 0);
  });

  test('rotates while a token is on its way: the token is good if its key is still published, and not otherwise', async () => {
    const keys = newKeys();
    const early = tokenOf(hostile);
    assert.equal(await because(keys), null);
    hostile.rotate({ keepOld: true });
    shiftMs = minute;
    const late = tokenOf(hostile);
    assert.deepEqual(await Promise.all([because(keys, registered(), early), because(keys, registered(), late)]), [null, null]);
    hostile.rotate();
    shiftMs = 20 * minute;
    assert.match((await because(keys, registered(hostile, { maxLifetime: '1d', clockSkewSeconds: 60 }), early))!, /not one of the issuer/);
  });

  test('is waited for by at most fifty requests, and the others are answered at once', async () => {
    hostile.trick(keysPath, { kind: 'silence' });
    const keys = newKeys();
    const waiting = Array.from({ length: 50 }, () => because(keys));
    await until(() => hostile.asked(keysPath) === 1, 'the keys are asked for');
    assert.match((await because(keys))!, /not fetched yet/);
    assert.equal(hostile.asked(keysPath), 1);
    await outbound.close();
    assert.equal(new Set(await Promise.all(waiting)).size, 1);
  });

  test('that never answers keeps no other issuer waiting', async () => {
    const other = await startIssuer({ nowSeconds: () => Math.floor(clock.now().getTime() / 1_000) });
    atEnd(() => other.stop());
    const both = createOutbound({ allowPrivateOrigins: [hostile.url, other.url] });
    hostile.trick(discoveryPath, { kind: 'silence' });
    const keys = newKeys(both);
    const stuck = because(keys);
    await until(() => hostile.asked(discoveryPath) === 1, 'the hostile issuer is asked');
    assert.equal(await because(keys, registered(other, {}, '00000000-0000-7000-8000-000000000003'), tokenOf(other)), null);
    await both.close();
    assert.notEqual(await stuck, null);
  });
});

describe('an issuer with a certificate authority of its own', () => {
  const own = selfSignedCertificate(['127.0.0.1']);
  const other = selfSignedCertificate(['127.0.0.1']);

  test('is believed with that authority, and with no other', async () => {
    const key = issuerKey('RS256', 'tls');
    const server = createServer({ cert: own.certificatePem, key: own.privateKeyPem }, (request, response) => {
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const body = request.url === discoveryPath ? { issuer: url, jwks_uri: `${url}/keys` } : { keys: [key.jwk] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    atEnd(() => new Promise<void>((done) => server.close(() => done())));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const secure = { ...hostile, url } as TestIssuer;
    const reach = createOutbound({ allowPrivateOrigins: [url] });
    atEnd(() => reach.close());
    const preview = readToken(hostile.token({ iss: url, aud: 'us', sub: 'x' }, { key }));
    const withCa = (ca?: string) => registered(secure, { keys: { discovery: true, ...(ca === undefined ? {} : { ca }) } });
    assert.equal(await because(newKeys(reach), withCa(own.certificatePem), preview), null);
    await database.read.deleteFrom('issuer_keys').execute();
    assert.match((await because(newKeys(reach), withCa(other.certificatePem), preview))!, /certificate|self.signed|SELF_SIGNED/i);
    assert.match((await because(newKeys(reach), withCa(), preview))!, /certificate|self.signed|SELF_SIGNED/i);
  });
});
