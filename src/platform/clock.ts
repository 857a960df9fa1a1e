/** Time and randomness come in through the call; these are the real ones, read nowhere else. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';

export interface Clock {
  now(): Date;
  /** Milliseconds that only grow; for durations and deadlines. */
  monotonicMs(): number;
}

export interface Randomness {
  bytes(count: number): Buffer;
  /** UUIDv7: sortable by creation. */
  uid(): string;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

export const systemRandomness: Randomness = {
  bytes: (count) => randomBytes(count),
  uid: () => randomUUIDv7(),
};
