import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { detectIsolation } from './detect-isolation.ts';
import type { Isolation } from './isolation.ts';
import { SandboxWorld, exercisable, processesNaming, readProc, runUnprivileged, runsAsRoot, until } from './sandbox-world.ts';
import type { StartedStep } from './sandbox-world.ts';

const world = new SandboxWorld();
after(() => world.close());
const isolations = await exercisable(world);
const bare = (await world.isolation('none')).isolation;

/** An entry of this process' own environment that no step has by itself. */
const serverVariable = readFileSync('/proc/self/environ', 'utf8').split('\0').toSorted((a, b) => b.length - a.length)[0] ?? '';

/** `id` as a program that would make everybody root. */
const setuidId = join(world.root, 'id');
copyFileSync('/usr/bin/id', setuidId);
chmodSync(setuidId, 0o4755);

interface Escape {
  readonly guarantee: string;
  readonly script: string;
  /** What the output contains when the attack succeeds. */
  readonly loot: string;
  /** Without isolation the same script must succeed, or it attacks nothing: for whom it does. */
  readonly bareSucceedsFor: 'everybody' | 'root';
}

const connect = `perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un($ENV{SOCKET})) or die "$!"; print <S>'`;

const escapes: readonly Escape[] = [
  { guarantee: 'a step cannot read the root key', script: 'cat "$ROOT_KEY"', loot: 'THE-ROOT-KEY', bareSucceedsFor: 'everybody' },
  { guarantee: 'a step cannot connect to the database socket', script: connect, loot: 'THE-DATABASE', bareSucceedsFor: 'everybody' },
  { guarantee: "a step cannot read the runner's key", script: 'cat "$RUNNER_KEY"', loot: 'THE-RUNNER-KEY', bareSucceedsFor: 'everybody' },
  {
    guarantee: "a step cannot read a running attempt's files",
    script: 'cat "$VICTIM/home/loot" "$VICTIM/step/script"; find "$DATA" /home /tmp /var/tmp -name loot -exec cat {} +',
    loot: 'THE-VICTIM',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: "a step cannot read a running attempt's environment",
    script: 'cat /proc/[0-9]*/environ | tr "\\0" "\\n" | grep VICTIM_TOKEN=',
    loot: 'THE-VICTIM-TOKEN',
    bareSucceedsFor: 'everybody',
  },
  { guarantee: 'a step cannot list the attempts', script: 'ls "$WORK_ROOT"', loot: 'victim', bareSucceedsFor: 'everybody' },
  {
    guarantee: "a step cannot read the server's environment, its parents' neither",
    script: 'p=$PPID; while [ "${p:-0}" -gt 0 ]; do cat "/proc/$p/environ"; p=$(sed -n "s/^PPid:.//p" "/proc/$p/status"); done; cat /proc/[0-9]*/environ',
    loot: serverVariable,
    bareSucceedsFor: 'everybody',
  },
  { guarantee: 'a step cannot signal the runner', script: 'kill -0 "$RUNNER" && echo SIGNALLED', loot: 'SIGNALLED', bareSucceedsFor: 'everybody' },
  {
    guarantee: "a step cannot look into the runner's memory",
    script: 'head -c 1 "/proc/$RUNNER/maps" | grep -q . && echo MEMORY; ls "/proc/$RUNNER/fd/" && echo MEMORY',
    loot: 'MEMORY',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: "a step cannot walk in through another process' root directory",
    script: 'cat "/proc/$RUNNER/root$ROOT_KEY" "/proc/1/root$ROOT_KEY" "/proc/$PPID/root$ROOT_KEY" "/proc/1/cwd$ROOT_KEY"',
    loot: 'THE-ROOT-KEY',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: "a step cannot read the token files of another step",
    script: 'cat "$VICTIM"/files/* /home/.identities/* "/proc/$RUNNER/root$VICTIM/files/"*',
    loot: 'THE-VICTIM-JWT',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: 'a step cannot write outside its directory',
    script: 'for d in "$DATA" "$WORK_ROOT" "$VICTIM" "$VICTIM/home" "$VICTIM/files" "${ROOT_KEY%/*}"; do touch "$d/planted" && echo WROTE; done',
    loot: 'WROTE',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: 'a step cannot write the settings of the kernel',
    script: 'for f in core_pattern modprobe sysrq; do [ -w "/proc/sys/kernel/$f" ] && echo WRITABLE; done; [ -w /proc/sysrq-trigger ] && echo WRITABLE',
    loot: 'WRITABLE',
    bareSucceedsFor: 'root',
  },
  {
    guarantee: 'a step lifts no cover in a user namespace of its own',
    script: `unshare --user --map-root-user --mount sh -c 'umount -l "$DATA"; umount -l /home; umount -l /proc; cat "$ROOT_KEY"'`,
    loot: 'THE-ROOT-KEY',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: 'a step has no capability and setuid programs give it none',
    script: `grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):' /proc/self/status | grep -v 0000000000000000 && echo POWER; grep -E '^NoNewPrivs:.*0$' /proc/self/status && echo POWER`,
    loot: 'POWER',
    bareSucceedsFor: 'everybody',
  },
  {
    guarantee: 'a step cannot become root again',
    script: 'setpriv --reuid=0 --regid=0 --clear-groups echo BECAME-0; echo "BECAME-$("$SETUID_ID" -u)"',
    loot: 'BECAME-0',
    bareSucceedsFor: 'root',
  },
];

