/**
 * Entries of a world in the order of their keys, from any place on, without sorting all of them: an account may have a
 * million of a kind. Others get their turn in between, and the world may go on.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { openedScope } from '#kernel/world.ts';

export interface Ordering {
  /** Asked again for every part. */
  readonly entries: () => Iterable<Entry>;
  readonly keyOf: (entry: Entry) => string;
  /** Null = from the beginning. */
  readonly after: string | null;
  readonly signal: AbortSignal;
}

const firstPart = 256;
const turnEvery = 256;

async function* inOrder({ entries, keyOf, after, signal }: Ordering): AsyncGenerator<Entry> {
  let behind = after;
  for (let size = firstPart; ; size *= 4) {
    signal.throwIfAborted();
    const part = smallest(entries(), keyOf, { behind, size });
    for (const [i, { entry }] of part.entries()) {
      if (i % turnEvery === turnEvery - 1) {
        await turn();
        signal.throwIfAborted();
      }
      yield entry;
    }
    if (part.length < size) return;
    behind = part.at(-1)!.key;
    await turn();
  }
}

/** The first `limit` of them that `see` makes something of. */
export async function firstOf<T>(ordering: Ordering, limit: number, see: (entry: Entry) => T | null): Promise<T[]> {
  const found: T[] = [];
  for await (const entry of inOrder(ordering)) {
    const seen = see(entry);
    if (seen !== null && found.push(seen) === limit) break;
  }
  return found;
}

interface Keyed {
  readonly key: string;
  readonly entry: Entry;
}

/** The `size` smallest behind a key, in order. */
function smallest(entries: Iterable<Entry>, keyOf: (entry: Entry) => string, { behind, size }: { readonly behind: string | null; readonly size: number }): Keyed[] {
  let kept: Keyed[] = [];
  let bound: string | null = null;
  for (const entry of entries) {
    const key = keyOf(entry);
    if ((behind !== null && key <= behind) || (bound !== null && key >= bound)) continue;
    kept.push({ key, entry });
    if (kept.length < 2 * size) continue;
    kept = sorted(kept).slice(0, size);
    bound = kept.at(-1)!.key;
  }
  return sorted(kept).slice(0, size);
}

function sorted(kept: readonly Keyed[]): Keyed[] {
  return kept.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** Entries of a kind in a scope and below it, in no order. */
export function* ofKindWithin(world: World, kind: string, outer: ScopePath): Generator<Entry> {
  if (outer === accountScope) return yield* world.list(kind);
  yield* world.list(kind, outer);
  for (const project of world.list('project', outer)) yield* world.list(kind, openedScope(project)!);
}
