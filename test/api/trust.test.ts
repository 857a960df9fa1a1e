import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { clientClaims, keysPath, terraformClaims } from '#test/parties/issuer.ts';
import { compactJws, hmac, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, decoded, issuerDocument, jwtType, only, startTrustWorld, tokenExchange, workspace } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let hcp: TestIssuer;
let corporate: TestIssuer;
let stranger: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server, hcp, corporate, stranger } = world);
});

describe('a token of a trusted issuer', () => {
  test('is traded for a session that acts exactly as far as its mapping', async () => {
    const answer = await world.tryExchange(hcp.token(terraformClaims()));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.headers['cache-control'], 'no-store');
    const { access_token: token, ...rest } = answer.body as { access_token: string; expires_in: number };
    assert.deepEqual({ ...rest, expires_in: null }, { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: null });
    assert.equal(rest.expires_in > 280 && rest.expires_in <= 300, true, 'a session ends with the token it was made from');
    assert.equal(await world.may(token, 'pipeline.edit', 'payments/checkout/recover'), true);
    assert.equal(await world.may(token, 'pipeline.edit', 'payments/refunds/recover'), false);
    assert.equal(await world.may(token, 'organization.view', 'payments'), false);
  });

  test('becomes an `at+jwt` of the account with the workload as subject and client', async () => {
    const { header, payload } = decoded(await world.exchange(hcp.token(terraformClaims())));
    const issuer = `${server.url}/accounts/default`;
    const workload = `${hcp.url}#terraform_organization_id=org-abc&terraform_project_id=prj-A&terraform_workspace_id=ws-123`;
    assert.deepEqual({ alg: header['alg'], typ: header['typ'] }, { alg: 'ES256', typ: 'at+jwt' });
    assert.deepEqual(Object.keys(payload).toSorted(), ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sub']);
    assert.deepEqual([payload['iss'], payload['aud'], payload['sub'], payload['client_id']], [issuer, issuer, workload, workload]);
    const jwks = (await server.call({ method: 'GET', path: '/accounts/default/jwks', token: null })).body as { keys: { kid: string }[] };
    assert.equal(jwks.keys.some((key) => key.kid === header['kid']), false, 'session keys are not published');
  });

  test('leaves one audit row, with its claims, the mapping and its version, and every act of the session names it', async () => {
    const token = await world.exchange(hcp.token(terraformClaims({ terraform_run_id: 'run-audit' })));
    const id = String(decoded(token).payload['jti']);
    const [event, ...others] = await world.audit({ session: id });
    assert.equal(others.length, 0);
    assert.equal(event!.action, 'session.create');
    assert.equal(event!.claims!['terraform_run_id'], 'run-audit');
    assert.deepEqual(event!.actor, { type: 'workload', uid: decoded(token).payload['sub'], path: 'tfc:platform' });
    assert.deepEqual((event!.detail['mappings'] as { path: string; version: number }[]).map(({ path, version }) => [path, version]), [['ws_platform', 1]]);
    assert.equal(JSON.stringify(event).includes(token), false);
    const found = await world.audit({ claim: '{"terraform_run_id":"run-audit"}' });
    assert.equal(found.length, 1);
    await server.apply([{ kind: 'Service', scope: 'payments/checkout', identifier: 'web', spec: {} }], token);
    const acts = await world.audit({ session: id });
    assert.deepEqual(acts.map((act) => act.action), ['service.create', 'session.create']);
  });

  test('whose scope stands in a map acts there and nowhere else', async () => {
    const runs = { role: 'runs', scope: { from: '/terraform_project_id', map: { 'prj-A': 'payments', 'prj-B': 'platform/edge' } }, resources: [{ type: 'pipeline' }], includeChildScopes: true };
    await server.apply([only('mapped', { grants: [runs] })]);
    const [a, b] = await Promise.all(['prj-A', 'prj-B'].map((id) => world.exchange(hcp.token(terraformClaims({ terraform_workspace_id: 'mapped', terraform_project_id: id })))));
    assert.deepEqual([await world.may(a!, 'pipeline.execute', 'payments/checkout/recover'), await world.may(a!, 'pipeline.execute', 'platform/edge/recover')], [true, false]);
    assert.deepEqual([await world.may(b!, 'pipeline.execute', 'payments/checkout/recover'), await world.may(b!, 'pipeline.execute', 'platform/edge/recover')], [false, true]);
    assert.equal((await world.tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'mapped', terraform_project_id: 'prj-C' })))).status, 400);
  });

  test('of an application runs that application\'s pipelines and no others', async () => {
    const session = await world.exchange(corporate.token(clientClaims(), { header: { typ: 'at+jwt' } }));
    assert.equal(await world.may(session, 'pipeline.execute', 'payments/checkout/recover'), true);
    assert.equal(await world.may(session, 'pipeline.execute', 'payments/refunds/recover'), false, 'another application');
    assert.equal(await world.may(session, 'pipeline.execute', 'platform/edge/recover'), false, 'its own application, beside the grant');
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), false);
    const without = await world.exchange(corporate.token(clientClaims({ application_id: undefined })));
    assert.equal(await world.may(without, 'pipeline.execute', 'payments/checkout/recover'), false, 'no claim, no pipeline');
  });

  test('that two mappings match has what either gives, each for as long as it gives it', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'two' }];
    await server.apply([
      workspace({ when, session: { ttl: '1m' } }, 'two_short'),
      workspace({ when, session: { ttl: '4m' }, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'two_long'),
    ]);
    const session = await world.exchangeAs('two');
    assert.deepEqual([await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), await world.may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, true]);
    server.clock.advance(2 * 60_000);
    assert.deepEqual([await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), await world.may(session, 'pipeline.edit', 'payments/refunds/recover')], [false, true]);
    server.clock.advance(2 * 60_000 + 1_000);
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/refunds/recover'), 401);
  });
});

