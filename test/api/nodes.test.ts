/** Two nodes on one database, and a wire between one of them and the database that can be cut. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { createSnapshots } from '#features/resources/feature.ts';
import { refusal } from '#kernel/errors.ts';
import type { World } from '#kernel/world.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { createLog } from '#platform/log.ts';
import { createMetrics } from '#platform/metrics.ts';
import type { TcpProxy } from '#test/parties/tcp-proxy.ts';
import { startTcpProxy } from '#test/parties/tcp-proxy.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { makeUser, scopeApi } from './principals.ts';

let first: TestServer;
let second: TestServer;
let wire: TcpProxy;

/** As in production, so that what is promised within a second is promised by these. */
const pace = { accessPollMs: 250, sequencerMs: 250 };

before(async () => {
  first = await startTestServer({ settings: pace });
  second = await startTestServer({
    beside: first,
    settings: pace,
    way: async (login) => {
      wire = await startTcpProxy({ target: login });
      return { ...login, host: wire.host, port: wire.port };
    },
  });
  await first.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', spec: {} }]);
});

const path = (identifier = 'ci'): string => `${scopeApi(first, 'payments')}/service-accounts/${identifier}`;
const secondMs = { patienceMs: 1_000 };

/** What a node knows, in one line a resource. */
function told(world: World): string[] {
  return [...world.all()].map(({ uid, kind, scope, identifier, version, tags, attributes, facts }) => JSON.stringify({ uid, kind, scope, identifier, version, tags, attributes, facts })).toSorted();
}

async function freshWorld(): Promise<World> {
  const { database, clock, app } = first;
  return createSnapshots({ database, kinds: app.kinds, clock, log: createLog('silent'), metrics: createMetrics(), staleAfterMs: 2_000, pollMs: 250, maxEntries: 100_000 }).world(first.account.id);
}

async function sameEverywhere(): Promise<void> {
  const { revision } = (await first.sql<{ revision: number }>(`select revision from account where id = $1`, [first.account.id]))[0]!;
  const worlds = await Promise.all([first.app.snapshots.world(first.account.id, revision), second.app.snapshots.world(first.account.id, revision), freshWorld()]);
  for (const world of worlds) {
    assert.equal(world.revision, revision);
    assert.deepEqual(told(world), told(worlds[2]!));
  }
}

describe('a change through one node', () => {
  test('is enforced there at once and on the other within a second', async () => {
    const { token } = await makeUser(first, 'leaving', [{ role: 'org_viewer', scope: 'payments' }]);
    const ask = (node: TestServer) => node.call({ method: 'GET', path: path(), token });
    await until(async () => (await ask(second)).status === 200, 'the other node knows the binding', secondMs);
    const removed = await first.call({ method: 'DELETE', path: `${scopeApi(first, 'payments')}/role-bindings/leaving_0` });
    assert.equal(removed.status, 204);
    assert.equal((await ask(first)).status, 404);
    await until(async () => (await ask(second)).status === 404, 'the other node refuses', secondMs);
  });

  test('is seen through the other by whoever says which revision to have seen', async () => {
    for (let i = 0; i < 10; i++) {
      const applied = await first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: `seen_${i}`, spec: {} }]);
      const { revision } = applied.body as { revision: number };
      const answer = await second.call({ method: 'GET', path: path(`seen_${i}`), headers: { 'sallyport-min-revision': String(revision) } });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
    }
  });

  test('that has not happened yet is not waited for', async () => {
    const { revision } = (await first.apply([])
      .catch(() => first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', spec: {} }]))).body as { revision: number };
    const answer = await second.call({ method: 'GET', path: path(), headers: { 'sallyport-min-revision': String(revision + 1_000) } });
    problem(answer, 503, 'access.revision_ahead');
    assert.ok(answer.headers['retry-after'] !== undefined);
    for (const bad of ['x', '-1', '1.5', '1, 2', '9'.repeat(20)]) problem(await second.call({ method: 'GET', path: path(), headers: { 'sallyport-min-revision': bad } }), 400, 'request.malformed');
  });
});

test('a change that is in is answered as such, also by a node that cannot follow it yet', async () => {
  await first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'followed', spec: {} }]);
  const { snapshots } = first.app as { snapshots: { committed: unknown } };
  const { committed } = snapshots;
  snapshots.committed = () => Promise.reject(refusal('access.revision_ahead'));
  try {
    const answer = await first.call({ method: 'PUT', path: path('followed'), body: { name: 'Is in', spec: {} } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  } finally {
    snapshots.committed = committed;
  }
  await until(async () => ((await first.call({ method: 'GET', path: path('followed') })).body as { name?: string }).name === 'Is in', 'the node follows', secondMs);
});

