/**
 * Whether a caller holds what it is about to give (CONTRACTS §5): every permission, over the whole range it can reach.
 * Conditions of what is given are ignored, so it counts as the wider extent; a granter's own conditional grants cover
 * nothing, because what they reach today they may not reach tomorrow.
 */
import type { Bound, Selector } from '#kernel/caller.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, depthOf, levelOf, parentOf } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { boundExtent } from './bounds.ts';
import type { CompiledExtent } from './extent.ts';
import { inRange, rangeCovers } from './extent.ts';
import type { Asker, Grant } from './grants.ts';
import { actorOf, grantHas, isLive } from './grants.ts';
import { ownScope, reaches, scopeKind } from './places.ts';
import type { Range } from './schema.ts';
import { waysOf } from './ways.ts';

/** One permission over one selector of what is given. */
interface Need {
  readonly permission: string;
  /** Null = a kind nobody knows yet. */
  readonly noun: Noun | null;
  readonly range: Range;
  readonly selector: Selector;
  /** The scope, when all that is selected is one scope in itself. */
  readonly itself: ScopePath | null;
}

/** Something that may cover a need: a grant, or a bound of the caller. */
interface Cover {
  readonly has: (permission: string, noun: Noun | null) => boolean;
  /** Holds every permission of its level without naming one. */
  readonly every: boolean;
  readonly extents: readonly CompiledExtent[];
}

export function holds(world: World, kinds: Kinds, asker: Asker, given: Bound, now: Date): boolean {
  const actor = actorOf(asker);
  const how = { now, conditions: 'cover nothing' } as const;
  return holdsAlone(world, kinds, asker, given, how) && (actor === null || holdsAlone(world, kinds, actor, given, how));
}

/**
 * Whether a caller has what it asks to be held to, over all of it, conditions of its own grants left aside: they go on
 * applying. For a session that asks for less; it hands nothing on.
 */
export function reachesAll(world: World, kinds: Kinds, asker: Asker, wanted: Bound, now: Date): boolean {
  return holdsAlone(world, kinds, asker, wanted, { now, conditions: 'ignored' });
}

function holdsAlone(world: World, kinds: Kinds, asker: Asker, given: Bound, { now, conditions }: { readonly now: Date; readonly conditions: 'cover nothing' | 'ignored' }): boolean {
  const ways = waysOf(world, asker);
  if (ways === null) return false;
  const nowMs = now.getTime();
  const bounds = asker.bounds === 'principal' ? [] : [asker.bounds.map(boundCover)];
  const alternatives = ways.map((way) => [...way.lists.map((list) => grantCovers(list, nowMs).map((cover) => (conditions === 'ignored' ? withoutConditions(cover) : cover))), ...bounds]);
  if (alternatives.some((lists) => lists.every((list) => list.some((cover) => coversEverything(cover, given))))) return true;
  return needsOf(given, kinds).every((need) => alternatives.some((lists) => lists.every((list) => list.some((cover) => covers(cover, need)))));
}

/**
 * Takes a bound apart into what one grant must cover alone. Unknown kinds stay in: they are held only by those who hold
 * every kind.
 */
function needsOf(given: Bound, kinds: Kinds): Need[] {
  const { extent } = given;
  const range: Range = { scope: extent.scope, includeChildScopes: extent.includeChildScopes };
  const selectors = extent.resources === 'all' ? null : extent.resources.filter((selector) => selector.identifiers?.length !== 0);
  const permissions = given.permissions === 'all' ? everyPermission(range, selectors, kinds) : given.permissions;
  return permissions.flatMap((permission) => {
    const noun = kinds.permission(permission)?.noun ?? null;
    const kind = permission.slice(0, permission.indexOf('.'));
    const asked = selectors === null ? [{ type: kind }] : selectors.filter((selector) => selector.type === kind);
    return asked.map((selector): Need => ({ permission, noun, range, selector, itself: itselfOf(range, selector) }));
  });
}

/** Every permission that means something in the range; a selected kind that does not exist yet stands for itself. */
function everyPermission(range: Range, selectors: readonly Selector[] | null, kinds: Kinds): string[] {
  const first = depthOf(levelOf(range.scope));
  const last = range.includeChildScopes ? depthOf('project') : first;
  const isReached = (noun: Noun) => [0, 1, 2].some((depth) => depth >= first && depth <= last && reaches(noun, depth));
  const types = selectors === null ? [...kinds.nouns.keys()] : [...new Set(selectors.map((selector) => selector.type))];
  return types.flatMap((type) => {
    const noun = kinds.nouns.get(type);
    if (noun === undefined) return [`${type}.`];
    return selectors === null && !isReached(noun) ? [] : noun.verbs.map((verb) => `${type}.${verb}`);
  });
}

/** Rule 9 gives a scope two places, so one scope can be meant in two ways. */
function itselfOf(range: Range, selector: Selector): ScopePath | null {
  if (range.includeChildScopes && levelOf(range.scope) !== 'project') return null;
  if (selector.type === scopeKind(range.scope) && range.scope !== accountScope) return range.scope;
  if (selector.identifiers?.length !== 1) return null;
  return ownScope({ kind: selector.type, scope: range.scope, identifier: selector.identifiers[0]! });
}

function covers(cover: Cover, need: Need): boolean {
  if (!cover.has(need.permission, need.noun)) return false;
  return cover.extents.some((extent) => (need.itself === null ? extentCovers(extent, need) : coversScope(extent, need, need.itself)));
}

function extentCovers(extent: CompiledExtent, need: Need): boolean {
  return rangeCovers(extent, need.range) && selectorCovers(extent, need.selector.type, need.selector.identifiers);
}

function coversScope(extent: CompiledExtent, need: Need, scope: ScopePath): boolean {
  if (!inRange(extent, scope) && !inRange(extent, parentOf(scope)!)) return false;
  return selectorCovers(extent, need.selector.type, [scope.slice(scope.lastIndexOf('/') + 1)]);
}

function selectorCovers(extent: CompiledExtent, type: string, identifiers: readonly string[] | undefined): boolean {
  if (extent.resources === 'all') return true;
  return extent.resources.some((held) => {
    if (held.type !== type || held.conditions.length > 0) return false;
    const names = held.identifiers;
    return names === null || (identifiers !== undefined && identifiers.every((identifier) => names.has(identifier)));
  });
}

/** The short way for admins: an unlimited grant over the whole range needs no counting of permissions. */
function coversEverything(cover: Cover, given: Bound): boolean {
  return cover.every && cover.extents.some((extent) => extent.resources === 'all' && rangeCovers(extent, given.extent));
}

function grantCovers(grants: readonly Grant[], nowMs: number): Cover[] {
  return grants
    .filter((grant) => isLive(grant, nowMs))
    .map((grant) => ({
      has: (permission, noun) => grantHas(grant, permission, noun),
      every: grant.role.permissions === 'every',
      extents: grant.extents,
    }));
}

function withoutConditions({ extents, ...cover }: Cover): Cover {
  const bare = extents.map((extent): CompiledExtent => {
    const { resources } = extent;
    return resources === 'all' ? extent : { ...extent, resources: resources.map((selector) => ({ ...selector, conditions: [] })) };
  });
  return { ...cover, extents: bare };
}

function boundCover(bound: Bound): Cover {
  const { permissions } = bound;
  const named = permissions === 'all' ? null : new Set(permissions);
  return { has: (permission) => named === null || named.has(permission), every: named === null, extents: [boundExtent(bound)] };
}
