import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { until } from '#test/until.ts';
import { hasProcessNamespace } from './isolation.ts';
import { maxOutputVariableBytes } from './outputs.ts';
import { ManualClock, SandboxWorld, exercisable, processesNaming, runUnprivileged, runsAsRoot } from './sandbox-world.ts';
import { launchTimeoutMs, timeoutGraceMs } from './sandbox.ts';
import type { StepExit } from './sandbox.ts';
import { maxVariableBytes } from './step-script.ts';

const world = new SandboxWorld();
after(() => world.close());
const none = { name: 'none' as const, isolation: (await world.isolation('none')).isolation, skip: false as const };
const isolations = [...(await exercisable(world)), none];

/** A word no other process of the host has among its arguments, and that `sleep` accepts. */
let words = 0;
const uniqueSleep = () => `600.${process.pid}${(words += 1)}`;

const captured: readonly { guarantee: string; script: string; code?: number; outputs: Record<string, string> }[] = [
  { guarantee: 'a variable set or exported is captured as it is at the end', script: 'A=1; export B=2; A=3', outputs: { A: '3', B: '2' } },
  { guarantee: 'a variable that is not set is absent, an empty one is empty', script: 'A=', outputs: { A: '' } },
  { guarantee: 'lines, quotes and trailing newlines survive', script: `A='x\ny "z" \\ $HOME\n\n'`, outputs: { A: 'x\ny "z" \\ $HOME\n\n' } },
  { guarantee: 'what looks like a program is text', script: `A='$(touch /tmp/planted)'; B='\`id\`'`, outputs: { A: '$(touch /tmp/planted)', B: '`id`' } },
  { guarantee: 'a NUL ends up in no variable', script: `A=$(printf 'a\\0b' | tr '\\0' -)`, outputs: { A: 'a-b' } },
  { guarantee: '`exit` in the middle loses nothing', script: 'A=1; exit 4; A=2', code: 4, outputs: { A: '1' } },
  { guarantee: '`set -e` loses nothing', script: 'set -e; A=1; false; A=2', code: 1, outputs: { A: '1' } },
  { guarantee: '`set -u` with unset outputs ends well', script: 'set -u; B=1', outputs: { B: '1' } },
  { guarantee: 'an unset variable under `set -u` loses nothing', script: 'set -u; A=1; : "$NOT_SET"', code: -1, outputs: { A: '1' } },
  { guarantee: '`set -C` does not stop the capture', script: 'set -C; A=1', outputs: { A: '1' } },
  { guarantee: 'an EXIT trap of the script runs, and a script that reaches its end keeps its outputs', script: 'trap "echo bye" EXIT; A=1', outputs: { A: '1' } },
  { guarantee: 'a name that is not listed is not captured', script: 'SECRET=1; A=2', outputs: { A: '2' } },
  { guarantee: 'a forged record brings in no name that is not listed', script: `trap "printf '0\\0SECRET=1\\0A=forged\\0tail' >'\${0%/*}/outputs'" EXIT`, outputs: { A: 'forged' } },
  { guarantee: 'a subshell has no outputs', script: 'A=1; (A=2; exit 3); B=$?', outputs: { A: '1', B: '3' } },
];

const endings: readonly { guarantee: string; script: string; exit: Pick<StepExit, 'code' | 'signal'> }[] = [
  { guarantee: 'success is code 0', script: ':', exit: { code: 0, signal: null } },
  { guarantee: 'the status of the last command counts', script: 'echo; (exit 9)', exit: { code: 9, signal: null } },
  { guarantee: 'exit 143 is a code', script: 'exit 143', exit: { code: 143, signal: null } },
  { guarantee: 'exit 255 is a code', script: 'exit 255', exit: { code: 255, signal: null } },
  { guarantee: 'KILL is a signal', script: 'kill -KILL $$', exit: { code: null, signal: 'SIGKILL' } },
  { guarantee: 'TERM is a signal', script: 'kill -TERM $$', exit: { code: null, signal: 'SIGTERM' } },
  { guarantee: 'a command killed inside the script is its status', script: "sh -c 'kill -9 $$'", exit: { code: 137, signal: null } },
  { guarantee: 'a command that is not there is 127', script: 'no-such-command-anywhere', exit: { code: 127, signal: null } },
  { guarantee: 'a script that is no shell program fails with 2', script: 'if', exit: { code: 2, signal: null } },
];

