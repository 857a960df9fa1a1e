/** What a runner, an author or a starter may try to get more than one step is given; each test is named for the try. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { EndedResult } from '#features/runners/schema.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { auditMark } from './audit-rows.ts';
import { Runs, checkout, pipeline, runWorld, step, success } from './runs.ts';
import type { Manifest } from './runs.ts';

let server: TestServer;
let runs: Runs;

const leaseMs = 20_000;
const password = 'correct-horse-battery';
const token = '<+secrets.getJWT("account.partner")>';
const secret = (value: string): Manifest => ({ kind: 'Secret', scope: checkout, identifier: 'password', spec: { type: 'text', value } });

before(async () => {
  server = await startTestServer({ settings: { leaseMs } });
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

describe('a runner that holds a lease for ever', () => {
  /** Renews until it is refused; how long that took. */
  async function renewForEver(ref: NonNullable<Awaited<ReturnType<Runs['lease']>>>): Promise<number> {
    const from = runs.now().getTime();
    for (let n = 0; n < 500; n += 1) {
      server.clock.advance(leaseMs * 0.8);
      try {
        await server.app.desk.heartbeat(ref, runs.now());
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'runner.stale_fence');
        return runs.now().getTime() - from;
      }
    }
    return Infinity;
  }

  test('without ever starting has it five minutes, and the step is offered again', async () => {
    const run = await runs.start('plain');
    const heldMs = await renewForEver((await runs.lease())!);
    assert.ok(heldMs >= 300_000 && heldMs < 330_000, `${heldMs}`);
    await runs.pass(leaseMs);
    assert.notEqual(await runs.lease(), null);
    await runs.call(run, { below: '/abort' });
  });

  test('without ever ending has it fifteen minutes longer than the step may take, and the run ends', async () => {
    const run = await runs.start('plain');
    const ref = (await runs.lease())!;
    await runs.begin(ref);
    const heldMs = await renewForEver(ref);
    assert.ok(heldMs >= 1_500_000 && heldMs < 1_530_000, `${heldMs}`);
    await runs.pass(leaseMs);
    assert.deepEqual([(await runs.show(run)).status, (await runs.step(run, 'build.only')).reason?.code], ['Errored', 'runner.lost']);
  });

  test('whatever it is told has it fifteen minutes after the run was aborted, and the run ends', async () => {
    await server.apply([pipeline('slow', { build: [step('only', { timeout: '30d' })] })]);
    const run = await runs.start('slow');
    const ref = (await runs.lease())!;
    assert.equal((await runs.payload(ref)).timeoutMs, 30 * 86_400_000);
    await runs.begin(ref);
    await runs.call(run, { below: '/abort' });
    const heldMs = await renewForEver(ref);
    assert.ok(heldMs >= 900_000 && heldMs < 930_000, `${heldMs}`);
    await runs.pass(leaseMs);
    assert.equal((await runs.show(run)).status, 'Aborted');
  });
});

describe('text from outside that an output kept sealed', () => {
  const sealedOutput = '<+steps.first.output.outputVariables.KEY>';
  const laundering = (identifier: string, name: string): Manifest => {
    const manifest = pipeline(identifier, { build: [step('first', { env: { X: '<+pipeline.variables.branch>' }, outputs: [{ name: 'KEY', type: 'Secret' }] }), step('second', { env: { [name]: sealedOutput }, outputs: ['OUT'] })] });
    (manifest as { spec: { pipeline: Record<string, unknown> } }).spec.pipeline['variables'] = [{ name: 'branch', type: 'String', value: '<+input>' }];
    return manifest;
  };
  const keyed: EndedResult = { ...success, outputs: [{ name: 'KEY', value: '/tmp/of-somebody-else', secrets: [] }] };

  for (const name of ['BASH_ENV', 'LD_PRELOAD', 'PATH', 'GIT_SSH_COMMAND']) {
    test(`does not become \`${name}\` of a later step`, async () => {
      await server.apply([laundering('launders', name)]);
      const run = await runs.start('launders', { inputs: { branch: 'evil' } });
      await runs.next(keyed);
      await runs.refusedPayload();
      const { status, reason } = await runs.step(run, 'build.second');
      assert.deepEqual([status, reason?.code], ['Failed', 'expression.forbidden']);
      assert.match(reason!.message, new RegExp(`may not be \`${name}\``));
    });
  }

  test('is from outside still in what the later step puts out', async () => {
    await server.apply([laundering('carries', 'VALUE')]);
    const run = await runs.start('carries', { inputs: { branch: 'evil' } });
    await runs.next(keyed);
    assert.equal((await runs.nextPayload({ ...success, outputs: [{ name: 'OUT', value: 'x', secrets: [] }] })).environment['VALUE'], '/tmp/of-somebody-else');
    const [row] = await server.sql<{ state: { steps: { uid: string; outputs: { untrusted: boolean }[] }[] } }>('select state from execution where id = $1', [run.id]);
    assert.deepEqual(row!.state.steps.find(({ uid }) => uid === 'build.second')!.outputs.map(({ untrusted }) => untrusted), [true]);
  });
});

