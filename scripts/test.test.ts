import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { plantTree } from '#test/planted-tree.ts';
import { until } from '#test/until.ts';
import { batchesOf } from './test-batches.ts';
import { runTestProcess } from './test-process.ts';

const root = join(import.meta.dirname, '..');

interface Outcome {
  readonly status: number | null;
  readonly last: string;
  readonly text: string;
}

/** Runs `npm test` on a planted repository. */
function runPlanted(t: TestContext, files: Record<string, string>, given: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/test.ts'), ...given], {
    cwd: plantTree(t, files),
    env: { ...process.env, ...environment },
    encoding: 'utf8',
    timeout: 50_000,
  });
  return { status, last: stdout.trimEnd().split('\n').at(-1) ?? '', text: stdout + stderr };
}

const file = (body: string): string => `import assert from 'node:assert/strict';\nimport { after, before, describe, test } from 'node:test';\n${body}\n`;
const passing = file(`test('one', () => {}); describe('more', () => { test('two', () => {}); });`);

describe('npm test', () => {
  const rows: readonly [guarantee: string, files: Record<string, string>, status: number, last: string, text?: RegExp][] = [
    ['passes, and counts tests, not suites', { 'src/a.test.ts': passing, 'test/deep/er/b.test.ts': passing, 'bench/c.test.ts': passing }, 0, '6 passed, 0 failed, 0 skipped'],
    ['fails with what was thrown and where', { 'scripts/a.test.ts': file(`test('x', () => assert.equal(1, 2));`) }, 1, '0 passed, 1 failed, 0 skipped', /FAILED scripts\/a\.test\.ts › x\n.*1 !== 2/s],
    ['counts a failure once, whatever is around it', { 'src/a.test.ts': file(`describe('s', () => { test('x', () => assert.fail('no')); });`) }, 1, '0 passed, 1 failed, 0 skipped', /src\/a\.test\.ts › s › x/],
    ['fails when a hook of a suite does', { 'src/a.test.ts': file(`describe('s', () => { before(() => { throw new Error('hook'); }); test('x', () => {}); });`) }, 1, '0 passed, 2 failed, 0 skipped', /hook/],
    ['fails when a file cannot be loaded', { 'src/a.test.ts': `throw new Error('boom');`, 'src/b.test.ts': passing }, 1, '2 passed, 1 failed, 0 skipped', /src\/a\.test\.ts.*boom/s],
    ['fails when a file has no test', { 'src/a.test.ts': '', 'src/b.test.ts': passing }, 1, '2 passed, 1 failed, 0 skipped', /src\/a\.test\.ts\nthere is no test in this file/],
    ['fails when a file ends the process', { 'src/a.test.ts': file(`test('x', () => { process.exit(0); });`) }, 1, '0 passed, 1 failed, 0 skipped', /ended before its tests did/],
    ['fails when something is thrown after the tests', { 'src/a.test.ts': file(`test('x', () => {}); after(() => { throw new Error('late'); });`) }, 1, '1 passed, 1 failed, 0 skipped', /late/],
    ['lists a skip that says what it needs', { 'src/a.test.ts': file(`test('x', { skip: 'needs: courage' }, () => {}); test('y', () => {});`) }, 0, '1 passed, 0 failed, 1 skipped', /skipped, needs courage:\n {2}src\/a\.test\.ts › x/],
    ['fails on a skip that does not', { 'src/a.test.ts': file(`test('x', { skip: 'later' }, () => {});`) }, 1, '0 passed, 1 failed, 0 skipped', /without a reason/],
    ['fails on a skip without any reason', { 'src/a.test.ts': file(`test('x', (t) => { t.skip(); });`) }, 1, '0 passed, 1 failed, 0 skipped', /without a reason/],
    ['fails on a skipped suite', { 'src/a.test.ts': file(`describe('s', { skip: true }, () => { test('x', () => {}); }); test('y', () => {});`) }, 1, '1 passed, 1 failed, 0 skipped', /a\.test\.ts › s\n/],
    ['fails on a test to do', { 'src/a.test.ts': file(`test('x', { todo: true }, () => {});`) }, 1, '0 passed, 1 failed, 0 skipped', /a test to do/],
    ['shows what a failing process printed', { 'src/a.test.ts': `console.error('last words');\nprocess.exit(3);` }, 1, '0 passed, 1 failed, 0 skipped', /exit code 3.*last words/s],
  ];
  for (const [guarantee, files, status, last, text] of rows) {
    test(guarantee, (t) => {
      const outcome = runPlanted(t, files);
      assert.equal(outcome.last, last, outcome.text);
      assert.equal(outcome.status, status);
      if (text) assert.match(outcome.text, text);
    });
  }

  test('fails when there are no tests at all', (t) => {
    const { status, last } = runPlanted(t, {});
    assert.equal(status, 1);
    assert.equal(last, '0 passed, 1 failed, 0 skipped');
  });

  test('runs only the files and folders named, and refuses one that names none', (t) => {
    const files = { 'src/a/x.test.ts': passing, 'src/ab/x.test.ts': passing, 'src/b.test.ts': passing };
    assert.match(runPlanted(t, files, ['src/a', './src/b.test.ts']).text, /^2 files/);
    const { status, text } = runPlanted(t, files, ['src/c']);
    assert.equal(status, 2);
    assert.match(text, /`src\/c` is no test file/);
  });

  test('runs only the tests whose name fits, and fails if none does', (t) => {
    assert.equal(runPlanted(t, { 'src/a.test.ts': passing }, ['--grep', 'two']).last, '1 passed, 0 failed, 0 skipped');
    assert.equal(runPlanted(t, { 'src/a.test.ts': passing }, ['--grep', 'three']).last, '0 passed, 1 failed, 0 skipped');
  });

  test('gives every test its seed and mode, and no setting of a server', (t) => {
    const body = `test('x', () => assert.fail(JSON.stringify([process.env.SALLYPORT_TEST_SEED, process.env.SALLYPORT_TEST_MODE, process.env.SALLYPORT_TOKEN])));`;
    const environment = { SALLYPORT_TEST_SEED: '42', SALLYPORT_TOKEN: 'secret' };
    for (const [given, mode] of [[[], 'short'], [['--long'], 'long'], [['--crash'], 'crash']] as const) {
      const { text } = runPlanted(t, { 'src/a.test.ts': file(body) }, given, environment);
      assert.match(text, new RegExp(`\\["42","${mode}",null\\]`));
      assert.match(text, /repeat with SALLYPORT_TEST_SEED=42/);
    }
  });

  test('refuses a seed that is none', (t) => {
    const { status, text } = runPlanted(t, { 'src/a.test.ts': passing }, [], { SALLYPORT_TEST_SEED: '1e99' });
    assert.equal(status, 2);
    assert.match(text, /whole number below/);
  });

  test('fails the files that need the database when its server does not start, and runs the others', (t) => {
    const { last, text } = runPlanted(t, {
      'test/database/global-setup.ts': `export async function globalSetup() { throw new Error('no room'); }\nexport async function globalTeardown() {}`,
      'test/database/database.ts': '',
      'src/a.test.ts': file(`import '#test/database/database.ts';\ntest('x', () => {});`),
      'src/b.test.ts': passing,
    });
    assert.equal(last, '2 passed, 1 failed, 0 skipped', text);
    assert.match(text, /src\/a\.test\.ts\nthe database server did not start: .*no room/);
  });

  test('properties follow from the seed', (t) => {
    const seed = readFileSync(join(root, 'test/seed.ts'), 'utf8');
    const body = `import fc from 'fast-check';\ntest('x', () => assert.equal(fc.readConfigureGlobal()?.seed, 42));`;
    const { last, text } = runPlanted(t, { 'test/seed.ts': seed, 'src/a.test.ts': file(body) }, [], { SALLYPORT_TEST_SEED: '42' });
    assert.equal(last, '1 passed, 0 failed, 0 skipped', text);
  });
});

