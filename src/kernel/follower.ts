/** Something computed from a world that brings itself up to date instead of being made again (`World.follow`). */
import type { Entry } from './world.ts';

/** One entry before and after a change; one of both is there. */
export interface EntryChange {
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

export interface Follower {
  /** Held in memory, about. */
  readonly bytes: number;
  /** Called for every change, when the world has it already. */
  changed(change: EntryChange): void;
}
