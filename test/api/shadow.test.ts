/** Shadow mode: drafts of mappings and issuers over the exchanges of past days. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import { makeUser } from './principals.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, issuerDocument, only, startTrustWorld } from './trust-world.ts';

interface Item {
  readonly workload: string | null;
  readonly verdict: string;
  readonly gains: readonly { readonly mapping: string; readonly role: string; readonly scope: string }[];
  readonly loses: readonly { readonly mapping: string; readonly role: string; readonly scope: string }[];
  readonly because: string | null;
  readonly exchanges: number;
}

interface Answer {
  readonly items: readonly Item[];
  readonly looked: number;
  readonly unchanged: number;
  readonly notes: readonly string[];
  readonly next: string | null;
}

let world: TrustWorld;
let server: TestServer;
let issuer: TestIssuer;
const refunds = { ...administers, scope: 'payments/refunds' };

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  issuer = await world.newIssuer();
  await server.apply([issuer2(), mapping('alpha'), mapping('beta')]);
  for (const workspace of ['alpha', 'alpha', 'beta']) await world.exchange(token(workspace));
  for (const workspace of ['gamma', 'Alpha']) assert.equal((await world.tryExchange(token(workspace))).status, 400);
  assert.equal((await world.tryExchange(token('alpha', { aud: 'elsewhere' }))).status, 400);
});

function issuer2(changes: object = {}): Record<string, unknown> {
  return issuerDocument('past', issuer, { preset: 'hcp_terraform', keys: { jwks: { keys: [issuer.key.jwk] } }, redactClaims: ['email'], ...changes });
}

function mapping(identifier: string, changes: object = {}): Record<string, unknown> {
  return only(identifier, { issuer: 'past', ...changes });
}

function token(workspace: string, claims: object = {}): string {
  return issuer.token(terraformClaims({ terraform_workspace_id: workspace, email: `${workspace}@example.com`, ...claims }));
}

async function shadow(documents: readonly object[], more: object = {}): Promise<Answer> {
  const answer = await server.call({ method: 'POST', path: `${server.api}/trust:shadow`, body: { documents, ...more } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Answer;
}

/** Workspace, verdict, scopes gained and lost, and how many exchanges say so. */
function told({ items }: Answer): unknown[] {
  return items.map(({ workload, verdict, gains, loses, exchanges }) => [
    /terraform_workspace_id=([^&]*)/.exec(workload ?? '')?.[1] ?? null, verdict, gains.map(({ scope }) => scope), loses.map(({ scope }) => scope), exchanges,
  ]).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

describe('a draft over past exchanges', () => {
  const project = 'payments/checkout';
  const rows: [says: string, documents: () => object[], expected: unknown[]][] = [
    ['that changes nothing that matters: nobody gains, nobody loses', () => [mapping('alpha', { session: { ttl: '1m' } })], []],
    ['of a new mapping lets in who was refused', () => [mapping('gamma')], [['gamma', 'gains', [project], [], 1]]],
    ['of a wider mapping gives more', () => [mapping('alpha', { grants: [administers, refunds] })], [['alpha', 'gains', ['payments/refunds'], [], 2]]],
    ['of a narrower mapping takes away', () => [mapping('alpha', { when: [{ claim: '/terraform_workspace_id', equals: 'alpha' }, { claim: '/terraform_run_phase', equals: 'plan' }] })], [['alpha', 'loses', [], [project], 2]]],
    ['that moves a grant gives and takes', () => [mapping('beta', { grants: [refunds] })], [['beta', 'both', ['payments/refunds'], [project], 1]]],
    ['that says the same by another mapping changes nothing', () => [mapping('beta', { when: [{ claim: '/terraform_workspace_id', oneOf: ['beta'] }] })], []],
    ['with a glob tells each workload it would let in', () => [mapping('letters', { when: [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_id', glob: '*a' }] })], [['Alpha', 'gains', [project], [], 1], ['gamma', 'gains', [project], [], 1]]],
    ['of an issuer that takes shorter tokens only', () => [issuer2({ maxLifetime: '1m' })], [['alpha', 'loses', [], [project], 2], ['beta', 'loses', [], [project], 1]]],
    ['of an issuer with another audience', () => [issuer2({ audiences: ['https://other.example'] })], [['alpha', 'loses', [], [project], 2], ['beta', 'loses', [], [project], 1]]],
    ['of an issuer with other keys cannot be told', () => [issuer2({ keys: { jwksUri: 'https://keys.example/jwks' } })], [['alpha', 'cannot_tell', [], [], 2], ['beta', 'cannot_tell', [], [], 1]]],
    ['that compares a redacted claim for equality can be told', () => [mapping('gamma', { when: [{ claim: '/email', equals: 'gamma@example.com' }] })], [['gamma', 'gains', [project], [], 1]]],
    ['that matches a redacted claim by a pattern cannot', () => [mapping('gamma', { when: [{ claim: '/email', glob: '*@example.com' }, { claim: '/terraform_workspace_id', equals: 'gamma' }] })], [['gamma', 'cannot_tell', [], [], 1]]],
    ['nor by an expression', () => [mapping('gamma', { condition: 'claims.email.endsWith(".com")' })], [['gamma', 'cannot_tell', [], [], 1]]],
    ['that wants a key proven cannot be told of who was refused', () => [mapping('gamma', { proofOfPossession: true })], [['gamma', 'cannot_tell', [], [], 1]]],
    ['that wants a key proven takes from who proved none', () => [mapping('beta', { proofOfPossession: true })], [['beta', 'loses', [], [project], 1]]],
  ];
  for (const [says, documents, expected] of rows) test(says, async () => assert.deepEqual(told(await shadow(documents())), expected));

  test('says how many it looked at, and of how many nothing changes', async () => {
    const { looked, unchanged, notes, next } = await shadow([mapping('gamma')]);
    assert.deepEqual([looked, unchanged, notes, next], [5, 4, [], null]);
  });

  test('says what no exchange can tell: tokens refused for their audience left no claims', async () => {
    const { notes } = await shadow([issuer2({ audiences: ['https://sallyport.example', 'elsewhere'] })]);
    assert.deepEqual(notes, ['`past`: issuer, audiences, algorithms or times change; tokens that were refused for these left no claims, so who would be let in now cannot be told']);
  });

  test('deletes nothing and writes nothing, and what it foresees is what happens', async () => {
    const rows = async (): Promise<unknown> => server.sql('select (select count(*) from audit_event) as events, (select count(*) from workload_session) as sessions, (select count(*) from resource) as resources');
    const earlier = JSON.stringify(await rows());
    await shadow([mapping('delta', { when: [{ claim: '/terraform_workspace_id', equals: 'gamma' }] })]);
    assert.equal(JSON.stringify(await rows()), earlier);
    await server.apply([mapping('delta', { when: [{ claim: '/terraform_workspace_id', equals: 'gamma' }] })]);
    assert.equal((await world.tryExchange(token('gamma'))).status, 200);
    await server.call({ method: 'DELETE', path: `${server.api}/claim-mappings/delta` });
  });

  test('looks back so many days and no further', async () => {
    server.clock.advance(3 * 86_400_000);
    const looked = async (days: number): Promise<number> => (await shadow([mapping('gamma')], { days })).looked;
    assert.deepEqual([await looked(1), (await looked(4)) >= 5], [0, true]);
  });

  test('is told page by page, each exchange once', async () => {
    await server.sql(`insert into audit_event (account_id, at, id, format, actor_type, actor_uid, action, scope, outcome, request_id, detail, commitments, personal, leaf)
      select account_id, at + n * interval '1 millisecond', gen_random_uuid(), format, actor_type, actor_uid, action, scope, outcome, request_id, detail, commitments, personal, leaf
      from audit_event, generate_series(1, 4100) n where id = (select id from audit_event where action = 'session.create' and personal -> 'claims' -> 'value' ->> 'terraform_workspace_id' = 'beta' limit 1)`);
    let [looked, pages] = [0, 0];
    for (let cursor: string | null = null; pages === 0 || cursor !== null; pages += 1) {
      const part = await shadow([mapping('gamma')], { days: 5, ...(cursor === null ? {} : { cursor }) });
      looked += part.looked;
      cursor = part.next;
    }
    assert.deepEqual([looked >= 4_105, looked <= 4_120, pages], [true, true, 3]);
  });
});

describe('who may ask', () => {
  test('needs to see issuers and the audit, and to ask about access', async () => {
    const wanted = ['access.explain', 'audit.view', 'trusted_issuer.view', 'claim_mapping.view'];
    for (const [i, missing] of [...wanted, null].entries()) {
      await server.apply([{ kind: 'Role', identifier: `asks_${i}`, spec: { level: 'account', permissions: wanted.filter((each) => each !== missing) } }]);
      const { token: asker } = await makeUser(server, `asker_${i}`, [{ role: `asks_${i}` }]);
      const { status } = await server.call({ method: 'POST', path: `${server.api}/trust:shadow`, body: { documents: [mapping('gamma')] }, token: asker });
      assert.equal(status === 200, missing === null, `${missing}: ${status}`);
    }
  });

  const refused: [says: string, body: object][] = [['no documents', { documents: [] }], ['too many days', { documents: [{}], days: 91 }], ['a document that is none', { documents: [{ kind: 'Nothing', identifier: 'x', spec: {} }] }], ['a cursor of somebody else', { documents: [], cursor: 'x' }]];
  for (const [says, body] of refused) {
    test(`not with ${says}`, async () => assert.equal((await server.call({ method: 'POST', path: `${server.api}/trust:shadow`, body })).status, 400));
  }
});