describe('a process of tests', () => {
  async function run(t: TestContext, body: string, options: { testTimeoutMs?: number; signal?: AbortSignal; planted?: string } = {}) {
    const planted = options.planted ?? plantTree(t, {});
    writeFileSync(join(planted, 'a.test.ts'), file(body));
    const directory = join(planted, 'out');
    mkdirSync(directory);
    return runTestProcess({
      root: planted, files: ['a.test.ts'], environment: withoutTestContext(), testTimeoutMs: 1_000, graceMs: 1_000,
      directory, signal: new AbortController().signal, ...options,
    });
  }

  test('is killed when a test never gives the processor back', async (t) => {
    const { complete, fault } = await run(t, `test('x', () => { for (;;); });`);
    assert.equal(complete, false);
    assert.match(fault ?? '', /killed: nothing ended for 2 s/);
  });

  test('is killed when something is left open, and what ended before counts', async (t) => {
    const { ended, fault } = await run(t, `import net from 'node:net';\ntest('x', () => { net.createServer().listen(0); });`);
    assert.equal(ended[0]?.outcome, 'passed');
    assert.match(fault ?? '', /left open/);
  });

  test('fails a test that never ends', async (t) => {
    const { ended, fault } = await run(t, `test('x', () => new Promise((done) => process.stdin.on('data', done).resume()));`);
    assert.match(ended[0]?.error ?? '', /timed out after 1000ms|still pending/);
    assert.equal(fault, undefined);
  });

  test('is killed with what it started when the run is stopped', async (t) => {
    const stopped = new AbortController();
    const planted = plantTree(t, {});
    const body = `import { spawn } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      test('x', () => new Promise(() => writeFileSync('pid', spawn('sleep', ['1000']).pid + '.')));`;
    const running = run(t, body, { planted, testTimeoutMs: 60_000, signal: stopped.signal });
    const child = await until(() => pidIn(join(planted, 'pid')), 'the test starts its child');
    stopped.abort();
    const { fault } = await running;
    assert.match(fault ?? '', /SIGKILL/);
    await until(() => !isAlive(child), 'the child of the test is gone');
  });
});

