/**
 * Answers of the database that are asked for with every request, such as whose a token is. One is believed for a bounded
 * time, counted from the moment the question was asked; what is in use is asked again before that time is over, all of it
 * in one question, so that no request waits. What cannot be confirmed in time is asked anew, and refused with the database.
 */
import type { Clock } from './clock.ts';
import { withPatience } from './patience.ts';

export interface Remembered<Value> {
  /** Null = the database has nothing under this key; that is not remembered. `beforeAsking` may refuse a key not known here. */
  find(key: string, beforeAsking?: () => Promise<void>): Promise<Value | null>;
  /** Asks about everything again before it is believed: for after a change on this node. */
  doubt(): void;
}

export interface RememberedOptions<Value> {
  readonly clock: Clock;
  /** The values of those keys that have one. */
  readonly ask: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;
  /** Above, somebody who was not asked for the longest time is forgotten. */
  readonly maxKept: number;
  readonly askAgainMs?: number;
  /** How long a change on another node may go unnoticed here. */
  readonly believeMs?: number;
}

interface Answer<Value> {
  readonly value: Value;
  /** Monotonic. */
  readonly askedMs: number;
  /** Doubts until the question was asked. */
  readonly doubts: number;
}

const maxKeysAtOnce = 1_000;

export function createRemembered<Value>({ clock, ask, maxKept, askAgainMs = 400, believeMs = 900 }: RememberedOptions<Value>): Remembered<Value> {
  const answers = new Map<string, Answer<Value>>();
  const asking = new Map<string, Promise<Value | null>>();
  const used = new Set<string>();
  let doubts = 0;
  let timer: NodeJS.Timeout | undefined;

  async function askNow(keys: readonly string[]): Promise<ReadonlyMap<string, Value>> {
    const asked = { askedMs: clock.monotonicMs(), doubts };
    const values = await ask(keys);
    for (const key of keys) {
      const value = values.get(key);
      answers.delete(key);
      if (value === undefined) continue;
      if (answers.size >= maxKept) answers.delete(answers.keys().next().value!);
      answers.set(key, { value, ...asked });
    }
    return values;
  }

  /** Those who ask at the same time wait for one answer, unless it was doubted meanwhile. */
  function askOnce(key: string): Promise<Value | null> {
    const shared = `${doubts} ${key}`;
    let promise = asking.get(shared);
    if (promise === undefined) {
      promise = withPatience(askNow([key])).then((values) => values.get(key) ?? null).finally(() => asking.delete(shared));
      asking.set(shared, promise);
    }
    return promise;
  }

  function askAgain(): void {
    timer = undefined;
    const keys = [...used];
    used.clear();
    // A database that is away is told to whoever has to wait for it.
    for (let from = 0; from < keys.length; from += maxKeysAtOnce) void askNow(keys.slice(from, from + maxKeysAtOnce)).catch(() => undefined);
  }

  return {
    async find(key, beforeAsking) {
      const known = answers.get(key);
      if (known !== undefined && known.doubts === doubts && clock.monotonicMs() - known.askedMs < believeMs) {
        used.add(key);
        timer ??= setTimeout(askAgain, askAgainMs).unref();
        return known.value;
      }
      if (known === undefined && beforeAsking !== undefined) await beforeAsking();
      return askOnce(key);
    },
    doubt: () => void (doubts += 1),
  };
}
