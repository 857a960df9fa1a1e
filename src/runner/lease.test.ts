import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { LeaseAnswer } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import { Lease, LeaseOver } from './lease.ts';
import type { RunnerTransport, SendOptions } from './transport.ts';

const answer: LeaseAnswer = { protocol: 1, leaseMs: 60_000, heartbeatMs: 5, cancel: false, maskSet: 1 };
const hanging = ({ signal }: SendOptions = {}) => new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));

/** A lease whose heartbeats are answered as the test says. */
function leaseWith(heartbeat: (options?: SendOptions) => Promise<LeaseAnswer>, claim: { leaseMs?: number } = {}) {
  const transport = { heartbeat: (_place: unknown, options?: SendOptions) => heartbeat(options) } as unknown as RunnerTransport;
  const lease = new Lease({ attemptId: randomUUID(), fence: 1, leaseMs: 60_000, heartbeatMs: 1, ...claim }, { transport, clock: systemClock, randomness: systemRandomness });
  lease.start();
  return lease;
}

function happens(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}

test('a lease that is not needed any more ends in the middle of a heartbeat that is not answered', async () => {
  const { promise: sent, resolve } = Promise.withResolvers<void>();
  const lease = leaseWith((options) => {
    resolve();
    return hanging(options);
  });
  await sent;
  await lease.stop();
  assert.equal(lease.over.aborted, false);
});

test('heartbeats that are answered keep it, and tell of cancellation and of new secrets', async () => {
  let beats = 0;
  const lease = leaseWith(async () => {
    beats += 1;
    return { ...answer, cancel: beats >= 3, maskSet: beats };
  }, { leaseMs: 30_000 });
  await happens(lease.cancelled);
  assert.equal(lease.maskSet, 3);
  await lease.stop();
});

test('a heartbeat that is refused ends it at once', async () => {
  const lease = leaseWith(async () => {
    throw refusal('runner.stale_fence');
  });
  const reason = await happens(lease.over);
  assert(reason instanceof LeaseOver);
  assert.equal(reason.why, 'refused');
  await lease.stop();
});

test('a lease that cannot be renewed is over', async () => {
  const lease = leaseWith(async () => {
    throw new Error('ECONNREFUSED');
  }, { leaseMs: 300 });
  const reason = await happens(lease.over);
  assert(reason instanceof LeaseOver);
  assert.equal(reason.why, 'expired');
  await lease.stop();
});

test('an answer that arrives late counts from when its question was sent', async () => {
  let now = 0;
  const clock = { now: () => new Date(0), monotonicMs: () => now };
  const transport = {
    heartbeat: async () => {
      now += 59_000; // on its way for almost a minute
      return answer;
    },
  } as unknown as RunnerTransport;
  const lease = new Lease({ attemptId: randomUUID(), fence: 1, leaseMs: 60_000, heartbeatMs: 1 }, { transport, clock, randomness: systemRandomness });
  lease.start();
  const reason = await happens(lease.over);
  assert(reason instanceof LeaseOver);
  assert.equal(reason.why, 'expired');
  await lease.stop();
});

test('a runner that stood still until its lease ran out knows it before anything is begun, whatever its timers say', async () => {
  let now = 0;
  const clock = { now: () => new Date(0), monotonicMs: () => now };
  const transport = { started: async () => answer, heartbeat: (_place: unknown, options?: SendOptions) => hanging(options) } as unknown as RunnerTransport;
  const lease = new Lease({ attemptId: randomUUID(), fence: 1, leaseMs: 60_000, heartbeatMs: 60_000 }, { transport, clock, randomness: systemRandomness });
  await lease.started();
  now += 54_999;
  lease.confirm();
  now += 1;
  assert.throws(() => lease.confirm(), LeaseOver);
  assert.equal(lease.over.aborted, true);
  await lease.stop();
});

test('what is refused under the lease because somebody else has it ends it, any other refusal does not', async () => {
  const lease = leaseWith(async () => answer);
  await assert.rejects(lease.under(async () => {
    throw refusal('runner.protocol');
  }), { code: 'runner.protocol' });
  assert.equal(lease.over.aborted, false);
  await assert.rejects(lease.under(async () => {
    throw refusal('runner.stale_fence');
  }), { code: 'runner.stale_fence' });
  assert.equal(lease.over.aborted, true);
  await assert.rejects(lease.under(async () => 'too late'), LeaseOver);
  await lease.stop();
});