describe('dividing the files among processes', () => {
  const planted = {
    'src/pure.ts': 'export const x = 1;',
    'src/a.test.ts': `import { x } from './pure.ts';`,
    'src/b.test.ts': `import fc from 'fast-check';`,
    'src/spawns.ts': `import { spawn } from 'node:child_process';`,
    'src/c.test.ts': `import './spawns.ts';`,
    'test/database/database.ts': `import './server.ts';`,
    'test/database/server.ts': `import '../../src/spawns.ts';`,
    'test/world.ts': `import { testDatabase } from '#test/database/database.ts';`,
    'src/d.test.ts': `import '#test/world.ts';`,
  };

  test('what only computes shares one, what starts processes and what uses the database has its own', (t) => {
    assert.deepEqual(batchesOf(plantTree(t, planted), ['src/d.test.ts', 'src/a.test.ts', 'src/b.test.ts', 'src/c.test.ts']), [
      { files: ['src/c.test.ts'], database: false, properties: false },
      { files: ['src/d.test.ts'], database: true, properties: false },
      { files: ['src/a.test.ts', 'src/b.test.ts'], database: false, properties: true },
    ]);
  });

  test('no process gets more files than it can keep apart', (t) => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`src/${at}.test.ts`, '']));
    const batches = batchesOf(plantTree(t, many), Object.keys(many));
    assert.deepEqual(batches.map((batch) => batch.files.length), [12, 12, 6]);
  });
});

function withoutTestContext(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_TEST_CONTEXT'));
}

/** The number in a file, once it is there with the full stop that ends it. */
function pidIn(path: string): number | undefined {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return text.endsWith('.') ? Number.parseInt(text, 10) : undefined;
}

/** False also for a process that has ended and only waits for somebody to notice. */
function isAlive(pid: number): boolean {
  const status = `/proc/${pid}/status`;
  if (existsSync(status)) return !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
