import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { openDatabase } from '#platform/database/database.ts';
import { createMetrics } from '#platform/metrics.ts';
import type { Outbound } from '#platform/outbound.ts';
import { createOutbound } from '#platform/outbound.ts';
import { testDatabase } from '#test/database/database.ts';
import { atEnd } from '#test/endings.ts';
import type { TestIssuer, Trick } from '#test/parties/issuer.ts';
import { discoveryPath, keysPath, startIssuer } from '#test/parties/issuer.ts';
import { until } from '#test/until.ts';
import { compileIssuer } from './compile-issuer.ts';
import type { IssuerKeys } from './keys.ts';
import { createIssuerKeys } from './keys.ts';
import type { TrustedIssuerSpec } from './schema.ts';
import { readToken, verifyToken } from './verify.ts';

const accountId = '00000000-0000-7000-8000-000000000001';
const uid = '00000000-0000-7000-8000-000000000002';
const minute = 60_000;

let database: Database;
let issuer: TestIssuer;
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
  issuer = await startIssuer({ nowSeconds: () => Math.floor(clock.now().getTime() / 1_000) });
  outbound = createOutbound({ allowPrivateOrigins: [issuer.url] });
  await database.read.deleteFrom('issuer_keys').execute();
});

afterEach(async () => {
  await outbound.close();
  await issuer.stop();
});

const newKeys = (): IssuerKeys => createIssuerKeys({ outbound, clock, database, metrics: createMetrics() });

function registered(changes: Partial<TrustedIssuerSpec> = {}) {
  const spec: TrustedIssuerSpec = { issuer: issuer.url, audiences: ['us'], keys: { discovery: true }, algorithms: ['RS256', 'ES256'], ...changes };
  return { accountId, uid, facts: compileIssuer({ spec }) };
}

const token = (options: Parameters<TestIssuer['token']>[1] = {}) => readToken(issuer.token({ aud: 'us', sub: 'x' }, options));

/** Null = accepted, else why not. */
async function because(keys: IssuerKeys, at = registered(), preview = token()): Promise<string | null> {
  try {
    await verifyToken(preview, at.facts.rules, await keys.keysFor(at, preview), clock.now());
    return null;
  } catch (error) {
    return (error as { because?: string }).because ?? String(error);
  }
}

describe('keys are found', () => {
  test('by discovery, and asked for once', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    assert.equal(await because(keys), null);
    assert.deepEqual([issuer.asked(discoveryPath), issuer.asked(keysPath)], [1, 1]);
  });

  test('by `jwksUri`, without discovery', async () => {
    assert.equal(await because(newKeys(), registered({ keys: { jwksUri: `${issuer.url}${keysPath}` } })), null);
    assert.deepEqual([issuer.asked(discoveryPath), issuer.asked(keysPath)], [0, 1]);
  });

  test('in the document itself, without asking anybody', async () => {
    assert.equal(await because(newKeys(), registered({ keys: { jwks: { keys: [issuer.key.jwk] } } })), null);
    assert.equal(issuer.asked(keysPath), 0);
  });

  test('by many tokens at once with one call', async () => {
    const keys = newKeys();
    assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => because(keys)))), new Set([null]));
    assert.equal(issuer.asked(keysPath), 1);
  });

  test('after a restart, while the issuer is away', async () => {
    assert.equal(await because(newKeys()), null);
    issuer.trick(discoveryPath, { kind: 'status', status: 503 });
    shiftMs = 60 * minute;
    assert.equal(await because(newKeys()), null);
  });

  test('elsewhere when the document changes, and nowhere else', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    const other = await startIssuer();
    assert.match((await because(keys, registered({ keys: { jwksUri: `${other.url}${keysPath}` } })))!, /private|loopback|plain http/);
    await other.stop();
  });
});

