/**
 * Extents: a part of the tree and what is selected in it. A binding or grant comes down to a list of extents, so that
 * matching, covering and meeting are three small functions (CONTRACTS §4 rules 3, 4 and 9).
 */
import type { Extent } from '#kernel/caller.ts';
import type { Target } from '#kernel/decision.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { contains, levelOf, parentOf } from '#kernel/scope.ts';
import { scopeKind } from './places.ts';
import type { NamersRange, Range, ResourceGroupFacts } from './schema.ts';
import type { Resources } from './selector.ts';
import { compileResources, selects, sourceOf } from './selector.ts';

export interface CompiledExtent extends Range {
  readonly resources: Resources;
}

export function inRange(range: Range, scope: ScopePath): boolean {
  return range.includeChildScopes ? contains(range.scope, scope) : range.scope === scope;
}

/** True when everything in `inner` is in `outer`, scopes that do not exist yet included. */
export function rangeCovers(outer: Range, inner: Range): boolean {
  const deep = inner.includeChildScopes && levelOf(inner.scope) !== 'project';
  return deep ? outer.includeChildScopes && contains(outer.scope, inner.scope) : inRange(outer, inner.scope);
}

/** The scopes two ranges share. */
export function rangeMeet(a: Range, b: Range): Range | null {
  if (a.scope === b.scope) return { scope: a.scope, includeChildScopes: a.includeChildScopes && b.includeChildScopes };
  if (inRange(a, b.scope)) return b;
  return inRange(b, a.scope) ? a : null;
}

export function extentMatches(extent: CompiledExtent, target: Target, places: readonly ScopePath[], context: MatchContext): boolean {
  return places.some((place) => inRange(extent, place)) && selects(extent.resources, target, context);
}

/** The ranges of a group as the binding or grant at `namer` sees them. */
export function rangesOf(group: ResourceGroupFacts, namer: ScopePath): readonly Range[] {
  return isNamersRange(group.ranges) ? namersRanges(group.ranges, namer) : group.ranges;
}

/**
 * What remains of ranges inside the subtree of a binding's scope. A group that selects the binding's own scope as a
 * resource of the parent still selects it, and nothing else in it.
 */
export function narrowTo(scope: ScopePath, ranges: readonly Range[], resources: Resources): CompiledExtent[] {
  const subtree: Range = { scope, includeChildScopes: true };
  const extents: CompiledExtent[] = [];
  for (const range of ranges) {
    const shared = rangeMeet(range, subtree);
    if (shared !== null) extents.push({ ...shared, resources });
    else if (range.scope === parentOf(scope)) extents.push({ scope, includeChildScopes: false, resources: onlyKind(resources, scopeKind(scope)) });
  }
  return extents.filter((extent) => extent.resources === 'all' || extent.resources.length > 0);
}

export function compileExtent(extent: Extent): CompiledExtent {
  const { scope, includeChildScopes } = extent;
  return { scope, includeChildScopes, resources: compileResources(extent.resources) };
}

export function printExtent(extent: CompiledExtent): Extent {
  const { scope, includeChildScopes } = extent;
  return { scope, includeChildScopes, resources: sourceOf(extent.resources) };
}

/** True for built-in groups. */
export function isNamersRange(ranges: readonly Range[] | NamersRange): ranges is NamersRange {
  return !Array.isArray(ranges);
}

function namersRanges(range: NamersRange, namer: ScopePath): readonly Range[] {
  if (range.onlyAt !== null && range.onlyAt !== levelOf(namer)) return [];
  return [{ scope: namer, includeChildScopes: range.includeChildScopes }];
}

function onlyKind(resources: Resources, kind: string): Resources {
  return resources === 'all' ? compileResources([{ type: kind }]) : resources.filter((selector) => selector.type === kind);
}
