/**
 * Where a caller has anything at all: decides whether a list answers, whether a session is still alive and which scope
 * names show. A grant is live when somebody could be allowed something by it.
 */
import type { Bound } from '#kernel/caller.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { contains, parentOf, upwards } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { boundExtent } from './bounds.ts';
import type { CompiledExtent } from './extent.ts';
import { rangeMeet } from './extent.ts';
import type { Asker, Grant, Way } from './grants.ts';
import { actorOf, grantHas, isLive } from './grants.ts';
import { engineOf } from './engine/overlaid.ts';
import { scopeKind } from './places.ts';
import { permissionsOf } from './roles.ts';
import type { Range } from './schema.ts';
import { selectsKind } from './selector.ts';
import { waysOf } from './ways.ts';

/** Permissions over a range; `candidates` holds all it may have, `has` says which. */
interface Reach {
  readonly range: Range;
  readonly has: (permission: string, noun: Noun) => boolean;
  readonly candidates: (kinds: Kinds) => Iterable<{ permission: string; noun: Noun }>;
}

/** True when the caller has a live grant at, above or below the scope; without one a list of it is not found. */
export function hasLiveGrant(world: World, kinds: Kinds, asker: Asker, scope: ScopePath, now: Date): boolean {
  if (!world.hasScope(scope)) return false;
  for (const { scope: live } of liveRanges(world, kinds, asker, now)) if (contains(live, scope) || contains(scope, live)) return true;
  return false;
}

/** True when the caller is allowed anything anywhere. A session that is not is dead. */
export function anyGrantNow(world: World, kinds: Kinds, asker: Asker, now: Date): boolean {
  for (const _ of liveRanges(world, kinds, asker, now)) return true;
  return false;
}

/** Rule 10: the scopes whose names show. A live grant in a scope shows its name and those above, and says nothing about others. */
export function visibleNames(world: World, kinds: Kinds, asker: Asker, now: Date): ReadonlySet<ScopePath> {
  const names = new Set<ScopePath>();
  for (const { scope: live } of liveRanges(world, kinds, asker, now)) for (const scope of upwards(live)) names.add(scope);
  return names;
}

/** Where something live is given, however little; a scope may be told twice. */
export function* liveRanges(world: World, kinds: Kinds, asker: Asker, now: Date): Generator<Range> {
  const { type, uid } = asker.principal;
  const isPerson = type === 'user' || type === 'service_account';
  const isItself = asker.bounds === 'principal' && asker.actor === undefined;
  const engine = isPerson && isItself && asker.accountId === world.accountId ? engineOf(world, kinds, asker) : null;
  if (engine === null || !isPerson) {
    yield* rangesWrittenOut(world, kinds, asker, now.getTime());
    return;
  }
  for (const range of engine.liveRanges(type, uid, now.getTime())) if (world.hasScope(range.scope)) yield range;
}

function rangesWrittenOut(world: World, kinds: Kinds, asker: Asker, nowMs: number): Range[] {
  const words = kinds.of(world);
  const bounds = asker.bounds === 'principal' ? [] : [asker.bounds.map(boundReach)];
  const actor = actorOf(asker);
  const ofActor = actor === null ? [[]] : (waysOf(world, actor) ?? []).map((way) => reachesNow(way, nowMs));
  const lists = (waysOf(world, asker) ?? []).flatMap((way) => ofActor.map((others) => [...reachesNow(way, nowMs), ...others, ...bounds]));
  return lists.flatMap((each) =>
    shared(each)
      .filter((reach) => world.hasScope(reach.range.scope) && givesAnything(reach, words))
      .map((reach) => reach.range),
  );
}

function reachesNow(way: Way, nowMs: number): Reach[][] {
  return way.lists.map((list) => list.filter((grant) => isLive(grant, nowMs)).flatMap(grantReaches));
}

/** What every list has, taken one of each. */
function shared(lists: readonly (readonly Reach[])[]): readonly Reach[] {
  return lists.reduce((left, right) => left.flatMap((a) => right.flatMap((b) => meet(a, b) ?? [])));
}

function meet(a: Reach, b: Reach): Reach | null {
  const both: Reach['has'] = (permission, noun) => a.has(permission, noun) && b.has(permission, noun);
  const range = rangeMeet(a.range, b.range);
  if (range !== null) return { range, candidates: a.candidates, has: both };
  // A scope counts in its parent and in itself (CONTRACTS §4 rule 9), so those two share it, and only it.
  const itself = [a.range.scope, b.range.scope].find((scope) => [a, b].some((reach) => reach.range.scope === parentOf(scope)));
  if (itself === undefined) return null;
  return {
    range: { scope: itself, includeChildScopes: false }, candidates: a.candidates,
    has: (permission, noun) => noun.name === scopeKind(itself) && both(permission, noun),
  };
}

function givesAnything(reach: Reach, kinds: Kinds): boolean {
  for (const { permission, noun } of reach.candidates(kinds)) if (reach.has(permission, noun)) return true;
  return false;
}

function grantReaches(grant: Grant): Reach[] {
  return grant.extents.map((extent) =>
    reachOf(extent, (permission, noun) => grantHas(grant, permission, noun), (kinds) => permissionsOf(grant.role, kinds)),
  );
}

function reachOf(extent: CompiledExtent, has: Reach['has'], candidates: Reach['candidates']): Reach {
  return { range: extent, candidates, has: (permission, noun) => selectsKind(extent.resources, noun.name) && has(permission, noun) };
}

function boundReach(bound: Bound): Reach {
  const { permissions } = bound;
  return reachOf(boundExtent(bound), (permission) => permissions === 'all' || permissions.includes(permission), allOf);
}

function allOf(kinds: Kinds): Iterable<{ permission: string; noun: Noun }> {
  return permissionsOf({ level: 'account', permissions: 'every' }, kinds);
}
