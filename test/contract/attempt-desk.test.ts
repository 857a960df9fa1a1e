import { randomUUID } from 'node:crypto';
import { FakeDesk } from '#test/runners/fake-desk.ts';
import { deskOverHttp } from '#test/runners/desk-over-http.ts';
import { attemptDeskContract } from './attempt-desk.ts';
import type { DeskWorld } from './attempt-desk.ts';

const logBytes = 600 * 1024;

async function fakeWorld(): Promise<DeskWorld> {
  const desk = new FakeDesk({ logBytes });
  const accountId = randomUUID();
  const runner = (scope: string) => ({ runnerId: randomUUID(), scope, labels: [] });
  return {
    desk, accountId, leaseMs: desk.leaseMs, logBytes,
    runners: { one: runner('/'), other: runner('payments'), elsewhere: runner('platform') },
    now: () => new Date(),
    advance: async (ms) => desk.advance(ms),
    offer: async (secret) => void desk.offer(accountId, { scope: 'payments/checkout', ...(secret === undefined ? {} : { step: { secrets: [secret] } }) }),
    cancel: async (attemptId) => desk.cancel(attemptId),
    addSecret: async (attemptId, secret) => desk.addSecret(attemptId, secret),
    log: async (attemptId, stream) => desk.log(attemptId, stream),
  };
}

attemptDeskContract('in memory', fakeWorld);
attemptDeskContract('in memory, over HTTP', () => deskOverHttp({ logBytes }));
