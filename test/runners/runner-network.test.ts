import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { RunnerWorld } from './runner-world.ts';
import { SwitchProxy } from './switch-proxy.ts';

let world: RunnerWorld;
before(async () => void (world = await RunnerWorld.open()));

describe('a runner whose server or network goes away', () => {
  test('a server that stops in the middle of a step is replaced by another, and the log goes on where it was', async () => {
    await world.reset();
    const first = await world.nodeBeside();
    const proxy = await SwitchProxy.to(first.url);
    await world.runner({ url: proxy.url });
    const attempt = world.offer('echo one; gate one; echo two; gate two; echo three');
    const one = await world.gate.visit('one');
    await world.until(() => world.log(attempt) === 'one\n', 'the log of before');
    await first.stop();
    one.go();
    const two = await world.gate.visit('two'); // the step has gone on with no server there
    const second = await world.nodeBeside();
    proxy.switchTo(second.url);
    await world.until(() => world.log(attempt) === 'one\ntwo\n', 'the log of meanwhile');
    two.go();
    assert.equal((await world.ended(attempt)).exit, 'success');
    assert.equal(world.log(attempt), 'one\ntwo\nthree\n');
  });

  test('an answer that is lost makes nothing twice, whichever it is', async () => {
    await world.reset();
    const proxy = await SwitchProxy.to(world.server.url);
    await world.runner({ url: proxy.url });
    const cut = new Set<string>();
    // Every kind of call is done once without its answer arriving.
    world.hook = (call, when, answer) => {
      if (when !== 'after' || cut.has(call) || (call === 'claim' && answer === null)) return;
      cut.add(call);
      proxy.cut();
      proxy.mend();
    };
    const attempt = world.offer('echo begun; gate once; echo over', { outputVariables: ['word'] });
    const once = await world.gate.visit('once');
    await world.until(() => cut.has('heartbeat') && cut.has('appendLog'), 'a heartbeat and a chunk have lost their answers');
    once.go();
    const ended = await world.ended(attempt);
    await world.until(() => cut.has('result'), 'the result has lost its answer');
    assert.deepEqual([ended.exit, world.gate.count('once'), world.log(attempt)], ['success', 1, 'begun\nover\n']);
    assert.deepEqual([...cut].sort(), ['appendLog', 'claim', 'heartbeat', 'payload', 'result', 'started']);
    const next = world.offer('echo and goes on');
    assert.equal((await world.ended(next)).exit, 'success');
  });

  test('a runner cut off for longer than its lease has ended the step before anybody else could begin it, and goes on when it is back', async () => {
    await world.reset({ leaseMs: 8_000 });
    const proxy = await SwitchProxy.to(world.server.url);
    await world.runner({ url: proxy.url });
    const attempt = world.offer('trap "" TERM; gate alone; while :; do gate alone; done');
    const alone = await world.gate.visit('alone');
    proxy.cut();
    await alone.gone;
    assert.equal(world.status(attempt), 'started', 'the server gave up the lease before the step was dead');
    await world.until(() => world.status(attempt) === 'lost', 'the lease has run out');
    proxy.mend();
    const next = world.offer('echo back');
    assert.equal((await world.ended(next)).exit, 'success');
    assert.equal(world.desk.attempt(attempt).result, null);
  });

  test('a lease that the server has given up ends the step', async () => {
    await world.reset();
    await world.runner();
    const attempt = world.offer('gate "given up"');
    const visit = await world.gate.visit('given up');
    world.desk.advance(world.desk.leaseMs + 1);
    await visit.gone;
    assert.deepEqual([world.status(attempt), world.desk.attempt(attempt).result], ['lost', null]);
  });
});
