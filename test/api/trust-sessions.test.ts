import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import { compactJws, issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, decoded, issuerDocument, only, startTrustWorld, workspace } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let hcp: TestIssuer;
let stranger: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server, hcp, stranger } = world);
});

describe('a session is no more than its mapping says now', () => {
  const before: [says: string, name: string, change: () => Promise<unknown>, left: boolean | number][] = [
    ['a narrowed mapping bites at the next request', 'narrowed', () => server.apply([only('narrowed', { grants: [{ ...administers, scope: 'payments/refunds' }] })]), 401],
    ['a stricter condition bites at the next request', 'stricter', () => server.apply([only('stricter', { when: [{ claim: '/terraform_workspace_id', equals: 'stricter' }, { claim: '/terraform_run_phase', equals: 'plan' }] })]), 401],
    ['a removed mapping bites at the next request', 'removed', () => server.call({ method: 'DELETE', path: `${server.api}/claim-mappings/removed` }), 401],
    ['a mapping of another issuer bites at the next request', 'moved', () => server.apply([only('moved', { issuer: 'corporate' })]), 401],
    ['a mapping that changes nothing for the session leaves it', 'same', () => server.apply([only('same', { session: { ttl: '5m' } })]), true],
  ];
  for (const [says, name, change, left] of before) {
    test(says, async () => {
      await server.apply([only(name)]);
      const session = await world.exchangeAs(name);
      assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
      await change();
      assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), left);
    });
  }

  test('a permission taken from the role is gone at the next request', async () => {
    const role = (permissions: string[]) => ({ kind: 'Role', identifier: 'shrinking', spec: { level: 'org', permissions } });
    await server.apply([role(['pipeline.view', 'pipeline.execute']), only('role', { grants: [{ role: 'shrinking', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] })]);
    const session = await world.exchangeAs('role');
    assert.equal(await world.may(session, 'pipeline.execute', 'payments/checkout/recover'), true);
    await server.apply([role(['pipeline.view'])]);
    assert.deepEqual([await world.may(session, 'pipeline.execute', 'payments/checkout/recover'), await world.may(session, 'pipeline.view', 'payments/checkout/recover')], [false, true]);
    await server.apply([role([])]);
    assert.equal(await world.may(session, 'pipeline.view', 'payments/checkout/recover'), 401);
  });

  test('a widened mapping needs a new exchange', async () => {
    const wide = only('widened', { grants: [administers, { ...administers, scope: 'payments/refunds' }] });
    await server.apply([only('widened')]);
    const session = await world.exchangeAs('widened');
    await server.apply([wide]);
    assert.deepEqual([await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), await world.may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, false]);
    assert.equal(await world.may(await world.exchangeAs('widened'), 'pipeline.edit', 'payments/refunds/recover'), true);
  });

  const issuers: [says: string, name: string, changes: object, left: boolean | number][] = [
    ['an audience the issuer no longer has', 'aud', { audiences: ['https://other.example'] }, 401],
    ['an algorithm the issuer no longer has', 'alg', { algorithms: ['ES256'] }, 401],
    ['a token that would live too long now', 'life', { maxLifetime: '1m' }, 401],
    ['keys that were replaced', 'keys', { keys: { jwks: { keys: [issuerKey('RS256', 'new').jwk] } } }, 401],
    ['another preset, and so another subject', 'preset', { preset: 'generic' }, 401],
    ['one audience more', 'more', { audiences: ['https://sallyport.example', 'https://other.example'] }, true],
  ];
  for (const [says, name, changes, left] of issuers) {
    test(`${says}: ${left === true ? 'the session stays' : 'dead at the next request'}`, async () => {
      const own = await world.newIssuer();
      const document = (more: object) => issuerDocument(`own_${name}`, own, { preset: 'hcp_terraform', keys: { jwks: { keys: [own.key.jwk] } }, ...more });
      await server.apply([document({}), workspace({ issuer: `own_${name}` }, `own_${name}`)]);
      const session = await world.exchange(own.token(terraformClaims()));
      assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
      await server.apply([document(changes)]);
      assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), left);
    });
  }

  test('a removed issuer ends its sessions', async () => {
    await server.apply([issuerDocument('gone', stranger, { keys: { jwks: { keys: [stranger.key.jwk] } }, preset: 'hcp_terraform' }), workspace({ issuer: 'gone' }, 'gone')]);
    const session = await world.exchange(stranger.token(terraformClaims()));
    const removed = await server.call({ method: 'DELETE', path: `${server.api}/trusted-issuers/gone?cascade=true` });
    assert.equal(removed.status, 204);
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), 401);
  });

  test('a dead session is nobody: 401 and nothing to learn', async () => {
    await server.apply([only('dead')]);
    const session = await world.exchangeAs('dead');
    await server.call({ method: 'DELETE', path: `${server.api}/claim-mappings/dead` });
    const answer = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: session });
    const garbage = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: `${session.slice(0, -4)}AAAA` });
    const plain = ({ status, body, headers }: RemoteAnswer) => ({ status, body: { ...(body as object), instance: null }, challenge: headers['www-authenticate'] });
    assert.equal(answer.status, 401);
    assert.deepEqual(plain(answer), plain(garbage));
    assert.match(answer.headers['www-authenticate']!, /error="invalid_token"/);
  });
});