for (const { name, isolation, skip } of isolations) {
  describe(`under ${name}`, { skip }, () => {
    for (const shell of ['sh', 'bash'] as const) {
      for (const { guarantee, script, exit } of endings) {
        test(`${shell}: ${guarantee}`, async () => {
          const { code, signal } = await world.run({ isolation, shell, script });
          assert.deepEqual({ code, signal }, exit);
        });
      }
    }

    test('`set -x` shows the script and not the capture', async () => {
      const { stderr, outputs } = await world.run({ isolation, script: 'set -x; A=value', outputVariables: ['A'] });
      assert.deepEqual(outputs, { A: 'value' });
      assert.ok(!stderr.includes('printf'), stderr);
    });

    test('outputs beyond 512 KiB end the step with a reason and are not cut', async () => {
      const fits = `A=$(head -c ${maxOutputVariableBytes - 20} /dev/zero | tr '\\0' a)`;
      const step = await world.run({ isolation, script: fits, outputVariables: ['A'] });
      assert.equal(step.outputs['A']?.length, maxOutputVariableBytes - 20);
      const tooLarge = await world.run({ isolation, script: `${fits}; A=$A-and-more-than-twenty-bytes`, outputVariables: ['A'] });
      assert.deepEqual([tooLarge.reason, tooLarge.outputs], ['outputs_too_large', {}]);
    });

    test('the environment is what the step was given and five names besides', async () => {
      const script = 'tr "\\0" "\\n" </proc/$$/environ';
      const { stdout } = await world.run({ isolation, shell: 'bash', script, environment: { GIVEN: 'x', LANG: 'C' } });
      const variables = stdout.trim().split('\n').filter((line) => !line.startsWith('_=')); // a bash as `sh` adds it
      assert.deepEqual(variables.map((line) => line.split('=')[0]).toSorted(), ['GIVEN', 'HOME', 'LANG', 'PATH', 'TMPDIR']);
      assert.ok(variables.includes('GIVEN=x') && variables.includes('LANG=C'));
    });

    test('home is private, empty and the working directory; the temporary directory can be written', async () => {
      const script = '[ "$PWD" = "$HOME" ] && [ -z "$(ls -A)" ] && touch here "$TMPDIR/there" /dev/shm/x 2>&1 && stat -c %a "$HOME"; rm -f /dev/shm/x';
      assert.equal((await world.run({ isolation, script })).stdout, '700\n');
    });

    test('standard output and error can be opened by name, standard input is empty', async () => {
      const { stdout, stderr } = await world.run({ isolation, script: 'echo a >/dev/stdout; echo b >/dev/stderr; cat; echo c | tee /dev/stderr' });
      assert.deepEqual([stdout, stderr], ['a\nc\n', 'b\nc\n']);
    });

    test('a step holds no descriptor but its own three', async () => {
      const script = 'for fd in 3 4 5 6 7 8 9; do readlink "/proc/$$/fd/$fd"; done';
      const { stdout } = await world.run({ isolation, script });
      assert.equal(stdout.replaceAll('/dev/null\n', ''), ''); // what this process inherited is covered by nothing
    });

    test('a step reaches the network of the host and resolves names', async () => {
      const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const environment = { PORT: String((server.address() as AddressInfo).port) };
      const { stdout, stderr } = await world.run({ isolation, shell: 'bash', script: 'cat <"/dev/tcp/localhost/$PORT"', environment });
      server.close();
      assert.equal(stdout, 'hello', stderr);
    });

    test('programs that insist on a name find one', { skip: hasProcessNamespace(isolation) ? false : 'needs: process namespace' }, async () => {
      assert.equal((await world.run({ isolation, script: 'id -un; id -gn; echo ~' })).stdout, 'step\nstep\n/home/step\n');
    });

    test('a script of 1 MiB runs to its last line', async () => {
      const script = `${`: ${'x'.repeat(1_000)}\n`.repeat(1_046)}echo end`;
      assert.ok(script.length > 1024 * 1024);
      assert.equal((await world.run({ isolation, script })).stdout, 'end\n');
    });

    test('nothing in the background outlives the step', async () => {
      const word = uniqueSleep();
      const script = `sleep ${word} & setsid sleep ${word} & (setsid sh -c 'trap "" TERM HUP; sleep ${word} & wait; sleep ${word}' &) ; echo ready`;
      const step = await world.run({ isolation, script });
      assert.deepEqual([step.code, processesNaming(word)], [0, []]);
    });

    test('cancelling sends TERM to every process of the step, and the step may end in its own way', async () => {
      const script = `
        (setsid sh -c 'trap "echo grandchild-term; touch told; exit" TERM; echo grandchild; while :; do sleep 600 & wait $!; done' &)
        trap 'echo step-term; until [ -e told ]; do sleep 0.01; done; exit 7' TERM; echo ready; while :; do sleep 600 & wait $!; done`;
      const step = await world.start({ isolation, script, clock: new ManualClock() });
      await Promise.all([step.printed('ready'), step.printed('grandchild')]);
      await step.process.cancel(1_000);
      const { code, reason, stdout, outputs } = await step.finish();
      assert.deepEqual({ code, reason, outputs }, { code: 7, reason: 'cancelled', outputs: {} });
      assert.ok(stdout.includes('step-term') && stdout.includes('grandchild-term'), stdout);
    });

    test('who ignores TERM is killed after the grace, grandchildren in sessions of their own too', async () => {
      const word = uniqueSleep();
      const clock = new ManualClock();
      const script = `
        trap '' TERM HUP
        (setsid sh -c '(setsid sleep ${word} &) ; sleep ${word}' &) ; sleep ${word} & echo ready; while :; do wait; done`;
      const step = await world.start({ isolation, script, clock });
      await step.printed('ready');
      // `ready` is printed before the background processes have become `sleep`.
      await until(() => processesNaming(word).length > 0, 'the background processes');
      const cancelled = step.process.cancel(60_000);
      assert.notDeepEqual(processesNaming(word), []);
      clock.pass(60_000);
      await cancelled;
      assert.deepEqual(processesNaming(word), []);
      const { reason, code, signal } = await step.finish();
      assert.deepEqual({ reason, code, signal }, { reason: 'cancelled', code: null, signal: 'SIGKILL' });
    });

    test('a stopped step is cancelled as well, and cancelling again is harmless', async () => {
      const step = await world.start({ isolation, script: 'echo ready; kill -STOP $$; echo resumed', clock: new ManualClock() });
      await step.printed('ready');
      await Promise.all([step.process.cancel(1_000), step.process.cancel(1_000), step.process.cancel(0)]);
      await step.process.cancel(1_000);
      assert.equal((await step.finish()).reason, 'cancelled');
    });

    test('the timeout ends the step, first kindly', async () => {
      const clock = new ManualClock();
      const script = `trap 'echo warned' TERM; echo ready; while :; do sleep 600 & wait $!; done`;
      const step = await world.start({ isolation, script, clock, timeoutMs: 30_000 });
      await step.printed('ready');
      clock.pass(30_000);
      await step.printed('warned');
      clock.pass(timeoutGraceMs);
      assert.equal((await step.finish()).reason, 'timeout');
    });

    test('output beyond its limit ends the step; what lies within arrives', async () => {
      const limits = { outputBytes: 1024 * 1024 };
      const { stdout, stderr, reason, signal } = await world.run({ isolation, script: 'yes; echo not reached', limits });
      assert.deepEqual([stdout.length + stderr.length, reason, signal], [1024 * 1024, 'output_limit', 'SIGKILL']);
    });

    test('output within its limit arrives whole and in order', async () => {
      const { stdout, reason } = await world.run({ isolation, script: 'seq 1 300000', limits: { outputBytes: 4 * 1024 * 1024 } });
      assert.deepEqual([stdout, reason], [`${Array.from({ length: 300_000 }, (_, index) => index + 1).join('\n')}\n`, undefined]);
    });

    test('an environment of any text arrives byte for byte, and so do outputs', async () => {
      const text = fc.string({ unit: fc.oneof(fc.constantFrom(...'\'"\\$`!\n\r\t #;&|*?~=-'), fc.string({ unit: 'binary' })), maxLength: 40 })
        .map((value) => value.replaceAll('\0', '').toWellFormed());
      const given = fc.array(text, { minLength: 1, maxLength: 60 });
      await fc.assert(fc.asyncProperty(given, fc.constantFrom('sh' as const, 'bash' as const), async (values, shell) => {
        const environment = Object.fromEntries(values.map((value, index) => [`V_${index}`, value]));
        const { outputs, stderr } = await world.run({ isolation, shell, environment, script: ':', outputVariables: Object.keys(environment) });
        assert.deepEqual(outputs, environment, stderr);
      }), { numRuns: 6 });
    });

    test('the largest variable a program can be given arrives', async () => {
      const LARGE = 'x'.repeat(maxVariableBytes - 'LARGE='.length);
      const { stdout } = await world.run({ isolation, environment: { LARGE }, script: 'env | grep ^LARGE= | wc -c' });
      assert.equal(Number(stdout), maxVariableBytes + 1);
    });

    test('twenty attempts at once share nothing', async () => {
      const script = 'echo "$ME" >"$HOME/me"; echo "$ME" >"$TMPDIR/me"; echo ready; id -u; cat "$HOME/me" "$TMPDIR/me"; mine=$ME';
      const steps = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
        const step = await world.start({ isolation, script, environment: { ME: `me-${index}` }, outputVariables: ['mine'] });
        await step.printed('ready');
        return step.finish();
      }));
      const users = steps.map(({ stdout, outputs, code }, index) => {
        const [, user, ...told] = stdout.trim().split('\n');
        assert.deepEqual([told, outputs, code], [[`me-${index}`, `me-${index}`], { mine: `me-${index}` }, 0]);
        return user;
      });
      if (isolation.kind === 'uid') assert.equal(new Set(users).size, 20);
    });

    test('a second attempt with the same id is refused and leaves the first alone', async () => {
      const step = await world.start({ isolation, attemptId: 'twice', script: 'echo ready; exec sleep 600' });
      await step.printed('ready');
      await assert.rejects(world.start({ isolation, attemptId: 'twice', script: ':' }), { code: 'runner.cannot' });
      assert.ok(existsSync(step.directory));
      await step.process.cancel(0);
      await step.finish();
    });
  });
}

