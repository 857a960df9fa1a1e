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
  for (const { claim, values } of pins.flat()) {
    let ofClaim = counts.get(claim);
    if (ofClaim === undefined) counts.set(claim, (ofClaim = new Map()));
    for (const value of values) ofClaim.set(value, (ofClaim.get(value) ?? 0) + 1);
  }
  const shared = ({ claim, values }: Pin): number => values.reduce<number>((most, value) => Math.max(most, counts.get(claim)!.get(value)!), 0);
  return pins.map((own) => own.toSorted((a, b) => shared(a) - shared(b) || a.values.length - b.values.length)[0] ?? null);
}

/** Each value once. */
function pinsOf(conditions: readonly CompiledCondition[]): Pin[] {
  return conditions.flatMap(({ claim, expected }): Pin[] => {
    if ('equals' in expected) return [{ claim, values: [expected.equals] }];
    return 'oneOf' in expected ? [{ claim, values: [...new Set<unknown>(expected.oneOf)] }] : [];
  });
}
