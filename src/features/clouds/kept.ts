/**
 * Credentials kept while they live, so that retries of a step and several expressions in it cost one trade. What was
 * minted with other claims is another credential: the far side may have looked at any of them.
 */
import type { Clock } from '#platform/clock.ts';

export interface Kept<T> {
  /** `isNew`: made for this call. `make` is called once for all who ask meanwhile; what it throws is not kept. */
  get(key: string, make: () => Promise<{ readonly made: T; readonly expiresAtMs: number }>): Promise<{ readonly made: T; readonly isNew: boolean }>;
}

const maxKept = 2_000;
/** At least so much of its life must be left. */
const marginMs = 300_000;

interface Held<T> {
  readonly made: Promise<T>;
  /** Infinity while it is made. */
  untilMs: number;
}

export function keep<T>(clock: Clock): Kept<T> {
  const held = new Map<string, Held<T>>();
  return {
    async get(key, make) {
      const known = held.get(key);
      if (known !== undefined && clock.now().getTime() < known.untilMs) return { made: await known.made, isNew: false };
      const making = make();
      const shared = making.then(({ made }) => made);
      // Whoever makes it is told; without others who wait, nobody else need be.
      shared.catch(() => undefined);
      const entry: Held<T> = { made: shared, untilMs: Infinity };
      held.delete(key);
      if (held.size >= maxKept) held.delete(held.keys().next().value!);
      held.set(key, entry);
      try {
        const { made, expiresAtMs } = await making;
        entry.untilMs = expiresAtMs - marginMs;
        return { made, isNew: true };
      } catch (error) {
        if (held.get(key) === entry) held.delete(key);
        throw error;
      }
    },
  };
}
