import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { clientClaims, keysPath, startIssuer, terraformClaims } from '#test/parties/issuer.ts';
import { compactJws, hmac, issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtType = 'urn:ietf:params:oauth:token-type:jwt';

let server: TestServer;
let hcp: TestIssuer;
let corporate: TestIssuer;
let stranger: TestIssuer;

before(async () => {
  const nowSeconds = (): number => Math.floor((server?.clock.now().getTime() ?? Date.now()) / 1_000);
  [hcp, corporate, stranger] = await Promise.all([startIssuer({ nowSeconds }), startIssuer({ nowSeconds, alg: 'ES256' }), startIssuer({ nowSeconds })]);
  server = await startTestServer({ settings: { allowPrivateOrigin: [hcp.url, corporate.url], refusedExchangesPerMinute: 100_000 } });
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Organization', identifier: 'platform', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'refunds', spec: {} },
    { kind: 'Project', scope: 'platform', identifier: 'edge', spec: {} },
    pipeline('payments/checkout', 'recover', 'app_x'),
    pipeline('payments/refunds', 'recover', 'app_y'),
    pipeline('platform/edge', 'recover', 'app_x'),
    { kind: 'Role', identifier: 'runs', spec: { level: 'org', permissions: ['pipeline.view', 'pipeline.execute'] } },
    issuerDocument('hcp', hcp, { preset: 'hcp_terraform' }),
    issuerDocument('corporate', corporate, { algorithms: ['ES256'] }),
    workspace({}),
    {
      kind: 'ClaimMapping', identifier: 'app_recovery',
      spec: {
        issuer: 'corporate', when: [{ claim: '/client_id', equals: 'dynatrace-automation' }],
        grants: [{ role: 'runs', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.application': { equalsClaim: '/application_id' } } }] }],
      },
    },
  ]);
});
after(async () => {
  await Promise.all([hcp.stop(), corporate.stop(), stranger.stop()]);
});

/** Another node beside the server, at the same time of day. */
async function anotherNode(settings: NonNullable<Parameters<typeof startTestServer>[0]>['settings'] = {}): Promise<TestServer> {
  const node = await startTestServer({ beside: server, settings: { allowPrivateOrigin: [hcp.url], ...settings } });
  node.clock.advance(server.clock.now().getTime() - node.clock.now().getTime());
  return node;
}

function issuerDocument(identifier: string, issuer: { readonly url: string }, changes: object = {}): Record<string, unknown> {
  const spec = { issuer: issuer.url, audiences: ['https://sallyport.example'], keys: { discovery: true }, algorithms: ['RS256'], ...changes };
  return { kind: 'TrustedIssuer', identifier, spec };
}

const administers = { role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' };

function workspace(changes: object, identifier = 'ws_platform'): Record<string, unknown> {
  const when = [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_id', equals: 'ws-123' }];
  return { kind: 'ClaimMapping', identifier, spec: { issuer: 'hcp', when, grants: [administers], session: { ttl: '10m', label: 'tfc:{/terraform_workspace_name}' }, ...changes } };
}

/** A mapping of its own for one test, matched by the workspace of that name. */
function only(identifier: string, changes: object = {}): Record<string, unknown> {
  return workspace({ when: [{ claim: '/terraform_workspace_id', equals: identifier }], ...changes }, identifier);
}

function pipeline(scope: string, identifier: string, application: string): Record<string, unknown> {
  const step = { step: { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'echo hello' } } };
  return { kind: 'Pipeline', scope, identifier, tags: { application }, spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [step] } } } }] } } };
}

async function oauth(path: string, form: Record<string, string>, token: string | null = null): Promise<RemoteAnswer> {
  return server.call({ method: 'POST', path: `/accounts/default/oauth/${path}`, form, token });
}

function tryExchange(subjectToken: string, changes: Record<string, string> = {}): Promise<RemoteAnswer> {
  return oauth('token', { grant_type: tokenExchange, subject_token: subjectToken, subject_token_type: jwtType, ...changes });
}

async function exchange(subjectToken: string): Promise<string> {
  const answer = await tryExchange(subjectToken);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { access_token: string }).access_token;
}

