import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { ExecutionView } from '#features/executions/schema.ts';
import type { AttemptRef } from '#features/runners/schema.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem, seen } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, claimsIn, pipeline, runWorld, step, success } from './runs.ts';

let server: TestServer;
let runs: Runs;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  await server.apply([
    ...runWorld,
    { kind: 'Secret', scope: 'payments', identifier: 'db_password', spec: { type: 'text', value: 'correct-horse-battery', usableFrom: ['payments/**'] } },
    pipeline('recover', {
      tags: { application: 'app_x' },
      build: [
        step('hello', { script: 'VERSION=7; echo hello', outputs: ['VERSION'] }),
        step('use', { env: { PASSWORD: '<+secrets.getValue("org.db_password")>', TOKEN: '<+secrets.getJWT("account.partner")>' } }),
      ],
      deploy: [step('ship', { env: { TOKEN: '<+secrets.getJWT("account.partner")>' } })],
    }),
    pipeline('plain', { tags: { application: 'app_y' }, build: [step('only')] }),
  ]);
});

describe('a run', () => {
  test('goes through its steps: values reach the attempt, outputs come back', async () => {
    const run = await runs.start('recover');
    const hello = await runs.nextPayload({ ...success, outputs: [{ name: 'VERSION', value: '7', secrets: [] }, { name: 'OTHER', value: 'nobody declares it', secrets: [] }] });
    assert.deepEqual([hello.script, hello.shell, hello.environment, hello.outputVariables], ['VERSION=7; echo hello', 'bash', {}, ['VERSION']]);
    const use = await runs.nextPayload();
    assert.equal(use.environment['PASSWORD'], 'correct-horse-battery');
    assert.deepEqual(new Map(use.secrets.map(({ name, value }) => [name, value])), new Map([['secret payments/db_password', 'correct-horse-battery'], ['connector partner', use.environment['TOKEN']]]));
    await runs.nextPayload();
    const done = await runs.show(run);
    assert.deepEqual([done.status, done.outputs], ['Success', { 'build.hello.VERSION': '7' }]);
    assert.ok(done.endedAt !== null && done.stages.every(({ status }) => status === 'Success'));
  });

  test('numbers the runs of its pipeline and fixes the revision that runs', async () => {
    const first = await runs.show(await runs.start('plain'));
    await server.apply([pipeline('plain', { tags: { application: 'app_y' }, build: [step('only', { script: 'echo changed' })] })]);
    const second = await runs.show(await runs.start('plain'));
    assert.deepEqual([second.sequence, second.revision.version], [first.sequence + 1, first.revision.version + 1]);
    assert.notEqual(second.revision.sha256, first.revision.sha256);
    assert.deepEqual([(await runs.nextPayload()).script, (await runs.nextPayload()).script], ['true', 'echo changed']);
  });

  test('is told in the audit with its executor and the last editor', async () => {
    const rows = await auditMark(server);
    const run = await runs.start('plain');
    await runs.drain();
    const [started, ended] = (await rows()).toSorted((a, b) => (a.action < b.action ? 1 : -1));
    assert.deepEqual(told([started!, ended!]), told([
      { action: 'execution.start', outcome: 'success', actor: 'user:admin', resource: `execution ${checkout}/plain`, scope: checkout },
      { action: 'execution.end', outcome: 'success', actor: 'system:engine', resource: `execution ${checkout}/plain`, scope: checkout },
    ] as never));
    const { lastEditor, version, sha256 } = started!.detail as Record<string, unknown>;
    const { revision } = await runs.show(run);
    assert.deepEqual([lastEditor, version, sha256], ['user:admin', revision.version, revision.sha256]);
  });

  test('whose pipeline is deleted goes on, and is still there', async () => {
    await server.apply([pipeline('short_lived', { build: [step('only')] })]);
    const run = await runs.start('short_lived');
    assert.equal((await server.call({ method: 'DELETE', path: `${scopeApi(server, checkout)}/pipelines/short_lived` })).status, 204);
    await runs.drain();
    assert.equal((await runs.show(run)).status, 'Success');
  });

  test('whose project is deleted stops', async () => {
    await server.apply([{ kind: 'Project', scope: 'payments', identifier: 'closing', spec: {} }, pipeline('last', { scope: 'payments/closing', build: [step('one'), step('two')] })]);
    const { id } = await runs.start('last', { scope: 'payments/closing' });
    await runs.nextPayload();
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/orgs/payments/projects/closing?cascade=true` })).status, 204);
    assert.equal(await runs.next(), null);
    const [row] = await server.sql<{ status: string }>('select status from execution where id = $1', [id]);
    assert.equal(row?.status, 'Failed');
  });
});

describe('starting', () => {
  test('the same idempotency key starts one run, also at the same moment', async () => {
    const headers = { 'idempotency-key': 'once' };
    const answers = await Promise.all(Array.from({ length: 4 }, () => runs.start('plain', { headers })));
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
    assert.equal((await runs.start('plain', { headers })).id, answers[0]!.id);
    problem(await runs.tryStart('recover', { headers }), 409, 'request.idempotency_conflict');
    await runs.drain();
  });

  test('a key means something to the one who made it up, in one project', async () => {
    const bob = await makeUser(server, 'bob_keys', [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const headers = { 'idempotency-key': 'shared' };
    const [mine, his] = [await runs.start('plain', { headers }), await runs.start('plain', { headers, token: bob.token })];
    assert.notEqual(mine.id, his.id);
    await runs.drain();
  });

  test('a key does not open what may not be opened any more', async () => {
    const eve = await makeUser(server, 'eve_keys', [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const wish = { headers: { 'idempotency-key': 'hers' }, token: eve.token };
    await runs.start('plain', wish);
    await server.call({ method: 'DELETE', path: `${scopeApi(server, checkout)}/role-bindings/eve_keys_0` });
    problem(await runs.tryStart('plain', wish), 404, 'access.not_found');
    await runs.drain();
  });

  test('a pipeline that may not be run is told of like one that is not there, with the same audit row', async () => {
    const { token } = await makeUser(server, 'stranger', [{ role: 'project_viewer', scope: 'payments/ledger', resourceGroup: 'all_project_level_resources' }]);
    const refusal = async (name: string): Promise<unknown[]> => {
      const rows = await auditMark(server);
      const answer = await runs.tryStart(name, { token });
      problem(answer, 404, 'access.not_found');
      const [row, ...more] = await rows();
      assert.deepEqual(more, []);
      return [seen(answer), told([row!]), row!.detail].map((each) => JSON.parse(JSON.stringify(each).replaceAll(name, 'NAME')) as unknown);
    };
    assert.deepEqual(await refusal('recover'), await refusal('no_such_one'));
  });

  test('a pipeline that names what its scope may not use is not started, and neither answer nor audit tells whether it is there', async () => {
    const refusal = async (reference: string): Promise<unknown> => {
      await server.apply([pipeline('steal', { scope: 'payments/ledger', build: [step('s', { env: { T: `<+secrets.getJWT("${reference}")>` } })] })]);
      const rows = await auditMark(server);
      const answer = await runs.tryStart('steal', { scope: 'payments/ledger' });
      problem(answer, 403, 'access.denied');
      const [row] = await rows();
      return JSON.parse(JSON.stringify([seen(answer), row!.scope, row!.detail]).replaceAll(reference, 'NAME')) as unknown;
    };
    assert.deepEqual(await refusal('account.partner'), await refusal('account.nothing'));
  });

  test('inputs that do not fit are told at their places, once the caller may run the pipeline', async () => {
    const { errors } = problem(await runs.tryStart('plain', { inputs: { nobody_asks: 'x' } }), 400, 'pipeline.input');
    assert.deepEqual(errors?.map(({ pointer }) => pointer), ['/inputs/nobody_asks']);
  });

  test('a start beside a change of the pipeline is of one revision or the other, and neither waits for ever', async () => {
    const save = (n: number) => server.apply([pipeline('moving', { tags: { n: String(n) }, build: [step('only', { script: `echo ${n}` })] })]);
    await save(0);
    const saves = (async () => {
      for (let n = 1; n <= 10; n += 1) await save(n);
    })();
    const started = await Promise.all(Array.from({ length: 10 }, () => runs.start('moving')));
    await saves;
    for (const run of started) {
      const [row] = await server.sql<{ script: string; version: number }>(`select plan -> 'steps' -> 0 -> 'script' ->> 'text' as script, (plan -> 'pipeline' ->> 'version')::int as version from execution where id = $1`, [run.id]);
      assert.equal(row?.script, `echo ${row!.version - 1}`);
    }
    await runs.drain();
  });
});

describe('leases', () => {
  test('one that runs out after the start ends the step for good: it is not run again', async () => {
    const run = await runs.start('recover');
    const ref = (await runs.lease())!;
    await runs.payload(ref);
    await runs.begin(ref);
    await runs.pass(60_000);
    assert.deepEqual([(await runs.step(run, 'build.hello')).status, (await runs.step(run, 'build.hello')).reason?.code], ['Errored', 'runner.lost']);
    assert.equal(await runs.lease(), null);
    await assert.rejects(runs.end(ref), { code: 'runner.stale_fence' });
  });

  test('one that runs out before the start is offered again under a new fence', async () => {
    const run = await runs.start('recover');
    const first = (await runs.lease())!;
    await runs.pass(60_000);
    const second = (await runs.lease())!;
    assert.notEqual(second.attemptId, first.attemptId);
    await assert.rejects(runs.payload(first), { code: 'runner.stale_fence' });
    await runs.call(run, { below: '/abort' });
  });

  test('a heartbeat that was on its way for long, or by a clock that is behind, makes none shorter', async () => {
    const run = await runs.start('plain');
    const ref = (await runs.lease())!;
    const { leaseUntil } = await server.app.desk.heartbeat(ref, runs.now());
    const late = await server.app.desk.heartbeat(ref, new Date(runs.now().getTime() - 10_000));
    assert.equal(late.leaseUntil.getTime(), leaseUntil.getTime());
    await runs.call(run, { below: '/abort' });
  });

  test('one of an account that is disabled meanwhile runs out, and its step ends', async () => {
    const run = await runs.start('plain');
    const ref = (await runs.lease())!;
    await runs.begin(ref);
    await server.sql('update account set disabled = true');
    await until(async () => (await runs.call(run)).status === 401, 'nobody to be known any more');
    await runs.pass(60_000);
    await server.sql('update account set disabled = false');
    await until(async () => (await runs.call(run)).status === 200, 'everybody to be known again');
    assert.deepEqual([(await runs.show(run)).status, (await runs.step(run, 'build.only')).reason?.code], ['Errored', 'runner.lost']);
  });

  test('a step that no runner takes in time expires', async () => {
    const run = await runs.start('plain');
    server.clock.advance(3_600_001);
    await until(async () => (await runs.show(run)).status === 'Expired', 'the end of the queue');
    assert.equal((await runs.step(run, 'build.only')).reason?.code, 'runner.none');
    assert.equal(await runs.lease(), null);
  });

  test('one run that cannot go on keeps no runner from the next', async () => {
    const [broken, whole] = [await runs.start('plain'), await runs.start('plain')];
    await server.sql('update execution set run_grant = $2 where id = $1', [broken.id, Buffer.alloc(64)]);
    assert.notEqual(await runs.next(), null);
    assert.deepEqual([(await runs.show(whole)).status, (await runs.step(broken, 'build.only')).reason?.code], ['Success', 'keys.unsealable']);
  });
});

describe('aborting', () => {
  test('takes back what has not started, and the answer says that it has ended', async () => {
    const run = await runs.start('recover');
    const answer = (await runs.call(run, { below: '/abort' })).body as ExecutionView;
    assert.deepEqual([answer.status, answer.reason?.message, answer.endedAt !== null], ['Aborted', 'aborted by `user:admin`', true]);
    assert.equal(await runs.lease(), null);
    problem(await runs.call(run, { below: '/abort' }), 409, 'execution.finished');
  });

  test('tells a running step, whose result is still taken', async () => {
    const run = await runs.start('recover');
    const ref = (await runs.lease())!;
    await runs.begin(ref);
    assert.equal(((await runs.call(run, { below: '/abort' })).body as ExecutionView).status, 'Discontinuing');
    assert.equal((await server.app.desk.heartbeat(ref, runs.now())).cancel, true);
    await runs.end(ref, { ...success, exit: 'cancelled', code: null, signal: 'SIGTERM' });
    assert.equal((await runs.show(run)).status, 'Aborted');
  });

  test('is one row of the audit, however often it is asked for', async () => {
    const run = await runs.start('recover');
    const ref = (await runs.lease())!;
    await runs.begin(ref);
    const rows = await auditMark(server);
    for (let n = 0; n < 3; n += 1) assert.equal((await runs.call(run, { below: '/abort' })).status, 200);
    assert.deepEqual(told(await rows()), told([{ action: 'execution.abort', outcome: 'success', actor: 'user:admin', resource: `execution ${checkout}/recover`, scope: checkout }] as never));
    await runs.end(ref);
  });

  test('at the same moment as a claim and a result leaves one story', async () => {
    for (let n = 0; n < 10; n += 1) {
      const run = await runs.start('recover');
      const ref = (await runs.lease())!;
      await runs.begin(ref);
      const [abort, end, next] = await Promise.allSettled([runs.call(run, { below: '/abort' }), runs.end(ref), runs.lease()]);
      assert.deepEqual([abort.status, end.status], ['fulfilled', 'fulfilled']);
      if (next.status === 'fulfilled' && next.value !== null) await assert.rejects(runs.begin(next.value), { code: 'runner.stale_fence' });
      assert.equal((await runs.show(run)).status, 'Aborted');
    }
  });
});

describe('two nodes', () => {
  test('never lease an attempt twice', async () => {
    const beside = await startTestServer({ beside: server });
    beside.clock.advance(server.clock.now().getTime() - beside.clock.now().getTime());
    const count = 12;
    for (let n = 0; n < count; n += 1) await runs.start('plain');
    const given: AttemptRef[] = [];
    const take = async (on: TestServer): Promise<void> => {
      for (let ref = await runs.lease(on); ref !== null; ref = await runs.lease(on)) given.push(ref);
    };
    await Promise.all([take(server), take(beside), take(server), take(beside)]);
    await Promise.all([take(server), take(beside)]);
    assert.equal(new Set(given.map(({ attemptId }) => attemptId)).size, count);
    assert.equal(given.length, count);
    await Promise.all(given.map(async (ref, i) => {
      const { desk } = (i % 2 === 0 ? server : beside).app;
      await desk.started(ref, runs.now());
      await desk.result(ref, success, runs.now());
    }));
    await beside.stop();
  });

  test('answer the same claim with the same lease', async () => {
    const beside = await startTestServer({ beside: server });
    beside.clock.advance(server.clock.now().getTime() - beside.clock.now().getTime());
    await runs.start('plain');
    await runs.start('plain');
    const claimId = randomUUID();
    const [one, other] = await Promise.all([runs.lease(server, claimId), runs.lease(beside, claimId)]);
    assert.deepEqual(one, other);
    await runs.begin(one!);
    await runs.end(one!);
    await runs.drain();
    await beside.stop();
  });
});

describe('outputs', () => {
  test('one that holds a secret is sealed, shown as stars, and reaches a later step', async () => {
    await server.apply([pipeline('login', { build: [step('login', { outputs: [{ name: 'SESSION', type: 'Secret' }, 'USER'] }), step('use', { env: { SESSION: 'Bearer <+steps.login.output.outputVariables.SESSION>' } })] })]);
    const run = await runs.start('login');
    await runs.nextPayload({ ...success, outputs: [{ name: 'SESSION', value: 'the-session-of-a-step', secrets: [] }, { name: 'USER', value: 'found-the-session-of-a-step', secrets: ['x'] }] });
    const { environment, secrets } = await runs.nextPayload();
    assert.deepEqual(environment, { SESSION: 'Bearer the-session-of-a-step' });
    assert.deepEqual(secrets, [{ name: 'output build.login.SESSION', value: 'the-session-of-a-step' }, { name: 'variable SESSION', value: 'Bearer the-session-of-a-step' }]);
    assert.deepEqual((await runs.show(run)).outputs, { 'build.login.SESSION': '***', 'build.login.USER': '***' });
    const [row] = await server.sql<{ text: string }>(`select (select string_agg(event::text, '') from execution_event where execution_id = $1) || state::text as text from execution where id = $1`, [run.id]);
    assert.doesNotMatch(row!.text, /the-session/);
  });

  test('a run has room for so much; a step that puts out more has failed', async () => {
    await server.apply([pipeline('wordy', { build: Array.from({ length: 5 }, (_, n) => step(`s${n}`, { outputs: ['TEXT'] })) })]);
    const run = await runs.start('wordy');
    const much = { ...success, outputs: [{ name: 'TEXT', value: 'x'.repeat(512 * 1024), secrets: [] }] };
    for (let n = 0; n < 5; n += 1) await runs.next(much);
    const { stages: [build] } = await runs.show(run);
    assert.deepEqual(build!.steps.map(({ status }) => status), ['Success', 'Success', 'Success', 'Success', 'Errored']);
    assert.match(build!.steps[4]!.reason!.message, /^the outputs of the run have more than 2 MiB together$/);
  });
});

test('what a runner says twice is taken once, and what it says else is refused', async () => {
  const run = await runs.start('plain');
  const ref = (await runs.lease())!;
  await runs.begin(ref);
  await Promise.all([runs.end(ref), runs.end(ref)]);
  await runs.end(ref);
  await assert.rejects(runs.end(ref, { ...success, exit: 'failure', code: 1 }), { code: 'runner.stale_fence' });
  const [row] = await server.sql<{ n: number }>(`select count(*)::int as n from execution_event where execution_id = $1 and event ->> 'type' = 'attempt_ended'`, [run.id]);
  assert.equal(row?.n, 1);
});

test('claims tell a build from a deployment', async () => {
  const run = await runs.start('recover');
  await runs.nextPayload();
  const [build, deploy] = [claimsIn((await runs.nextPayload()).environment['TOKEN']), claimsIn((await runs.nextPayload()).environment['TOKEN'])];
  const of = (claims: Record<string, unknown>) => ['stage_type', 'environment_id', 'service_id', 'step_id', 'execution_id'].map((name) => claims[name]);
  assert.deepEqual([of(build), of(deploy)], [['CI', null, null, 'use', run.id], ['Deployment', 'prod', 'web', 'ship', run.id]]);
  assert.equal(canonicalJson([build['iss'], build['aud']]), canonicalJson([deploy['iss'], deploy['aud']]));
});

test('the events of every run above lead to what is stored of it', () => runs.assertReplays());
