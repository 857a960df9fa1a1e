/** Claims an issuer's document redacts: never in clear where they are kept, equality still told; and the search by claims. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, issuerDocument, only, startTrustWorld } from './trust-world.ts';

const redacted = /^redacted:[\w-]{43}$/;
const person = 'somebody@example.com';

let world: TrustWorld;
let server: TestServer;
let issuer: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  issuer = await world.newIssuer();
  await server.apply([
    issuerDocument('private', issuer, { preset: 'hcp_terraform', redactClaims: ['email', '/who/name', '/__proto__', '/absent'], keys: { jwks: { keys: [issuer.key.jwk] } } }),
    mapping('unread'),
    mapping('read', { when: [{ claim: '/terraform_workspace_id', equals: 'read' }, { claim: '/email', equals: person }] }),
  ]);
});

function mapping(identifier: string, changes: object = {}): Record<string, unknown> {
  return only(identifier, { issuer: 'private', session: { label: 'tfc:{/email}' }, ...changes });
}

function tokenOf(workspace: string, claims: Readonly<Record<string, unknown>> = {}): string {
  return issuer.token(terraformClaims({ terraform_workspace_id: workspace, email: person, who: { name: 'Somebody', team: 'blue' }, ...claims }));
}

async function everything(): Promise<string> {
  const tables = ['audit_event', 'workload_session', 'caught_token'];
  const rows = await Promise.all(tables.map((table) => server.sql(`select t::text from ${table} t`)));
  return JSON.stringify(rows);
}

describe('a redacted claim', () => {
  test('is a digest in the rows of the exchange and of everything its session does; the rest is as it was', async () => {
    const session = await world.exchange(tokenOf('unread'));
    await server.apply([{ kind: 'Service', scope: 'payments/checkout', identifier: 'redacted', spec: {} }], session);
    const rows = [...(await world.audit({ action: 'session.create', limit: '1' })), ...(await world.audit({ action: 'service.create', limit: '1' }))];
    assert.equal(rows.length, 2);
    for (const { claims } of rows) {
      assert.match(String(claims!['email']), redacted);
      assert.match((claims!['who'] as { name: string }).name, redacted);
      assert.deepEqual([(claims!['who'] as { team: string }).team, claims!['terraform_workspace_id']], ['blue', 'unread']);
    }
    assert.deepEqual(rows[0]!.detail['redacted'], ['/email', '/who/name']);
    assert.match(rows[0]!.actor!.path, /^tfc:redacted:/);
  });

  test('is a digest in the row of a refusal, beside what a mapping wanted', async () => {
    await world.tryExchange(tokenOf('read', { email: 'another@example.com' }));
    const [row] = await world.audit({ action: 'session.refused', limit: '1' });
    assert.doesNotMatch(JSON.stringify(row), /another@example/);
    assert.match(String(row!.claims!['email']), redacted);
    const { mappings } = row!.diff as { mappings: { mapping: string; failed: { claim: string; actual: string }[] }[] };
    const [failed] = mappings.find((each) => each.mapping === 'read')!.failed;
    assert.equal(failed!.claim, '/email');
    assert.match(failed!.actual, redacted);
  });

  test('is equal where it was equal, and only for the same claim', async () => {
    await world.exchange(tokenOf('unread', { who: { name: person } }));
    const [first, second] = await world.audit({ action: 'session.create', limit: '2' });
    assert.equal(first!.claims!['email'], second!.claims!['email']);
    assert.notEqual((first!.claims!['who'] as { name: string }).name, first!.claims!['email']);
  });

  test('is in clear nowhere in the database, unless a mapping that matched reads it: then in its session alone', async () => {
    await server.sql('delete from workload_session');
    await world.exchange(tokenOf('unread', { email: 'hidden@example.com' }));
    await world.tryExchange(tokenOf('read', { email: 'hidden@example.com' }));
    assert.equal((await everything()).includes('hidden@example.com'), false);
    const session = await world.exchange(tokenOf('read'));
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
    const kept = JSON.stringify(await server.sql('select claims::text from workload_session'));
    assert.deepEqual([kept.includes(person), kept.includes('Somebody')], [true, false]);
    const audited = JSON.stringify(await server.sql(`select personal::text, detail::text from audit_event where session_id is not null`));
    assert.equal(audited.includes(person), false);
    const { body } = await server.call({ method: 'GET', path: `${server.api}/sessions` });
    assert.equal(JSON.stringify(body).includes(person), false);
  });

  test('is shown as a digest in the trace of a token, whose conditions are judged by what it is', async () => {
    const { body } = await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { token: tokenOf('read') } });
    const trace = body as { accepted: boolean; claims: { email: string }; mappings: { mapping: string; conditions: { claim: string; actual: unknown; holds: boolean | null }[] }[] };
    assert.equal(trace.accepted, true);
    assert.match(trace.claims.email, redacted);
    const condition = trace.mappings[0]!.conditions.find(({ claim }) => claim === '/email')!;
    assert.equal(condition.holds, true);
    assert.match(String(condition.actual), redacted);
  });

  test('of an exchange of the past is still told equal or not by the trace, and what is not equality cannot be told', async () => {
    const answer = await world.tryExchange(tokenOf('past'));
    await server.apply([
      mapping('past_equal', { when: [{ claim: '/terraform_workspace_id', equals: 'past' }, { claim: '/email', equals: 'other@example.com' }] }),
      mapping('past_glob', { when: [{ claim: '/terraform_workspace_id', equals: 'past' }, { claim: '/email', glob: '*@example.com' }] }),
    ]);
    const { body } = await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { correlationId: (answer.body as { correlation_id: string }).correlation_id } });
    const { mappings } = body as { mappings: { mapping: string; conditions: { claim: string; holds: boolean | null }[] }[] };
    const holds = (name: string): unknown => mappings.find(({ mapping: each }) => each === name)!.conditions.find(({ claim }) => claim === '/email')!.holds;
    assert.deepEqual([holds('past_equal'), holds('past_glob')], [false, null]);
  });
});

describe('what cannot be redacted', () => {
  for (const claim of ['sub_of_generic', '/exp', 'aud', 'jti', '/terraform_workspace_id']) {
    test(`${claim}: refused, with its place`, async () => {
      const preset = claim === 'sub_of_generic' ? 'generic' : 'hcp_terraform';
      const document = issuerDocument('wrong', { url: 'https://wrong.example' }, { preset, redactClaims: [claim === 'sub_of_generic' ? 'sub' : claim] });
      const answer = await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: [document] } });
      assert.equal(answer.status, 400);
      assert.match(JSON.stringify(answer.body), /redactClaims\/0/);
    });
  }
});

describe('the audit is searched', () => {
  const found = async (query: Readonly<Record<string, string>>): Promise<number> => (await world.audit({ action: 'session.create', limit: '200', ...query })).length;

  test('by any claim at any depth, exactly, as text, number or boolean', async () => {
    await server.apply([mapping('searched')]);
    await world.exchange(tokenOf('searched', { run: 5, text: '5', protected: true, groups: ['a', 'b'], 'x/y': { z: 'deep' } }));
    const rows: [claim: string, count: number][] = [
      ['/run:number=5', 1], ['/run=5', 0], ['/text=5', 1], ['/text:number=5', 0], ['/protected:boolean=true', 1], ['/protected:boolean=false', 0],
      ['/groups/0=a', 1], ['/groups/1=a', 0], ['/x~1y/z=deep', 1], ['/x~1y/z=DEEP', 0], ['/x~1y=deep', 0], ['{"run":5,"text":"5"}', 1], ['{"run":5,"text":"6"}', 0], ['{"groups":["b"]}', 1],
    ];
    for (const [claim, count] of rows) assert.equal(await found({ claim }), count, claim);
  });

  test('by a redacted claim, by whoever knows the value', async () => {
    await server.apply([mapping('known')]);
    await world.exchange(tokenOf('known', { email: 'known@example.com', who: { name: 'Known' } }));
    for (const claim of ['/email=known@example.com', '/who/name=Known', '{"email":"known@example.com"}']) assert.equal(await found({ claim }), 1, claim);
    for (const claim of ['/email=unknown@example.com', '/who/name=known@example.com']) assert.equal(await found({ claim }), 0, claim);
  });

  test('by the hash of the outside token and by its jti', async () => {
    await server.apply([mapping('hashed')]);
    const token = tokenOf('hashed', { jti: 'of-a-search' });
    await world.exchange(token);
    assert.equal(await found({ tokenSha256: createHash('sha256').update(token).digest('hex') }), 1);
    assert.equal(await found({ claim: '/jti=of-a-search' }), 1);
    assert.equal(await found({ tokenSha256: '0'.repeat(64) }), 0);
  });

  test('and the row has mappings with versions and grants, and the session', async () => {
    await server.apply([mapping('rowed')]);
    await world.exchange(tokenOf('rowed'));
    const [row] = await world.audit({ claim: '/terraform_workspace_id=rowed' });
    const [met] = row!.detail['mappings'] as { path: string; version: number; grants: { role: string; scope: string }[] }[];
    assert.deepEqual([met!.path, met!.version, met!.grants.map(({ scope }) => scope)], ['rowed', 1, [administers.scope]]);
    assert.ok(row!.session !== undefined);
  });

  const refused: [says: string, query: Record<string, string>][] = [
    ['no claim', { claim: 'x' }], ['a number that is none', { claim: '/a:number=x' }], ['U+0000', { claim: '/a=\0' }], ['no hash', { tokenSha256: 'x' }], ['too much', { claim: `/a=${'x'.repeat(5_000)}` }],
  ];
  for (const [says, query] of refused) {
    test(`not by ${says}`, async () => assert.equal((await server.call({ method: 'GET', path: `${server.api}/audit?${new URLSearchParams(query)}` })).status, 400));
  }
});