/** What the shells do with the capture does not depend on what is around them. */
for (const shell of ['sh', 'bash'] as const) {
  describe(`the output variables of ${shell}`, () => {
    const { isolation } = isolations.find(({ skip }) => skip === false) ?? none;
    for (const { guarantee, script, code = 0, outputs } of captured) {
      test(guarantee, async () => {
        const step = await world.run({ isolation, shell, script, outputVariables: ['A', 'B'] });
        assert.deepEqual(step.outputs, outputs, step.stderr);
        if (code >= 0) assert.equal(step.code, code);
        else assert.notEqual(step.code, 0);
        assert.equal(step.stderr.includes('sallyport'), false);
      });
    }
  });
}

test('without isolation a process that hid from the runner keeps no reader waiting', async () => {
  const word = uniqueSleep();
  const step = await world.run({ isolation: none.isolation, script: `env -i setsid sleep ${word} & echo end` });
  assert.equal(step.stdout, 'end\n');
  for (const pid of processesNaming(word)) process.kill(pid, 'SIGKILL');
});

describe('what cannot be started is refused and leaves nothing behind', () => {
  const { isolation } = none;
  const tools = { ...isolation.tools, sh: '/nonexistent/sh' };
  const { bash: _, ...withoutBash } = isolation.tools;
  const rows = [
    ['a shell this runner does not have', { isolation: { ...isolation, tools: withoutBash }, shell: 'bash' }, /no `bash`; install it/],
    ['a launcher that cannot be started', { isolation: { ...isolation, tools } }, /the program `.nonexistent.sh` cannot be started/],
    ['an attempt id that is a path', { attemptId: '../elsewhere' }, /must match/],
    ['an environment variable no shell can export', { environment: { 'a-b': 'x' } }, /`a-b` must match/],
    ['an environment variable that is shell code', { environment: { 'A=1; id;': 'x' } }, /must match/],
    ['a NUL in the environment', { environment: { A: 'x\0y' } }, /`A` contains a NUL/],
    ['a variable longer than the kernel takes', { environment: { A: 'x'.repeat(maxVariableBytes) } }, /`A` is longer than/],
    ['an environment that is too large', { environment: Object.fromEntries(Array.from({ length: 11 }, (__, i) => [`A${i}`, 'x'.repeat(100_000)])) }, /larger than/],
    ['too many environment variables', { environment: Object.fromEntries(Array.from({ length: 1_001 }, (__, i) => [`A${i}`, ''])) }, /more than 1000/],
    ['an output variable that is shell code', { outputVariables: ['A; touch /tmp/planted'] }, /must match/],
    ['an output variable of 129 characters', { outputVariables: ['A'.repeat(129)] }, /must match/],
    ['too many output variables', { outputVariables: Array.from({ length: 1_001 }, (__, i) => `A${i}`) }, /more than 1000/],
    ['a NUL in the script', { script: 'echo\0' }, /NUL/],
    ['a script of more than 4 MiB', { script: `#${'x'.repeat(4 * 1024 * 1024)}` }, /longer than/],
  ] as const;
  for (const [guarantee, spec, words] of rows) {
    test(guarantee, async () => {
      await assert.rejects(world.start({ isolation, script: ':', ...spec }), (error: Error & { code?: string; say?: string }) => {
        assert.equal(error.code, 'runner.cannot');
        assert.match(error.say ?? '', words);
        return true;
      });
      assert.deepEqual(readdirSync(world.workRoot), []);
    });
  }

  for (const { name, isolation: real, skip } of isolations.slice(0, 3)) {
    test(`a sandbox that fails under ${name} says why and frees its user`, { skip }, async () => {
      const setpriv = '/usr/bin/false';
      const broken = { ...real, tools: { ...real.tools, bwrap: setpriv, setpriv, prlimit: setpriv } };
      await assert.rejects(world.start({ isolation: broken, script: ':' }), { code: 'runner.cannot' });
      assert.deepEqual(readdirSync(world.workRoot), []);
    });
  }
});

