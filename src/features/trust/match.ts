/** Which mappings of an issuer match verified claims, and why the others do not. Pure. */
import type { MappingGrant, TokenUse } from '#kernel/caller.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { ClaimExpectation } from './claim-condition.ts';
import type { ClaimExpression } from './claim-expression.ts';
import { whyNot } from './claim-expression.ts';
import type { Judgement, RecordedClaims } from './recorded-claims.ts';
import { judgeCondition, judgeExpression, judgeMapping } from './recorded-claims.ts';
import { isMet } from './compile-mapping.ts';
import { choosePins } from './pins.ts';
import type { ClaimMappingFacts } from './schema.ts';
import type { ScopeMiss } from './scope-grant.ts';
import { isMiss } from './scope-grant.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface IssuerMapping {
  readonly uid: string;
  readonly version: number;
  readonly path: string;
  readonly facts: ClaimMappingFacts;
}

export interface Match {
  readonly mapping: IssuerMapping;
  /** At least one. */
  readonly grants: readonly MappingGrant[];
}

/** The mappings of one issuer, so ordered that a token meets only those that may match it. Made by `indexMappings`. */
export interface MappingIndex {
  readonly all: readonly IssuerMapping[];
  /** Claim → value → mappings that match only with this value. */
  readonly byValue: ReadonlyMap<string, ReadonlyMap<unknown, readonly IssuerMapping[]>>;
  readonly others: readonly IssuerMapping[];
}

export function indexMappings(mappings: readonly IssuerMapping[]): MappingIndex {
  const byValue = new Map<string, Map<unknown, IssuerMapping[]>>();
  const others: IssuerMapping[] = [];
  const pins = choosePins(mappings.map(({ facts }) => facts.conditions));
  for (const [i, mapping] of mappings.entries()) {
    const pin = pins[i]!;
    if (pin === null) others.push(mapping);
    else for (const value of pin.values) append(byValue, pin.claim, value, mapping);
  }
  return { all: mappings, byValue, others };
}

/** Every mapping whose conditions all hold and that grants something for these claims, brought like this, in order of uid. */
export function matchAll(index: MappingIndex, claims: Claims, use?: TokenUse): readonly Match[] {
  return candidates(index, claims)
    .filter(({ facts }) => isMet(facts, claims))
    .map((mapping) => ({ mapping, grants: mapping.facts.grantsFor(claims, use) }))
    .filter(({ grants }) => grants.length > 0)
    .toSorted((a, b) => (a.mapping.uid < b.mapping.uid ? -1 : 1));
}

export interface ConditionOutcome {
  readonly claim: string;
  readonly expected: ClaimExpectation;
  /** Null when the claim is missing. */
  readonly actual: unknown;
  /** Null = cannot be told, since the claim was redacted. */
  readonly holds: boolean | null;
}

export interface ExpressionOutcome {
  readonly source: string;
  /** Null when it holds. */
  readonly because: string | null;
}

export interface MappingOutcome {
  readonly mapping: IssuerMapping;
  readonly matched: boolean;
  readonly conditions: readonly ConditionOutcome[];
  readonly expression: ExpressionOutcome | null;
  /** Scopes that could not be taken from a claim. */
  readonly scopes: readonly (ScopeMiss & { readonly grant: number })[];
}

/** What each condition said. `recorded` is what the claims are if they were kept. */
export function explainMapping(mapping: IssuerMapping, claims: Claims, recorded: RecordedClaims | null): MappingOutcome {
  const { facts } = mapping;
  const conditions = facts.conditions.map((condition): ConditionOutcome => {
    const { claim, expected } = condition;
    const actual = readPointer(claims, claim);
    return { claim, expected, actual: actual ?? null, holds: recorded === null ? condition.holds(actual) : holdsBy(judgeCondition(condition, recorded)) };
  });
  const scopes = facts.grants.flatMap((grant) => {
    const outcome = grant.resolve(claims);
    return isMiss(outcome) ? [{ ...outcome, grant: grant.index }] : [];
  });
  const expression = facts.expression === null ? null : { source: facts.expression.source, because: becauseOf(facts.expression, claims, recorded) };
  const met = recorded === null ? isMet(facts, claims) : judgeMapping(facts, recorded) === 'holds';
  return { mapping, matched: met && facts.grants.length > scopes.length, conditions, expression, scopes };
}

function becauseOf(expression: ClaimExpression, claims: Claims, recorded: RecordedClaims | null): string | null {
  const isTold = recorded === null || judgeExpression(expression, recorded) !== 'cannot_tell';
  return isTold ? whyNot(expression.outcomeFor(claims)) : 'it cannot be told, since it may read a claim that was redacted';
}

function holdsBy(judgement: Judgement): boolean | null {
  return judgement === 'cannot_tell' ? null : judgement === 'holds';
}

function candidates({ byValue, others }: MappingIndex, claims: Claims): IssuerMapping[] {
  const found = [...others];
  for (const [claim, values] of byValue) found.push(...(values.get(readPointer(claims, claim)) ?? []));
  return found;
}

function append(byValue: Map<string, Map<unknown, IssuerMapping[]>>, claim: string, value: unknown, mapping: IssuerMapping): void {
  let ofClaim = byValue.get(claim);
  if (ofClaim === undefined) byValue.set(claim, (ofClaim = new Map()));
  const list = ofClaim.get(value);
  if (list === undefined) ofClaim.set(value, [mapping]);
  else list.push(mapping);
}
