import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { EndedResult, StepPayload } from '#features/runners/schema.ts';
import { runnerHome } from './runner-process.ts';
import { makeRegistration } from './runner-server.ts';
import { RunnerWorld } from './runner-world.ts';

let world: RunnerWorld;
before(async () => void (world = await RunnerWorld.open()));

const pem = `-----BEGIN PRIVATE KEY-----\n${Array.from({ length: 6 }, (_, n) => `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo'.slice(n)}${n}line`).join('\n')}\n-----END PRIVATE KEY-----\n`;

interface Row {
  readonly guarantee: string;
  readonly script: string;
  readonly step?: Partial<StepPayload>;
  readonly result?: Partial<EndedResult>;
  readonly stdout?: string;
  readonly stderr?: RegExp;
}

const rows: readonly Row[] = [
  { guarantee: 'a step runs and its log is there', script: 'echo one; echo two >&2; echo three', result: { exit: 'success', code: 0, signal: null, message: null }, stdout: 'one\nthree\n', stderr: /^two\n$/ },
  { guarantee: 'the status of a step is its result', script: 'echo no; exit 7', result: { exit: 'failure', code: 7 }, stdout: 'no\n' },
  { guarantee: 'a step ended by a signal tells which', script: 'kill -KILL $$', result: { exit: 'failure', code: null, signal: 'SIGKILL' } },
  { guarantee: 'outputs come back, those that are not declared do not', script: 'A=1; export B="two lines\nof it"; C=3', step: { outputVariables: ['A', 'B'] }, result: { exit: 'success', outputs: [{ name: 'A', value: '1', secrets: [] }, { name: 'B', value: 'two lines\nof it', secrets: [] }] } },
  { guarantee: 'an output that holds a secret says which', script: 'URL="postgres://u:$KEY@db"; PLAIN=x', step: { environment: { KEY: 'pass word 123' }, secrets: [{ name: 'db key', value: 'pass word 123' }], outputVariables: ['URL', 'PLAIN'] }, result: { outputs: [{ name: 'URL', value: 'postgres://u:pass word 123@db', secrets: ['db key'] }, { name: 'PLAIN', value: 'x', secrets: [] }] } },
  { guarantee: 'a secret does not get into the log', script: 'echo "before $KEY after"; echo "$KEY" >&2', step: { environment: { KEY: 'pass word 123' }, secrets: [{ name: 'key', value: 'pass word 123' }] }, stdout: 'before *** after\n', stderr: /^\*\*\*\n$/ },
  { guarantee: 'a secret too short to be masked is named in the log', script: ':', step: { secrets: [{ name: 'pin', value: '1234' }] }, stderr: /`pin` cannot be kept out of this log/ },
  { guarantee: 'a step that takes too long is ended', script: 'echo begun; while :; do read -r -t 60 <> <(:); done', step: { timeoutMs: 500 }, result: { exit: 'timeout' }, stdout: 'begun\n' },
  { guarantee: 'what no shell can be given is an error that says so', script: ':', step: { environment: { BAD: 'a\0b' } }, result: { exit: 'error', code: null, message: 'the environment variable `BAD` contains a NUL character; encode it' } },
  { guarantee: 'a step sees nothing of the environment of the runner or the server', script: 'env | cut -d= -f1 | sort | tr "\\n" " "', step: { environment: { OWN: '1' } }, stdout: 'HOME LANG OWN PATH PWD SHLVL TMPDIR _ ' },
  { guarantee: 'a step that prints more than a chunk has it all in the log', script: 'for n in $(seq 1 60000); do echo "line $n"; done', stdout: Array.from({ length: 60_000 }, (_, n) => `line ${n + 1}\n`).join('') },
];

