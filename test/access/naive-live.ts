/**
 * Where somebody has anything at all, found by trying: a grant is live in a scope when it gives some permission there,
 * names and conditions aside. Lists and the names of scopes follow from that (CONTRACTS §2 and §4 rule 10).
 */
import type { Bound } from '#kernel/caller.ts';
import type { SelectorWords } from './naive-documents.ts';
import { isAtOrBelow, partsOf, scopeAt, scopeExists, scopeItIs } from './naive-documents.ts';
import type { Granted, NaiveAsker, NaiveWorld, Range } from './naive-evaluator.ts';
import { heldRole, isInRange, permissionsOf, resourcesOf, waysOf } from './naive-evaluator.ts';

/** What one grant or bound gives: some kinds and permissions over one range. */
interface Part {
  readonly range: Range;
  readonly below: string;
  readonly gives: (permission: string) => boolean;
}

export interface NaiveLive {
  /** A caller with nothing live at, above or below a scope finds no list there. */
  readonly listAnswers: (scope: string) => boolean;
  /** Rule 10: what is live inside a scope shows its name and those above it. */
  readonly nameShows: (scope: string) => boolean;
}

export function naiveLive(world: NaiveWorld, asker: NaiveAsker, now: Date): NaiveLive {
  const tops = liveTops(world, asker, now);
  const isThere = (scope: string) => scopeExists(world.documents, scope);
  return {
    listAnswers: (scope) => isThere(scope) && tops.some((top) => isAtOrBelow(top, scope) || isAtOrBelow(scope, top)),
    nameShows: (scope) => isThere(scope) && tops.some((top) => isAtOrBelow(top, scope)),
  };
}

/** The highest scope of each range that something live has. */
function liveTops(world: NaiveWorld, asker: NaiveAsker, now: Date): string[] {
  if (asker.accountId !== world.accountId) return [];
  const scopes = ['/', ...world.documents.flatMap(({ document }) => scopeItIs(document) ?? [])];
  const permissions = permissionsOf(world);
  const bounds: (readonly Bound[] | readonly [null])[] = [asker.bounds === 'principal' ? [null] : asker.bounds];
  return waysOf(world, asker, now).flatMap(({ all }) => {
    const lists = [...all.map((granted) => partsOfGrant(world, granted)), ...bounds.map((list) => list.flatMap((bound) => (bound === null ? anythingAnywhere : partOfBound(bound))))];
    return oneOfEach(lists).flatMap((parts) => {
      const given = permissions.filter((permission) => parts.every(({ gives }) => gives(permission)));
      const live = scopes.filter((scope) => isLiveIn(parts, given, scope));
      return live.filter((scope) => !live.some((other) => other !== scope && isAtOrBelow(scope, other)));
    });
  });
}

function isLiveIn(parts: readonly Part[], given: readonly string[], scope: string): boolean {
  if (!parts.every(({ below }) => isAtOrBelow(scope, below))) return false;
  if (parts.every(({ range }) => isInRange(scope, range))) return given.length > 0;
  // As a resource of its parent a scope is reached in itself (rule 9).
  const parent = partsOf(scope).length === 0 ? null : scopeAt(partsOf(scope).slice(0, -1));
  if (parent === null || !parts.every(({ range }) => isInRange(scope, range) || isInRange(parent, range))) return false;
  const kind = partsOf(scope).length === 1 ? 'organization' : 'project';
  return given.some((permission) => permission.startsWith(`${kind}.`));
}

function partsOfGrant(world: NaiveWorld, granted: Granted): Part[] {
  const role = heldRole(world, granted);
  if (role === null) return [];
  const { ranges, selectors } = resourcesOf(world, granted);
  const selected = (permission: string) => isKindSelected(selectors, permission);
  return ranges.map((range) => ({ range, below: granted.at, gives: (permission) => role.holds(permission) && selected(permission) }));
}

function partOfBound({ permissions, extent }: Bound): Part[] {
  const gives = (permission: string) => (permissions === 'all' || permissions.includes(permission)) && isKindSelected(extent.resources as 'all' | readonly SelectorWords[], permission);
  return [{ range: extent, below: '/', gives }];
}

const anythingAnywhere: Part[] = [{ range: { scope: '/', includeChildScopes: true }, below: '/', gives: () => true }];

/** An empty list of names or values selects nothing. */
function isKindSelected(selectors: 'all' | readonly SelectorWords[], permission: string): boolean {
  if (selectors === 'all') return true;
  return selectors.some(({ type, identifiers, where }) => {
    const isEmpty = identifiers?.length === 0 || Object.values(where ?? {}).some(({ oneOf }) => oneOf?.length === 0);
    return permission.startsWith(`${type}.`) && !isEmpty;
  });
}

function oneOfEach<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((chosen, list) => chosen.flatMap((some) => list.map((one) => [...some, one])), [[]]);
}
