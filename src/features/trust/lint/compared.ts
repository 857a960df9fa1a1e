/** Which claims a mapping compares, and how. Pure words the rules of the linter share. */
import { celPointers, claimExpressionOf } from '#features/trust/claim-expression.ts';
import type { ConditionSpec } from '#features/trust/claim-condition.ts';
import type { ClaimMappingSpec } from '#features/trust/schema.ts';

export interface PlacedCondition {
  readonly condition: ConditionSpec;
  /** Its place in the spec. */
  readonly pointer: string;
}

function conditionsOn(spec: ClaimMappingSpec, claim: string): PlacedCondition[] {
  return placed(spec).filter(({ condition }) => condition.claim === claim);
}

export function placed({ when }: Pick<ClaimMappingSpec, 'when'>): PlacedCondition[] {
  return when.map((condition, i) => ({ condition, pointer: `/when/${i}` }));
}

/** The claim must have one of some values that are written out. */
export function isStated(spec: ClaimMappingSpec, claim: string): boolean {
  return conditionsOn(spec, claim).some(({ condition: { equals, oneOf } }) => equals !== undefined || (oneOf !== undefined && oneOf.length > 0));
}

/** A condition, or the expression, looks at it. */
export function isCompared(spec: ClaimMappingSpec, claim: string): boolean {
  return conditionsOn(spec, claim).some(({ condition }) => condition.exists !== true) || readByExpression(spec).has(claim);
}

/** JSON Pointers of claims the expression reads. */
export function readByExpression({ condition }: Pick<ClaimMappingSpec, 'condition'>): ReadonlySet<string> {
  const cel = condition === undefined ? null : claimExpressionOf(condition).cel;
  return new Set(cel === null ? [] : celPointers(cel));
}

/** Null when it is not known which; else every value the conditions on this claim let through. */
export function valuesLetThrough(spec: ClaimMappingSpec, claim: string): readonly unknown[] | null {
  let left: unknown[] | null = null;
  for (const { condition: { equals, oneOf } } of conditionsOn(spec, claim)) {
    const these: unknown[] | undefined = equals === undefined ? oneOf : [equals];
    if (these !== undefined) left = left === null ? [...these] : left.filter((value) => these.includes(value));
  }
  return left;
}