describe('many writers through both nodes', () => {
  test('all succeed or are told to try again, and no revision is lost or used twice', async () => {
    const [{ revision: from }] = (await first.sql<{ revision: number }>('select revision from account')) as [{ revision: number }];
    const write = (i: number): Promise<RemoteAnswer> =>
      (i % 2 === 0 ? first : second).call({ method: 'PUT', path: path(), body: { name: `Written by ${i}`, spec: {} } });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => write(i)));
    const done = answers.filter((answer) => answer.status === 200);
    for (const answer of answers) if (answer.status !== 200) problem(answer, 409, 'resource.conflict');
    assert.ok(done.length >= 20, `${done.length} of 40`);
    assert.deepEqual(done.map((answer) => (answer.body as { version: number }).version).toSorted((a, b) => a - b), Array.from({ length: done.length }, (_, i) => i + 2));
    const rows = await first.sql<{ revision: number }>('select distinct revision from access_change where revision > $1 order by revision', [from]);
    assert.deepEqual(rows.map((row) => row.revision), Array.from({ length: done.length }, (_, i) => from + i + 1));
    await sameEverywhere();
  });

  test('who each mean another version: one wins, and the others are told', async () => {
    const current = (await first.call({ method: 'GET', path: path() })).headers['etag']!;
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) =>
      (i % 2 === 0 ? first : second).call({ method: 'PUT', path: path(), headers: { 'if-match': current }, body: { name: `Meant ${i}`, spec: {} } })));
    assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [200, ...Array.from({ length: 11 }, () => 412)]);
  });

  test('of one name make one thing', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) =>
      (i % 2 === 0 ? first : second).call({ method: 'POST', path: `${scopeApi(first, 'payments')}/service-accounts`, body: { identifier: 'contested', spec: {} } })));
    assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [201, ...Array.from({ length: 11 }, () => 409)]);
  });

  test('of an org that somebody deletes meanwhile leave nothing outside a scope', async () => {
    const { revision } = (await first.apply([{ kind: 'Organization', identifier: 'vanishing', spec: {} }])).body as { revision: number };
    const headers = { 'sallyport-min-revision': String(revision) };
    const fill = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? first : second).call({ method: 'POST', path: `${scopeApi(first, 'vanishing')}/service-accounts`, headers, body: { identifier: `s_${i}`, spec: {} } }));
    const removal = second.call({ method: 'DELETE', path: `${first.api}/organizations/vanishing?cascade=true`, headers });
    const [removed, ...filled] = await Promise.all([removal, ...fill]);
    assert.ok(removed.status === 204 || removed.status === 409, String(removed.status));
    for (const answer of filled) assert.ok([201, 404, 409].includes(answer.status), JSON.stringify(answer.body));
    if (removed.status === 204) assert.deepEqual(await first.sql(`select 1 from resource where scope = 'vanishing'`), []);
    await sameEverywhere();
  });
});

describe('a node that follows', () => {
  test('page by page takes whole revisions only', async () => {
    const { database, clock, app } = first;
    const seen: number[] = [];
    /** Looks at a world after each of its changes. */
    const shelve = (world: World): void => {
      const { apply } = world;
      world.apply = (changes, revision) => {
        apply.call(world, changes, revision);
        seen.push([...world.list('service_account')].length);
      };
    };
    const follower = createSnapshots({ database, kinds: app.kinds, clock, shelve, log: createLog('silent'), metrics: createMetrics(), staleAfterMs: 2_000, pollMs: 250, maxEntries: 100_000, maxReplayedRows: 7 });
    const before = [...(await follower.world(first.account.id)).list('service_account')].length;
    // Revisions of three rows each do not fit seven evenly.
    for (let i = 0; i < 6; i++) await first.apply([0, 1, 2].map((j) => ({ kind: 'ServiceAccount', scope: 'payments', identifier: `page_${i}_${j}`, spec: {} })));
    await follower.confirm();
    assert.deepEqual(told(await follower.world(first.account.id)), told(await freshWorld()));
    assert.ok(seen.length > 0 && seen.every((count) => (count - before) % 3 === 0), `worlds of ${seen.join()} after ${before}`);
    // One revision larger than a page.
    await first.apply(Array.from({ length: 20 }, (_, i) => ({ kind: 'ServiceAccount', scope: 'payments', identifier: `whole_${i}`, spec: {} })));
    await follower.confirm();
    assert.deepEqual(told(await follower.world(first.account.id)), told(await freshWorld()));
  });

  test('after its changes were forgotten loads the rows', async () => {
    const { database, clock, app } = first;
    const follower = createSnapshots({ database, kinds: app.kinds, clock, log: createLog('silent'), metrics: createMetrics(), staleAfterMs: 2_000, pollMs: 250, maxEntries: 100_000 });
    await follower.world(first.account.id);
    await first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'forgotten', spec: {} }]);
    await first.sql('delete from access_change');
    await first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'remembered', spec: {} }]);
    await follower.confirm();
    assert.deepEqual(told(await follower.world(first.account.id)), told(await freshWorld()));
  });
});