describe('a token that is refused', () => {
  /** Null where no issuer is known: then there is a count, and no row. */
  const hostile: [says: string, make: () => string, code: string, why: RegExp | null][] = [
    ['an unknown issuer', () => stranger.token(terraformClaims()), 'trust.unknown_issuer', null],
    ['no token at all', () => 'hello', 'trust.malformed', null],
    ['an encrypted token', () => 'a.b.c.d.e', 'trust.malformed', null],
    ['duplicate claims', () => compactJws({ alg: 'RS256', kid: hcp.key.kid }, `{"iss":"${hcp.url}","iss":"x"}`, () => Buffer.of(1)), 'trust.malformed', null],
    ['the algorithm none', () => compactJws({ alg: 'none' }, claimsNow(), () => Buffer.of(0)), 'trust.refused', /algorithm is not one/],
    ['the public key as a shared secret', () => compactJws({ alg: 'HS256', kid: hcp.key.kid }, claimsNow(), hmac('HS256', hcp.key.publicKey.export({ format: 'pem', type: 'spki' }) as string)), 'trust.refused', /algorithm is not one/],
    ['another key under the same id', () => hcp.token(terraformClaims(), { key: issuerKey('RS256', hcp.key.kid) }), 'trust.refused', /signature does not fit/],
    ['a key of its own in the header', () => hcp.token(terraformClaims(), { header: { jwk: hcp.key.jwk } }), 'trust.refused', /has `jwk`/],
    ['a place for keys in the header', () => hcp.token(terraformClaims(), { header: { jku: 'https://evil.example' } }), 'trust.refused', /has `jku`/],
    ['a critical extension', () => hcp.token(terraformClaims(), { header: { crit: ['b64'], b64: false } }), 'trust.refused', /has `crit`/],
    ['a logout token', () => hcp.token(terraformClaims(), { header: { typ: 'logout+jwt' } }), 'trust.refused', /another type/],
    ['claims changed after signing', () => tampered(hcp.token(terraformClaims())), 'trust.refused', /signature does not fit/],
    ['another audience', () => hcp.token(terraformClaims({ aud: 'https://other.example' })), 'trust.refused', /meant for somebody else/],
    ['a token that is good elsewhere too', () => hcp.token(terraformClaims({ aud: ['https://sallyport.example', 'https://other.example'] })), 'trust.refused', /meant for others too/],
    ['no audience', () => hcp.token(terraformClaims(), { without: ['aud'] }), 'trust.refused', /no `aud`/],
    ['an expired token', () => hcp.token(terraformClaims({ exp: world.nowSeconds() - 60, iat: world.nowSeconds() - 120 })), 'trust.refused', /has expired/],
    ['a token that never expires', () => hcp.token(terraformClaims(), { without: ['exp'] }), 'trust.refused', /no `exp`/],
    ['a token of next year', () => hcp.token(terraformClaims({ nbf: world.nowSeconds() + 3_600 })), 'trust.refused', /not valid yet/],
    ['a token for a week', () => hcp.token(terraformClaims({ exp: world.nowSeconds() + 604_800 })), 'trust.refused', /lives longer/],
    ['a token without the ids its subject is made of', () => hcp.token(terraformClaims(), { without: ['terraform_workspace_id'] }), 'trust.refused', /subject is made of/],
    ['a claim the database cannot hold', () => hcp.token(terraformClaims({ note: 'a\0b' })), 'trust.refused', /U\+0000/],
    ['another workspace', () => hcp.token(terraformClaims({ terraform_workspace_id: 'ws-999' })), 'trust.no_mapping', /no claim mapping of the issuer matches/],
  ];

  const claimsNow = () => ({ iss: hcp.url, exp: world.nowSeconds() + 300, ...terraformClaims() });
  const tampered = (token: string): string => {
    const [header, , signature] = token.split('.');
    return `${header}.${Buffer.from(JSON.stringify({ ...claimsNow(), terraform_workspace_id: 'ws-1' })).toString('base64url')}.${signature}`;
  };

  for (const [says, make, code, why] of hostile) {
    test(`${says}: the caller learns nothing, the administrator everything`, async () => {
      const token = make();
      const answer = await world.tryExchange(token);
      const { correlation_id: id, ...body } = answer.body as { correlation_id: string };
      assert.equal(answer.status, 400);
      assert.deepEqual(body, { error: 'invalid_request', error_description: 'the token is not accepted' });
      const events = await world.audit({ requestId: id });
      if (why === null) return assert.deepEqual(events, []);
      const [event, ...others] = events;
      assert.equal(others.length, 0);
      assert.deepEqual([event!.action, event!.outcome, event!.resource!.path], ['session.refused', 'refused', 'hcp']);
      assert.equal(event!.detail.code, code);
      assert.match(event!.detail.because, why);
      assert.equal(JSON.stringify(event).includes(token.split('.')[2]!), false, 'no token in the audit');
    });
  }

  test('every refusal is the same bytes but for the correlation id', async () => {
    const texts = await Promise.all(hostile.map(async ([, make]) => {
      const form = new URLSearchParams({ grant_type: tokenExchange, subject_token: make(), subject_token_type: jwtType });
      const answer = await fetch(`${server.url}/accounts/default/oauth/token`, { method: 'POST', body: form });
      const headers = Object.fromEntries([...answer.headers].filter(([name]) => !['date', 'sallyport-request-id'].includes(name)));
      const text = await answer.text();
      return JSON.stringify({ status: answer.status, headers, text: text.replace(/[0-9a-f-]{36}/, 'ID') });
    }));
    assert.equal(new Set(texts).size, 1);
  });

  test('by all mappings: the row names each condition with what was expected and what came', async () => {
    const answer = await world.tryExchange(hcp.token(terraformClaims({ terraform_organization_id: 'org-evil', terraform_workspace_id: 'ws-123' })));
    const [event] = await world.audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
    const nearest = event!.diff!.mappings!.find((mapping) => mapping.mapping === 'ws_platform')!;
    assert.deepEqual(nearest.failed, [{ claim: '/terraform_organization_id', expected: { equals: 'org-abc' }, actual: 'org-evil' }]);
    assert.equal(event!.claims!['terraform_organization_id'], 'org-evil');
    assert.equal(event!.actor!.type, 'workload');
  });

  test('by mappings that match and grant nothing', async () => {
    await server.apply([only('empty', { grants: [{ role: 'runs', scope: 'payments', resources: [] }] })]);
    const answer = await world.tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'empty' })));
    assert.equal(answer.status, 400);
    const [event] = await world.audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
    assert.match(event!.detail.because, /grant nothing now/);
  });

  test('by an issuer whose keys nobody has: try again, the cause is in the audit', async () => {
    const away = await world.newIssuer();
    away.trick(keysPath, { kind: 'status', status: 500 });
    await server.apply([issuerDocument('away', away, { keys: { jwksUri: `${away.url}${keysPath}` } })]);
    const answer = await world.tryExchange(away.token({ aud: 'https://sallyport.example', sub: 'x' }));
    assert.equal(answer.status, 503);
    const { correlation_id: id, error } = answer.body as { correlation_id: string; error: string };
    assert.equal(error, 'temporarily_unavailable');
    const [event] = await world.audit({ requestId: id });
    assert.equal(event!.detail.code, 'trust.keys_unavailable');
    assert.match(event!.detail.because, /plain http/);
  });

  test('again and again: twenty rows a minute for an issuer, then only counts', async () => {
    await server.apply([issuerDocument('flooded', stranger, { keys: { jwks: { keys: [stranger.key.jwk] } } })]);
    for (let i = 0; i < 25; i++) await world.tryExchange(stranger.token({ aud: 'nobody', sub: 'x' }));
    const rows = (await world.audit({ action: 'session.refused', limit: '200' })).filter((event) => event.resource?.path === 'flooded');
    assert.equal(rows.length, 20);
    // Written every few seconds, so a slow machine finds them in more than one.
    const summaries = await until(async () => {
      const all = await world.audit({ action: 'refusals.summary', limit: '200' });
      const found = all.filter((event) => event.detail['operation'] === 'flooded' && event.detail.code === 'trust.refused/audience');
      const counted = found.reduce((sum, event) => sum + Number(event.detail['count']), 0);
      assert.ok(counted <= 25, `${counted} are counted`);
      return counted === 25 ? found : null;
    }, 'the summaries of refusals are written');
    for (const summary of summaries) assert.equal(summary.detail['addresses'], '127.0.0.0/24');
  });
});

