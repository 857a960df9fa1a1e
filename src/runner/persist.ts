/** Sends until there is an answer: full jitter, so that a thousand runners do not come back in one moment. */
import { setTimeout as wait } from 'node:timers/promises';
import { Refusal } from '#kernel/errors.ts';
import type { Randomness } from '#platform/clock.ts';
import { isFinal } from './transport.ts';

export interface Persistence {
  readonly randomness: Pick<Randomness, 'bytes'>;
  /** Ends the trying; its reason is thrown. */
  readonly signal: AbortSignal;
  readonly firstMs?: number;
  readonly maxMs?: number;
  /** Told of every failure that will be tried again. */
  readonly onFailure?: (error: unknown) => void;
}

const defaultFirstMs = 500;
const defaultMaxMs = 60_000;

/** The answer of `send`, or its first refusal that repeating cannot help (`isFinal`). */
export async function persist<T>(send: (signal: AbortSignal) => Promise<T>, options: Persistence): Promise<T> {
  const { signal, firstMs = defaultFirstMs, maxMs = defaultMaxMs } = options;
  for (let failures = 0; ; failures += 1) {
    signal.throwIfAborted();
    try {
      return await send(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
      options.onFailure?.(error);
      const asked = error instanceof Refusal ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
      const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30));
      await pause(Math.min(maxMs, asked) + ceiling * fraction(options.randomness), signal);
    }
  }
}

/** Waits; an abort ends it and its reason is thrown. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(delayMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** From 0 to below 1. */
function fraction(randomness: Pick<Randomness, 'bytes'>): number {
  return randomness.bytes(4).readUInt32BE() / 2 ** 32;
}
