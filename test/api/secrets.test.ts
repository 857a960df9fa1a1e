/** Secrets are written and never read back: by no answer, row, export, log, metric or page of the server. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, pipeline, runWorld, step, success } from './runs.ts';
import type { Manifest } from './runs.ts';

const first = 'Tr0ub4dor&3-correct-horse';
const second = 'another-Tr0ub4dor&3-value';
const values = [first, second];

/** All that left the server while the tests ran. */
const left = { log: '', answers: '' };
let server: TestServer;
let runs: Runs;

before(async () => {
  const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => ((left.log += chunk.toString()), done()) });
  const own = await startTestServer({ log: stream });
  const call: TestServer['call'] = async (request) => {
    const answer = await own.call(request);
    left.answers += `${request.method} ${request.path} ${JSON.stringify([answer.headers, answer.body])}\n`;
    return answer;
  };
  server = { ...own, call };
  runs = new Runs(server);
  await server.apply([...runWorld, pipeline('uses', { build: [step('s', { env: { PASSWORD: '<+secrets.getValue("org.db")>' } })] })]);
});

const secret = (spec: object, identifier = 'db'): Manifest => ({ kind: 'Secret', scope: 'payments', identifier, spec: { type: 'text', usableFrom: ['payments/**'], ...spec } });

type Shown = readonly [action: string, fields: readonly string[]];

async function bulk(operation: 'apply' | 'plan', documents: readonly Manifest[]): Promise<Shown[]> {
  const { status, body } = await server.call({ method: 'POST', path: `${server.api}/manifests:${operation}`, body: { documents } });
  assert.equal(status, 200, JSON.stringify(body));
  return (body as { changes: { action: string; fields: string[] }[] }).changes.map(({ action, fields }) => [action, fields.filter((field) => field.startsWith('/spec/'))]);
}

async function storedVersions(): Promise<number> {
  return (await server.sql(`select 1 from secret_version v join resource r on r.uid = v.resource_uid where r.identifier = 'db'`)).length;
}

async function delivered(): Promise<string | undefined> {
  await runs.start('uses');
  return (await runs.nextPayload()).environment['PASSWORD'];
}

describe('the value of a secret', () => {
  const path = (): string => `${scopeApi(server, 'payments')}/secrets/db`;
  const saves: [says: string, save: Manifest, shown: Shown, versions: number, then: string][] = [
    ['is taken when it is created', secret({ value: first }), ['create', ['/spec/value']], 1, first],
    ['is unchanged when it is applied again', secret({ value: first }), ['unchanged', []], 1, first],
    ['is kept when it is applied without one', secret({}), ['unchanged', []], 1, first],
    ['is kept when something else changes', secret({ usableFrom: ['payments/checkout'] }), ['update', ['/spec/usableFrom']], 1, first],
    ['is changed when it is another, and only that is shown', secret({ usableFrom: ['payments/checkout'], value: second }), ['update', ['/spec/value']], 2, second],
    ['is the one before when that is applied again', secret({ usableFrom: ['payments/checkout'], value: first }), ['update', ['/spec/value']], 3, first],
  ];
  for (const [says, save, shown, versions, then] of saves) {
    test(says, async () => {
      const before_ = await auditMark(server);
      assert.deepEqual(await bulk('plan', [save]), [shown]);
      assert.deepEqual([await storedVersions(), (await before_()).length], [versions - (shown[1].includes('/spec/value') ? 1 : 0), 0], 'a plan does nothing');
      assert.deepEqual(await bulk('apply', [save]), [shown]);
      const rows = await before_();
      assert.deepEqual(told(rows), shown[0] === 'unchanged' ? [] : [{ action: `secret.${shown[0]}`, outcome: 'success', actor: 'user:admin', resource: 'secret payments/db', scope: 'payments' }]);
      if (shown[0] === 'update') assert.deepEqual((rows[0]!.personal['diff']!.value as { pointer: string }[]).map(({ pointer }) => pointer), shown[1]);
      assert.deepEqual([await storedVersions(), await delivered()], [versions, then]);
    });
  }

  test('is taken by the operations of its kind as by apply', async () => {
    const made = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/secrets`, body: { identifier: 'single', spec: { type: 'text', value: first } } });
    assert.deepEqual([made.status, (made.body as { spec: object }).spec], [201, { type: 'text' }]);
    const put = await server.call({ method: 'PUT', path: `${scopeApi(server, 'payments')}/secrets/single`, body: { spec: { type: 'text', value: second } } });
    assert.deepEqual([put.status, (put.body as { spec: object; version: number }).spec, (put.body as { version: number }).version], [200, { type: 'text' }, 2]);
  });

  test('is told by no operation that reads', async () => {
    const reads = [path(), path().replace('/db', ''), `${server.api}/manifests`, `${scopeApi(server, 'payments')}/manifests`, `${server.api}/audit?below=true`, `${server.api}/audit:export`, '/openapi.json', '/schemas/Secret.json', '/metrics'];
    for (const each of reads) assert.ok((await server.call({ method: 'GET', path: each })).status < 300, each);
  });

  test('cannot be confirmed by guessing, without the right to change it', async () => {
    const { token } = await makeUser(server, 'guesser', [{ role: 'org_viewer', scope: 'payments' }]);
    const [right, wrong] = await Promise.all([first, 'a wrong guess of it'].map((value) =>
      server.call({ method: 'POST', path: `${server.api}/manifests:plan`, body: { documents: [secret({ usableFrom: ['payments/checkout'], value })] }, token })));
    assert.deepEqual([right!.status, (right!.body as { code: string }).code], [wrong!.status, (wrong!.body as { code: string }).code]);
    assert.notEqual(right!.status, 200);
  });

  test('is gone with its resource, all versions of it', async () => {
    await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/secrets`, body: { identifier: 'short_lived', spec: { type: 'text', value: first } } });
    const [{ uid }] = await server.sql<{ uid: string }>(`select uid from resource where identifier = 'short_lived'`) as [{ uid: string }];
    await server.call({ method: 'DELETE', path: `${scopeApi(server, 'payments')}/secrets/short_lived` });
    assert.deepEqual(await server.sql('select 1 from secret_version where resource_uid = $1', [uid]), []);
  });
});

