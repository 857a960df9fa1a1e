/** Why a question was denied: how far each grant came, the nearest first. */
import type { Reason, ReasonCode } from '#kernel/decision.ts';
import { contains } from '#kernel/scope.ts';
import type { Asked } from './allows.ts';
import { grantAllows, reasonOf } from './allows.ts';
import { inRange } from './extent.ts';
import type { Grant, Way } from './grants.ts';
import { grantHas, isStillMember } from './grants.ts';
import { selectorMiss } from './selector.ts';

const maxReasons = 20;

interface Miss {
  readonly reason: Reason;
  readonly progress: number;
}

/** What the place and the selectors said; `fits` is as far as they can come. */
interface PlaceMiss {
  readonly code: ReasonCode | null;
  readonly progress: number;
  readonly condition?: string;
}

const fits = 5;

export function nearMisses(ways: readonly Way[], asked: Asked): readonly Reason[] {
  const reasons = ways
    .flatMap((way) => changedMapping(way, asked) ?? way.lists.flat().flatMap((grant) => missOf(grant, asked, way) ?? []))
    .sort((a, b) => b.progress - a.progress)
    .map((miss) => miss.reason);
  return reasons.length === 0 ? [{ code: 'no_binding' }] : distinct(reasons).slice(0, maxReasons);
}

/** What the mapping gives now it did not give at the exchange, or the other way round: a new exchange may help. */
function changedMapping(way: Way, asked: Asked): readonly Miss[] | null {
  if (way.mappingUid === null) return null;
  const allowing = way.lists.map((list) => list.find((grant) => grantAllows(grant, asked, way.context)));
  const one = allowing.find((grant) => grant !== undefined);
  const changed = one !== undefined || way.lists.every((list) => list.length === 0);
  if (!changed) return null;
  const reason = one === undefined ? { code: 'mapping_changed' as const, binding: way.mappingUid } : reasonOf(one, 'mapping_changed');
  return [{ reason, progress: one === undefined ? 0 : 3 * fits }];
}

/**
 * Those with the permission come before those without. Disabled and expired bindings count only if all else fits. No two
 * codes are as near as each other, so which is told first does not depend on the order of bindings.
 */
function missOf(grant: Grant, asked: Asked, way: Way): Miss | null {
  if (!isStillMember(grant, asked.nowMs)) return null;
  const place = placeMiss(grant, asked, way);
  const has = grantHas(grant, asked.permission, asked.noun);
  const gone = grant.disabled || (grant.expiresAtMs !== null && asked.nowMs >= grant.expiresAtMs);
  if (gone) {
    if (!has || place.code !== null) return null;
    return { reason: reasonOf(grant, grant.disabled ? 'binding_disabled' : 'binding_expired'), progress: 3 * fits - (grant.disabled ? 0 : 1) };
  }
  if (!has) return { reason: reasonOf(grant, 'permission_not_in_role'), progress: place.progress };
  if (place.code === null) return null;
  const reason = reasonOf(grant, place.code);
  return { reason: place.condition === undefined ? reason : { ...reason, condition: place.condition }, progress: fits + 1 + place.progress };
}

function placeMiss(grant: Grant, asked: Asked, way: Way): PlaceMiss {
  if (!asked.places.some((place) => contains(grant.scope, place))) return { code: 'scope_outside_binding', progress: 0 };
  if (!grant.ranges.some((range) => asked.places.some((place) => inRange(range, place)))) {
    return { code: 'scope_outside_resource_group', progress: 1 };
  }
  const miss = selectorMiss(grant.resources, asked.target, way.context);
  return miss === null ? { code: null, progress: fits } : { ...miss, progress: 2 + miss.progress };
}

/** A session meets the same grant twice, as recorded and as it is. */
function distinct(reasons: readonly Reason[]): Reason[] {
  const seen = new Set<string>();
  return reasons.filter((reason) => {
    const key = `${reason.code} ${reason.binding} ${reason.role} ${reason.resourceGroup} ${reason.condition} ${reason.groupPath?.join()}`;
    return seen.size !== seen.add(key).size;
  });
}
