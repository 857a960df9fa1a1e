import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { keysPath, terraformClaims } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import type { TrustWorld } from './trust-world.ts';
import { issuerDocument, only, startTrustWorld, workspace } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let direct: TestIssuer;

const issuer = (changes: object = {}) => issuerDocument('direct', direct, { preset: 'hcp_terraform', keys: { jwks: { keys: [direct.key.jwk] } }, acceptDirectly: true, ...changes });
const mapping = (name: string, changes: object = {}) => only(name, { issuer: 'direct', ...changes });
const tokenFor = (name: string, claims: object = {}) => direct.token(terraformClaims({ terraform_workspace_id: name, ...claims }));
const edits = (token: string, on = server) => world.may(token, 'pipeline.edit', 'payments/checkout/recover', on);
const sessionsOf = (name: string) => server.sql<{ id: string; direct: boolean }>(`select id, direct from workload_session where claims @> '{"terraform_workspace_id":"${name}"}'`);

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  direct = await world.newIssuer();
  await server.apply([issuer()]);
});

describe('an outside token as a Bearer', () => {
  test('acts as far as its mapping, with one session and one audit row however often it comes', async () => {
    await server.apply([mapping('often')]);
    const token = tokenFor('often');
    const other = await world.anotherNode();
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => edits(token, n % 2 === 0 ? server : other)));
    assert.deepEqual(new Set(answers), new Set([true]));
    assert.equal(await world.may(token, 'pipeline.edit', 'payments/refunds/recover'), false);
    const sessions = await sessionsOf('often');
    assert.deepEqual(sessions.map((session) => session.direct), [true]);
    const rows = await world.audit({ session: sessions[0]!.id });
    assert.deepEqual(rows.map(({ action, detail }) => [action, detail['direct']]), [['session.create', true]]);
  });

  test('is nobody where the issuer does not say so, and no more when it stops saying so', async () => {
    await server.apply([only('hcp_only')]);
    assert.equal(await edits(world.hcp.token(terraformClaims({ terraform_workspace_id: 'hcp_only' }))), 401);
    await server.apply([mapping('stops')]);
    const token = tokenFor('stops');
    assert.equal(await edits(token), true);
    await server.apply([issuer({ acceptDirectly: false })]);
    assert.deepEqual([await edits(token), await edits(tokenFor('stops', { jti: 'new' }))], [401, 401]);
    await server.apply([issuer()]);
    assert.equal(await edits(token), true);
  });

  test('is never of single use, and proves no key: such mappings give it nothing', async () => {
    const when = [{ claim: '/terraform_workspace_id', equals: 'strict' }];
    await server.apply([workspace({ issuer: 'direct', when, singleUse: true }, 'strict_once'), workspace({ issuer: 'direct', when, proofOfPossession: true }, 'strict_proof')]);
    assert.equal(await edits(tokenFor('strict')), 401);
    assert.deepEqual(await sessionsOf('strict'), []);
    await server.apply([mapping('turns')]);
    const token = tokenFor('turns');
    assert.equal(await edits(token), true);
    await server.apply([mapping('turns', { singleUse: true })]);
    assert.equal(await edits(token), 401, 'nor when the mapping asks for it later');
  });

  test('ends with the session it stands for: revoked it stays so, here at once and elsewhere within a second', async () => {
    await server.apply([mapping('ended')]);
    const token = tokenFor('ended');
    const other = await world.anotherNode();
    assert.deepEqual([await edits(token), await edits(token, other)], [true, true]);
    await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { mapping: 'ended' } });
    assert.equal(await edits(token), 401);
    await until(async () => (await edits(token, other)) === 401, 'the other node sees it', { patienceMs: 1_000 });
    assert.equal(await edits(token, await world.anotherNode()), 401, 'a node that never saw it');
  });

  test('ends with its mapping\'s time, and all of it with the token', async () => {
    await server.apply([mapping('timed', { session: { ttl: '1m' } }), mapping('to_the_end', { session: { ttl: '1h' } })]);
    const [short, long] = [tokenFor('timed'), tokenFor('to_the_end')];
    assert.deepEqual([await edits(short), await edits(long)], [true, true]);
    server.clock.advance(61_000);
    assert.deepEqual([await edits(short), await edits(long)], [401, true]);
    server.clock.advance(240_000);
    assert.equal(await edits(long), 401);
  });

  const hostile: [says: string, token: () => string][] = [
    ['another audience', () => tokenFor('often', { aud: 'https://other.example' })],
    ['an expired token', () => tokenFor('often', { exp: world.nowSeconds() - 60, iat: world.nowSeconds() - 120 })],
    ['another key', () => direct.token(terraformClaims({ terraform_workspace_id: 'often' }), { key: world.stranger.key })],
    ['another workspace', () => tokenFor('nowhere')],
    ['an unknown issuer', () => world.stranger.token(terraformClaims())],
    ['a logout token', () => direct.token(terraformClaims({ terraform_workspace_id: 'often' }), { header: { typ: 'logout+jwt' } })],
    ['a signature cut short', () => tokenFor('often').slice(0, -10)],
  ];
  test('is refused as nobody in the same words whatever is wrong with it', async () => {
    const answers = await Promise.all(hostile.map(async ([, token]) => {
      const { status, body, headers } = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: token() });
      return JSON.stringify({ status, body: { ...(body as object), instance: null }, challenge: headers['www-authenticate'] });
    }));
    assert.equal(new Set(answers).size, 1, answers.join('\n'));
    assert.match(answers[0]!, /401/);
  });

  test('whose keys cannot be had now is told to try again', async () => {
    const away = await world.newIssuer();
    away.trick(keysPath, { kind: 'status', status: 500 });
    await server.apply([issuerDocument('direct_away', away, { keys: { jwksUri: `${away.url}${keysPath}` }, acceptDirectly: true })]);
    const answer = await server.call({ method: 'GET', path: `${server.api}/organizations`, token: away.token({ aud: 'https://sallyport.example', sub: 'x' }) });
    assert.equal(answer.status, 503);
  });
});