/** A running attempt with something worth stealing in its files and its environment. */
function victimOf(isolation: Isolation): Promise<StartedStep> {
  return world.start({
    isolation,
    attemptId: `victim-${isolation.kind}`,
    environment: { VICTIM_TOKEN: 'THE-VICTIM-TOKEN' },
    files: new Map([['CLOUD.jwt', 'THE-VICTIM-JWT']]),
    script: '# THE-VICTIM\necho THE-VICTIM >"$HOME/loot"; echo ready; exec sleep 600',
  });
}

async function attack(isolation: Isolation, { script }: Escape, victim: StartedStep): Promise<string> {
  await victim.printed('ready');
  const environment = {
    ROOT_KEY: world.rootKey, RUNNER_KEY: world.runnerKey, SOCKET: world.socket, DATA: world.data, SETUID_ID: setuidId,
    WORK_ROOT: world.workRoot, VICTIM: victim.directory, RUNNER: String(process.pid),
  };
  const { stdout, reason } = await world.run({ isolation, script, environment });
  assert.equal(reason, undefined);
  return stdout;
}

/** The victim of a whole suite, ended after it. Call it inside `describe`. */
function lasting(isolation: Isolation): Promise<StartedStep> {
  const started = Promise.withResolvers<StartedStep>();
  before(() => victimOf(isolation).then(started.resolve, started.reject));
  after(async () => {
    const victim = await started.promise;
    await victim.process.cancel(0);
    await victim.finish();
  });
  return started.promise;
}

/** What the dynamic linker of programs that obey the step's environment writes where only the runner may write. */
async function linkerTraces(isolation: Isolation, name: string): Promise<string[]> {
  const bait = join(world.root, `bait-${name}`);
  mkdirSync(bait, { mode: 0o700 });
  const environment = { LD_DEBUG: 'files', LD_DEBUG_OUTPUT: join(bait, 'linker') };
  assert.equal((await world.run({ isolation, environment, script: 'id' })).code, 0);
  return readdirSync(bait);
}

/** A runner in a process of its own that starts `script` and passes its output on. */
function separateRunner(candidate: string, script: string, stdio: StdioOptions): ChildProcess {
  const code = `
    import { detectIsolation } from ${JSON.stringify(import.meta.resolve('./detect-isolation.ts'))};
    import { startStep } from ${JSON.stringify(import.meta.resolve('./sandbox.ts'))};
    const [workRoot, candidate, script] = process.argv.slice(1);
    const { isolation } = await detectIsolation({ workRoot, hide: [], candidates: [candidate] });
    const step = await startStep({ isolation, workRoot, script, attemptId: 'separate-' + process.pid, shell: 'sh',
      environment: {}, outputVariables: [], timeoutMs: 50000 });
    for await (const { bytes } of step.output) process.stdout.write(bytes);
    await step.exit;`;
  return spawn(process.execPath, ['--input-type=module', '-e', code, world.workRoot, candidate, script], { env: {}, stdio });
}

