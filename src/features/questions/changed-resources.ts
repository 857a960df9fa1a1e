/** The resources that a change makes, takes away, or gives other values that conditions read. */
import { externalTarget } from '#features/access/feature.ts';
import { targetOf } from '#features/resources/feature.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';
import type { NamedTarget } from './resources-in-order.ts';
import { keyIn, withoutDocuments } from './resources-in-order.ts';

/** A resource on both sides of a change; null = not there. */
export interface TwoTargets {
  readonly key: string;
  readonly kind: string;
  readonly id: string;
  readonly scope: ScopePath;
  readonly before: Target | null;
  readonly after: Target | null;
}

interface Sides {
  readonly before: World;
  /** An overlay on `before`. */
  readonly after: World;
  readonly kinds: Kinds;
}

/** In the order of their keys. Whoever keeps its rights may do to every other resource what it may before. */
export function changedResources({ before, after, kinds }: Sides): readonly TwoTargets[] {
  const found = new Map<string, TwoTargets>();
  const add = (side: 'before' | 'after', { id, target }: NamedTarget): void => {
    const { kind, scope } = target;
    const key = keyIn(scope, kind, id);
    found.set(key, { key, kind, id, scope, before: null, after: null, ...found.get(key), [side]: target });
  };
  const renamed = changedNouns({ before, after, kinds });
  for (const kind of kinds.kinds.keys()) {
    for (const [uid, entry] of after.changesOf(kind)) {
      for (const named of meant(before, kinds, before.get(uid))) add('before', named);
      for (const named of meant(after, kinds, entry ?? undefined)) add('after', named);
    }
  }
  if (renamed.size > 0) for (const [side, world] of [['before', before], ['after', after]] as const) {
    for (const named of registered(world)) if (renamed.has(named.target.kind)) add(side, named);
  }
  return [...found.values()].filter((each) => renamed.has(each.kind) || !isSame(each.before, each.after)).toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** What a document stands for: itself, what it registers, and what a scope that it opens has without documents. */
function meant(world: World, kinds: Kinds, entry: Entry | undefined): NamedTarget[] {
  if (entry === undefined) return [];
  const external = externalTarget(world, entry);
  const opened = openedScope(entry);
  return [
    { id: entryPath(entry), target: targetOf(entry) },
    ...(external === null ? [] : [{ id: external.identifier!, target: external }]),
    ...(opened === undefined ? [] : withoutDocuments(kinds.of(world), opened)),
  ];
}

function* registered(world: World): Generator<NamedTarget> {
  for (const entry of world.list('external_resource')) {
    const target = externalTarget(world, entry);
    if (target !== null) yield { id: target.identifier!, target };
  }
}

/** Kinds of the account whose verbs or levels are others: roles may give other things on resources that stay as they are. */
function changedNouns({ before, after, kinds }: Sides): ReadonlySet<string> {
  if (after.changesOf('resource_type').size === 0) return new Set();
  const [had, has] = [kinds.of(before).nouns, kinds.of(after).nouns];
  return new Set([...had.keys(), ...has.keys()].filter((name) => !isSameNoun(had.get(name), has.get(name))));
}

function isSameNoun(a: Noun | undefined, b: Noun | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.verbs.join() === b.verbs.join() && a.levels.join() === b.levels.join());
}

function isSame(a: Target | null, b: Target | null): boolean {
  return a === b || (a !== null && b !== null && valuesOf(a) === valuesOf(b));
}

function valuesOf({ tags, attributes }: Target): string {
  const known = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return JSON.stringify([Object.entries(tags).toSorted(), known.toSorted()]);
}