describe('a step that asks for more than a step is given', () => {
  const names = Array.from({ length: 201 }, (_, i) => `s${i}`);
  const wishes: [says: string, manifests: readonly Manifest[], env: Record<string, string>, message: RegExp][] = [
    ['two hundred and one secrets', names.map((identifier) => ({ kind: 'Secret', scope: checkout, identifier, spec: { type: 'text', value: `value-of-${identifier}` } })),
      { ALL: names.map((name) => `<+secrets.getValue("${name}")>`).join(' ') }, /asks for 201 secrets/],
    ['an environment no program starts with', [], Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`V${i}`, 'x'.repeat(60 * 1024)])), /larger than 960 KiB/],
    ['a variable no program starts with', [], { LONG: `<+"${'x'.repeat(50_000)}".concat("${'x'.repeat(10_000)}").replace("xx", "xxxxxx")>` }, /`LONG` is too long/],
  ];
  for (const [says, manifests, env, message] of wishes) {
    test(`is refused it: ${says}`, async () => {
      await server.apply([...manifests, pipeline('greedy', { build: [step('only', { env })] })]);
      const run = await runs.start('greedy');
      const ref = await runs.lease();
      if (ref !== null) await assert.rejects(runs.payload(ref), { code: 'runner.stale_fence' });
      const { status, reason, attempts } = await runs.step(run, 'build.only');
      assert.deepEqual([status, reason?.code, attempts.length], ['Failed', 'expression.limit', 1]);
      assert.match(reason!.message, message);
    });
  }
});

describe('a step that asks for a runner', () => {
  const leasedBy = async (labels: readonly string[]) => {
    const runnerId = randomUUID();
    const claimed = await server.app.desk.claim({ accountId: server.account.id, runnerId, scope: '/', labels, claimId: randomUUID(), now: runs.now() });
    return claimed === null ? null : { accountId: server.account.id, runnerId, attemptId: claimed.attemptId, fence: claimed.fence };
  };
  const rows: [says: string, labels: readonly string[], given: boolean][] = [
    ['is not given to one without labels', [], false],
    ['is not given to one with some of them', ['linux'], false],
    ['is not given to one with others that are alike', ['linux', 'Production', 'production_2'], false],
    ['is given to one with all of them and more', ['gpu', 'production', 'linux'], true],
  ];
  for (const [says, labels, given] of rows) {
    test(says, async () => {
      await server.apply([pipeline('asking', { build: [step('only', { selectors: ['linux', 'production'] })] })]);
      const run = await runs.start('asking');
      const ref = await leasedBy(labels);
      assert.equal(ref !== null, given);
      await runs.call(run, { below: '/abort' });
    });
  }

  test('keeps none of the others waiting, however many ask for one that is not there', async () => {
    const absent = [await runs.start('asking')];
    for (let n = 0; n < 24; n += 1) absent.push(await runs.start('asking'));
    const run = await runs.start('plain');
    assert.notEqual(await runs.next(), null);
    assert.equal((await runs.show(run)).status, 'Success');
    for (const each of absent) await runs.call(each, { below: '/abort' });
  });

  test('that never comes says so when its time is over', async () => {
    const run = await runs.start('asking');
    server.clock.advance(3_600_001);
    await until(async () => (await runs.show(run)).status === 'Expired', 'the end of the wait');
    assert.equal((await runs.step(run, 'build.only')).reason?.message, 'no runner took the step in time; it asks for one with `linux`, `production`');
  });
});

describe('a log masked with', () => {
  const say = async (maskSet: number, set: number) => {
    const run = await runs.start('plain');
    const ref = (await runs.lease())!;
    await runs.begin(ref);
    await server.sql('update attempt set mask_set = $2 where id = $1', [ref.attemptId, set]);
    const told = (await server.app.desk.heartbeat(ref, runs.now())).maskSet;
    try {
      return { told, ...(await server.app.desk.appendLog(ref, { stream: 'stdout', offset: 0, bytes: Buffer.from('text'), maskSet }, runs.now())) };
    } finally {
      await runs.end(ref);
      await runs.show(run);
    }
  };
  test('the set the attempt has is kept', async () => assert.deepEqual(await say(2, 2), { told: 2, outcome: 'stored', nextOffset: 4, maskSet: 2 }));
  test('an older set is not, and the runner is told of the newer one', async () => assert.deepEqual(await say(1, 2), { told: 2, outcome: 'old_masks', nextOffset: 0, maskSet: 2 }));
  test('none at all is not', async () => assert.equal((await say(0, 1)).outcome, 'old_masks'));
  test('a set nobody has registered is a mistake of the runner', () => assert.rejects(say(2, 1), { code: 'runner.protocol' }));
});

test('the events of every run above lead to what is stored of it', () => runs.assertReplays());