for (const { name, isolation, skip } of isolations) {
  describe(`under ${name}`, { skip }, () => {
    describe('while another attempt runs', () => {
      const victim = lasting(isolation);
      for (const escape of escapes) {
        test(escape.guarantee, async () => {
          assert.ok(!(await attack(isolation, escape, await victim)).includes(escape.loot));
        });
      }
    });

    test('no secret value and nothing of the script is an argument or in the environment of a launcher', async () => {
      const step = await world.start({
        isolation,
        environment: { TOKEN: 'VALUE-OF-THE-SECRET' },
        script: 'echo ready; : WORD-OF-THE-SCRIPT; exec sleep 600',
      });
      await step.printed('ready');
      assert.deepEqual(processesNaming('VALUE-OF-THE-SECRET'), []);
      assert.deepEqual(processesNaming('WORD-OF-THE-SCRIPT'), []);
      if (isolation.kind === 'bubblewrap') assert.equal(readProc(step.process.pid, 'environ').includes('VALUE-OF'), false);
      await step.process.cancel(0);
      await step.finish();
    });

    test('a step cannot fork without end', async () => {
      const script = 'i=0; while [ "$i" -lt 200 ]; do sleep 600 & i=$((i + 1)); done; echo unlimited';
      const { stdout, stderr, code } = await world.run({ isolation, script, limits: { processes: 20 } });
      assert.equal(stdout, '');
      assert.match(stderr, /fork/i);
      assert.notEqual(code, 0);
    });

    test('a step leaves no core file with its secrets', async () => {
      const { stdout } = await world.run({ isolation, script: 'ulimit -H -c; ulimit -c unlimited || echo refused' });
      assert.equal(stdout, '0\nrefused\n');
    });

    test("the launchers do not obey the environment of the step's author", async () => {
      assert.deepEqual(await linkerTraces(isolation, name), []);
    });

    test('a link in the place of the captured outputs leads the runner nowhere', async () => {
      const script = 'cd "${0%/*}"; stolen=none; rm -f outputs; ln -s "$ROOT_KEY" outputs; mkdir -p other; mv other outputs';
      const { outputs } = await world.run({ isolation, script, environment: { ROOT_KEY: world.rootKey }, outputVariables: ['stolen'] });
      assert.ok(!JSON.stringify(outputs).includes('THE-ROOT-KEY'));
    });

    test("links, closed directories and endless paths in a step's directory do not stop or divert its removal", async () => {
      const script = `
        ln -s "$DATA/keys" keys; ln -s / root; mkdir -p closed/inner; chmod 0 closed; touch ./-rf
        i=0; while [ "$i" -lt 60 ]; do mkdir ${'d'.repeat(200)} && cd ${'d'.repeat(200)} || exit 3; i=$((i + 1)); done; pwd | wc -c >&2`;
      const step = await world.start({ isolation, script, environment: { DATA: world.data } });
      const { directory } = step;
      await step.finish();
      assert.equal(existsSync(directory), false);
      assert.equal(readFileSync(world.rootKey, 'utf8'), 'THE-ROOT-KEY');
    });

    test('a descriptor the runner inherited does not reach the step', async () => {
      const script = `echo begin; perl -e 'open(F, "<&=", 40) and print <F>'`; // Node itself shuts those below 16
      const key = openSync(world.rootKey, 'r');
      const child = separateRunner(name, script, ['ignore', 'pipe', 'inherit', ...Array<'ignore'>(37).fill('ignore'), key]);
      let said = '';
      for await (const bytes of child.stdout ?? []) said += String(bytes);
      assert.ok(said.startsWith('begin'), said);
      assert.ok(!said.includes('THE-ROOT-KEY'));
    });

    test('when the runner is killed nothing of its steps stays', async () => {
      const word = `600.0${process.pid}${isolations.findIndex((one) => one.name === name)}`;
      const script = `setsid sleep ${word} & (sleep ${word} &) ; echo up; sleep ${word}`;
      const child = separateRunner(name, script, ['ignore', 'pipe', 'inherit']);
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      await until(() => processesNaming(word).length >= 3);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
      // Outside a PID namespace the shell goes with the runner and the rest when a runner starts again
      if (name === 'uid') await detectIsolation({ workRoot: world.workRoot, hide: [], candidates: ['uid'] });
      await until(() => processesNaming(word).length === 0);
    });
  });
}

describe('without isolation the same attacks succeed, so that the table above means something', () => {
  const victim = lasting(bare);
  for (const escape of escapes) {
    const skip = escape.bareSucceedsFor === 'root' && !runsAsRoot ? 'needs: root' : false;
    test(`not any more: ${escape.guarantee}`, { skip }, async () => {
      assert.ok((await attack(bare, escape, await victim)).includes(escape.loot));
    });
  }

  test("not any more: the launchers do not obey the environment of the step's author", async () => {
    assert.notEqual((await linkerTraces(bare, 'bare')).length, 0);
  });
});

describe('finding an isolation', () => {
  test('nothing runs bare unless the operator asked for it', async () => {
    const { isolation, explained } = await detectIsolation({ workRoot: world.workRoot, hide: [], candidates: [] });
    assert.deepEqual([isolation.kind, explained], ['none', 'none: no step will start']);
    await assert.rejects(world.run({ isolation, script: 'echo ran' }), { code: 'config.unsafe' });
  });

  test('a directory to hide that every user may list is not left to permissions', { skip: runsAsRoot ? false : 'needs: root' }, async () => {
    const open = join(world.root, 'open');
    mkdirSync(open, { mode: 0o755 });
    writeFileSync(join(open, 'file'), '');
    const options = { workRoot: world.workRoot, hide: [open] };
    const { isolation, explained } = await detectIsolation({ ...options, candidates: ['uid'] });
    assert.equal(isolation.kind, 'none');
    assert.match(explained, /^uid: .*a step can list `.*open`; make it 0700/);
  });

  test('a work root steps cannot reach is explained', { skip: runsAsRoot ? false : 'needs: root' }, async () => {
    const workRoot = join(world.data, 'keys', 'work');
    const { explained } = await detectIsolation({ workRoot, hide: [], candidates: ['uid'] });
    assert.match(explained, /^uid: a step cannot pass `.*keys` on the way to its directory; make it 0711/);
  });

  test('what is to be hidden must be there', async () => {
    const hide = [join(world.root, 'absent')];
    await assert.rejects(detectIsolation({ workRoot: world.workRoot, hide }), { code: 'config.invalid' });
  });
});

test('the same holds for a runner that is not root', { skip: runsAsRoot ? false : 'needs: root' }, async () => {
  const { code, report } = await runUnprivileged(import.meta.filename, []);
  assert.equal(code, 0, report);
});
