/** Bounds of a caller, compiled once per credential (CONTRACTS §4 rule 12). */
import type { Bound } from '#kernel/caller.ts';
import { noClaims } from '#kernel/matcher.ts';
import type { Asked } from './allows.ts';
import { extentAllows } from './allows.ts';
import type { CompiledExtent } from './extent.ts';
import { compileExtent } from './extent.ts';
import type { Asker } from './grants.ts';

const extents = new WeakMap<Bound, CompiledExtent>();

export function boundExtent(bound: Bound): CompiledExtent {
  let extent = extents.get(bound);
  if (extent === undefined) extents.set(bound, (extent = compileExtent(bound.extent)));
  return extent;
}

/** A condition on claims in a bound never matches: bounds speak of resources alone. */
export function boundsAllow(bounds: Asker['bounds'], asked: Asked): boolean {
  if (bounds === 'principal') return true;
  return bounds.some((bound) => {
    if (bound.permissions !== 'all' && !bound.permissions.includes(asked.permission)) return false;
    return extentAllows(boundExtent(bound), asked, noClaims);
  });
}