describe('the token endpoint', () => {
  const good = () => hcp.token(terraformClaims());
  const rows: [says: string, changes: Record<string, string>, error: string, text: RegExp][] = [
    ['another grant type', { grant_type: 'client_credentials' }, 'unsupported_grant_type', /not offered/],
    ['another grant type with parameters of its own', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: 'x' }, 'unsupported_grant_type', /not offered/],
    ['both grants at once', { assertion: 'x' }, 'invalid_request', /^assertion: unknown field/],
    ['a secret of the client', { client_secret: 'x' }, 'invalid_request', /^client_secret: is not offered$/],
    ['an assertion of the client', { client_assertion: 'x' }, 'invalid_request', /^client_assertion: is not offered$/],
    ['a parameter of another grant', { refresh_token: 'x' }, 'invalid_request', /^refresh_token: unknown field/],
    ['no grant type', { grant_type: '' }, 'invalid_request', /grant_type/],
    ['no subject token', { subject_token: '' }, 'invalid_request', /subject_token: is needed/],
    ['no subject token type', { subject_token_type: '' }, 'invalid_request', /subject_token_type/],
    ['a SAML assertion', { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 'invalid_request', /subject_token_type/],
    ['another answer than an access token', { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }, 'invalid_request', /requested_token_type/],
    ['a scope of another kind', { scope: 'openid' }, 'invalid_scope', /^scope: 'openid' is no permission that the token gives$|^scope: `openid`/],
    ['authorization details that say nothing', { authorization_details: '[]' }, 'invalid_authorization_details', /^authorization_details: /],
    ['an actor', { actor_token: 'x' }, 'invalid_request', /^actor_token: is not offered$/],
    ['an unknown parameter', { subject_tokn: 'x' }, 'invalid_request', /^subject_tokn: unknown field/],
    ['a token that is too large', { subject_token: 'x'.repeat(20_000) }, 'invalid_request', /at most 16384/],
    ['another audience', { audience: 'https://other.example' }, 'invalid_target', /not served here/],
    ['another resource', { resource: 'https://other.example' }, 'invalid_target', /not served here/],
  ];
  for (const [says, changes, error, text] of rows) {
    test(`refuses ${says}, and says so`, async () => {
      const answer = await world.tryExchange(good(), changes);
      const body = answer.body as { error: string; error_description: string };
      assert.deepEqual([answer.status, body.error], [400, error]);
      assert.match(body.error_description, text);
    });
  }

  const taken: [says: string, changes: Record<string, string>][] = [
    ['the account issuer as audience', { audience: 'ISSUER' }],
    ['the account issuer as resource', { resource: 'ISSUER' }],
    ['an access token as subject', { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
    ['an id token as subject', { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
    ['the type it would give anyway', { requested_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
    ['parameters without a value', { scope: '', audience: '' }],
    ['the name of a public client', { client_id: 'terraform' }],
  ];
  for (const [says, changes] of taken) {
    test(`takes ${says}`, async () => {
      const named = Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, value.replace('ISSUER', `${server.url}/accounts/default`)]));
      assert.equal((await world.tryExchange(good(), named)).status, 200);
    });
  }

  test('counts what it could not look at for want of keys, so that nobody asks without end which issuers are registered', async () => {
    const away = await world.newIssuer();
    away.trick(keysPath, { kind: 'status', status: 500 });
    await server.apply([issuerDocument('away_too', away, { keys: { jwksUri: `${away.url}${keysPath}` } })]);
    const strict = await world.anotherNode({ refusedExchangesPerMinute: 3 });
    await server.sql('delete from rate_bucket');
    const ask = () => strict.call({ method: 'POST', path: '/accounts/default/oauth/token', form: { grant_type: tokenExchange, subject_token: away.token({ aud: 'https://sallyport.example', sub: 'x' }), subject_token_type: jwtType }, token: null });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await ask()).status);
    assert.deepEqual(statuses, [503, 503, 503, 429]);
  });

  test('refuses a parameter that is given twice', async () => {
    const form = `grant_type=${tokenExchange}&subject_token=${good()}&subject_token=${good()}&subject_token_type=${jwtType}`;
    const answer = await fetch(`${server.url}/accounts/default/oauth/token`, { method: 'POST', body: form, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /subject_token: is given more than once/);
  });

  test('refuses JSON', async () => {
    const answer = await server.call({ method: 'POST', path: '/accounts/default/oauth/token', body: { grant_type: tokenExchange }, token: null });
    assert.equal((answer.body as { error: string }).error, 'invalid_request');
  });

  test('lets an address refuse itself: after too many refusals nothing from there is looked at', async () => {
    const strict = await world.anotherNode({ refusedExchangesPerMinute: 3 });
    await server.sql('delete from rate_bucket');
    const form = (token: string) => ({ grant_type: tokenExchange, subject_token: token, subject_token_type: jwtType });
    const at = (token: string) => strict.call({ method: 'POST', path: '/accounts/default/oauth/token', form: form(token), token: null });
    assert.equal((await at(good())).status, 200);
    for (let i = 0; i < 3; i++) assert.equal((await at('hello')).status, 400);
    const answer = await at(good());
    assert.equal(answer.status, 429);
    assert.equal(Number(answer.headers['retry-after']) > 0, true);
  });
});

test('a shared secret of the issuer is no key: HMAC with the client secret is refused', async () => {
  const signer = (input: Buffer) => createHmac('sha256', 'client-secret').update(input).digest();
  const token = compactJws({ alg: 'HS256' }, { iss: corporate.url, ...clientClaims(), exp: Math.floor(Date.now() / 1_000) + 300 }, signer);
  assert.equal((await world.tryExchange(token)).status, 400);
});