/** The session of a workspace whose mapping `only` made. */
const exchangeAs = (identifier: string): Promise<string> => exchange(hcp.token(terraformClaims({ terraform_workspace_id: identifier })));

/** `true`, `false`, or the status when nobody is calling. */
async function may(token: string, permission: string, resource: string, on: TestServer = server): Promise<boolean | number> {
  const answer = await on.call({ method: 'POST', path: `${server.api}/access:check`, body: { permission, resource }, token });
  return answer.status === 200 ? (answer.body as { allowed: boolean }).allowed : answer.status;
}

interface AuditEvent {
  readonly action: string;
  readonly outcome: string;
  readonly requestId: string;
  readonly actor: { readonly type: string; readonly uid: string; readonly path: string } | null;
  readonly resource: { readonly kind: string; readonly path: string } | null;
  readonly session?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly detail: { readonly code: string; readonly check?: string; readonly because: string; readonly [name: string]: unknown };
  readonly diff?: { readonly mappings?: readonly { readonly mapping: string; readonly failed: readonly unknown[] }[] };
}

async function audit(query: Readonly<Record<string, string>>): Promise<AuditEvent[]> {
  const answer = await server.call({ method: 'GET', path: `${server.api}/audit?${new URLSearchParams({ ...query }).toString()}` });
  return (answer.body as { items: AuditEvent[] }).items;
}

function decoded(token: string): { header: Record<string, unknown>; payload: Record<string, unknown> } {
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  return { header: header!, payload: payload! };
}