describe('a session token', () => {
  test('of one account is nobody in another', async () => {
    const session = await world.exchange(hcp.token(terraformClaims()));
    const other = await server.addAccount('elsewhere');
    const answer = await server.call({ method: 'POST', path: `${other.api}/access:check`, body: { permission: 'pipeline.view', resource: 'payments/checkout/recover' }, token: session });
    assert.equal(answer.status, 401);
  });

  const forged: [says: string, forge: (token: string) => Promise<string> | string][] = [
    ['with another subject', (token) => withPayload(token, (payload) => ({ ...payload, sub: 'x' }))],
    ['with a later end', (token) => withPayload(token, (payload) => ({ ...payload, exp: Number(payload['exp']) + 3_600 }))],
    ['without a signature', (token) => `${token.split('.').slice(0, 2).join('.')}.`],
    ['signed with nothing', (token) => compactJws({ ...decoded(token).header, alg: 'none' }, decoded(token).payload, () => Buffer.of(0))],
    ['signed by somebody else under our key id', (token) => issue(issuerKey('ES256', String(decoded(token).header['kid'])), decoded(token).payload, { typ: 'at+jwt' })],
    ['signed with the minting key', async (token) => {
      const key = await server.app.mintKeys.current(server.account.id, 'RS256');
      return issue({ ...issuerKey('RS256', key.id), privateKey: key.privateKey }, decoded(token).payload, { typ: 'at+jwt' });
    }],
    ['of the right key and another type', async (token) => resigned(token, { typ: 'JWT' }, {})],
    ['of the right key without an id', async (token) => resigned(token, {}, { jti: undefined })],
    ['of the right key for a session that is none', async (token) => resigned(token, {}, { jti: '00000000-0000-7000-8000-000000000000' })],
    ['of the right key for another audience', async (token) => resigned(token, {}, { aud: 'https://other.example' })],
  ];
  for (const [says, forge] of forged) {
    test(`${says} is nobody`, async () => {
      const session = await world.exchange(hcp.token(terraformClaims()));
      assert.equal(await world.may(await forge(session), 'pipeline.edit', 'payments/checkout/recover'), 401);
      assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
    });
  }

  function withPayload(token: string, change: (payload: Record<string, unknown>) => object): string {
    const [header, , signature] = token.split('.');
    return `${header}.${Buffer.from(JSON.stringify(change(decoded(token).payload))).toString('base64url')}.${signature}`;
  }

  async function resigned(token: string, header: object, payload: object): Promise<string> {
    const key = await server.keyring.signingKey(server.account.id, 'session');
    return issue({ ...issuerKey('ES256', key.id), privateKey: key.privateKey }, { ...decoded(token).payload, ...payload }, { typ: 'at+jwt', ...header });
  }
});

