/** What happens to an attempt when its runner is killed at each point of the protocol, and another life of it begins. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { onlyIn } from '#test/mode.ts';
import type { DeskCall, When } from './desk-tap.ts';
import type { RunnerProcess } from './runner-process.ts';
import { RunnerWorld } from './runner-world.ts';

let world: RunnerWorld;
before(async () => void (world = await RunnerWorld.open()));

interface Point {
  readonly guarantee: string;
  readonly call: DeskCall;
  readonly when: When;
  /** How often the script had begun by then. */
  readonly begun: 0 | 1;
  /** What the attempt is once the runner is back. */
  readonly status: 'leased' | 'lost' | 'ended';
  /** How the runner puts it, when it can. */
  readonly exit: 'refused' | 'lost' | 'success' | null;
  /** In every run, not only in `npm run test:crash`: one of each kind. */
  readonly always?: true;
}

const points: readonly Point[] = [
  { guarantee: 'killed before its claim is answered, it leaves a lease that runs out', call: 'claim', when: 'after', begun: 0, status: 'leased', exit: null },
  { guarantee: 'killed before it has the payload, it gives the attempt back', call: 'payload', when: 'before', begun: 0, status: 'lost', exit: 'refused' },
  { guarantee: 'killed with the payload, it gives the attempt back', call: 'payload', when: 'after', begun: 0, status: 'lost', exit: 'refused', always: true },
  { guarantee: 'killed before the server knows of the start, it calls the attempt lost', call: 'started', when: 'before', begun: 0, status: 'lost', exit: 'lost' },
  { guarantee: 'killed when the server knows of the start, it calls the attempt lost', call: 'started', when: 'after', begun: 0, status: 'lost', exit: 'lost', always: true },
  { guarantee: 'killed before its log is stored, it brings the log later and calls the attempt lost', call: 'appendLog', when: 'before', begun: 1, status: 'lost', exit: 'lost' },
  { guarantee: 'killed when its log is stored, it calls the attempt lost', call: 'appendLog', when: 'after', begun: 1, status: 'lost', exit: 'lost' },
  { guarantee: 'killed before its result is stored, it brings the same result later', call: 'result', when: 'before', begun: 1, status: 'ended', exit: 'success' },
  { guarantee: 'killed before it knows that its result is stored, it brings it again and is done', call: 'result', when: 'after', begun: 1, status: 'ended', exit: 'success', always: true },
];

describe('a runner that is killed', () => {
  for (const { guarantee, call, when, begun, status, exit, always } of points) {
    test(guarantee, { skip: always === true ? false : onlyIn('crash') }, async () => {
      await world.reset();
      const name = `${call} ${when}`;
      const home = await world.home();
      const runner = await world.runner({ home });
      const killed = killAt(runner, call, when);
      const attempt = world.offer(`echo begun; gate "${name}"; echo over`);
      if (begun === 1) (await world.gate.visit(name)).go();
      await killed;
      world.hook = () => {};
      assert.equal(world.gate.count(name), begun);
      await world.runner({ home });
      assert(!readdirSync(join(home.work, 'attempts')).includes(attempt), 'the attempt is not settled');
      assert.equal(world.status(attempt), status);
      assert.equal(world.desk.attempt(attempt).result?.exit ?? null, exit);
      // What cannot have begun is offered anew, and runs once.
      if (status === 'leased') world.desk.advance(world.desk.leaseMs + 1);
      if (begun === 0 && !(call === 'started' && when === 'after')) {
        (await world.gate.visit(name)).go();
        assert.equal(world.gate.count(name), 1);
      }
      const { result } = world.desk.attempt(attempt);
      if (exit === 'lost' && begun === 1) {
        assert(result !== null && result.exit === 'lost' && result.logs !== null);
        assert.equal(result.logs.stdout.bytes, Buffer.byteLength(world.log(attempt)), 'the log is not all there');
        assert.match(world.log(attempt), /^begun\n/);
      }
      if (exit === 'success') assert.equal(world.log(attempt), 'begun\nover\n');
    });
  }

  test('a step that was running when its runner was killed is dead before the runner is back, and its attempt is not run again', async () => {
    await world.reset();
    const home = await world.home();
    const runner = await world.runner({ home });
    const attempt = world.offer('echo begun; gate working; echo over; gate after');
    const working = await world.gate.visit('working');
    await world.until(() => world.log(attempt) === 'begun\n', 'the log of what ran');
    await runner.kill();
    await working.gone;
    await world.runner({ home });
    const result = await world.result(attempt);
    assert.equal(result.exit, 'lost');
    assert.deepEqual([world.status(attempt), world.gate.count('working'), world.gate.count('after')], ['lost', 1, 0]);
  });

  test('killed with the lease run out meanwhile, it is refused and forgets the attempt', async () => {
    await world.reset();
    const home = await world.home();
    const runner = await world.runner({ home });
    const attempt = world.offer('gate overdue');
    await world.gate.visit('overdue');
    await runner.kill();
    world.desk.advance(world.desk.leaseMs + 1);
    await world.runner({ home });
    assert.deepEqual([world.status(attempt), world.desk.attempt(attempt).result], ['lost', null]);
  });
});

/** Kills the runner when its call has come as far as `when`; it never gets the answer. Resolves when it is dead. */
function killAt(runner: RunnerProcess, call: DeskCall, when: When): Promise<void> {
  return new Promise((resolve) => {
    let fired = false;
    world.hook = async (at, phase, answer) => {
      if (fired || at !== call || phase !== when || (call === 'claim' && answer === null)) return;
      fired = true;
      await runner.kill();
      resolve();
      if (when === 'before') throw new Error('the call never arrives');
    };
  });
}