describe('keys that change', () => {
  test('a rotated key is fetched when a token names it', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    issuer.rotate();
    shiftMs = minute;
    assert.equal(await because(keys), null);
    assert.equal(issuer.asked(keysPath), 2);
  });

  test('a flood of unknown keys costs one call in half a minute', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    shiftMs = minute;
    for (let i = 0; i < 20; i++) assert.match((await because(keys, registered(), token({ header: { kid: `bogus-${i}` } })))!, /not one of the issuer/);
    assert.equal(issuer.asked(keysPath), 2);
    shiftMs += 31_000;
    assert.match((await because(keys, registered(), token({ header: { kid: 'bogus' } })))!, /not one of the issuer/);
    assert.equal(issuer.asked(keysPath), 3);
  });

  test('keys are asked for again beside the work before they are old', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    shiftMs = 6 * minute;
    issuer.trick(keysPath, { kind: 'silence' });
    assert.equal(await because(keys), null);
    await until(() => issuer.asked(keysPath) === 2, 'the keys are asked for');
  });

  test('a key the issuer took back is refused once the keys are old', async () => {
    const keys = newKeys();
    const old = token();
    assert.equal(await because(keys), null);
    issuer.rotate();
    shiftMs = 16 * minute;
    assert.match((await because(keys, registered({ maxLifetime: '1d', clockSkewSeconds: 60 }), old))!, /not one of the issuer/);
  });

  const broken: [says: string, trick: Trick][] = [
    ['an error', { kind: 'status', status: 500 }],
    ['an empty set', { kind: 'bytes', body: '{"keys":[]}' }],
    ['half a document', { kind: 'bytes', body: '{"keys":[' }],
    ['a page', { kind: 'bytes', body: '<html>', type: 'text/html' }],
    ['a set without a usable key', { kind: 'bytes', body: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}' }],
    ['more than 256 KiB', { kind: 'bytes', body: `{"keys":[],"x":"${'x'.repeat(256 * 1_024)}"}` }],
    ['a redirect', { kind: 'redirect', to: 'https://example.com/keys' }],
  ];
  for (const [says, trick] of broken) {
    test(`${says} instead of keys never replaces good ones`, async () => {
      const keys = newKeys();
      assert.equal(await because(keys), null);
      issuer.trick(keysPath, trick);
      shiftMs = 60 * minute;
      assert.equal(await because(keys), null);
      assert.equal(issuer.asked(keysPath), 2);
    });
  }

  test('a clock that was set back makes no key younger', async () => {
    shiftMs = 48 * 60 * minute;
    assert.equal(await because(newKeys()), null);
    shiftMs = 0;
    issuer.trick(keysPath, { kind: 'status', status: 500 });
    assert.match((await because(newKeys()))!, /the issuer answered 500/);
  });

  test('what worked is believed for a day and no longer', async () => {
    const keys = newKeys();
    assert.equal(await because(keys), null);
    issuer.trick(keysPath, { kind: 'status', status: 500 });
    shiftMs = 24 * 60 * minute - 1_000;
    assert.equal(await because(keys), null);
    shiftMs = 24 * 60 * minute + 31_000;
    assert.match((await because(keys))!, /the issuer answered 500/);
  });
});

describe('issuers that must not be believed', () => {
  const lies: [says: string, changes: Record<string, unknown>, why: RegExp][] = [
    ['discovery of another issuer', { issuer: 'https://evil.example' }, /of another issuer/],
    ['discovery with a slash more', { issuer: 'SELF/' }, /of another issuer/],
    ['keys on another origin', { jwks_uri: 'https://evil.example/keys' }, /another origin/],
    ['keys on another port of the same host', { jwks_uri: 'http://127.0.0.1:1/keys' }, /another origin/],
    ['keys in a file', { jwks_uri: 'file:///etc/passwd' }, /another origin/],
    ['no place for keys', { jwks_uri: undefined }, /no `jwks_uri`/],
    ['a list of places', { jwks_uri: ['https://evil.example'] }, /no `jwks_uri`/],
  ];
  for (const [says, changes, why] of lies) {
    test(says, async () => {
      issuer.discovery('issuer' in changes ? { issuer: String(changes['issuer']).replace('SELF', issuer.url) } : changes);
      assert.match((await because(newKeys()))!, why);
      assert.equal(issuer.asked(keysPath), 0);
    });
  }

  test('keys on another origin that is listed', async () => {
    const keysOrigin = await startIssuer();
    issuer.discovery({ jwks_uri: `${keysOrigin.url}${keysPath}` });
    keysOrigin.publish({ keys: [issuer.key.jwk] });
    const both = createOutbound({ allowPrivateOrigins: [issuer.url, keysOrigin.url] });
    const keys = createIssuerKeys({ outbound: both, clock, database, metrics: createMetrics() });
    assert.equal(await because(keys, registered({ keys: { discovery: true, allowedOrigins: [keysOrigin.url] } })), null);
    await both.close();
    await keysOrigin.stop();
  });

  test('a private address the operator has not listed is never called', async () => {
    const strict = createOutbound({ allowPrivateOrigins: [] });
    assert.match((await because(createIssuerKeys({ outbound: strict, clock, database, metrics: createMetrics() })))!, /plain http/);
    assert.equal(issuer.asked(discoveryPath), 0);
    await strict.close();
  });

  test('a redirect of discovery is not followed', async () => {
    issuer.trick(discoveryPath, { kind: 'redirect', to: `${issuer.url}/elsewhere` });
    assert.match((await because(newKeys()))!, /redirects are never followed/);
    assert.equal(issuer.asked('/elsewhere'), 0);
  });

  test('an issuer that was never reached is tried again after a few seconds, not with every token', async () => {
    issuer.trick(discoveryPath, { kind: 'status', status: 404 });
    const keys = newKeys();
    for (let i = 0; i < 5; i++) assert.match((await because(keys))!, /answered 404/);
    assert.equal(issuer.asked(discoveryPath), 1);
    issuer.trick(discoveryPath, undefined);
    shiftMs = 6_000;
    assert.equal(await because(keys), null);
  });
});
