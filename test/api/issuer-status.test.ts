/** What an administrator is shown of an issuer: its keys, refusals, unknown claims; and catch mode. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import { keysPath, terraformClaims } from '#test/parties/issuer.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { makeUser } from './principals.ts';
import type { TrustWorld } from './trust-world.ts';
import { issuerDocument, jwtType, only, startTrustWorld, tokenExchange } from './trust-world.ts';

interface Status {
  readonly keys: { readonly state: string; readonly because: string | null; readonly fetchedAt: string | null; readonly believedUntil: string | null; readonly keys: readonly { kid: string; algorithms: string[] }[]; readonly ignored: readonly { index: number; because: string }[] };
  readonly refusals: { readonly complete: boolean; readonly items: readonly { code: string; check: string | null; verified: boolean; count: number }[] };
  readonly claims: { readonly tokens: number; readonly accepted: number; readonly unknown: readonly { claim: string; tokens: number }[]; readonly missing: readonly { claim: string; tokens: number }[] };
}

interface Caught {
  readonly until: string | null;
  readonly tenant: unknown;
  readonly items: readonly { outcome: string; claims: Record<string, unknown>; correlationId: string; because: string | null; mappings: string[]; subject: string }[];
}

let world: TrustWorld;
let server: TestServer;
let viewer: string;
before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  await server.apply([{ kind: 'Role', identifier: 'sees_issuers', spec: { level: 'account', permissions: ['trusted_issuer.view'] } }]);
  viewer = (await makeUser(server, 'viewer', [{ role: 'sees_issuers', resourceGroup: 'all_account_level_resources' }])).token;
});

const at = (issuer: string, what: string): string => `${server.api}/trusted-issuers/${issuer}/${what}`;
const as = (token?: string): { token?: string } => (token === undefined ? {} : { token });

async function status(issuer: string, token?: string): Promise<Status> {
  const answer = await server.call({ method: 'GET', path: at(issuer, 'status'), ...as(token) });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Status;
}

async function inline(identifier: string, changes: object = {}): Promise<TestIssuer> {
  const issuer = await world.newIssuer();
  await server.apply([issuerDocument(identifier, issuer, { preset: 'hcp_terraform', keys: { jwks: { keys: [issuer.key.jwk] } }, ...changes }), only(`${identifier}_ws`, { issuer: identifier })]);
  return issuer;
}

describe('the status of an issuer', () => {
  test('says how old its keys are, which they are, and that they were had', async () => {
    await world.exchange(world.hcp.token(terraformClaims()));
    const { keys } = await status('hcp', viewer);
    assert.deepEqual([keys.state, keys.because, keys.keys.map(({ kid }) => kid)], ['good', null, ['key-1']]);
    assert.ok(keys.fetchedAt !== null && keys.believedUntil! > keys.fetchedAt);
  });

  test('says what went wrong when they were asked for, and that the old ones still count', async () => {
    const issuer = await world.newIssuer();
    await server.apply([issuerDocument('stale', issuer, { preset: 'hcp_terraform' }), only('stale_ws', { issuer: 'stale' })]);
    const settings = { allowPrivateOrigin: [issuer.url] };
    const bring = async (node: TestServer): Promise<number> => (await node.call({
      method: 'POST', path: '/accounts/default/oauth/token', token: null,
      form: { grant_type: tokenExchange, subject_token: issuer.token(terraformClaims({ terraform_workspace_id: 'stale_ws' })), subject_token_type: jwtType },
    })).status;
    assert.equal(await bring(await world.anotherNode(settings)), 200);
    issuer.trick(keysPath, { kind: 'status', status: 500 });
    server.clock.advance(16 * 60_000);
    const node = await world.anotherNode(settings);
    assert.equal(await bring(node), 200, 'the keys of before are believed');
    const { keys } = (await node.call({ method: 'GET', path: at('stale', 'status') })).body as Status;
    assert.deepEqual([keys.state, keys.because], ['stale', 'the issuer answered 500']);
    issuer.trick(keysPath, undefined);
    const later = await world.anotherNode(settings);
    assert.equal(await bring(later), 200);
    assert.equal(((await later.call({ method: 'GET', path: at('stale', 'status') })).body as Status).keys.state, 'good');
  });

  test('says that there are none', async () => {
    const away = await world.newIssuer();
    away.trick(keysPath, { kind: 'status', status: 404 });
    await server.apply([issuerDocument('never', away)]);
    await world.tryExchange(away.token(terraformClaims()));
    const { keys } = await status('never');
    assert.deepEqual([keys.state, keys.fetchedAt, keys.keys], ['none', null, []]);
    assert.notEqual(keys.because, null);
  });

  test('says which entries of the set cannot be used', async () => {
    const issuer = await world.newIssuer();
    await server.apply([issuerDocument('partly', issuer, { keys: { jwks: { keys: [issuer.key.jwk, { ...issuer.key.jwk, kid: 'enc', use: 'enc' }] } } })]);
    assert.deepEqual((await status('partly')).keys.ignored, [{ index: 1, because: '`use` is not `sig`' }]);
  });

  test('counts refusals of the last hour by check, proven tokens apart from others', async () => {
    const issuer = await inline('counted');
    for (let i = 0; i < 3; i++) await world.tryExchange(issuer.token(terraformClaims({ aud: 'elsewhere' })));
    for (let i = 0; i < 2; i++) await world.tryExchange(issuer.token(terraformClaims({ terraform_workspace_id: `nobody-${i}` })));
    await world.exchange(issuer.token(terraformClaims({ terraform_workspace_id: 'counted_ws' })));
    const counted = await until(async () => {
      const { items } = (await status('counted')).refusals;
      return items.length < 2 || items.some(({ count, verified }) => !verified && count < 3) ? null : items;
    }, 'the summaries are written', { patienceMs: 20_000 });
    assert.deepEqual(counted.toSorted((a, b) => b.count - a.count), [
      { code: 'trust.refused', check: 'audience', verified: false, count: 3 },
      { code: 'trust.no_mapping', check: null, verified: true, count: 2 },
    ]);
    server.clock.advance(3_700_000);
    assert.deepEqual((await status('counted')).refusals.items, []);
  });

  test('shows claims nobody told of, and those that are always there and were not', async () => {
    const issuer = await inline('unknown');
    await world.exchange(issuer.token(terraformClaims({ terraform_workspace_id: 'unknown_ws', terraform_weather: 'fine', terraform_run_phase: undefined })));
    await world.tryExchange(issuer.token(terraformClaims({ terraform_weather: 'rain' })));
    const { claims } = await status('unknown');
    assert.deepEqual([claims.tokens, claims.accepted, claims.unknown], [2, 1, [{ claim: '/terraform_weather', tokens: 2 }]]);
    assert.deepEqual(claims.missing, [{ claim: '/terraform_run_phase', tokens: 1 }]);
    assert.doesNotMatch(JSON.stringify(claims), /fine|rain/);
  });

  test('is for who may view the issuer', async () => {
    const stranger = (await makeUser(server, 'stranger', [{ role: 'project_admin', scope: 'payments/checkout' }])).token;
    const told = await Promise.all(['hcp', 'nobody'].map((issuer) => server.call({ method: 'GET', path: at(issuer, 'status'), token: stranger })));
    assert.deepEqual(told.map((answer) => answer.status), [404, 404]);
  });
});

async function startCatch(issuer: string, body: object = {}, token?: string): Promise<RemoteAnswer> {
  return server.call({ method: 'PUT', path: at(issuer, 'catch'), body, ...as(token) });
}

async function caught(issuer: string): Promise<Caught> {
  return (await server.call({ method: 'GET', path: at(issuer, 'catch') })).body as Caught;
}

describe('catch mode', () => {
  test('keeps claims of tokens that are proven and meant for us, let in or not, and of no others; never the token', async () => {
    const issuer = await inline('caught', { redactClaims: ['email'] });
    assert.equal((await startCatch('caught')).status, 200);
    const tokens = [
      issuer.token(terraformClaims({ terraform_workspace_id: 'caught_ws', email: 'hidden@example.com' })), issuer.token(terraformClaims({ terraform_workspace_id: 'no_mapping' })),
      issuer.token(terraformClaims({ aud: 'elsewhere' })), world.stranger.token({ ...terraformClaims(), iss: issuer.url }), issuer.token(terraformClaims({ exp: 1 })),
    ];
    for (const token of tokens) await world.tryExchange(token);
    const { items, until: ends } = await caught('caught');
    assert.notEqual(ends, null);
    assert.deepEqual(items.map(({ outcome, claims }) => [outcome, claims['terraform_workspace_id']]), [['refused', 'no_mapping'], ['success', 'caught_ws']]);
    assert.deepEqual([items[0]!.because, items[0]!.mappings, items[1]!.mappings], ['no claim mapping of the issuer matches', ['caught_ws'], ['caught_ws']]);
    assert.match(String(items[1]!.claims['email']), /^redacted:/);
    const kept = JSON.stringify(await server.sql('select claims::text, detail::text from caught_token'));
    for (const token of tokens) assert.equal(kept.includes(token.split('.')[2]!), false);
    const explained = await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { correlationId: items[0]!.correlationId } });
    assert.equal(explained.status, 200);
  });

  test('keeps the last twenty', async () => {
    const issuer = await inline('twenty');
    await startCatch('twenty');
    for (let i = 0; i < 25; i++) await world.tryExchange(issuer.token(terraformClaims({ terraform_workspace_id: `w-${i}` })));
    const { items } = await caught('twenty');
    assert.deepEqual(items.map(({ claims }) => claims['terraform_workspace_id']), Array.from({ length: 20 }, (_, i) => `w-${24 - i}`));
    assert.deepEqual(await server.sql('select count(*)::int as n from caught_token t join resource r on r.uid = t.issuer_uid where r.identifier = \'twenty\''), [{ n: 20 }]);
  });

  test('ends by itself, and what it caught an hour later', async () => {
    const issuer = await inline('timed');
    await startCatch('timed', { for: '1m' });
    await world.tryExchange(issuer.token(terraformClaims()));
    server.clock.advance(61_000);
    await world.tryExchange(issuer.token(terraformClaims()));
    const over = await caught('timed');
    assert.deepEqual([over.until, over.items.length], [null, 1]);
    server.clock.advance(3_600_000);
    assert.deepEqual((await caught('timed')).items, []);
  });

  test('ends when it is told to, with what it caught', async () => {
    const issuer = await inline('stopped');
    await startCatch('stopped');
    await world.tryExchange(issuer.token(terraformClaims()));
    assert.equal((await server.call({ method: 'DELETE', path: at('stopped', 'catch') })).status, 204);
    await world.tryExchange(issuer.token(terraformClaims()));
    assert.deepEqual([(await caught('stopped')).until, (await caught('stopped')).items], [null, []]);
    const rows = await world.audit({ resource: 'stopped', limit: '10' });
    assert.deepEqual(rows.filter(({ action }) => action.startsWith('trusted_issuer.catch')).map(({ action }) => action), ['trusted_issuer.catch_stop', 'trusted_issuer.catch']);
  });

  test('catches on a node that was not asked', async () => {
    const issuer = await inline('far');
    const node = await world.anotherNode();
    await startCatch('far');
    await until(async () => {
      await node.call({ method: 'POST', path: '/accounts/default/oauth/token', token: null, form: { grant_type: tokenExchange, subject_token: issuer.token(terraformClaims()), subject_token_type: jwtType } });
      return (await caught('far')).items.length > 0 ? true : null;
    }, 'the other node catches', { patienceMs: 20_000 });
  });

  test('of an issuer that others share needs a tenant, and catches that one alone', async () => {
    const keys = { jwks: { keys: [world.stranger.key.jwk] } };
    await server.apply([issuerDocument('shared', { url: 'https://app.terraform.io' }, { preset: 'hcp_terraform', keys })]);
    const wrong = [{}, { tenant: { claim: '/terraform_workspace_name', value: 'platform' } }];
    for (const body of wrong) {
      const answer = await startCatch('shared', body);
      assert.equal(answer.status, 400);
      assert.match(JSON.stringify(answer.body), /\/tenant.*terraform_organization_id/);
    }
    assert.equal((await startCatch('shared', { tenant: { claim: '/terraform_organization_id', value: 'org-mine' } })).status, 200);
    for (const id of ['org-theirs', 'org-mine']) await world.tryExchange(world.stranger.token({ ...terraformClaims({ terraform_organization_id: id }), iss: 'https://app.terraform.io' }));
    assert.deepEqual((await caught('shared')).items.map(({ claims }) => claims['terraform_organization_id']), ['org-mine']);
  });

  test('is for who may edit the issuer', async () => {
    assert.equal((await startCatch('hcp', {}, viewer)).status, 403);
    assert.equal((await server.call({ method: 'GET', path: at('hcp', 'catch'), token: viewer })).status, 403);
    assert.equal((await server.call({ method: 'DELETE', path: at('hcp', 'catch'), token: viewer })).status, 403);
  });

  const refused: [says: string, body: object][] = [['two hours', { for: '2h' }], ['no time', { for: '0s' }], ['another field', { forever: true }], ['a tenant without value', { tenant: { claim: '/a' } }]];
  for (const [says, body] of refused) test(`not for ${says}`, async () => assert.equal((await startCatch('hcp', body)).status, 400));
});