describe('ending sessions', () => {
  const open = async (identifier: string): Promise<{ token: string; id: string }> => {
    const token = await world.exchangeAs(identifier);
    return { token, id: String(decoded(token).payload['jti']) };
  };
  const alive = async (token: string): Promise<boolean> => (await world.may(token, 'pipeline.edit', 'payments/checkout/recover')) === true;

  const ways: [says: string, revoke: (session: { token: string; id: string }, name: string) => Promise<RemoteAnswer>][] = [
    ['by id', ({ id }) => server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` })],
    ['by subject', ({ token }) => server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { subject: String(decoded(token).payload['sub']).split('#')[1] } })],
    ['by mapping', (_session, name) => server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { mapping: name } })],
    ['by its own bearer', ({ token }) => world.oauth('revoke', { token, token_type_hint: 'access_token' })],
  ];
  for (const [says, revoke] of ways) {
    test(`${says} ends that session at once, and no other`, async () => {
      const name = `ends_${says.replaceAll(' ', '_')}`;
      await server.apply([only(name), only('lasting')]);
      const [session, other] = await Promise.all([open(name), open('lasting')]);
      assert.deepEqual([await alive(session.token), await alive(other.token)], [true, true]);
      const answer = await revoke(session, name);
      assert.equal(answer.status < 300, true, JSON.stringify(answer.body));
      assert.deepEqual([await alive(session.token), await alive(other.token)], [false, true]);
      const rows = (await world.audit({ action: 'session.revoke' })).filter((event) => event.requestId === answer.headers['sallyport-request-id']);
      assert.equal(rows.length, 1);
      assert.equal(rows[0]!.detail['sessions'], 1);
    });
  }

  test('by issuer ends all of its sessions', async () => {
    const own = await world.newIssuer();
    await server.apply([issuerDocument('leaky', own, { keys: { jwks: { keys: [own.key.jwk] } }, preset: 'hcp_terraform' }), workspace({ issuer: 'leaky' }, 'leaky')]);
    const sessions = await Promise.all([1, 2].map(() => world.exchange(own.token(terraformClaims()))));
    assert.deepEqual((await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { issuer: 'leaky' } })).body, { revoked: 2 });
    assert.deepEqual(await Promise.all(sessions.map(alive)), [false, false]);
  });

  test('on one node is seen on another within a second', async () => {
    await server.apply([only('nodes')]);
    const { token, id } = await open('nodes');
    const other = await world.anotherNode({ publicUrl: server.url });
    assert.equal(await world.may(token, 'pipeline.edit', 'payments/checkout/recover', other), true);
    await server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` });
    await until(async () => (await world.may(token, 'pipeline.edit', 'payments/checkout/recover', other)) === 401, 'the other node sees it', { patienceMs: 1_000 });
    const metrics = String((await other.call({ method: 'GET', path: '/metrics' })).body);
    assert.match(metrics, /^sallyport_revocation_seen_seconds_count 1$/m);
    assert.match(metrics, /^sallyport_revocation_seen_seconds_bucket\{le="1"\} 1$/m, 'how long it took is counted, and it was within a second');
  });

  test('needs exactly one selector', async () => {
    for (const body of [{}, { subject: 'x', mapping: 'lasting' }]) assert.equal((await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body })).status, 400);
  });

  test('of somebody else\'s sessions is not for a session', async () => {
    await server.apply([only('outsider')]);
    const { token, id } = await open('outsider');
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}`, token })).status, 404);
    assert.equal((await server.call({ method: 'GET', path: `${server.api}/sessions`, token })).status, 404);
    assert.equal((await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { mapping: 'outsider' }, token })).status, 404);
  });

  test('with whatever is no session of ours says nothing (RFC 7009)', async () => {
    const { token } = await open('lasting');
    for (const given of ['hello', hcp.token(terraformClaims()), `${token}x`]) {
      const answer = await world.oauth('revoke', { token: given });
      assert.deepEqual([answer.status, answer.body], [200, null]);
    }
    assert.equal(await alive(token), true);
  });

  test('shows in introspection (RFC 7662)', async () => {
    await server.apply([only('looked_at')]);
    const { token, id } = await open('looked_at');
    const active = (await world.oauth('introspect', { token }, server.adminToken)).body as Record<string, unknown>;
    assert.deepEqual([active['active'], active['jti'], active['username'], active['client_id']], [true, id, 'tfc:platform', decoded(token).payload['sub']]);
    assert.equal(active['exp'], decoded(token).payload['exp']);
    assert.equal((await world.oauth('introspect', { token })).status, 401, 'nobody may ask without a credential');
    for (const unknown of ['hello', hcp.token(terraformClaims()), server.adminToken]) {
      assert.deepEqual((await world.oauth('introspect', { token: unknown }, server.adminToken)).body, { active: false });
    }
    await server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` });
    assert.deepEqual((await world.oauth('introspect', { token }, server.adminToken)).body, { active: false });
  });

  test('is chosen from a list, page by page', async () => {
    await server.apply([only('listed')]);
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.unshift((await open('listed')).id);
    const page = async (query: string) => (await server.call({ method: 'GET', path: `${server.api}/sessions?mapping=listed${query}` })).body as { items: { id: string; label: string; mappings: { path: string }[] }[]; next: string | null };
    const first = await page('&limit=2');
    const second = await page(`&limit=2&cursor=${encodeURIComponent(first.next!)}`);
    assert.deepEqual([...first.items, ...second.items].map((item) => item.id), ids);
    assert.equal(second.next, null);
    assert.equal(first.items[0]!.mappings[0]!.path, 'listed');
    await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { mapping: 'listed' } });
    assert.deepEqual((await page('')).items, []);
    assert.equal((await page('&all=true')).items.length, 3);
  });
});

