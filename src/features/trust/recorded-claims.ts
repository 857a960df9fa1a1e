/**
 * Claims as they are kept: values of redacted claims are keyed digests, of which equality can still be told. Conditions
 * on them hold, do not hold, or cannot be told; the same three for whole mappings.
 */
import { digestOfClaim } from '#features/audit/feature.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { Digester } from '#platform/keyring.ts';
import type { CompiledCondition } from './claim-condition.ts';
import type { ClaimMappingFacts } from './schema.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface RecordedClaims {
  readonly claims: Claims;
  /** JSON Pointers of what was there and is a digest now. */
  readonly redacted: readonly string[];
  readonly digest: Digester;
}

export type Judgement = 'holds' | 'does_not_hold' | 'cannot_tell';

/** A copy with digests in place of what `pointers` name. Nothing is copied when nothing of it is there. */
export function redact(digest: Digester, pointers: readonly string[], claims: Claims): RecordedClaims {
  const redacted: string[] = [];
  let copy = claims;
  for (const pointer of pointers) {
    const value = readPointer(copy, pointer);
    if (value === undefined) continue;
    if (copy === claims) copy = structuredClone(claims) as Record<string, unknown>;
    put(copy, pointer, digestOfClaim(digest, pointer, value));
    redacted.push(pointer);
  }
  return { claims: copy, redacted, digest };
}

function put(document: unknown, pointer: string, value: string): void {
  const keys = pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop()!;
  const parent = keys.reduce((at, key) => (at as Record<string, unknown>)[key], document);
  // By definition, since a claim may be called `__proto__`.
  Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
}

/** Equality of a redacted claim is told by its digest; that it is there is known; nothing else is. */
export function judgeCondition(condition: CompiledCondition, { claims, redacted, digest }: RecordedClaims): Judgement {
  const actual = readPointer(claims, condition.claim);
  if (!touches(redacted, condition.claim)) return told(condition.holds(actual));
  if (!redacted.includes(condition.claim)) return 'cannot_tell';
  const { expected } = condition;
  const is = (value: unknown): boolean => digestOfClaim(digest, condition.claim, value) === actual;
  if ('equals' in expected) return told(is(expected.equals));
  if ('oneOf' in expected) return told(expected.oneOf.some(is));
  return 'exists' in expected ? told(expected.exists) : 'cannot_tell';
}

/** Whether all conditions of a mapping hold. */
export function judgeMapping({ conditions, expression }: Pick<ClaimMappingFacts, 'conditions' | 'expression'>, recorded: RecordedClaims): Judgement {
  if (conditions.length === 0) return 'does_not_hold';
  const each = conditions.map((condition) => judgeCondition(condition, recorded));
  if (expression !== null) each.push(judgeExpression(expression, recorded));
  if (each.includes('does_not_hold')) return 'does_not_hold';
  return each.includes('cannot_tell') ? 'cannot_tell' : 'holds';
}

/** A claim picked by a name that is written out. */
const plainPick = /\bclaims\s*(?:\.\s*[A-Za-z_]\w*\b(?!\s*\()|\[\s*(?:"[^"\\]*"|'[^'\\]*')\s*\])/g;

/** True when an expression picks every claim it looks at by a name that is written out. */
export function isPlainSource(source: string): boolean {
  return !/\bclaims\b/.test(source.replaceAll(plainPick, ''));
}

/** The outermost member a pointer leads through. */
export function nameOfClaim(pointer: string): string {
  return pointer.split('/')[1]!.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** An expression that names a redacted claim, or looks at claims in another way than one by one, may have read it. */
export function judgeExpression({ source, outcomeFor }: NonNullable<ClaimMappingFacts['expression']>, { claims, redacted }: RecordedClaims): Judgement {
  const mayRead = redacted.length > 0 && (!isPlainSource(source) || redacted.some((pointer) => source.includes(nameOfClaim(pointer))));
  if (mayRead) return 'cannot_tell';
  return told(outcomeFor(claims) === 'holds');
}

/** True when a scope would be taken from a redacted claim. */
export function scopesCannotBeTold({ spec }: Pick<ClaimMappingFacts, 'spec'>, { redacted }: RecordedClaims): boolean {
  return spec.grants.some(({ scope }) => typeof scope === 'object' && touches(redacted, scope.from));
}

function touches(redacted: readonly string[], claim: string): boolean {
  return redacted.some((one) => one === claim || claim.startsWith(`${one}/`) || one.startsWith(`${claim}/`));
}

function told(holds: boolean): Judgement {
  return holds ? 'holds' : 'does_not_hold';
}