describe('a token of a trusted issuer', () => {
  test('is traded for a session that acts exactly as far as its mapping', async () => {
    const answer = await tryExchange(hcp.token(terraformClaims()));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.headers['cache-control'], 'no-store');
    const { access_token: token, ...rest } = answer.body as { access_token: string; expires_in: number };
    assert.deepEqual({ ...rest, expires_in: null }, { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: null });
    assert.equal(rest.expires_in > 280 && rest.expires_in <= 300, true, 'a session ends with the token it was made from');
    assert.equal(await may(token, 'pipeline.edit', 'payments/checkout/recover'), true);
    assert.equal(await may(token, 'pipeline.edit', 'payments/refunds/recover'), false);
    assert.equal(await may(token, 'organization.view', 'payments'), false);
  });

  test('becomes an `at+jwt` of the account with the workload as subject and client', async () => {
    const { header, payload } = decoded(await exchange(hcp.token(terraformClaims())));
    const issuer = `${server.url}/accounts/default`;
    const workload = `${hcp.url}#terraform_organization_id=org-abc&terraform_project_id=prj-A&terraform_workspace_id=ws-123`;
    assert.deepEqual({ alg: header['alg'], typ: header['typ'] }, { alg: 'ES256', typ: 'at+jwt' });
    assert.deepEqual(Object.keys(payload).toSorted(), ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sub']);
    assert.deepEqual([payload['iss'], payload['aud'], payload['sub'], payload['client_id']], [issuer, issuer, workload, workload]);
    const jwks = (await server.call({ method: 'GET', path: '/accounts/default/jwks', token: null })).body as { keys: { kid: string }[] };
    assert.equal(jwks.keys.some((key) => key.kid === header['kid']), false, 'session keys are not published');
  });

  test('leaves one audit row, with its claims, the mapping and its version, and every act of the session names it', async () => {
    const token = await exchange(hcp.token(terraformClaims({ terraform_run_id: 'run-audit' })));
    const id = String(decoded(token).payload['jti']);
    const [event, ...others] = await audit({ session: id });
    assert.equal(others.length, 0);
    assert.equal(event!.action, 'session.create');
    assert.equal(event!.claims!['terraform_run_id'], 'run-audit');
    assert.deepEqual(event!.actor, { type: 'workload', uid: decoded(token).payload['sub'], path: 'tfc:platform' });
    assert.deepEqual((event!.detail['mappings'] as { path: string; version: number }[]).map(({ path, version }) => [path, version]), [['ws_platform', 1]]);
    assert.equal(JSON.stringify(event).includes(token), false);
    const found = await audit({ claim: '{"terraform_run_id":"run-audit"}' });
    assert.equal(found.length, 1);
    await server.apply([{ kind: 'Service', scope: 'payments/checkout', identifier: 'web', spec: {} }], token);
    const acts = await audit({ session: id });
    assert.deepEqual(acts.map((act) => act.action), ['service.create', 'session.create']);
  });

  test('whose scope stands in a map acts there and nowhere else', async () => {
    const runs = { role: 'runs', scope: { from: '/terraform_project_id', map: { 'prj-A': 'payments', 'prj-B': 'platform/edge' } }, resources: [{ type: 'pipeline' }], includeChildScopes: true };
    await server.apply([only('mapped', { grants: [runs] })]);
    const [a, b] = await Promise.all(['prj-A', 'prj-B'].map((id) => exchange(hcp.token(terraformClaims({ terraform_workspace_id: 'mapped', terraform_project_id: id })))));
    assert.deepEqual([await may(a!, 'pipeline.execute', 'payments/checkout/recover'), await may(a!, 'pipeline.execute', 'platform/edge/recover')], [true, false]);
    assert.deepEqual([await may(b!, 'pipeline.execute', 'payments/checkout/recover'), await may(b!, 'pipeline.execute', 'platform/edge/recover')], [false, true]);
    assert.equal((await tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'mapped', terraform_project_id: 'prj-C' })))).status, 400);
  });

  test('of an application runs that application\'s pipelines and no others', async () => {
    const session = await exchange(corporate.token(clientClaims(), { header: { typ: 'at+jwt' } }));
    assert.equal(await may(session, 'pipeline.execute', 'payments/checkout/recover'), true);
    assert.equal(await may(session, 'pipeline.execute', 'payments/refunds/recover'), false, 'another application');
    assert.equal(await may(session, 'pipeline.execute', 'platform/edge/recover'), false, 'its own application, beside the grant');
    assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), false);
    const without = await exchange(corporate.token(clientClaims({ application_id: undefined })));
    assert.equal(await may(without, 'pipeline.execute', 'payments/checkout/recover'), false, 'no claim, no pipeline');
  });

  test('that two mappings match has what either gives, each for as long as it gives it', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'two' }];
    await server.apply([
      workspace({ when, session: { ttl: '1m' } }, 'two_short'),
      workspace({ when, session: { ttl: '4m' }, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'two_long'),
    ]);
    const session = await exchangeAs('two');
    assert.deepEqual([await may(session, 'pipeline.edit', 'payments/checkout/recover'), await may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, true]);
    server.clock.advance(2 * 60_000);
    assert.deepEqual([await may(session, 'pipeline.edit', 'payments/checkout/recover'), await may(session, 'pipeline.edit', 'payments/refunds/recover')], [false, true]);
    server.clock.advance(2 * 60_000 + 1_000);
    assert.equal(await may(session, 'pipeline.edit', 'payments/refunds/recover'), 401);
  });
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
      const session = await exchangeAs(name);
      assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
      await change();
      assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), left);
    });
  }

  test('a permission taken from the role is gone at the next request', async () => {
    const role = (permissions: string[]) => ({ kind: 'Role', identifier: 'shrinking', spec: { level: 'org', permissions } });
    await server.apply([role(['pipeline.view', 'pipeline.execute']), only('role', { grants: [{ role: 'shrinking', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] })]);
    const session = await exchangeAs('role');
    assert.equal(await may(session, 'pipeline.execute', 'payments/checkout/recover'), true);
    await server.apply([role(['pipeline.view'])]);
    assert.deepEqual([await may(session, 'pipeline.execute', 'payments/checkout/recover'), await may(session, 'pipeline.view', 'payments/checkout/recover')], [false, true]);
    await server.apply([role([])]);
    assert.equal(await may(session, 'pipeline.view', 'payments/checkout/recover'), 401);
  });

  test('a widened mapping needs a new exchange', async () => {
    const wide = only('widened', { grants: [administers, { ...administers, scope: 'payments/refunds' }] });
    await server.apply([only('widened')]);
    const session = await exchangeAs('widened');
    await server.apply([wide]);
    assert.deepEqual([await may(session, 'pipeline.edit', 'payments/checkout/recover'), await may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, false]);
    assert.equal(await may(await exchangeAs('widened'), 'pipeline.edit', 'payments/refunds/recover'), true);
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
      const own = await startIssuer({ nowSeconds: () => Math.floor(server.clock.now().getTime() / 1_000) });
      const document = (more: object) => issuerDocument(`own_${name}`, own, { preset: 'hcp_terraform', keys: { jwks: { keys: [own.key.jwk] } }, ...more });
      await server.apply([document({}), workspace({ issuer: `own_${name}` }, `own_${name}`)]);
      const session = await exchange(own.token(terraformClaims()));
      assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
      await server.apply([document(changes)]);
      assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), left);
      await own.stop();
    });
  }

  test('a removed issuer ends its sessions', async () => {
    await server.apply([issuerDocument('gone', stranger, { keys: { jwks: { keys: [stranger.key.jwk] } }, preset: 'hcp_terraform' }), workspace({ issuer: 'gone' }, 'gone')]);
    const session = await exchange(stranger.token(terraformClaims()));
    const removed = await server.call({ method: 'DELETE', path: `${server.api}/trusted-issuers/gone?cascade=true` });
    assert.equal(removed.status, 204);
    assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), 401);
  });

  test('a dead session is nobody: 401 and nothing to learn', async () => {
    await server.apply([only('dead')]);
    const session = await exchangeAs('dead');
    await server.call({ method: 'DELETE', path: `${server.api}/claim-mappings/dead` });
    const answer = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: session });
    const garbage = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: `${session.slice(0, -4)}AAAA` });
    const plain = ({ status, body, headers }: RemoteAnswer) => ({ status, body: { ...(body as object), instance: null }, challenge: headers['www-authenticate'] });
    assert.equal(answer.status, 401);
    assert.deepEqual(plain(answer), plain(garbage));
  });
});

