/** What somebody may do, and to what: scope by scope where anything is given, kind by kind, in the order of names. */
import { evaluate, externalTarget, liveRanges } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import { targetOf } from '#features/resources/feature.ts';
import type { Said, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { accountScope, contains, levelOf, parentOf } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';

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
  for (const { key, id, target } of resourcesInOrder(asking, wanted)) {
    if (items.length === wanted.limit || looked === maxLookedAt) return { items, next: last };
    looked += 1;
    last = key;
    const permissions = permissionsOn(asking, wanted, target);
    if (permissions.length > 0) items.push({ kind: target.kind, id, scope: target.scope, permissions });
  }
  return { items, next: null };
}

/** Of one page: so many are done in some milliseconds. */
const maxLookedAt = 1_000;

function permissionsOn({ world, kinds, asker, now }: Asking, { permission }: Wanted, target: Target): string[] {
  const verbs = kinds.of(world).nouns.get(target.kind)?.verbs ?? [];
  const asked = permission === null ? verbs.map((verb) => `${target.kind}.${verb}`) : [permission];
  return asked.filter((one) => evaluate(world, kinds, asker, { permission: one, target }, now).allowed);
}

interface Placed {
  readonly key: string;
  readonly id: string;
  readonly target: Target;
}

/** A scope comes before what lies below it; keys grow, so a page can begin after any of them. */
function* resourcesInOrder(asking: Asking, wanted: Wanted): Generator<Placed> {
  for (const [scope, part] of scopesInOrder(asking, wanted.within)) {
    const prefix = `${scope}\n`;
    // All of a scope that ends before the page begins is passed by.
    if (wanted.after !== null && `${prefix}\uffff` <= wanted.after) continue;
    const found = part === 'all' ? inScope(asking, scope, wanted.kind) : openers(asking, part, wanted.kind);
    for (const { id, target } of found.toSorted(byKindAndId)) {
      const key = `${prefix}${target.kind}\n${id}`;
      if (wanted.after !== null && key <= wanted.after) continue;
      yield { key, id, target: wanted.said === undefined ? target : { ...target, said: wanted.said } };
    }
  }
}

type InScope = Omit<Placed, 'key'>;

function byKindAndId(a: InScope, b: InScope): number {
  if (a.target.kind !== b.target.kind) return a.target.kind < b.target.kind ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function inScope({ world, kinds }: Asking, scope: ScopePath, wanted: string | null): InScope[] {
  const words = kinds.of(world);
  const found: InScope[] = [];
  for (const [name, { levels, external }] of words.nouns) {
    if (wanted !== null && wanted !== name) continue;
    if (words.kinds.has(name)) for (const entry of world.list(name, scope)) found.push({ id: entryPath(entry), target: targetOf(entry) });
    else if (external === undefined && levels.includes(levelOf(scope))) found.push({ id: scope, target: { kind: name, scope, identifier: null, tags: {}, attributes: {} } });
  }
  for (const entry of world.list('external_resource', scope)) {
    const target = externalTarget(world, entry);
    if (target !== null && (wanted === null || wanted === target.kind)) found.push({ id: target.identifier!, target });
  }
  return found;
}

/** The organizations or projects that open these scopes. */
function openers({ world }: Asking, scopes: ReadonlySet<ScopePath>, wanted: string | null): InScope[] {
  const entries = [...scopes].flatMap((scope) => world.get(world.scopeUid(scope) ?? '') ?? []);
  return entries.filter(({ kind }) => wanted === null || wanted === kind).map((entry) => ({ id: entryPath(entry), target: targetOf(entry) }));
}

/** All that lies in a scope, or of it only those that open some scopes below. */
type Part = 'all' | Set<ScopePath>;

/**
 * Only where something is given. A scope is a resource of its parent as well as of its own (CONTRACTS §4 rule 9): what is
 * given in it may be about itself, which lies above.
 */
function scopesInOrder({ world, kinds, asker, now }: Asking, within: ScopePath): readonly (readonly [ScopePath, Part])[] {
  const all = allScopes(world);
  const parts = new Map<ScopePath, Part>();
  const open = (scope: ScopePath): void => {
    const parent = parentOf(scope);
    const part = parent === null ? 'all' : (parts.get(parent) ?? new Set());
    if (part !== 'all') parts.set(parent!, part.add(scope));
  };
  for (const { scope, includeChildScopes } of liveRanges(world, kinds, asker, now)) {
    const shared = contains(scope, within) && includeChildScopes ? within : scope;
    if (!contains(within, shared) || !world.hasScope(shared)) continue;
    for (const one of includeChildScopes ? below(all, shared) : [shared]) parts.set(one, 'all');
    open(shared);
  }
  return [...parts].toSorted(([a], [b]) => inOrder(a, b));
}

/** The account comes first; a scope before those below it. */
function inOrder(a: ScopePath, b: ScopePath): number {
  if (a === accountScope || b === accountScope) return a === b ? 0 : a === accountScope ? -1 : 1;
  return a < b ? -1 : 1;
}

const scopesKey = Symbol('scopes in order');

/** A subtree is one run of it: nothing that an identifier is made of sorts before `/`. */
function allScopes(world: World): readonly ScopePath[] {
  return world.derive(scopesKey, ['organization', 'project'], (from) => {
    const opened = ['organization', 'project'].flatMap((kind) => [...from.list(kind)].map((entry) => openedScope(entry)!));
    return [accountScope, ...opened.toSorted()];
  });
}

function below(all: readonly ScopePath[], scope: ScopePath): readonly ScopePath[] {
  if (scope === accountScope) return all;
  const first = firstFrom(all, scope);
  let end = first;
  while (end < all.length && contains(scope, all[end]!)) end++;
  return all.slice(first, end);
}

/** Index of the first that is not before `scope`; the account stands before all and sorts nowhere. */
function firstFrom(all: readonly ScopePath[], scope: ScopePath): number {
  let [low, high] = [1, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle]! < scope) low = middle + 1;
    else high = middle;
  }
  return low;
}
