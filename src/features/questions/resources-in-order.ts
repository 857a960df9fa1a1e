/**
 * Resources in an order in which pages can follow each other: scope by scope, a scope before what lies below it, and in a
 * scope by kind and name.
 */
import { externalTarget } from '#features/access/feature.ts';
import { targetOf } from '#features/resources/feature.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { accountScope, contains, levelOf, parentOf } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';

export interface NamedTarget {
  /** Path of a document, scope of what has none, the other system's own name of a registered instance. */
  readonly id: string;
  readonly target: Target;
}

export interface Range {
  readonly scope: ScopePath;
  readonly includeChildScopes: boolean;
}

/** All that lies in a scope, or of it only those that open some scopes below. */
type Part = 'all' | Set<ScopePath>;

/** Grows in the order of the resources. */
export function keyIn(scope: ScopePath, kind: string, id: string): string {
  return `${scope}\n${kind}\n${id}`;
}

/** True when all that lies in the scope comes before what has the key. */
export function isPassed(scope: ScopePath, key: string): boolean {
  return `${scope}\n\uffff` <= key;
}

/**
 * The scopes that some ranges reach, in order, those that exist and lie in `within`. A scope is a resource of its parent as
 * well as of its own (CONTRACTS §4 rule 9): what is given in it may be about itself, which lies above. Whoever stops early
 * has not walked the rest.
 */
export function* partsWithin(world: World, ranges: Iterable<Range>, within: ScopePath): Generator<readonly [ScopePath, Part]> {
  const alone = new Set<ScopePath>();
  const roots = new Set<ScopePath>();
  const opened = new Map<ScopePath, Set<ScopePath>>();
  for (const { scope, includeChildScopes } of ranges) {
    const shared = contains(scope, within) && includeChildScopes ? within : scope;
    if (!contains(within, shared) || !world.hasScope(shared)) continue;
    (includeChildScopes ? roots : alone).add(shared);
    const parent = parentOf(shared);
    if (parent !== null) opened.set(parent, (opened.get(parent) ?? new Set()).add(shared));
  }
  const all = allScopes(world);
  let passed: ScopePath | null = null;
  for (const scope of [...new Set([...alone, ...roots, ...opened.keys()])].toSorted(scopesInOrder)) {
    if (passed !== null && contains(passed, scope)) continue;
    if (roots.has(scope)) {
      passed = scope;
      for (const one of below(all, scope)) yield [one, 'all'];
    } else yield [scope, alone.has(scope) ? 'all' : opened.get(scope)!];
  }
}

interface Wanted {
  readonly scope: ScopePath;
  readonly part: Part;
  readonly isWanted: (kind: string) => boolean;
}

/** What lies in a part of a scope, in order. */
export function resourcesOf(world: World, kinds: Kinds, { scope, part, isWanted }: Wanted): readonly NamedTarget[] {
  const found = part === 'all' ? inScope(world, kinds.of(world), scope, isWanted) : openers(world, part, isWanted);
  return found.toSorted(byKindAndId);
}

/** What has no documents and is asked about in a scope: its audit, for one. */
export function withoutDocuments(words: Kinds, scope: ScopePath): readonly NamedTarget[] {
  const nouns = [...words.nouns.values()].filter(({ name, external, levels }) => !words.kinds.has(name) && external === undefined && levels.includes(levelOf(scope)));
  return nouns.map(({ name }) => ({ id: scope, target: { kind: name, scope, identifier: null, tags: {}, attributes: {} } }));
}

function inScope(world: World, words: Kinds, scope: ScopePath, isWanted: (kind: string) => boolean): NamedTarget[] {
  const found: NamedTarget[] = withoutDocuments(words, scope).filter(({ target }) => isWanted(target.kind));
  for (const kind of words.kinds.keys()) {
    if (isWanted(kind)) for (const entry of world.list(kind, scope)) found.push({ id: entryPath(entry), target: targetOf(entry) });
  }
  for (const entry of world.list('external_resource', scope)) {
    const target = externalTarget(world, entry);
    if (target !== null && isWanted(target.kind)) found.push({ id: target.identifier!, target });
  }
  return found;
}

/** The organizations or projects that open these scopes. */
function openers(world: World, scopes: ReadonlySet<ScopePath>, isWanted: (kind: string) => boolean): NamedTarget[] {
  const entries = [...scopes].flatMap((scope) => world.get(world.scopeUid(scope) ?? '') ?? []);
  return entries.filter(({ kind }) => isWanted(kind)).map((entry) => ({ id: entryPath(entry), target: targetOf(entry) }));
}

function byKindAndId(a: NamedTarget, b: NamedTarget): number {
  if (a.target.kind !== b.target.kind) return a.target.kind < b.target.kind ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** The account comes first; a scope before those below it. */
function scopesInOrder(a: ScopePath, b: ScopePath): number {
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

function* below(all: readonly ScopePath[], scope: ScopePath): Generator<ScopePath> {
  for (let at = scope === accountScope ? 0 : firstFrom(all, scope); at < all.length && contains(scope, all[at]!); at++) yield all[at]!;
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