describe('a session token', () => {
  test('of one account is nobody in another', async () => {
    const session = await exchange(hcp.token(terraformClaims()));
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
      const key = await server.keyring.signingKey(server.account.id, 'mint');
      return issue({ ...issuerKey('RS256', key.id), privateKey: key.privateKey }, decoded(token).payload, { typ: 'at+jwt' });
    }],
    ['of the right key and another type', async (token) => resigned(token, { typ: 'JWT' }, {})],
    ['of the right key without an id', async (token) => resigned(token, {}, { jti: undefined })],
    ['of the right key for a session that is none', async (token) => resigned(token, {}, { jti: '00000000-0000-7000-8000-000000000000' })],
    ['of the right key for another audience', async (token) => resigned(token, {}, { aud: 'https://other.example' })],
  ];
  for (const [says, forge] of forged) {
    test(`${says} is nobody`, async () => {
      const session = await exchange(hcp.token(terraformClaims()));
      assert.equal(await may(await forge(session), 'pipeline.edit', 'payments/checkout/recover'), 401);
      assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
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
    ['an expired token', () => hcp.token(terraformClaims({ exp: nowSeconds() - 60, iat: nowSeconds() - 120 })), 'trust.refused', /has expired/],
    ['a token that never expires', () => hcp.token(terraformClaims(), { without: ['exp'] }), 'trust.refused', /no `exp`/],
    ['a token of next year', () => hcp.token(terraformClaims({ nbf: nowSeconds() + 3_600 })), 'trust.refused', /not valid yet/],
    ['a token for a week', () => hcp.token(terraformClaims({ exp: nowSeconds() + 604_800 })), 'trust.refused', /lives longer/],
    ['a token without the ids its subject is made of', () => hcp.token(terraformClaims(), { without: ['terraform_workspace_id'] }), 'trust.refused', /subject is made of/],
    ['a claim the database cannot hold', () => hcp.token(terraformClaims({ note: 'a\0b' })), 'trust.refused', /U\+0000/],
    ['another workspace', () => hcp.token(terraformClaims({ terraform_workspace_id: 'ws-999' })), 'trust.no_mapping', /no claim mapping of the issuer matches/],
  ];

  const nowSeconds = (): number => Math.floor(server.clock.now().getTime() / 1_000);
  const claimsNow = () => ({ iss: hcp.url, exp: nowSeconds() + 300, ...terraformClaims() });
  const tampered = (token: string): string => {
    const [header, , signature] = token.split('.');
    return `${header}.${Buffer.from(JSON.stringify({ ...claimsNow(), terraform_workspace_id: 'ws-1' })).toString('base64url')}.${signature}`;
  };

  for (const [says, make, code, why] of hostile) {
    test(`${says}: the caller learns nothing, the administrator everything`, async () => {
      const token = make();
      const answer = await tryExchange(token);
      const { correlation_id: id, ...body } = answer.body as { correlation_id: string };
      assert.equal(answer.status, 400);
      assert.deepEqual(body, { error: 'invalid_request', error_description: 'the token is not accepted' });
      const events = await audit({ requestId: id });
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
    const answer = await tryExchange(hcp.token(terraformClaims({ terraform_organization_id: 'org-evil', terraform_workspace_id: 'ws-123' })));
    const [event] = await audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
    const nearest = event!.diff!.mappings!.find((mapping) => mapping.mapping === 'ws_platform')!;
    assert.deepEqual(nearest.failed, [{ claim: '/terraform_organization_id', expected: { equals: 'org-abc' }, actual: 'org-evil' }]);
    assert.equal(event!.claims!['terraform_organization_id'], 'org-evil');
    assert.equal(event!.actor!.type, 'workload');
  });

  test('by mappings that match and grant nothing', async () => {
    await server.apply([only('empty', { grants: [{ role: 'runs', scope: 'payments', resources: [] }] })]);
    const answer = await tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: 'empty' })));
    assert.equal(answer.status, 400);
    const [event] = await audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
    assert.match(event!.detail.because, /grant nothing now/);
  });

  test('by an issuer whose keys nobody has: try again, the cause is in the audit', async () => {
    const away = await startIssuer();
    away.trick(keysPath, { kind: 'status', status: 500 });
    await server.apply([issuerDocument('away', away, { keys: { jwksUri: `${away.url}${keysPath}` } })]);
    const answer = await tryExchange(away.token({ aud: 'https://sallyport.example', sub: 'x' }));
    assert.equal(answer.status, 503);
    const { correlation_id: id, error } = answer.body as { correlation_id: string; error: string };
    assert.equal(error, 'temporarily_unavailable');
    const [event] = await audit({ requestId: id });
    assert.equal(event!.detail.code, 'trust.keys_unavailable');
    assert.match(event!.detail.because, /plain http/);
    await away.stop();
  });

  test('again and again: twenty rows a minute for an issuer, then only counts', async () => {
    await server.apply([issuerDocument('flooded', stranger, { keys: { jwks: { keys: [stranger.key.jwk] } } })]);
    for (let i = 0; i < 25; i++) await tryExchange(stranger.token({ aud: 'nobody', sub: 'x' }));
    const rows = (await audit({ action: 'session.refused', limit: '200' })).filter((event) => event.resource?.path === 'flooded');
    assert.equal(rows.length, 20);
    const summary = await until(async () => {
      const all = await audit({ action: 'refusals.summary', limit: '200' });
      return all.find((event) => event.detail['operation'] === 'flooded' && event.detail.code === 'trust.refused/audience');
    }, 'the summary of refusals is written');
    assert.equal(summary.detail['count'], 25);
    assert.equal(summary.detail['addresses'], '127.0.0.0/24');
  });
});