test('a launcher that hangs is ended', async () => {
  const clock = new ManualClock();
  const directory = mkdtempSync(join(tmpdir(), 'sp-'));
  const sh = join(directory, 'sh');
  writeFileSync(sh, '#!/bin/sh\nexec sleep 600\n', { mode: 0o700 });
  const starting = world.start({ isolation: { ...none.isolation, tools: { ...none.isolation.tools, sh } }, script: ':', clock });
  await clock.waitedFor(launchTimeoutMs);
  clock.pass(launchTimeoutMs);
  await assert.rejects(starting, { code: 'runner.cannot' });
  rmSync(directory, { recursive: true });
});

test('the same holds under bubblewrap for a runner that is not root', { skip: runsAsRoot ? false : 'needs: root' }, async () => {
  const { code, report } = await runUnprivileged(import.meta.filename, ['--test-name-pattern=under bubblewrap']);
  assert.equal(code, 0, report);
});

test('a value of the environment is in no refusal', async () => {
  const value = `${randomBytes(12).toString('hex')}\0`;
  await assert.rejects(world.start({ isolation: none.isolation, script: ':', environment: { A: value } }), (error: Error) => {
    assert.ok(!JSON.stringify({ ...error, message: error.message }).includes(value.slice(0, 24)));
    return true;
  });
});