describe('rates', () => {
  test('count a caller once, whichever node it asks', async () => {
    const settings = { requestsPerSecond: 1, requestBurst: 100 };
    const nodes = [await startTestServer({ settings }), null] as [TestServer, TestServer | null];
    nodes[1] = await startTestServer({ beside: nodes[0], settings });
    const { token } = await makeUser(nodes[0], 'busy');
    const from = performance.now();
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => nodes[i % 2]!.call({ method: 'GET', path: `${nodes[0].api}/api-tokens`, token })));
    const elapsedSeconds = Math.ceil((performance.now() - from) / 1_000);
    const served = answers.filter((answer) => answer.status === 200).length;
    assert.ok(served >= 100, `${served} of a burst of 100`);
    assert.ok(served <= 100 + elapsedSeconds + 1, `${served} of a burst of 100 in ${elapsedSeconds} s`);
    const refused = answers.find((answer) => answer.status !== 200)!;
    problem(refused, 429, 'request.rate_limited');
    assert.match(refused.headers['retry-after']!, /^[1-9]\d*$/);
    await Promise.all(nodes.map((node) => node!.stop()));
  });
});

describe('a node cut off from the database', () => {
  const ask = (node: TestServer) => node.call({ method: 'GET', path: path() });
  /** Whoever was let in just before the cut waits for the rows; nobody after that does. */
  const askAgain = (node: TestServer) => node.call({ method: 'GET', path: path(), timeoutMs: 2_500 }).catch(() => null);

  for (const how of ['reset', 'hang'] as const) {
    test(`refuses instead of deciding when its connections ${how === 'reset' ? 'end' : 'hang'}, and serves again when they do not`, async () => {
      assert.equal((await ask(second)).status, 200);
      wire.cut(how);
      const refused = await until(async () => {
        const answer = await askAgain(second);
        return answer !== null && answer.status !== 200 && answer;
      }, 'the node refuses', { patienceMs: 10_000 });
      assert.equal(refused.status, 503, JSON.stringify(refused.body));
      assert.match((refused.body as { code: string }).code, /^(access\.stale|database\.unavailable)$/);
      assert.ok(refused.headers['retry-after'] !== undefined);
      assert.equal((await ask(first)).status, 200, 'the other node goes on');
      await until(() => second.app.snapshots.world(first.account.id).then(() => false, (error: { code?: string }) => error.code === 'access.stale'), 'its facts are old');
      // What it missed must count from its first answer on.
      await first.apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', name: `After ${how}`, spec: {} }]);
      wire.heal();
      const served = await until(async () => {
        const answer = await askAgain(second);
        return answer?.status === 200 && answer;
      }, 'the node serves again');
      assert.equal((served.body as { name: string }).name, `After ${how}`);
    });
  }

  test('for good, by a host that vanishes without a word, serves again over new connections', async () => {
    let way: TcpProxy | undefined;
    const third = await startTestServer({
      beside: first, settings: pace, statementMs: 3_000,
      way: async (login) => {
        way = await startTcpProxy({ target: login });
        return { ...login, host: way.host, port: way.port };
      },
    });
    // All connections it may have are to what vanishes.
    await Promise.all(Array.from({ length: 8 }, () => sql`select pg_sleep(0.2)`.execute(third.database.read)));
    assert.equal((await ask(third)).status, 200);
    way!.cut('vanish');
    await until(() => third.app.snapshots.world(first.account.id).then(() => false, () => true), 'its facts are old');
    await until(async () => (await askAgain(third))?.status === 200, 'the node serves again');
    way!.cut('reset');
    await third.stop();
  });

  test('does not say that it is ready, and does not die', async () => {
    wire.cut('reset');
    await until(async () => (await second.call({ method: 'GET', path: '/readyz', token: null })).status === 503, 'it is not ready');
    assert.equal((await second.call({ method: 'GET', path: '/healthz', token: null })).status, 200);
    // Long enough for a try to listen again to fail.
    await until(() => first.sql(`select 1 from pg_stat_activity where datname = current_database() and query = 'listen sallyport_access'`).then((rows) => rows.length === 1), 'only the other node listens');
    await until(() => second.app.snapshots.world(first.account.id).then(() => false, () => true), 'its facts are old');
    wire.heal();
    await until(async () => (await second.call({ method: 'GET', path: '/readyz', token: null })).status === 200, 'it is ready again');
    await until(() => first.sql(`select 1 from pg_stat_activity where datname = current_database() and query = 'listen sallyport_access'`).then((rows) => rows.length === 2), 'it listens again');
  });
});

describe('a node of an older release', () => {
  test('refuses the accounts a newer one has written to, says what to do, and serves the others', async () => {
    const { account, api, adminToken } = await first.addAccount('ahead');
    await first.sql(`update resource set spec_version = 99 where account_id = $1 and kind = 'user'`, [account.id]);
    const older = await startTestServer({ beside: first });
    const refused = problem(await older.call({ method: 'GET', path: `${api}/users`, token: adminToken }), 503, 'access.stale');
    assert.match(refused.detail ?? '', /older release than the one that wrote this; upgrade it$/);
    assert.equal((await older.call({ method: 'GET', path: path() })).status, 200);
    await older.stop();
  });
});
