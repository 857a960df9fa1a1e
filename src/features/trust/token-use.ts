/** Conditions of a claim mapping on how a token is used, beside what it says: once, soon, by whoever holds a key. Pure. */
import type { TokenUse } from '#kernel/caller.ts';
import { readPointer } from '#kernel/matcher.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface UseConditions {
  /** A token, told by its `jti`, counts at one exchange and never again. */
  readonly singleUse: boolean;
  /** From `iat`, by our clock; null = as long as the issuer allows. */
  readonly maxTokenAgeSeconds: number | null;
  /** Only for sessions that are bound to a key (RFC 9449) or a client certificate (RFC 8705). */
  readonly proofOfPossession: boolean;
}

/**
 * Why a token used in this way does not meet them; empty = it does. `use` is absent where nobody knows how it came, as in
 * runs of before there was such a condition: then what is asked for is not met. Whether a `jti` was used is asked elsewhere.
 */
export function unmetUses({ singleUse, maxTokenAgeSeconds, proofOfPossession }: UseConditions, claims: Claims, use: TokenUse | undefined): string[] {
  const unmet: string[] = [];
  if (singleUse && typeof readPointer(claims, '/jti') !== 'string') unmet.push('the token has no `jti`, so nobody can tell whether it was used');
  if (singleUse && use?.isDirect !== false) unmet.push('a token of single use must be exchanged');
  if (maxTokenAgeSeconds !== null) unmet.push(...unmetAge(maxTokenAgeSeconds, readPointer(claims, '/iat'), use));
  if (proofOfPossession && use?.isBound !== true) unmet.push('the session is bound to no key');
  return unmet;
}

export function usesAreMet(conditions: UseConditions, claims: Claims, use: TokenUse | undefined): boolean {
  return unmetUses(conditions, claims, use).length === 0;
}

/** False only when it is plain that `after` asks for all that `before` asked for. */
export function asksForLess(before: UseConditions, after: UseConditions): boolean {
  const isYounger = before.maxTokenAgeSeconds === null || (after.maxTokenAgeSeconds !== null && after.maxTokenAgeSeconds <= before.maxTokenAgeSeconds);
  return (before.singleUse && !after.singleUse) || (before.proofOfPossession && !after.proofOfPossession) || !isYounger;
}

function unmetAge(maxSeconds: number, issuedAt: unknown, use: TokenUse | undefined): string[] {
  if (typeof issuedAt !== 'number') return ['the token has no `iat`, so nobody knows its age'];
  if (use === undefined || use.atMs / 1_000 - issuedAt > maxSeconds) return [`the token was older than ${maxSeconds} seconds`];
  return [];
}
