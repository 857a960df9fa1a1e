/** Asks for work as long as there is a free place, one question on the way at a time. */
import type { Claim } from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { describeError } from '#platform/log.ts';
import type { AttemptServices } from './attempt.ts';
import { pause, persist } from './persist.ts';

export interface ClaimOptions {
  /** How many attempts run at once. */
  readonly places: number;
  /** Longest wait between two tries to reach a server that does not answer. */
  readonly retryMaxMs: number;
  /** Aborted when nothing new is to be begun. */
  readonly stop: AbortSignal;
  /** What to do once the server has answered for the first time. */
  readonly begin: () => Promise<void>;
  /** Works on an attempt; never throws. */
  readonly work: (claim: Claim) => Promise<void>;
}

const giveBackTimeoutMs = 3_000;
const leastWaitMs = 500;

/** Resolves when stopped and the last attempt is done; throws the refusal of a server that wants nothing of this runner. */
export async function claimWork(services: AttemptServices, options: ClaimOptions): Promise<void> {
  const { places, stop, begin, work } = options;
  const running = new Set<Promise<void>>();
  let wake = (): void => {};
  stop.addEventListener('abort', () => wake(), { once: true });
  const take = (claim: Claim | null): void => {
    if (claim === null) return;
    const attempt: Promise<void> = work(claim).finally(() => {
      running.delete(attempt);
      wake();
    });
    running.add(attempt);
  };
  try {
    // Ends what an earlier life of this runner may still be waiting for, before anything is given back.
    take(await next(services, options, 0));
    await begin();
    while (!stop.aborted) {
      if (running.size >= places) await new Promise<void>((resolve) => (wake = resolve));
      else take(await next(services, options, protocolLimits.claimWaitMs));
    }
    services.log.info({ running: running.size }, 'nothing new is begun');
  } finally {
    await Promise.all(running);
  }
}

async function next(services: AttemptServices, { stop, retryMaxMs }: ClaimOptions, waitMs: number): Promise<Claim | null> {
  const { transport, randomness, clock, log } = services;
  const claimId = randomness.uid();
  const onFailure = (error: unknown): void => log.warn({ error: describeError(error) }, 'the server does not answer');
  try {
    const askedAtMs = clock.monotonicMs();
    const { claim, retryAfterMs } = await persist((signal) => transport.claim(claimId, waitMs, { signal }), { randomness, signal: stop, maxMs: retryMaxMs, onFailure });
    // A server that does not let us wait is not asked without a rest.
    const restMs = waitMs > 0 && clock.monotonicMs() - askedAtMs < leastWaitMs ? leastWaitMs : 0;
    if (claim === null) await pause(Math.max(retryAfterMs, restMs), stop);
    return claim;
  } catch (error) {
    if (!stop.aborted) throw error;
    await giveBack(services, claimId);
    return null;
  }
}

/**
 * The question that was broken off may be answered with a lease yet: asking it again ends its waiting, and what it was
 * given goes back, so that nobody has to wait for the lease to run out.
 */
async function giveBack({ transport, log }: AttemptServices, claimId: string): Promise<void> {
  const soon = { timeoutMs: giveBackTimeoutMs };
  try {
    const { claim } = await transport.claim(claimId, 0, soon);
    if (claim !== null) await transport.result(claim, { exit: 'refused', message: 'the runner is stopping' }, soon);
  } catch (error) {
    log.debug({ error: describeError(error) }, 'nothing could be given back');
  }
}
