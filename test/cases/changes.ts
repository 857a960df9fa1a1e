/** What saving documents gives away, found as the generic path of change finds it. */
import { governedGives } from '#features/access/feature.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Check } from '#kernel/decision.ts';
import type { Given, Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import { putsOf } from './world.ts';

export interface Change {
  readonly after: World;
  readonly given: readonly Given[];
}

export function changeOf(before: World, kinds: Kinds, manifests: readonly Manifest[]): Change {
  const puts = putsOf(before, kinds, manifests);
  const after = before.overlay(puts.map((put) => ({ put })));
  const given = puts.flatMap((put) => {
    const change = { before: before.get(put.uid) ?? null, after: put, worldBefore: before, worldAfter: after };
    return [...(kinds.kinds.get(put.kind)!.gives?.(change) ?? []), ...governedGives(change.before, put, after, kinds)];
  });
  return { after, given };
}

export function checksOf(given: readonly Given[]): Check[] {
  return given.map(({ bound, why, unless }) => ({ ask: 'holds', given: bound, why, ...(unless === undefined ? {} : { unless }) }));
}
