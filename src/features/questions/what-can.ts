/** What somebody may do, and to what: scope by scope where anything is given, kind by kind, in the order of names. */
import { evaluate, liveRanges } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Said, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { isPassed, keyIn, partsWithin, resourcesOf } from './resources-in-order.ts';

export interface FoundResource {
  readonly kind: string;
  /** Path of a document, scope of what has none, the other system's own name of a registered instance. */
  readonly id: string;
  readonly scope: ScopePath;
  readonly permissions: readonly string[];
}

interface Asking {
  readonly world: World;
  readonly kinds: Kinds;
  readonly asker: Asker;
  readonly now: Date;
}

interface Wanted {
  /** Null = every kind. */
  readonly kind: string | null;
  /** Null = every permission of the kind. */
  readonly permission: string | null;
  readonly said?: Said;
  /** Nothing outside this scope. */
  readonly within: ScopePath;
  readonly after: string | null;
  readonly limit: number;
}

/**
 * At most `limit` resources somebody may do anything to, and where the next page begins; null when there is no more. A page
 * that took long ends early.
 */
export function whatCan(asking: Asking, wanted: Wanted): { readonly items: readonly FoundResource[]; readonly next: string | null } {
  const items: FoundResource[] = [];
  let last: string | null = null;
  let looked = 0;
  const permissionsAsked = asked(asking, wanted);
  for (const { key, id, target } of resourcesInOrder(asking, wanted)) {
    if (items.length === wanted.limit || looked === maxLookedAt) return { items, next: last };
    looked += 1;
    last = key;
    const permissions = permissionsOn(asking, permissionsAsked(target.kind), target);
    if (permissions.length > 0) items.push({ kind: target.kind, id, scope: target.scope, permissions });
  }
  return { items, next: null };
}

/** Of one page: so many are done in some milliseconds. */
const maxLookedAt = 1_000;

function permissionsOn({ world, kinds, asker, now }: Asking, permissions: readonly string[], target: Target): string[] {
  return permissions.filter((permission) => evaluate(world, kinds, asker, { permission, target }, now).allowed);
}

/** Each name is put together once: there are a thousand resources and more questions. */
function asked({ world, kinds }: Asking, { permission }: Wanted): (kind: string) => readonly string[] {
  if (permission !== null) return () => [permission];
  const words = kinds.of(world);
  const known = new Map<string, readonly string[]>();
  return (kind) => {
    let names = known.get(kind);
    if (names === undefined) known.set(kind, (names = (words.nouns.get(kind)?.verbs ?? []).map((verb) => `${kind}.${verb}`)));
    return names;
  };
}

interface Placed {
  readonly key: string;
  readonly id: string;
  readonly target: Target;
}

/** A scope comes before what lies below it; keys grow, so a page can begin after any of them. */
function* resourcesInOrder({ world, kinds, asker, now }: Asking, wanted: Wanted): Generator<Placed> {
  const isWanted = (kind: string): boolean => wanted.kind === null || wanted.kind === kind;
  for (const [scope, part] of partsWithin(world, liveRanges(world, kinds, asker, now), wanted.within)) {
    if (wanted.after !== null && isPassed(scope, wanted.after)) continue;
    for (const { id, target } of resourcesOf(world, kinds, { scope, part, isWanted })) {
      const key = keyIn(scope, target.kind, id);
      if (wanted.after !== null && key <= wanted.after) continue;
      yield { key, id, target: wanted.said === undefined ? target : { ...target, said: wanted.said } };
    }
  }
}