describe('the token endpoint', () => {
  const good = () => hcp.token(terraformClaims());
  const rows: [says: string, changes: Record<string, string>, error: string, text: RegExp][] = [
    ['another grant type', { grant_type: 'client_credentials' }, 'unsupported_grant_type', /not offered/],
    ['another grant type with parameters of its own', { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'x' }, 'unsupported_grant_type', /not offered/],
    ['no grant type', { grant_type: '' }, 'invalid_request', /grant_type/],
    ['no subject token', { subject_token: '' }, 'invalid_request', /subject_token: is needed/],
    ['no subject token type', { subject_token_type: '' }, 'invalid_request', /subject_token_type/],
    ['a SAML assertion', { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 'invalid_request', /subject_token_type/],
    ['another answer than an access token', { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }, 'invalid_request', /requested_token_type/],
    ['a scope', { scope: 'openid' }, 'invalid_request', /^scope: is not offered yet$/],
    ['authorization details', { authorization_details: '[]' }, 'invalid_request', /^authorization_details: is not offered yet$/],
    ['an actor', { actor_token: 'x' }, 'invalid_request', /^actor_token: is not offered yet$/],
    ['an unknown parameter', { subject_tokn: 'x' }, 'invalid_request', /^subject_tokn: unknown field/],
    ['a token that is too large', { subject_token: 'x'.repeat(20_000) }, 'invalid_request', /at most 16384/],
    ['another audience', { audience: 'https://other.example' }, 'invalid_target', /not served here/],
    ['another resource', { resource: 'https://other.example' }, 'invalid_target', /not served here/],
  ];
  for (const [says, changes, error, text] of rows) {
    test(`refuses ${says}, and says so`, async () => {
      const answer = await tryExchange(good(), changes);
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
      assert.equal((await tryExchange(good(), named)).status, 200);
    });
  }

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
    const strict = await anotherNode({ refusedExchangesPerMinute: 3 });
    await server.sql('delete from rate_bucket');
    const form = (token: string) => ({ grant_type: tokenExchange, subject_token: token, subject_token_type: jwtType });
    const at = (token: string) => strict.call({ method: 'POST', path: '/accounts/default/oauth/token', form: form(token), token: null });
    assert.equal((await at(good())).status, 200);
    for (let i = 0; i < 3; i++) assert.equal((await at('hello')).status, 400);
    const answer = await at(good());
    assert.equal(answer.status, 429);
    assert.equal(Number(answer.headers['retry-after']) > 0, true);
    await strict.stop();
  });
});