describe('changing trust and access', () => {
  const binding = (identifier: string): Record<string, unknown> => ({ kind: 'Role', scope: 'payments/checkout', identifier, spec: { level: 'project', permissions: [] } });
  const attempt = (token: string, identifier: string) => server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: [binding(identifier)] }, token });

  test('is not for a session, whatever it holds', async () => {
    await server.apply([only('plain')]);
    const answer = await attempt(await world.exchangeAs('plain'), 'r1');
    assert.deepEqual([answer.status, (answer.body as { code: string }).code], [403, 'access.administer']);
  });

  test('is for a session whose mapping says so', async () => {
    await server.apply([only('trusted', { mayAdminister: true })]);
    assert.equal((await attempt(await world.exchangeAs('trusted'), 'r2')).status, 200);
  });

  test('ends when the mapping no longer says so, and begins only with a new exchange', async () => {
    await server.apply([only('wavering', { mayAdminister: true })]);
    const early = await world.exchangeAs('wavering');
    await server.apply([only('wavering')]);
    const late = await world.exchangeAs('wavering');
    assert.equal((await attempt(early, 'r3')).status, 403);
    await server.apply([only('wavering', { mayAdminister: true })]);
    assert.equal((await attempt(late, 'r4')).status, 403);
  });

  test('needs the word of every mapping whose rights the session has', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'mixed' }];
    await server.apply([workspace({ when, mayAdminister: true }, 'mixed_a'), workspace({ when, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'mixed_b')]);
    assert.equal((await attempt(await world.exchangeAs('mixed'), 'r5')).status, 403);
  });
});

test('a session makes no token that would live on when it is revoked, unmapped or over', async () => {
  await server.apply([only('hoarder', { mayAdminister: true }), { kind: 'ServiceAccount', scope: 'payments/checkout', identifier: 'stash', spec: {} }]);
  const session = await world.exchangeAs('hoarder');
  const body = { name: 'for later', ttl: '1m', principal: { type: 'service_account', path: 'payments/checkout/stash' } };
  const answer = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body, token: session });
  assert.deepEqual([answer.status, (answer.body as { code: string }).code], [403, 'access.denied'], JSON.stringify(answer.body));
  assert.match((answer.body as { detail: string }).detail, /a session makes no tokens/);
  assert.deepEqual(await server.sql(`select 1 from credential where name = 'for later'`), []);
  const [row] = (await world.audit({ action: 'api_token.create', outcome: 'refused' }));
  assert.deepEqual([row?.actor?.path, row?.detail.code], ['tfc:platform', 'access.denied']);
});