describe('a runner and its server', () => {
  before(async () => {
    await world.reset();
    await world.runner();
  });

  for (const { guarantee, script, step, result, stdout, stderr } of rows) {
    test(guarantee, async () => {
      const attempt = world.offer(script, step);
      const ended = await world.ended(attempt);
      for (const [name, value] of Object.entries(result ?? {})) assert.deepEqual(ended[name as keyof EndedResult], value, `${name} of ${JSON.stringify(ended)}`);
      if (stdout !== undefined) assert.equal(world.log(attempt), stdout);
      if (stderr !== undefined) assert.match(world.log(attempt, 'stderr'), stderr);
      for (const stream of ['stdout', 'stderr'] as const) {
        const bytes = Buffer.from(world.log(attempt, stream));
        assert.deepEqual(ended.logs[stream], { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }, `the totals of ${stream}`);
      }
    });
  }

  test('a secret printed in pieces, with the log sent between them, is masked', async () => {
    const secret = 'first half second half';
    const attempt = world.offer('printf "x first half "; gate halfway; printf "second half y"; echo', { secrets: [{ name: 'key', value: secret }] });
    const halfway = await world.gate.visit('halfway');
    await world.until(() => world.log(attempt) === 'x ', 'the part of the log that can be no secret');
    halfway.go();
    await world.ended(attempt);
    assert.equal(world.log(attempt), 'x *** y\n');
  });

  test('a secret of several lines printed line by line is masked, whole and in lines', async () => {
    const script = 'echo start; while IFS= read -r line; do printf "%s\\n" "$line"; gate line; done <<< "$KEY"; printf "%s\\n" "$KEY" | tail -n 2 | head -n 1; echo end';
    const attempt = world.offer(script, { environment: { KEY: pem.trimEnd() }, secrets: [{ name: 'key file', value: pem }] });
    for (const _ of pem.trimEnd().split('\n')) (await world.gate.visit('line')).go();
    await world.ended(attempt);
    const log = world.log(attempt);
    assert.match(log, /^start\n\*\*\*\n/);
    assert.match(log, /end\n$/);
    for (const line of pem.trim().split('\n')) assert(!log.includes(line), `\`${line}\` is in the log`);
  });

  test('a secret that joins while the step runs is masked, also in what has been printed and not been sent', async () => {
    const attempt = world.offer('echo before; gate mint; printf "token: later-"; gate middle; printf "made-token\\n"; gate last; echo later-made-token; echo after');
    const mint = await world.gate.visit('mint');
    world.desk.addSecret(attempt, { name: 'minted', value: 'later-made-token' });
    mint.go();
    (await world.gate.visit('middle')).go();
    (await world.gate.visit('last')).go();
    const { exit } = await world.ended(attempt);
    assert.equal(exit, 'success');
    assert.equal(world.log(attempt), 'before\ntoken: ***\n***\nafter\n');
  });

  test('a step that is cancelled ends, with what it said before and after', async () => {
    const attempt = world.offer('trap "echo cleaned; exit 9" TERM; echo begun; gate running; while :; do gate again; done');
    const running = await world.gate.visit('running');
    world.desk.cancel(attempt);
    const { exit } = await world.ended(attempt);
    assert.equal(exit, 'cancelled');
    await running.gone;
    assert.equal(world.log(attempt), 'begun\ncleaned\n');
  });

  test('a step that does not listen to TERM is killed', async () => {
    const attempt = world.offer('trap "" TERM; gate stubborn; while :; do gate stubborn; done');
    const stubborn = await world.gate.visit('stubborn');
    world.desk.cancel(attempt);
    assert.deepEqual((({ exit, signal }) => ({ exit, signal }))(await world.ended(attempt)), { exit: 'cancelled', signal: 'SIGKILL' });
    await stubborn.gone;
  });

  test('two steps run at the same time', async () => {
    const attempts = [world.offer('gate together'), world.offer('gate together')];
    const visits = [await world.gate.visit('together'), await world.gate.visit('together')];
    for (const visit of visits) visit.go();
    for (const attempt of attempts) await world.ended(attempt);
  });
});

describe('the life of a runner', () => {
  test('told to stop, it lets a running step end, begins nothing new and ends', async () => {
    await world.reset();
    const runner = await world.runner();
    const attempt = world.offer('gate work; echo done');
    const work = await world.gate.visit('work');
    runner.terminate();
    await world.until(() => runner.said.includes('nothing new is begun'), 'it stops asking');
    const late = world.offer('echo never');
    work.go();
    assert.equal((await world.ended(attempt)).exit, 'success');
    assert.deepEqual(await runner.ended(), { code: 0, signal: null });
    assert.equal(world.status(late), 'offered');
  });

  test('told to stop, it cancels what does not end within its grace, and says so', async () => {
    await world.reset();
    const runner = await world.runner({ flags: ['--stop-grace', '0'] });
    const attempt = world.offer('gate endless');
    const endless = await world.gate.visit('endless');
    runner.terminate();
    assert.equal((await world.ended(attempt)).exit, 'cancelled');
    await endless.gone;
    assert.deepEqual(await runner.ended(), { code: 0, signal: null });
  });

  test('it keeps its key closed to others, is the same runner when it starts again, and needs no registration then', async () => {
    await world.reset();
    const home = await world.home();
    const first = await world.runner({ home });
    const identity = readFileSync(join(home.work, 'identity.json'), 'utf8');
    assert.equal(statSync(join(home.work, 'identity.json')).mode & 0o777, 0o600);
    first.terminate();
    await first.ended();
    const again = await world.runner({ home: { ...home, registrationFile: '/nowhere' } });
    assert.equal(readFileSync(join(home.work, 'identity.json'), 'utf8'), identity);
    const attempt = world.offer('echo still me');
    await world.ended(attempt);
    again.terminate();
    await again.ended();
  });

  test('nothing of a step stays behind', async () => {
    await world.reset();
    const home = await world.home();
    await world.runner({ home });
    const attempt = world.offer('touch "$HOME/file" "$TMPDIR/file"; mkdir -m 0 "$HOME/closed"');
    await world.ended(attempt);
    for (const directory of ['attempts', 'steps']) await world.until(() => readdirSync(join(home.work, directory)).length === 0, `${directory} is empty`);
  });
});

describe('a runner that cannot be', () => {
  const refused = async (start: () => Promise<unknown>): Promise<string> => {
    const error = await start().then(() => new Error('it became ready'), (failure: unknown) => failure);
    return (error as Error).message;
  };

  test('two runners do not share a work directory', async () => {
    await world.reset();
    const home = await world.home();
    await world.runner({ home });
    assert.match(await refused(() => world.runner({ home })), /in use by another runner/);
  });

  test('a registration makes one runner', async () => {
    await world.reset();
    const registration = await makeRegistration(world.server);
    await world.runner({ home: runnerHome(registration) });
    assert.match(await refused(() => world.runner({ home: runnerHome(registration) })), /the registration was used by another runner/);
  });

  test('a runner that was removed ends and says what to do', async () => {
    await world.reset();
    const registration = await makeRegistration(world.server, { identifier: 'gone' });
    const runner = await world.runner({ home: runnerHome(registration) });
    const answer = await world.server.call({ method: 'DELETE', path: `${world.server.api}/runners/gone` });
    assert.equal(answer.status, 204);
    world.offer('echo never');
    assert.deepEqual(await runner.ended(), { code: 1, signal: null });
    assert.match(runner.said, /does not know this runner any more/);
  });

  test('a server that could be somebody else is not talked to', async () => {
    const home = await world.home();
    assert.match(await refused(() => world.runner({ home, url: 'http://sallyport.example' })), /must be https/);
  });
});