describe('ending sessions', () => {
  const open = async (identifier: string): Promise<{ token: string; id: string }> => {
    const token = await exchangeAs(identifier);
    return { token, id: String(decoded(token).payload['jti']) };
  };
  const alive = async (token: string): Promise<boolean> => (await may(token, 'pipeline.edit', 'payments/checkout/recover')) === true;

  const ways: [says: string, revoke: (session: { token: string; id: string }, name: string) => Promise<RemoteAnswer>][] = [
    ['by id', ({ id }) => server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` })],
    ['by subject', ({ token }) => server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { subject: String(decoded(token).payload['sub']).split('#')[1] } })],
    ['by mapping', (_session, name) => server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { mapping: name } })],
    ['by its own bearer', ({ token }) => oauth('revoke', { token, token_type_hint: 'access_token' })],
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
      const rows = (await audit({ action: 'session.revoke' })).filter((event) => event.requestId === answer.headers['sallyport-request-id']);
      assert.equal(rows.length, 1);
      assert.equal(rows[0]!.detail['sessions'], 1);
    });
  }

  test('by issuer ends all of its sessions', async () => {
    const own = await startIssuer({ nowSeconds: () => Math.floor(server.clock.now().getTime() / 1_000) });
    await server.apply([issuerDocument('leaky', own, { keys: { jwks: { keys: [own.key.jwk] } }, preset: 'hcp_terraform' }), workspace({ issuer: 'leaky' }, 'leaky')]);
    const sessions = await Promise.all([1, 2].map(() => exchange(own.token(terraformClaims()))));
    assert.deepEqual((await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { issuer: 'leaky' } })).body, { revoked: 2 });
    assert.deepEqual(await Promise.all(sessions.map(alive)), [false, false]);
    await own.stop();
  });

  test('on one node is seen on another within a second', async () => {
    await server.apply([only('nodes')]);
    const { token, id } = await open('nodes');
    const other = await anotherNode({ publicUrl: server.url });
    assert.equal(await may(token, 'pipeline.edit', 'payments/checkout/recover', other), true);
    await server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` });
    await until(async () => (await may(token, 'pipeline.edit', 'payments/checkout/recover', other)) === 401, 'the other node sees it', { patienceMs: 1_000 });
    await other.stop();
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
      const answer = await oauth('revoke', { token: given });
      assert.deepEqual([answer.status, answer.body], [200, null]);
    }
    assert.equal(await alive(token), true);
  });

  test('shows in introspection (RFC 7662)', async () => {
    await server.apply([only('looked_at')]);
    const { token, id } = await open('looked_at');
    const active = (await oauth('introspect', { token }, server.adminToken)).body as Record<string, unknown>;
    assert.deepEqual([active['active'], active['jti'], active['username'], active['client_id']], [true, id, 'tfc:platform', decoded(token).payload['sub']]);
    assert.equal(active['exp'], decoded(token).payload['exp']);
    assert.equal((await oauth('introspect', { token })).status, 401, 'nobody may ask without a credential');
    for (const unknown of ['hello', hcp.token(terraformClaims()), server.adminToken]) {
      assert.deepEqual((await oauth('introspect', { token: unknown }, server.adminToken)).body, { active: false });
    }
    await server.call({ method: 'DELETE', path: `${server.api}/sessions/${id}` });
    assert.deepEqual((await oauth('introspect', { token }, server.adminToken)).body, { active: false });
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
    const answer = await attempt(await exchangeAs('plain'), 'r1');
    assert.deepEqual([answer.status, (answer.body as { code: string }).code], [403, 'access.administer']);
  });

  test('is for a session whose mapping says so', async () => {
    await server.apply([only('trusted', { mayAdminister: true })]);
    assert.equal((await attempt(await exchangeAs('trusted'), 'r2')).status, 200);
  });

  test('ends when the mapping no longer says so, and begins only with a new exchange', async () => {
    await server.apply([only('wavering', { mayAdminister: true })]);
    const early = await exchangeAs('wavering');
    await server.apply([only('wavering')]);
    const late = await exchangeAs('wavering');
    assert.equal((await attempt(early, 'r3')).status, 403);
    await server.apply([only('wavering', { mayAdminister: true })]);
    assert.equal((await attempt(late, 'r4')).status, 403);
  });

  test('needs the word of every mapping whose rights the session has', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'mixed' }];
    await server.apply([workspace({ when, mayAdminister: true }, 'mixed_a'), workspace({ when, grants: [{ ...administers, scope: 'payments/refunds' }] }, 'mixed_b')]);
    assert.equal((await attempt(await exchangeAs('mixed'), 'r5')).status, 403);
  });
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
    assert.deepEqual(await audit({ claim: '{"terraform_run_id":"run-explained"}' }), []);
    assert.deepEqual(await server.sql(`select id from workload_session where claims @> '{"terraform_run_id":"run-explained"}'`), []);
    await server.apply([only('curious')]);
    assert.equal((await explain(token, await exchangeAs('curious'))).status, 404);
  });
});

describe('mappings below the account', () => {
  test('reach at or below their own scope', async () => {
    const spec = { issuer: 'account.hcp', when: [{ claim: '/terraform_workspace_id', equals: 'below' }], grants: [{ role: 'account.runs', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] };
    await server.apply([{ kind: 'ClaimMapping', scope: 'payments', identifier: 'below', spec }]);
    const session = await exchangeAs('below');
    assert.deepEqual([await may(session, 'pipeline.execute', 'payments/refunds/recover'), await may(session, 'pipeline.execute', 'platform/edge/recover')], [true, false]);
  });
});

test('a shared secret of the issuer is no key: HMAC with the client secret is refused', async () => {
  const signer = (input: Buffer) => createHmac('sha256', 'client-secret').update(input).digest();
  const token = compactJws({ alg: 'HS256' }, { iss: corporate.url, ...clientClaims(), exp: Math.floor(Date.now() / 1_000) + 300 }, signer);
  assert.equal((await tryExchange(token)).status, 400);
});
