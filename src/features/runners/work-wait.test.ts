import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#platform/clock.ts';
import type { ClaimedAttempt } from './schema.ts';
import { createWorkWait } from './work-wait.ts';

const work: ClaimedAttempt = { attemptId: 'a', fence: 1, leaseUntil: new Date(0) };
const never = new AbortController().signal;

/** A desk that tells when somebody watches, and wakes when asked. */
function bench({ maxWaiting = 10, pollMs = 60_000, maxWaitMs = 60_000 } = {}) {
  const watchers = new Set<() => void>();
  let watched: () => void = () => {};
  const desk = {
    watch: (_accountId: string, wake: () => void) => {
      watchers.add(wake);
      watched();
      return () => void watchers.delete(wake);
    },
  };
  let offered = 0;
  let asked = 0;
  const wait = createWorkWait({ desk, clock: systemClock, pollMs, maxWaiting, maxWaitMs });
  const watching = async (count: number) => {
    while (watchers.size < count) await new Promise<void>((resolve) => (watched = resolve));
    // The question after the watch was begun is asked by then.
    await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    wait, watchers, watching,
    asked: () => asked,
    offer: (hint = true) => {
      offered += 1;
      if (hint) for (const wake of watchers) wake();
    },
    ask: (wish: { asker?: string; waitMs?: number; signal?: AbortSignal } = {}) =>
      wait.next(async () => {
        asked += 1;
        if (offered === 0) return null;
        offered -= 1;
        return work;
      }, { accountId: 'x', asker: 'one', waitMs: 60_000, signal: never, ...wish }),
  };
}

test('what is there is given at once', async () => {
  const { ask, offer, watchers } = bench();
  offer();
  assert.deepEqual(await ask(), { claimed: work, crowded: false });
  assert.equal(watchers.size, 0);
});

test('who does not wait gets an answer at once', async () => {
  assert.deepEqual(await bench().ask({ waitMs: 0 }), { claimed: null, crowded: false });
});

test('what comes while somebody waits wakes one of them, and the others wait on', async () => {
  const { ask, offer, watching, watchers } = bench();
  const [one, other] = [ask({ asker: 'one' }), ask({ asker: 'other' })];
  await watching(2);
  offer();
  assert.deepEqual((await Promise.race([one, other])).claimed, work);
  assert.equal(watchers.size, 1);
  offer();
  assert.deepEqual([(await one).claimed, (await other).claimed], [work, work]);
});

test('what comes between the question and the watch is not missed', async () => {
  const { wait } = bench();
  let asked = 0;
  const { claimed } = await wait.next(async () => {
    asked += 1;
    return asked === 2 ? work : null; // nobody ever hints at it
  }, { accountId: 'x', asker: 'one', waitMs: 60_000, signal: never });
  assert.deepEqual(claimed, work);
});

test('a hint that is lost costs a look, not the work', async () => {
  const { ask, offer, watching } = bench({ pollMs: 10 });
  const waiting = ask();
  await watching(1);
  offer(false);
  assert.deepEqual((await waiting).claimed, work);
});

test('patience ends, whatever was asked for', async () => {
  const { ask, watchers } = bench({ maxWaitMs: 20 });
  assert.deepEqual(await ask({ waitMs: 25_000 }), { claimed: null, crowded: false });
  assert.equal(watchers.size, 0);
});

test('a new question of the same runner ends the wait of the one before, and only that', async () => {
  const { ask, watching, offer } = bench();
  const [old, other] = [ask({ asker: 'one' }), ask({ asker: 'other' })];
  await watching(2);
  const fresh = ask({ asker: 'one' });
  assert.deepEqual((await old).claimed, null);
  await watching(2);
  offer();
  offer();
  assert.deepEqual([(await fresh).claimed, (await other).claimed], [work, work]);
});

test('a request that is over asks no more', async () => {
  const over = new AbortController();
  const { ask, watching, asked, offer } = bench();
  const waiting = ask({ signal: over.signal });
  await watching(1);
  const before = asked();
  over.abort();
  offer();
  assert.deepEqual([(await waiting).claimed, asked()], [null, before]);
});

test('where too many wait, one more is answered at once and told so', async () => {
  const { ask, watching, wait } = bench({ maxWaiting: 1 });
  const waiting = ask({ asker: 'one' });
  await watching(1);
  assert.deepEqual(await ask({ asker: 'other' }), { claimed: null, crowded: true });
  wait.release();
  await waiting;
});

test('a server that stops lets everybody go, and nobody waits any more', async () => {
  const { ask, watching, wait } = bench();
  const waiting = [ask({ asker: 'one' }), ask({ asker: 'other' })];
  await watching(2);
  wait.release();
  for (const { claimed } of await Promise.all(waiting)) assert.equal(claimed, null);
  assert.deepEqual(await ask(), { claimed: null, crowded: false });
});
