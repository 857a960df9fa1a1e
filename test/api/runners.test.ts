import assert from 'node:assert/strict';
import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { canonicalJson } from '#kernel/canonical.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { ClaimRequest } from '#features/runners/schema.ts';
import { systemClock } from '#platform/clock.ts';
import { register } from '#runner/http-transport.ts';
import type { Identity, RegisteredIdentity } from '#runner/identity.ts';
import { makeIdentity, publicSealingKey, publicSigningKey } from '#runner/identity.ts';
import { requestToken } from '#runner/request-token.ts';
import { makeRegistration, registerRunner } from '#test/runners/runner-server.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem, seen } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} }]);
});

const never = new AbortController().signal;
const now = () => systemClock.now();

function registerWith(token: string, identity: Identity = makeIdentity(), account = 'default') {
  return register({ url: server.url, account }, { identity, token, clock: systemClock, signal: never });
}

interface Bearer {
  readonly path?: string;
  readonly body?: Record<string, unknown>;
  readonly token?: string;
}

const claimBody = () => ({ protocol: 1, claimId: randomUUID(), waitMs: 0 });

/** A claim with a token signed for it, unless one of the parts is another. */
async function callAs(identity: RegisteredIdentity, { path = `${server.api}/runner/claims`, body = claimBody(), token }: Bearer = {}): Promise<RemoteAnswer> {
  return server.call({ method: 'POST', path, body, token: token ?? tokenOf(identity, path, body) });
}

function tokenOf(identity: RegisteredIdentity, path: string, body: unknown, at: Date = now()): string {
  const { runnerId, audience } = identity.registration;
  return requestToken(identity.signingKey, { issuer: runnerId, audience, path, body, now: at });
}

