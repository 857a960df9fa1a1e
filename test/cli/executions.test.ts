import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { UsageError } from '#surfaces/command-line.ts';
import type { Terminal } from '#surfaces/command-line.ts';
import { commands } from '../../src/commands.ts';
import type { TestServer } from '../server.ts';
import { startTestServer } from '../server.ts';

let server: TestServer;
const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
const tokenFile = join(directory, 'token');
const runnerId = randomUUID();

before(async () => {
  server = await startTestServer();
  writeFileSync(tokenFile, server.adminToken);
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  ]);
});
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly out: readonly string[];
  readonly warned: readonly string[];
}

/** A command as the program runs it, its output caught. */
async function command(name: string, args: readonly string[], options: Record<string, unknown> = {}): Promise<Ended> {
  const out: string[] = [];
  const warned: string[] = [];
  const terminal: Terminal = { print: (line) => void out.push(line), warn: (line) => void warned.push(line), progress: () => undefined, isTerminal: false };
  const record = commands.find((one) => one.name === name)!;
  const code = await record.run({ args, options: { url: server.url, tokenFile, ...options }, terminal, json: options['json'] === true });
  return { code: code ?? 0, out, warned };
}

const nothing = { bytes: 0, sha256: createHash('sha256').digest('hex') };

/** Takes the next step, prints `chunks` as it would, and ends it. */
async function runNextStep(chunks: readonly string[], exit: 'success' | 'failure' = 'success'): Promise<void> {
  const { desk } = server.app;
  const now = (): Date => server.clock.now();
  let claimed = null;
  while (claimed === null) claimed = await desk.claim({ accountId: server.account.id, runnerId, scope: '/', labels: [], claimId: randomUUID(), now: now() });
  const ref = { accountId: server.account.id, runnerId, attemptId: claimed.attemptId, fence: claimed.fence };
  const { maskSet } = await desk.payload(ref, now());
  await desk.started(ref, now());
  let offset = 0;
  for (const text of chunks) {
    const bytes = Buffer.from(text);
    await desk.appendLog(ref, { stream: 'stdout', offset, bytes, maskSet }, now());
    offset += bytes.length;
  }
  await desk.result(ref, { exit, code: exit === 'success' ? 0 : 1, signal: null, message: null, outputs: [], logs: { stdout: nothing, stderr: nothing, truncated: false } }, now());
}

async function pipeline(identifier: string, variables: readonly object[] = []): Promise<string> {
  const step = { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'echo hello' } };
  const stages = [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step }] } } } }];
  await server.apply([{ kind: 'Pipeline', scope: 'payments/checkout', identifier, spec: { pipeline: { variables, stages } } }]);
  return `payments/checkout/${identifier}`;
}

test('run prints the execution by a path that logs and abort take', async () => {
  const started = await command('run', [await pipeline('by_path')]);
  assert.equal(started.code, 0);
  const [path] = started.out as [string];
  assert.match(path, /^payments\/checkout\/[0-9a-f-]{36}$/);
  assert.deepEqual(await command('logs', [path]), { code: 0, out: [], warned: [] });
  assert.deepEqual((await command('abort', [path])).out, ['Aborted']);
  const again = await command('abort', [path]);
  assert.equal(again.code, 1);
  assert.match(again.warned[0]!, /\[execution\.finished\]/);
});

test('run --follow prints whole lines with their step and exits with 0 on Success', async () => {
  const [ended] = await Promise.all([command('run', [await pipeline('follow')], { follow: true }), runNextStep(['he', 'llo\nwor', 'ld'])]);
  assert.deepEqual(ended.out, ['build.hello | hello', 'build.hello | world']);
  assert.equal(ended.warned.at(-1), 'Success');
  assert.equal(ended.code, 0);
});

test('run --follow exits with 1 when the run fails', async () => {
  const [ended] = await Promise.all([command('run', [await pipeline('fails')], { follow: true }), runNextStep(['no\n'], 'failure')]);
  assert.deepEqual(ended.out, ['build.hello | no']);
  assert.match(ended.warned.at(-1)!, /^Failed/);
  assert.equal(ended.code, 1);
});

test('logs of a run that ended are all there, also as JSON', async () => {
  const [path] = (await command('run', [await pipeline('logs')])).out as [string];
  await runNextStep(['one\n', 'two\n']);
  assert.deepEqual((await command('logs', [path])).out, ['build.hello | one', 'build.hello | two']);
  assert.equal((await command('logs', [path], { follow: true })).code, 0);
  const chunks = (await command('logs', [path], { json: true })).out.map((line) => JSON.parse(line) as { text: string });
  assert.equal(chunks.map(({ text }) => text).join(''), 'one\ntwo\n');
});

test('inputs are given as name=value, and what the pipeline does not ask for is refused', async () => {
  const path = await pipeline('inputs', [{ name: 'region', type: 'String', value: '<+input>' }]);
  const refused = await command('run', [path], { input: ['area=x'] });
  assert.equal(refused.code, 1);
  assert.ok(refused.warned.some((line) => line.includes('/inputs/area')), refused.warned.join('\n'));
  const [run] = (await command('run', [path], { input: ['region=a=b'] })).out as [string];
  assert.deepEqual((await command('abort', [run])).out, ['Aborted']);
});

const misspelled: readonly [guarantee: string, name: string, args: readonly string[], options?: Record<string, unknown>][] = [
  ['a pipeline that is no path', 'run', ['recover']],
  ['a pipeline above every project', 'run', ['payments/recover']],
  ['an input without a value', 'run', ['payments/checkout/x'], { input: ['region'] }],
  ['an input without a name', 'run', ['payments/checkout/x'], { input: ['=b'] }],
  ['an input given twice', 'run', ['payments/checkout/x'], { input: ['a=1', 'a=2'] }],
  ['an execution without its project', 'logs', ['0198c5f2-7d1a-7c3e-9b1f-2a4d6e8f0a1b']],
  ['an execution that climbs out of the path', 'abort', ['payments/checkout/../secrets']],
];
for (const [guarantee, name, args, options] of misspelled) {
  test(`${guarantee} is not sent`, async () => {
    await assert.rejects(command(name, args, options), UsageError);
  });
}
