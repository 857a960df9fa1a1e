/** The runner of `serve`: a child with nothing of its parent but what it needs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { registerLocal } from '#features/runners/feature.ts';
import { createLog } from '#platform/log.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { LocalRunnerOptions } from '#runner/local.ts';
import { startLocalRunner } from '#runner/local.ts';
import { atEnd } from '#test/endings.ts';
import { RunnerWorld } from './runner-world.ts';

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let world: RunnerWorld;
before(async () => void (world = await RunnerWorld.open()));
beforeEach(() => world.reset());

interface Local extends LocalRunnerOptions {
  readonly printed: string[];
  readonly registrations: () => number;
}

function local(more: Partial<LocalRunnerOptions> = {}): Local {
  const root = mkdtempSync(join(tmpdir(), 'sp-local-'));
  atEnd(async () => rmSync(root, { recursive: true, force: true }));
  const printed: string[] = [];
  let registrations = 0;
  const { database, clock, account, url } = world.server;
  return {
    url, entry, work: join(root, 'runner'), hide: [root], unsafe: false, log: createLog('silent'), printed,
    print: (line) => void printed.push(line),
    registrations: () => registrations,
    register: () => {
      registrations += 1;
      return registerLocal({ database, clock, randomness: systemRandomness, record: async () => {} }, account);
    },
    ...more,
  };
}

describe('the local runner', () => {
  test('works, is a runner like any other, and ends with the server', async () => {
    const options = local();
    const runner = await startLocalRunner(options);
    assert(runner !== null);
    const attempt = world.offer('echo local; env | grep -c NODE || :');
    assert.equal((await world.ended(attempt)).exit, 'success');
    assert.equal(world.log(attempt), 'local\n0\n');
    assert.equal(readdirSync(options.work).includes('registration.json'), false, 'the registration token stays behind');
    const { items } = (await world.server.call({ method: 'GET', path: `${world.server.api}/runners` })).body as { items: { identifier: string; createdBy: string }[] };
    assert(items.some(({ identifier, createdBy }) => /^local_[0-9a-f]{8}$/.test(identifier) && createdBy === 'system:serve'));
    await runner.stop();
    assert.deepEqual(runnersIn(options.work), []);
  });

  test('is registered once', async () => {
    const options = local();
    for (const word of ['first', 'second']) {
      const runner = await startLocalRunner(options);
      await world.ended(world.offer(`echo ${word}`));
      await runner?.stop();
    }
    assert.equal(options.registrations(), 1);
  });

  test('is started again when it is killed, and what it ran is not run again', async () => {
    const options = local();
    const runner = await startLocalRunner(options);
    const attempt = world.offer('gate "then killed"');
    const visit = await world.gate.visit('then killed');
    for (const pid of runnersIn(options.work)) process.kill(pid, 'SIGKILL');
    await visit.gone;
    assert.equal((await world.result(attempt)).exit, 'lost');
    await world.ended(world.offer('echo again'));
    assert.equal(world.gate.count('then killed'), 1);
    await runner?.stop();
  });

  test('is not started where steps cannot be isolated, and why is said', async () => {
    const options = local({ candidates: [] });
    assert.equal(await startLocalRunner(options), null);
    assert.match(options.printed.join('\n'), /no local runner is started: steps cannot be isolated[\s\S]*--unsafe-local-runner/);
    assert.deepEqual([options.registrations(), runnersIn(options.work)], [0, []]);
  });

  test('does not outlive the process that started it', async () => {
    const options = local();
    const { url, work, hide } = options;
    const registration = await options.register();
    // A parent of its own, which is killed: nothing of it can tell the runner.
    const program = `
      const { startLocalRunner } = await import(${JSON.stringify(fileURLToPath(new URL('../../src/runner/local.ts', import.meta.url)))});
      const { createLog } = await import(${JSON.stringify(fileURLToPath(new URL('../../src/platform/log.ts', import.meta.url)))});
      await startLocalRunner({ url: ${JSON.stringify(url)}, entry: ${JSON.stringify(entry)}, work: ${JSON.stringify(work)}, hide: ${JSON.stringify(hide)}, unsafe: false,
        log: createLog('silent'), print: () => {}, register: async () => (${JSON.stringify(registration)}) });`;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], { env: {}, stdio: 'ignore' });
    const attempt = world.offer('gate orphan');
    const visit = await world.gate.visit('orphan');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    visit.go();
    assert.equal((await world.ended(attempt)).exit, 'success');
    await world.until(() => runnersIn(work).length === 0, 'the runner has ended');
  });
});

/** Processes of runners that work in this directory. */
function runnersIn(work: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes('runner') && words.includes(work);
    } catch {
      return false;
    }
  });
}
