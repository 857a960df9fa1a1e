/** Which condition of a mapping finds it: the one that fewest others have. Pure. */
import type { CompiledCondition } from './claim-condition.ts';

/** A condition that holds for these values of the claim only. */
export interface Pin {
  readonly claim: string;
  readonly values: readonly unknown[];
}

/**
 * For each list of conditions its pin, null when none of them is one. All mappings of a tenant compare the tenant, so the
 * first condition would find all of them; the pin is the one whose most frequent value the fewest have in common.
 */
export function choosePins(mappings: readonly (readonly CompiledCondition[])[]): readonly (Pin | null)[] {
  const pins = mappings.map(pinsOf);
  const counts = new Map<string, Map<unknown, number>>();
  for (const own of pins) for (const { claim, values } of own) {
    let ofClaim = counts.get(claim);
    if (ofClaim === undefined) counts.set(claim, (ofClaim = new Map()));
    for (const value of values) ofClaim.set(value, (ofClaim.get(value) ?? 0) + 1);
  }
  return pins.map((own) => rarest(own, counts));
}

/** The first of those whose most frequent value is the least frequent; of two alike the one of fewer values. */
function rarest(pins: readonly Pin[], counts: ReadonlyMap<string, ReadonlyMap<unknown, number>>): Pin | null {
  let best: Pin | null = null;
  let bestShared = Infinity;
  for (const pin of pins) {
    let shared = 0;
    const ofClaim = counts.get(pin.claim)!;
    for (const value of pin.values) shared = Math.max(shared, ofClaim.get(value)!);
    if (shared < bestShared || (shared === bestShared && pin.values.length < best!.values.length)) [best, bestShared] = [pin, shared];
  }
  return best;
}

/** Each value once. */
function pinsOf(conditions: readonly CompiledCondition[]): Pin[] {
  const pins: Pin[] = [];
  for (const { claim, expected } of conditions) {
    if ('equals' in expected) pins.push({ claim, values: [expected.equals] });
    else if ('oneOf' in expected) pins.push({ claim, values: [...new Set<unknown>(expected.oneOf)] });
  }
  return pins;
}
