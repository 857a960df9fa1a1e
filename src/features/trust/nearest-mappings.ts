/**
 * Of all mappings of an issuer those that came nearest to some claims, and what each of their conditions said. Looks at
 * every mapping once and cheaply, since tokens that match none of ten thousand come by themselves.
 */
import { readPointer } from '#kernel/matcher.ts';
import type { IssuerMapping, MappingOutcome } from './match.ts';
import { explainMapping } from './match.ts';
import { nearValue } from './near-value.ts';
import type { RecordedClaims } from './recorded-claims.ts';
import { judgeCondition } from './recorded-claims.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Less is nearer; below -1 it matches. */
export type NearMapping = MappingOutcome & { readonly distance: number };

export interface Wanted {
  readonly claims: Claims;
  /** What the claims are if they were kept; null = they are as they came. */
  readonly recorded: RecordedClaims | null;
  readonly limit: number;
}

/** What counts off for a condition that holds for no other mapping, so that it never outweighs one that fails. */
const specialShare = 0.45;

/**
 * By the conditions that fail, an almost right value counting half; less by one that holds and holds for few others: a
 * mapping meant for this workspace is nearer than one for its company.
 */
export function nearestMappings(mappings: readonly IssuerMapping[], { claims, recorded, limit }: Wanted): readonly NearMapping[] {
  const valueOf = valuesOf(claims);
  const looks = mappings.map((mapping) => look(mapping, valueOf, recorded));
  const special = specialClaims(mappings, looks);
  const distances = looks.map(({ failing, holds }, i) => failing - specialShare * Math.max(0, ...mappings[i]!.facts.conditions.map(({ claim }, at) => (holds[at]! ? special.get(claim)! : 0))));
  const order = distances.map((_, i) => i).toSorted((a, b) => distances[a]! - distances[b]! || (mappings[a]!.path < mappings[b]!.path ? -1 : 1));
  return order.slice(0, limit).map((i): NearMapping => {
    const outcome = explainMapping(mappings[i]!, claims, recorded);
    const unmet = outcome.expression === null || outcome.expression.because === null ? 0 : 1;
    return { ...outcome, distance: outcome.matched ? -2 : distances[i]! + unmet };
  }).toSorted((a, b) => a.distance - b.distance);
}

interface Look {
  readonly failing: number;
  /** Condition by condition. */
  readonly holds: readonly boolean[];
}

function look({ facts }: IssuerMapping, valueOf: (claim: string) => unknown, recorded: RecordedClaims | null): Look {
  let failing = 0;
  const holds = facts.conditions.map((condition) => {
    const actual = valueOf(condition.claim);
    const isMet = recorded === null ? condition.holds(actual) : judgeCondition(condition, recorded) === 'holds';
    if (!isMet) failing += nearValue(condition.expected, actual) === null ? 1 : 0.5;
    return isMet;
  });
  return { failing, holds };
}

/** Of each claim some condition holds for, from 0 to 1: how much it says that it does. Much when all others want another value. */
function specialClaims(mappings: readonly IssuerMapping[], looks: readonly Look[]): ReadonlyMap<string, number> {
  const counts = new Map<string, { all: number; holding: number }>();
  for (const [i, { facts }] of mappings.entries()) {
    for (const [at, { claim }] of facts.conditions.entries()) {
      let count = counts.get(claim);
      if (count === undefined) counts.set(claim, (count = { all: 0, holding: 0 }));
      count.all += 1;
      if (looks[i]!.holds[at]!) count.holding += 1;
    }
  }
  return new Map([...counts].map(([claim, { all, holding }]) => [claim, holding === 0 ? 0 : (1 - holding / all) / holding]));
}

/** Many mappings ask about few claims. */
function valuesOf(claims: Claims): (claim: string) => unknown {
  const known = new Map<string, unknown>();
  return (claim) => {
    if (!known.has(claim)) known.set(claim, readPointer(claims, claim));
    return known.get(claim);
  };
}