describe('a registration', () => {
  test('makes one runner of the scope it was made in, and the audit tells who trusted it', async () => {
    const rows = await auditMark(server);
    const made = await makeRegistration(server, { scope: 'payments', identifier: 'builder', labels: ['linux', 'x64'] });
    assert.match(made.token, /^sallyport_runner_[A-Za-z0-9_-]{43}$/);
    const runner = await registerWith(made.token);
    assert.deepEqual([runner.identifier, runner.scope, runner.labels, runner.audience], ['builder', 'payments', ['linux', 'x64'], server.account.id]);
    assert.deepEqual(told(await rows()), [
      { action: 'runner.register', outcome: 'success', actor: 'runner:payments/builder', resource: 'runner payments/builder', scope: 'payments' },
      { action: 'runner_registration.create', outcome: 'success', actor: 'user:admin', resource: `runner_registration ${made.id}`, scope: 'payments' },
    ]);
  });

  test('may be brought again by the same keys, and by no others', async () => {
    const { token } = await makeRegistration(server);
    const identity = makeIdentity();
    const first = await registerWith(token, identity);
    assert.deepEqual(await registerWith(token, identity), first);
    await assert.rejects(registerWith(token), { code: 'credential.invalid' });
  });

  test('brought by two at the same moment makes one runner', async () => {
    const { token } = await makeRegistration(server);
    const both = await Promise.allSettled([registerWith(token), registerWith(token)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  test('ends', async () => {
    const { token } = await makeRegistration(server);
    await server.sql(`update runner_registration set expires_at = now() - interval '1 second' where runner_id is null`);
    await assert.rejects(registerWith(token), { code: 'credential.invalid' });
  });

  test('can be revoked until it was used', async () => {
    const unused = await makeRegistration(server, { scope: 'payments' });
    const path = (id: string) => `${scopeApi(server, 'payments')}/runner-registrations/${id}`;
    assert.equal((await server.call({ method: 'DELETE', path: path(unused.id) })).status, 204);
    await assert.rejects(registerWith(unused.token), { code: 'credential.invalid' });
    problem(await server.call({ method: 'DELETE', path: path(unused.id) }), 404, 'access.not_found');
    const used = await makeRegistration(server, { scope: 'payments' });
    await registerWith(used.token);
    problem(await server.call({ method: 'DELETE', path: path(used.id) }), 404, 'access.not_found');
  });

  test('of one account is nothing in another', async () => {
    await server.addAccount('sister');
    const { token } = await makeRegistration(server);
    await assert.rejects(registerWith(token, makeIdentity(), 'sister'), { code: 'credential.invalid' });
  });

  test('gives no name twice, not even after the runner is gone', async () => {
    await registerWith((await makeRegistration(server, { identifier: 'once' })).token);
    const again = () => server.call({ method: 'POST', path: `${server.api}/runner-registrations`, body: { identifier: 'once' } });
    problem(await again(), 409, 'resource.identifier_retired');
    await server.call({ method: 'DELETE', path: `${server.api}/runners/once` });
    problem(await again(), 409, 'resource.identifier_retired');
    assert.equal((await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/runner-registrations`, body: { identifier: 'once' } })).status, 201);
  });

  test('of two with one name only the first is taken', async () => {
    const [one, other] = [await makeRegistration(server, { identifier: 'wanted' }), await makeRegistration(server, { identifier: 'wanted' })];
    await registerWith(one.token);
    await assert.rejects(registerWith(other.token), { code: 'resource.identifier_retired' });
  });

  test('needs a credential that may administer, and does not outlive it', async () => {
    const plain = await makeUser(server, 'plain', [{ role: 'account_admin' }], { mayAdminister: false });
    problem(await server.call({ method: 'POST', path: `${server.api}/runner-registrations`, body: {}, token: plain.token }), 403, 'access.administer');
    const brief = await makeUser(server, 'brief', [{ role: 'account_admin' }], { ttl: '5m' });
    const answer = await server.call({ method: 'POST', path: `${server.api}/runner-registrations`, body: { ttl: '1h' }, token: brief.token });
    assert.equal(problem(answer, 400, 'request.invalid').errors?.[0]?.pointer, '/ttl');
    assert.equal((await server.call({ method: 'POST', path: `${server.api}/runner-registrations`, body: { ttl: '4m' }, token: brief.token })).status, 201);
  });

  test('of a scope that is not there looks like one that may not be made', async () => {
    const answer = await server.call({ method: 'POST', path: `${server.api}/orgs/nowhere/runner-registrations`, body: {} });
    problem(answer, 404, 'access.not_found');
  });

  const forgeries: readonly { attack: string; body: (token: string) => Record<string, unknown>; code: string }[] = [
    { attack: 'somebody else’s key with a proof of one’s own', code: 'credential.invalid', body: (token) => ({ ...signed(token), signingKey: publicSigningKey(makeIdentity()) }) },
    { attack: 'another sealing key put in on the way', code: 'credential.invalid', body: (token) => ({ ...signed(token), sealingKey: publicSealingKey(makeIdentity()) }) },
    { attack: 'the proof of another registration', code: 'credential.invalid', body: (token) => ({ ...signed(token), proof: String(signed('sallyport_runner_other')['proof']) }) },
    { attack: 'a proof of yesterday', code: 'credential.invalid', body: (token) => signed(token, { at: new Date(Date.now() - 86_400_000) }) },
    { attack: 'a proof for a request', code: 'credential.invalid', body: (token) => signed(token, { issuer: randomUUID() }) },
    { attack: 'a sealing key of small order, for which anybody knows the secret', code: 'request.invalid', body: (token) => signed(token, { sealingX: Buffer.alloc(32).toString('base64url') }) },
    { attack: 'an RSA key', code: 'request.invalid', body: (token) => ({ ...signed(token), signingKey: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }) },
    { attack: 'a private key sent by mistake', code: 'request.invalid', body: (token) => ({ ...signed(token), signingKey: makeIdentity().signingKey }) },
  ];
  for (const { attack, body, code } of forgeries) {
    test(`does not take: ${attack}`, async () => {
      const { token } = await makeRegistration(server);
      const answer = await server.call({ method: 'POST', path: `${server.api}/runners:register`, body: body(token), token: null });
      problem(answer, code === 'request.invalid' ? 400 : 401, code);
      await registerWith(token);
    });
  }
});

function signed(token: string, { at = now(), issuer = 'registration', sealingX = undefined as string | undefined } = {}): Record<string, unknown> {
  const identity = makeIdentity();
  const sealingKey = sealingX === undefined ? publicSealingKey(identity) : { kty: 'OKP', crv: 'X25519', x: sealingX };
  const body = { protocol: 1, token, signingKey: publicSigningKey(identity), sealingKey };
  return { ...body, proof: requestToken(identity.signingKey, { issuer, audience: 'registration', path: `${server.api}/runners:register`, body, now: at }) };
}

describe('who may be a runner', () => {
  let runner: RegisteredIdentity;
  before(async () => void (runner = await registerRunner(server, { identifier: 'known' })));

  test('a runner is, by its own signature', async () => {
    assert.deepEqual((await callAs(runner)).body, { protocol: 1, claim: null, retryAfterMs: 0 });
  });

  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
  const resigned = (claims: (identity: RegisteredIdentity, body: unknown) => object, header: object = { alg: 'EdDSA', typ: 'sallyport-runner+jwt' }) => (): Bearer => {
    const body = claimBody();
    return { body, token: jws(header, claims(runner, body), runner) };
  };
  const right = ({ registration }: RegisteredIdentity, body: unknown) => ({
    iss: registration.runnerId, aud: registration.audience, htu: `${server.api}/runner/claims`, digest: digest(body),
    iat: Math.floor(Date.now() / 1_000), exp: Math.floor(Date.now() / 1_000) + 60,
  });

  const atTime = (at: Date): Bearer => {
    const body = claimBody();
    return { body, token: tokenOf(runner, `${server.api}/runner/claims`, body, at) };
  };

  test('a token made by hand is as good, so that what is refused below is refused for its one fault', async () => {
    assert.equal((await callAs(runner, resigned(right)())).status, 200);
    assert.equal((await callAs(runner, atTime(now()))).status, 200);
  });

  const attacks: readonly { attack: string; request: () => Bearer | Promise<Bearer> }[] = [
    { attack: 'a token kept for later', request: () => atTime(minutesAgo(2)) },
    { attack: 'a token of the future', request: () => atTime(minutesAgo(-5)) },
    { attack: 'a token of one body with another', request: () => ({ body: claimBody(), token: tokenOf(runner, `${server.api}/runner/claims`, claimBody()) }) },
    { attack: 'a token of one path at another', request: () => ({ path: `${server.api}/runner/attempts/${randomUUID()}/heartbeat`, body: { protocol: 1, fence: 1 }, token: tokenOf(runner, `${server.api}/runner/claims`, { protocol: 1, fence: 1 }) }) },
    { attack: 'a token of one attempt for another', request: () => {
      const [mine, other] = [randomUUID(), randomUUID()].map((id) => `${server.api}/runner/attempts/${id}/result`);
      const body = { protocol: 1, fence: 1, result: { exit: 'refused', message: 'x' } };
      return { path: other!, body, token: tokenOf(runner, mine!, body) };
    } },
    { attack: 'a key that only says it is the runner’s', request: () => {
      const body = claimBody();
      return { body, token: tokenOf({ ...makeIdentity(), registration: runner.registration }, `${server.api}/runner/claims`, body) };
    } },
    { attack: 'no algorithm', request: () => {
      const body = claimBody();
      return { body, token: `${part({ alg: 'none', typ: 'sallyport-runner+jwt' })}.${part(right(runner, body))}.` };
    } },
    { attack: 'an algorithm of the caller’s choice', request: resigned(right, { alg: 'HS256', typ: 'sallyport-runner+jwt' }) },
    { attack: 'another type of token', request: resigned(right, { alg: 'EdDSA', typ: 'JWT' }) },
    { attack: 'a key brought along in the header', request: resigned(right, { alg: 'EdDSA', typ: 'sallyport-runner+jwt', jwk: publicSigningKey(makeIdentity()) }) },
    { attack: 'a token that lives long', request: resigned((identity, body) => ({ ...right(identity, body), exp: Math.floor(Date.now() / 1_000) + 3_600 })) },
    { attack: 'a token without an end', request: resigned((identity, body) => ({ ...right(identity, body), exp: undefined })) },
    { attack: 'another account’s audience', request: resigned((identity, body) => ({ ...right(identity, body), aud: randomUUID() })) },
    { attack: 'a runner nobody knows', request: resigned((identity, body) => ({ ...right(identity, body), iss: randomUUID() })) },
    { attack: 'a claim more than there may be', request: resigned((identity, body) => ({ ...right(identity, body), admin: true })) },
    { attack: 'a proof of a registration', request: resigned((identity, body) => ({ ...right(identity, body), iss: 'registration', aud: 'registration' })) },
  ];
  for (const { attack, request } of attacks) {
    test(`is not: ${attack}`, async () => {
      const { token, body, path } = await request();
      problem(await callAs(runner, { ...(body === undefined ? {} : { body }), ...(path === undefined ? {} : { path }), token: token! }), 401, 'credential.invalid');
    });
  }

  test('the token of a runner opens nothing else, and nothing else opens what is for runners', async () => {
    const body = claimBody();
    const token = tokenOf(runner, `${server.api}/runners`, body);
    problem(await server.call({ method: 'GET', path: `${server.api}/runners`, token }), 404, 'access.not_found');
    problem(await server.call({ method: 'POST', path: `${server.api}/runner/claims`, body }), 403, 'access.denied');
  });

  test('a runner of one account is a stranger in another', async () => {
    const { api } = await server.addAccount('elsewhere');
    const body = claimBody();
    problem(await server.call({ method: 'POST', path: `${api}/runner/claims`, body, token: tokenOf(runner, `${api}/runner/claims`, body) }), 401, 'credential.invalid');
  });

  test('a message of another version is refused with its place', async () => {
    const body = { ...claimBody(), protocol: 2 };
    assert.equal(problem(await callAs(runner, { body }), 400, 'request.invalid').errors?.[0]?.pointer, '/protocol');
  });

  test('a runner that is removed is out at once', async () => {
    const gone = await registerRunner(server, { identifier: 'short_lived' });
    assert.equal((await callAs(gone)).status, 200);
    await server.call({ method: 'DELETE', path: `${server.api}/runners/short_lived` });
    problem(await callAs(gone), 401, 'credential.invalid');
  });

  test('a runner goes with its scope', async () => {
    await server.apply([{ kind: 'Organization', identifier: 'brief_org', spec: {} }]);
    const lost = await registerRunner(server, { scope: 'brief_org' });
    assert.equal((await callAs(lost)).status, 200);
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/organizations/brief_org?cascade=true` })).status, 204);
    problem(await callAs(lost), 401, 'credential.invalid');
  });
});

describe('runners as administrators see them', () => {
  test('are listed in pages, with when they were last there', async () => {
    for (const identifier of ['aa', 'bb', 'cc']) await registerRunner(server, { scope: 'payments/checkout', identifier });
    const list = `${scopeApi(server, 'payments/checkout')}/runners`;
    const first = (await server.call({ method: 'GET', path: `${list}?limit=2` })).body as { items: { identifier: string }[]; next: string };
    const second = (await server.call({ method: 'GET', path: `${list}?limit=2&cursor=${first.next}` })).body as typeof first;
    assert.deepEqual([...first.items, ...second.items].map(({ identifier }) => identifier), ['aa', 'bb', 'cc']);
    assert.equal(second.next, null);
    const seenRunner = await registerRunner(server, { scope: 'payments/checkout', identifier: 'dd' });
    await callAs(seenRunner);
    const { body } = await server.call({ method: 'GET', path: `${list}/dd` });
    const { id, seenAt, createdBy, path, state } = body as Record<string, string>;
    assert.deepEqual([id, path, state, createdBy], [seenRunner.registration.runnerId, 'payments/checkout/dd', 'active', 'user:admin']);
    assert(Math.abs(Date.parse(seenAt!) - Date.now()) < 60_000);
  });

  test('has no version, so no change of it can be made to depend on one', async () => {
    await registerRunner(server, { identifier: 'unversioned' });
    const path = `${server.api}/runners/unversioned`;
    const got = await server.call({ method: 'GET', path });
    assert.equal(got.headers['etag'], undefined);
    for (const method of ['PUT', 'DELETE']) {
      problem(await server.call({ method, path, headers: { 'if-match': '"1"' }, ...(method === 'PUT' ? { body: { labels: ['other'], state: 'paused' } } : {}) }), 412, 'resource.precondition');
    }
    assert.deepEqual((await server.call({ method: 'GET', path })).body, got.body);
  });

  test('can be paused, and then get nothing new', async () => {
    const runner = await registerRunner(server, { identifier: 'resting' });
    const rows = await auditMark(server);
    const answer = await server.call({ method: 'PUT', path: `${server.api}/runners/resting`, body: { labels: ['gpu'], state: 'paused' } });
    assert.deepEqual([answer.status, (answer.body as { state: string }).state], [200, 'paused']);
    assert.deepEqual(told(await rows()), [{ action: 'runner.update', outcome: 'success', actor: 'user:admin', resource: 'runner resting', scope: '/' }]);
    const { claim, retryAfterMs } = (await callAs(runner)).body as { claim: unknown; retryAfterMs: number };
    assert.equal(claim, null);
    assert(retryAfterMs > 0, 'a paused runner would ask without rest');
  });

  for (const [says, change] of [
    ['paused', (name: string) => server.call({ method: 'PUT', path: `${server.api}/runners/${name}`, body: { labels: [], state: 'paused' } })],
    ['removed', (name: string) => server.call({ method: 'DELETE', path: `${server.api}/runners/${name}` })],
  ] as const) {
    test(`one that is ${says} while its claim waits gets nothing by that claim`, async () => {
      const runner = await registerRunner(server, { identifier: `waits_to_be_${says}` });
      const { desk } = server.app;
      const { claim, watch } = desk;
      const asked: string[] = [];
      const { promise: watched, resolve } = Promise.withResolvers<() => void>();
      Object.assign(desk, {
        claim: async ({ runnerId }: ClaimRequest) => {
          asked.push(runnerId);
          return null;
        },
        watch: (_accountId: string, hint: () => void) => {
          resolve(hint);
          return () => {};
        },
      });
      try {
        void callAs(runner, { body: { ...claimBody(), waitMs: 25_000 } }).catch(() => {});
        const hint = await watched;
        await until(() => asked.length === 2, 'the claim to wait');
        assert.ok((await change(`waits_to_be_${says}`)).status < 300);
        hint();
        // Whoever asks now is answered after the one that was woken before.
        await callAs(await registerRunner(server));
        assert.equal(asked.filter((id) => id === runner.registration.runnerId).length, 2);
      } finally {
        Object.assign(desk, { claim, watch });
      }
    });
  }

  test('that may not be seen look like those that are not there', async () => {
    await registerRunner(server, { scope: 'payments', identifier: 'hidden' });
    const outsider = await makeUser(server, 'outsider', [{ role: 'project_admin', scope: 'payments/checkout' }]);
    for (const method of ['GET', 'DELETE'] as const) {
      const ask = (name: string) => server.call({ method, path: `${scopeApi(server, 'payments')}/runners/${name}`, token: outsider.token });
      assert.deepEqual(seen(await ask('hidden')), seen(await ask('nowhere')), method);
    }
  });

  test('are changed only by who could have registered them', async () => {
    await registerRunner(server, { scope: 'payments', identifier: 'trusted' });
    await server.apply([{ kind: 'Role', identifier: 'runner_keeper', spec: { level: 'org', permissions: ['runner.view', 'runner.edit', 'runner.delete'] } }]);
    const keeper = await makeUser(server, 'keeper', [{ role: 'account.runner_keeper', scope: 'payments' }]);
    const path = `${scopeApi(server, 'payments')}/runners/trusted`;
    problem(await server.call({ method: 'PUT', path, body: { labels: ['prod'], state: 'active' }, token: keeper.token }), 403, 'access.escalation');
    assert.equal((await server.call({ method: 'DELETE', path, token: keeper.token })).status, 204);
    problem(await server.call({ method: 'GET', path }), 404, 'access.not_found');
  });
});

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function jws(header: object, claims: object, { signingKey }: RegisteredIdentity): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), createPrivateKey({ key: signingKey, format: 'jwk' })).toString('base64url')}`;
}

function digest(body: unknown): string {
  return createHash('sha256').update(canonicalJson(body)).digest('base64url');
}
