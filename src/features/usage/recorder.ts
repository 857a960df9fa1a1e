/**
 * Who made use of which permission where, by day: noted in memory as it happens, written every few seconds. What a node
 * that is killed had noted since is lost; it is noted again at the next use.
 */
import type { Caller, Principal } from '#kernel/caller.ts';
import type { Question } from '#kernel/decision.ts';
import { openedScope } from '#kernel/world.ts';
import type { Database } from '#platform/database/database.ts';
import type { Use } from './seen-today.ts';
import { SeenToday } from './seen-today.ts';
import { writeUses } from './store.ts';

/** The part of a caller that bindings and mappings are about. */
export type User = Pick<Caller, 'accountId' | 'principal' | 'actor' | 'workload'>;

export interface UseRecorder {
  /** Somebody was allowed this and made use of it. For one that acts as another, it counts for both. */
  used(who: User, question: Question, now: Date): void;
  /** Writes what was noted before it was called; what cannot be written is kept, as far as there is room, and thrown about. */
  flush(): Promise<void>;
}

export interface RecorderServices {
  /** Uses for which there is a place in memory. */
  readonly seen?: number;
  /** Not yet written: at half of it they are written before it is time, and above it uses are not noted. */
  readonly maxPending?: number;
  readonly write: (uses: readonly Use[]) => Promise<void>;
}

const dayMs = 86_400_000;
/** Of one statement. */
const batch = 1_000;

export function dayOf(at: Date): number {
  return Math.floor(at.getTime() / dayMs);
}

/** `2026-06-01` */
export function dayText(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10);
}

export function createUseRecorder({ database }: { readonly database: Database }): UseRecorder {
  return recorderOf({ write: (uses) => writeUses(database, uses) });
}

export function recorderOf({ seen: size, maxPending = 10_000, write }: RecorderServices): UseRecorder {
  const seen = new SeenToday(size);
  const pending: Use[] = [];
  let flushing: Promise<void> = Promise.resolve();

  function note(accountId: string, subjectUid: string, permission: string, scope: string, day: number): void {
    if (seen.has(accountId, subjectUid, permission, scope, day) || pending.length >= maxPending) return;
    const use: Use = { accountId, subjectUid, permission: copied(permission), scope: copied(scope), day };
    seen.add(use);
    // A timer will tell what is wrong.
    if (pending.push(use) === maxPending >> 1) void flush().catch(() => undefined);
  }

  async function writeAll(): Promise<void> {
    for (let left = pending.length; left > 0; left -= batch) {
      const uses = pending.splice(0, Math.min(left, batch));
      try {
        await write(uses);
      } catch (error) {
        const room = Math.max(0, maxPending - pending.length);
        pending.unshift(...uses.slice(0, room));
        // Who is noted as seen and written nowhere would be forgotten for today.
        if (room < uses.length) seen.clear();
        throw error;
      }
    }
  }

  function flush(): Promise<void> {
    return (flushing = flushing.catch(() => undefined).then(writeAll));
  }

  return {
    used({ accountId, principal, actor, workload }, { permission, target }, now) {
      const day = dayOf(now);
      const scope = placeOf(target);
      if (isBound(principal)) note(accountId, principal.uid, permission, scope, day);
      if (actor !== undefined && isBound(actor)) note(accountId, actor.uid, permission, scope, day);
      if (workload !== undefined) for (const { mappingUid } of workload.mappings) note(accountId, mappingUid, permission, scope, day);
    },
    flush,
  };
}

/** An organization or project lies in its own scope as well as in its parent (CONTRACTS §4 rule 9); the narrower is both. */
function placeOf(target: Question['target']): string {
  const { kind, scope, identifier } = target;
  return identifier === null ? scope : (openedScope({ kind, scope, identifier }) ?? scope);
}

/** Nobody else is named in bindings. */
function isBound({ type }: Principal): boolean {
  return type === 'user' || type === 'service_account';
}

/** A part of a longer text would keep all of it in memory: a scope may be a piece of a URL. */
function copied(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