describe('a value is refused when it is saved', () => {
  const bad: [says: string, spec: object, message: RegExp][] = [
    ['none at all', {}, /a new secret needs `value`/],
    ['empty', { value: '' }, /empty or only white space/],
    ['only white space', { value: ' \t\r\n '.repeat(9) }, /empty or only white space/],
    ['of five characters', { value: 'abcde' }, /fewer than 6 cannot be told from ordinary text/],
    ['of five characters between spaces', { value: '   abcde   ' }, /fewer than 6/],
    ['of more than 64 KiB', { value: 'x'.repeat(64 * 1024 + 1) }, /at most 65536/],
    ['a number', { value: 12_345_678 }, /expected string/],
    ['under a misspelt name', { vlaue: first }, /unknown field `vlaue`/],
  ];
  for (const [says, spec, message] of bad) {
    test(says, async () => {
      const answer = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/secrets`, body: { identifier: 'refused', spec: { type: 'text', ...spec } } });
      assert.match(problem(answer, 400, 'request.invalid').errors![0]!.message, message);
      assert.deepEqual(await server.sql(`select 1 from resource where identifier = 'refused'`), []);
    });
  }
});

describe('a secret in a run', () => {
  async function payloadOf(name: string, env: Record<string, string>) {
    await server.apply([secret({ value: first, usableFrom: ['payments/**'] }), pipeline(name, { build: [step('s', { env })] })]);
    return { run: await runs.start(name), payload: await runs.nextPayload() };
  }

  test('reaches the step and its masker, alone and in what is made of it', async () => {
    const value = '<+secrets.getValue("org.db")>';
    const { payload } = await payloadOf('made_of_it', { URL: `https://user:${value}@db.example`, PART: '<+secrets.getValue("org.db").substring(0, 12)>', PLAIN: 'nothing' });
    assert.deepEqual(payload.environment, { URL: `https://user:${first}@db.example`, PART: first.slice(0, 12), PLAIN: 'nothing' });
    assert.deepEqual(new Map(payload.secrets.map(({ name, value: text }) => [text, name])), new Map([[first, 'secret payments/db'], [payload.environment['URL'], 'variable URL'], [first.slice(0, 12), 'variable PART']]));
  });

  test('two of one name in two scopes are both known to the masker', async () => {
    await server.apply([{ kind: 'Secret', scope: checkout, identifier: 'db', spec: { type: 'text', value: second } }]);
    const { payload } = await payloadOf('two', { A: '<+secrets.getValue("db")>', B: '<+secrets.getValue("org.db")>', C: 'x<+secrets.getValue("db")>' });
    assert.deepEqual(payload.secrets.filter(({ name }) => name.startsWith('secret')).map(({ value }) => value).toSorted(), [first, second].toSorted());
  });

  test('every delivery of it is one row of the audit, under the scope of the run', async () => {
    const rows = await auditMark(server);
    const { run } = await payloadOf('audited', { A: '<+secrets.getValue("org.db")>', B: '<+secrets.getValue("org.db")>' });
    const uses = (await rows()).filter(({ action }) => action === 'secret.use');
    assert.deepEqual(told(uses), [{ action: 'secret.use', outcome: 'success', actor: 'user:admin', resource: 'secret payments/db', scope: checkout }]);
    assert.equal((uses[0]!.detail as { execution: string }).execution, run.id);
  });

  test('does not get into what is told of a step that cannot be made ready', async () => {
    await server.apply([pipeline('broken', { build: [step('s', { env: { X: '<+json.select("a", <+secrets.getValue("org.db")>)>' } })] })]);
    const run = await runs.start('broken');
    await runs.refusedPayload();
    const { status, reason } = await runs.step(run, 'build.s');
    assert.deepEqual([status, reason?.code], ['Failed', 'expression.invalid']);
  });

  test('is refused where it would be too long to be kept out of the log', async () => {
    await server.apply([pipeline('long', { build: [step('s', { env: { X: `${'x'.repeat(60 * 1024)}<+secrets.getValue("org.db")>${'x'.repeat(3 * 1024)}`, Y: 'y' } })] }), secret({ value: 'v'.repeat(8 * 1024) })]);
    const run = await runs.start('long');
    await runs.refusedPayload();
    assert.match((await runs.step(run, 'build.s')).reason!.message, /^the value of `X` is made of a secret: .* at most 65536 can be kept out of logs/);
    await server.apply([secret({ value: first })]);
  });

  test('leaves no trace in what the run prints and puts out, as its runner masks them', async () => {
    await server.apply([pipeline('prints', { build: [step('s', { env: { X: '<+secrets.getValue("org.db")>' }, outputs: ['OUT'] })] })]);
    const run = await runs.start('prints');
    const ref = (await runs.lease())!;
    await runs.payload(ref);
    await runs.begin(ref);
    await runs.print(ref, 0, 'connected with ***\n');
    await runs.end(ref, { ...success, outputs: [{ name: 'OUT', value: `found ${first}`, secrets: ['secret payments/db'] }] });
    assert.deepEqual((await runs.show(run)).outputs, { 'build.s.OUT': '***' });
    assert.equal((await runs.call(run, { below: '/logs' })).status, 200);
  });
});

describe('after all of this no value is', () => {
  const forms = (value: string): string[] => [
    value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value), Buffer.from(value).toString('base64'), Buffer.from(value).toString('base64url'), Buffer.from(value).toString('hex'),
  ];
  const nowhereIn = (text: string, where: string): void => {
    assert.ok(text.length > 0, `${where} is empty`);
    for (const form of values.flatMap(forms)) assert.ok(!text.includes(form), `a value is in ${where}, near ${text.slice(Math.max(0, text.indexOf(form) - 80), text.indexOf(form))}`);
  };

  test('in an answer', () => nowhereIn(left.answers, 'an answer'));
  test('in the log', () => nowhereIn(left.log, 'the log'));
  test('in a column of the database', async () => {
    const tables = await server.sql<{ name: string }>(`select table_name as name from information_schema.tables where table_schema = 'public'`);
    assert.ok(tables.length > 30);
    for (const { name } of tables) {
      const rows = await server.sql<{ text: string }>(`select row_to_json(t)::text as text from "${name}" t`);
      if (rows.length > 0) nowhereIn(rows.map(({ text }) => text).join('\n'), name);
    }
  });
});
