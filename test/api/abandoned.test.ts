/** Requests whose client leaves before the answer: what nobody waits for is not done, and what is still done is counted. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import { makeSetupCode } from '#features/credentials/feature.ts';
import { trail } from '#features/audit/store.ts';
import type { ClaimRequest, ClaimedAttempt } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { RegisteredIdentity } from '#runner/identity.ts';
import { requestToken } from '#runner/request-token.ts';
import { registerRunner } from '#test/runners/runner-server.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { Runs, pipeline, runWorld, step } from './runs.ts';
import type { Wire } from './wire.ts';
import { openWire } from './wire.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.apply([...runWorld, pipeline('hello', { build: [step('hello')] })]);
});

/** Sends a whole request and reads no answer. */
async function ask(on: TestServer, path: string, body: unknown, token?: string): Promise<Wire> {
  const text = JSON.stringify(body);
  const wire = await openWire(on.url);
  const bearer = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  wire.write(`POST ${path} HTTP/1.1\r\nHost: x\r\n${bearer}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  return wire;
}

/** Until so many requests of the operation were left by their clients. */
function left(on: TestServer, operation: string, count = 1): Promise<unknown> {
  const line = `sallyport_requests_total{operation="${operation}",status="499"} ${count}`;
  return until(async () => String((await on.call({ method: 'GET', path: '/metrics', token: null })).body).includes(line), `${count} clients of ${operation} have left`);
}

/** Does something while a transaction of somebody else holds a lock. */
async function whileLocked(on: TestServer, lock: string, act: () => Promise<void>): Promise<void> {
  const holder = new Client({ ...on.rows.owner });
  await holder.connect();
  try {
    await holder.query('begin');
    await holder.query(lock);
    await act();
    await holder.query('rollback');
  } finally {
    await holder.end();
  }
}

const waitingForLocks = async (on: TestServer): Promise<number> =>
  (await on.sql(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length;

describe('a runner that is killed while it waits for work', () => {
  let runner: RegisteredIdentity;
  before(async () => {
    runner = await registerRunner(server);
  });

  async function claim(waitMs: number): Promise<Wire> {
    const body = { protocol: 1, claimId: randomUUID(), waitMs };
    const path = `${server.api}/runner/claims`;
    const { runnerId, audience } = runner.registration;
    return ask(server, path, body, requestToken(runner.signingKey, { issuer: runnerId, audience, path, body, now: systemClock.now() }));
  }

  test('takes none of what comes later', async () => {
    const runs = new Runs(server);
    const wire = await claim(25_000);
    await until(async () => (await server.sql('select 1 from runner where seen_at is not null')).length === 1, 'the server has its question');
    wire.close();
    await left(server, 'runner.claim');
    const run = await runs.start('hello');
    const ref = await runs.lease();
    assert.equal(ref?.fence, 1, 'the first lease is that of the runner that is there');
    await runs.call(run, { below: '/abort' });
  });

  test('takes none of what it was about to be given', async () => {
    const runs = new Runs(server);
    const run = await runs.start('hello');
    const { desk } = server.app;
    const claimed = Promise.withResolvers<ClaimedAttempt | null>();
    const real = desk.claim;
    const wire = Promise.withResolvers<Wire>();
    desk.claim = async (request: ClaimRequest) => {
      (await wire.promise).close();
      if (!request.signal!.aborted) await once(request.signal!, 'abort');
      claimed.resolve(real(request));
      return claimed.promise;
    };
    wire.resolve(await claim(0));
    await assert.rejects(claimed.promise, { code: 'request.abandoned' });
    desk.claim = real;
    assert.equal((await runs.lease())?.fence, 1);
    await runs.call(run, { below: '/abort' });
  });
});

describe('a client that leaves before anything is written', () => {
  test('finds nothing done', async () => {
    const { account, api } = await server.addEmptyAccount('hasty');
    const code = await makeSetupCode({ database: server.database, clock: server.clock, randomness: systemRandomness }, account.id);
    const body = { code, email: 'admin@example.com', password: 'a password for tests only' };
    await whileLocked(server, 'lock table credential in access exclusive mode', async () => {
      const wire = await ask(server, `${api}/setup`, body);
      await until(async () => (await waitingForLocks(server)) === 1, 'the code is being looked up');
      wire.close();
      await left(server, 'setup.complete');
    });
    assert.equal((await server.call({ method: 'POST', path: `${api}/setup`, body, token: null })).status, 201, 'the code was not used up');
  });
});

describe('an attacker who opens requests and leaves', () => {
  test('has no more work done at once than the limit', async () => {
    const maxInFlight = 4;
    const own = await startTestServer({ beside: server, settings: { maxInFlight } });
    const list = () => own.call({ method: 'GET', path: '/schemas/Role.json', token: null });
    assert.equal((await own.call({ method: 'GET', path: `${own.api}/organizations` })).status, 200);
    await whileLocked(own, 'select from account for no key update', async () => {
      const create = async (i: number): Promise<Wire> => {
        const wire = await ask(own, `${own.api}/organizations`, { identifier: `abandoned_${i}`, spec: {} }, own.adminToken);
        await until(async () => (await waitingForLocks(own)) === i, 'it has reached the database');
        return wire;
      };
      for (let i = 1; i < maxInFlight; i++) {
        (await create(i)).close();
        await left(own, 'organization.create', i);
      }
      await create(maxInFlight);
      problem(await list(), 503, 'server.busy');
    });
    await until(async () => (await list()).status === 200, 'there is room when the work has stopped');
    await own.stop();
  });
});

describe('reading a long trail for somebody who has left', () => {
  test('ends with the page', async () => {
    const over = AbortSignal.abort(refusal('request.abandoned'));
    await assert.rejects(trail(server.database.read, server.account.id, { after: 0, through: 1_000, signal: over }).next(), { code: 'request.abandoned' });
  });
});
