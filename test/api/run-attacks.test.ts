/** What a runner, an author or a starter may try to get more than one step is given; each test is named for the try. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { auditMark } from './audit-rows.ts';
import { Runs, checkout, pipeline, runWorld, step } from './runs.ts';
import type { Manifest } from './runs.ts';

let server: TestServer;
let runs: Runs;

const password = 'correct-horse-battery';
const token = '<+secrets.getJWT("account.partner")>';
const secret = (value: string): Manifest => ({ kind: 'Secret', scope: checkout, identifier: 'password', spec: { type: 'text', value } });

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  await server.apply([
    ...runWorld, secret(password),
    pipeline('plain', { build: [step('only')] }),
    pipeline('asks', { build: [step('only', { env: { TOKEN: token, PASSWORD: '<+secrets.getValue("password")>' } })] }),
  ]);
});

const kept = (): Promise<unknown[]> => server.sql('select 1 from attempt_delivery');

describe('a runner that asks for a payload again', () => {
  test('is given the same values: nothing is minted, read or recorded again', async () => {
    const run = await runs.start('asks');
    const ref = (await runs.lease())!;
    const rows = await auditMark(server);
    const first = await runs.payload(ref);
    await server.apply([secret('another-value-entirely')]);
    assert.deepEqual(await runs.payload(ref), first);
    assert.deepEqual((await rows()).map(({ action }) => action).filter((action) => action === 'token.mint' || action === 'secret.use').toSorted(), ['secret.use', 'token.mint']);
    assert.equal((await server.sql('select 1 from minted_token where execution_id = $1', [run.id])).length, 1);
    await server.apply([secret(password)]);
    await runs.begin(ref);
    await runs.end(ref);
  });

  test('many times at one moment is given one token', async () => {
    const run = await runs.start('asks');
    const ref = (await runs.lease())!;
    const payloads = await Promise.all(Array.from({ length: 6 }, () => runs.payload(ref)));
    assert.equal(new Set(payloads.map(({ environment }) => environment['TOKEN'])).size, 1);
    assert.equal((await server.sql('select 1 from minted_token where execution_id = $1', [run.id])).length, 1);
    await runs.begin(ref);
    await runs.end(ref);
  });

  test('is refused when the run may not have it any more, though it was given before', async () => {
    const run = await runs.start('asks');
    const ref = (await runs.lease())!;
    await runs.payload(ref);
    await server.call({ method: 'DELETE', path: `${server.api}/orgs/payments/projects/checkout/secrets/password` });
    await assert.rejects(runs.payload(ref), { code: 'runner.stale_fence' });
    assert.equal((await runs.step(run, 'build.only')).reason?.code, 'access.denied');
    assert.deepEqual(await kept(), []);
    await server.apply([secret(password)]);
  });

  const ends: [says: string, end: (run: Awaited<ReturnType<Runs['start']>>, ref: NonNullable<Awaited<ReturnType<Runs['lease']>>>) => Promise<unknown>][] = [
    ['the start', async (_run, ref) => runs.begin(ref)],
    ['a refusal', async (_run, ref) => runs.end(ref, { exit: 'refused', message: 'no' })],
    ['a loss', async (_run, ref) => runs.end(ref, { exit: 'lost', message: 'gone', logs: null })],
    ['the end of the lease', async () => runs.pass(120_000)],
    ['an abort', async (run) => runs.call(run, { below: '/abort' })],
  ];
  for (const [says, end] of ends) {
    test(`finds nothing kept after ${says}, and nobody else does`, async () => {
      const run = await runs.start('asks');
      const ref = (await runs.lease())!;
      await runs.payload(ref);
      assert.equal((await kept()).length, 1);
      await end(run, ref);
      assert.deepEqual(await kept(), []);
      await runs.call(run, { below: '/abort' });
      if (says === 'the start') await runs.end(ref);
    });
  }

  test('leaves no value in the database that can be read', async () => {
    await runs.start('asks');
    const ref = (await runs.lease())!;
    const { environment } = await runs.payload(ref);
    const [row] = await server.sql<{ sealed: Buffer }>('select sealed from attempt_delivery');
    for (const value of Object.values(environment)) assert.ok(!row!.sealed.includes(value));
    await runs.begin(ref);
    await runs.end(ref);
  });
});

test('the events of every run above lead to what is stored of it', () => runs.assertReplays());
