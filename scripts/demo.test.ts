import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const demo = fileURLToPath(new URL('demo.ts', import.meta.url));
const place = mkdtempSync(join(tmpdir(), 'demo-test-'));
after(() => rmSync(place, { recursive: true, force: true }));

/** Command lines of the processes that were told of a path in our directory. */
function processesOfTheDemo(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return command.includes(place) ? [command] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

test('a demo that is interrupted leaves neither a process nor a file behind, and does not claim to have succeeded', { skip: process.platform === 'linux' ? false : 'needs: /proc' }, async () => {
  const child = spawn(process.execPath, [demo], { env: { ...process.env, TMPDIR: place }, stdio: ['ignore', 'pipe', 'ignore'] });
  const exit = once(child, 'exit');
  let running: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('✓')) continue;
    running = processesOfTheDemo();
    child.kill('SIGINT');
    break;
  }
  child.stdout.resume();
  assert.deepEqual(await exit, [1, null]);
  assert.ok(running.some((command) => command.includes('serve')), 'the server ran when it was interrupted');
  assert.deepEqual(processesOfTheDemo(), []);
  assert.deepEqual(readdirSync(place), []);
});
