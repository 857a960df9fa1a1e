import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { StepOutput } from './step-output.ts';

const directory = mkdtempSync(join(tmpdir(), 'sp-'));
after(() => rmSync(directory, { recursive: true }));
let pipes = 0;

/** Both ends of a pipe that never block. */
function pipe(): { readFd: number; writeFd: number } {
  const path = join(directory, `pipe-${(pipes += 1)}`);
  execFileSync('mkfifo', [path]);
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { readFd, writeFd: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

function outputOf(limitBytes: number) {
  const [stdout, stderr] = [pipe(), pipe()];
  let limits = 0;
  const onLimit = () => (limits += 1);
  const output = new StepOutput({ stdoutFd: stdout.readFd, stderrFd: stderr.readFd, limitBytes, onLimit });
  const end = () => {
    closeSync(stdout.writeFd);
    closeSync(stderr.writeFd);
  };
  return { output, stdout: stdout.writeFd, stderr: stderr.writeFd, end, limitCalls: () => limits };
}

/** Writes until the pipe is full; the number of bytes it took. */
function fill(fd: number): number {
  const block = Buffer.alloc(16 * 1024, 'x');
  let written = 0;
  try {
    while (written < 16 * block.length) written += writeSync(fd, block);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
  return written;
}

async function collect(output: StepOutput): Promise<string> {
  let text = '';
  for await (const { stream, bytes } of output) text += `${stream}:${Buffer.from(bytes).toString()} `;
  return text;
}

test('a step whose output nobody reads is held after a bounded amount', async () => {
  const { output, stdout, end } = outputOf(2 ** 30);
  let taken = 0;
  for (let idle = 0; idle < 200; ) {
    const written = fill(stdout);
    taken += written;
    idle = written === 0 ? idle + 1 : 0;
    await turn();
    assert.ok(taken < 2 * 1024 * 1024, 'the writer is never held');
  }
  end();
  let read = 0;
  for await (const { bytes } of output) read += bytes.length;
  assert.equal(read, taken);
});

test('a reader that leaves does not hold the step', async () => {
  const { output, stdout, end } = outputOf(2 ** 30);
  writeSync(stdout, 'first');
  for await (const { bytes } of output) {
    assert.equal(Buffer.from(bytes).toString(), 'first');
    break;
  }
  let taken = 0;
  while (taken < 4 * 1024 * 1024) {
    taken += fill(stdout);
    await turn();
  }
  end();
});

test('what comes after the limit is dropped, said once, and stays dropped when the step has ended', async () => {
  const { output, stdout, end, limitCalls } = outputOf(6);
  writeSync(stdout, '1234');
  const reading = collect(output);
  await turn();
  writeSync(stdout, '5678');
  while (limitCalls() === 0) await turn();
  writeSync(stdout, '9');
  output.lift();
  writeSync(stdout, '0');
  end();
  assert.equal((await reading).replaceAll(/ ?stdout:| /g, ''), '123456');
  assert.equal(limitCalls(), 1);
});

test('what the pipes of an ended step still hold is delivered beyond the limit', async () => {
  const { output, stdout, stderr, end, limitCalls } = outputOf(1);
  output.lift();
  writeSync(stdout, 'out');
  writeSync(stderr, 'err');
  end();
  const text = await collect(output);
  assert.ok(text.includes('stdout:out') && text.includes('stderr:err'));
  assert.equal(limitCalls(), 0);
});

test('a second reader is a defect', async () => {
  const { output, end } = outputOf(1);
  end();
  await collect(output);
  await assert.rejects(collect(output), /one reader/);
});