describe('explaining a token', () => {
  interface Trace {
    readonly accepted: boolean;
    readonly issuer: string | null;
    readonly subject: string | null;
    readonly checks: readonly { readonly check: string; readonly outcome: string; readonly because?: string; readonly actual?: unknown }[];
    readonly mappings: readonly { readonly mapping: string; readonly matched: boolean; readonly conditions: readonly unknown[] }[];
  }
  const explain = (token: string, as?: string) => server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { token }, ...(as === undefined ? {} : { token: as }) });
  const traceOf = async (token: string): Promise<Trace> => (await explain(token)).body as Trace;

  test('names every check and every condition', async () => {
    const trace = await traceOf(hcp.token(terraformClaims()));
    assert.deepEqual([trace.accepted, trace.issuer, trace.subject?.startsWith('terraform_organization_id=org-abc')], [true, 'hcp', true]);
    assert.deepEqual(new Set(trace.checks.map(({ outcome }) => outcome)), new Set(['passed']));
    const own = trace.mappings.find(({ mapping }) => mapping === 'ws_platform')!;
    assert.equal(own.matched, true);
    assert.deepEqual(own.conditions[0], { claim: '/terraform_organization_id', expected: { equals: 'org-abc' }, actual: 'org-abc', holds: true });
  });

  test('says where a token fails, and compares mappings all the same', async () => {
    const trace = await traceOf(hcp.token(terraformClaims({ aud: 'https://other.example' })));
    assert.equal(trace.accepted, false);
    const failed = trace.checks.find(({ outcome }) => outcome === 'failed')!;
    assert.deepEqual([failed.check, failed.because, failed.actual], ['audience', 'the token is meant for somebody else', 'https://other.example']);
    assert.deepEqual(trace.checks.find(({ check }) => check === 'expiry'), { check: 'expiry', outcome: 'not_reached' });
    assert.equal(trace.mappings.find(({ mapping }) => mapping === 'ws_platform')!.matched, true);
  });

  const early: [says: string, token: () => string, check: string][] = [
    ['what is no token', () => 'hello', 'read'],
    ['a token of an issuer nobody registered', () => issue(issuerKey('RS256', 'x'), { iss: 'https://nobody.example' }), 'registered'],
  ];
  for (const [says, token, check] of early) {
    test(`says of ${says} where it fails`, async () => {
      assert.equal((await traceOf(token())).checks.find(({ outcome }) => outcome === 'failed')!.check, check);
    });
  }

  test('grants nothing, keeps nothing and is not for everybody', async () => {
    const token = hcp.token(terraformClaims({ terraform_run_id: 'run-explained' }));
    const answer = await explain(token);
    assert.equal(JSON.stringify(answer.body).includes('access_token'), false);
    assert.deepEqual(await world.audit({ claim: '{"terraform_run_id":"run-explained"}' }), []);
    assert.deepEqual(await server.sql(`select id from workload_session where claims @> '{"terraform_run_id":"run-explained"}'`), []);
    await server.apply([only('curious')]);
    assert.equal((await explain(token, await world.exchangeAs('curious'))).status, 404);
  });
});

describe('mappings below the account', () => {
  test('reach at or below their own scope', async () => {
    const spec = { issuer: 'account.hcp', when: [{ claim: '/terraform_workspace_id', equals: 'below' }], grants: [{ role: 'account.runs', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] };
    await server.apply([{ kind: 'ClaimMapping', scope: 'payments', identifier: 'below', spec }]);
    const session = await world.exchangeAs('below');
    assert.deepEqual([await world.may(session, 'pipeline.execute', 'payments/refunds/recover'), await world.may(session, 'pipeline.execute', 'platform/edge/recover')], [true, false]);
  });
});
