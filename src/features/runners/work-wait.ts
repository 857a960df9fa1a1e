/** Long polls: asks for work, and when there is none waits for a hint, for the next look, or for the end of patience. */
import type { Clock } from '#platform/clock.ts';
import type { AttemptDesk, ClaimedAttempt } from './schema.ts';

export interface WaitOptions {
  readonly desk: Pick<AttemptDesk, 'watch'>;
  readonly clock: Clock;
  /** How often to look without a hint: what a lost hint costs. */
  readonly pollMs: number;
  /** How many may wait at once on this node; more are answered at once. */
  readonly maxWaiting: number;
  /** Shorter than any request may take. */
  readonly maxWaitMs: number;
}

interface Wish {
  readonly accountId: string;
  /** Has one question waiting at a time: a new one means that nobody listens to the earlier one any more. */
  readonly asker: string;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface WorkWait {
  /** Null when there was nothing. `crowded`: nobody waited, because too many do. */
  next(ask: () => Promise<ClaimedAttempt | null>, wish: Wish): Promise<{ claimed: ClaimedAttempt | null; crowded: boolean }>;
  /** Answers all that wait, now and from now on: the server stops. */
  release(): void;
}

export function createWorkWait({ desk, clock, pollMs, maxWaiting, maxWaitMs }: WaitOptions): WorkWait {
  const waiting = new Map<string, { readonly wake: () => void; readonly leave: () => void }>();
  let released = false;

  return {
    async next(ask, { accountId, asker, waitMs, signal }) {
      waiting.get(asker)?.leave();
      const first = await ask();
      if (first !== null || waitMs === 0 || released) return { claimed: first, crowded: false };
      if (waiting.size >= maxWaiting) return { claimed: null, crowded: true };
      const deadlineMs = clock.monotonicMs() + Math.min(waitMs, maxWaitMs);
      let hinted = true; // something may have come between the first question and the watch
      let left = false;
      let wake = (): void => {};
      const hint = (): void => {
        hinted = true;
        wake();
      };
      const unwatch = desk.watch(accountId, hint);
      const waiter = {
        wake: hint,
        leave: () => {
          left = true;
          hint();
        },
      };
      waiting.set(asker, waiter);
      signal.addEventListener('abort', hint, { once: true });
      try {
        for (;;) {
          if (!hinted) await sleep(Math.min(pollMs, deadlineMs - clock.monotonicMs()), (stop) => (wake = stop));
          hinted = false;
          if (released || left || signal.aborted) return { claimed: null, crowded: false };
          const claimed = await ask();
          if (claimed !== null || clock.monotonicMs() >= deadlineMs) return { claimed, crowded: false };
        }
      } finally {
        unwatch();
        if (waiting.get(asker) === waiter) waiting.delete(asker);
        signal.removeEventListener('abort', hint);
      }
    },
    release() {
      released = true;
      for (const waiter of waiting.values()) waiter.wake();
    },
  };
}

function sleep(delayMs: number, stoppable: (stop: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, delayMs));
    stoppable(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
