import { assert } from '#kernel/errors.ts';
import type { Claims, TokenHeader, TokenPreview } from '#features/trust/jwt.ts';
import type { KeySet } from '#features/trust/key-set.ts';
import { checkAudience, checkIssuer, checkText, checkTimes } from '#features/trust/registered-claims.ts';
import { verifySignature } from '#features/trust/signature.ts';
import { tokenRefusal } from '#features/trust/token-refusal.ts';

export { readToken } from '#features/trust/jwt.ts';
export type { Claim, Claims, TokenPreview } from '#features/trust/jwt.ts';
export { compileKeySet, supportedAlgorithms } from '#features/trust/key-set.ts';
export type { KeySet } from '#features/trust/key-set.ts';
export { hasKeyFor } from '#features/trust/signature.ts';
export type { TokenCheck, TokenEvidence } from '#features/trust/token-refusal.ts';

/** What a registered issuer's tokens must be like. */
export interface IssuerRules {
  readonly issuer: string;
  /** Ours. Empty accepts nothing. */
  readonly audiences: readonly string[];
  /** Of `supportedAlgorithms`; others count for nothing. Empty accepts nothing. */
  readonly algorithms: readonly string[];
  /** The `typ` values to accept, one of which the token must then have. Default: none, `JWT` or `at+jwt`. */
  readonly typ?: readonly string[];
  /** Accept a token that names an audience of ours among others. */
  readonly allowOtherAudiences: boolean;
  /** At most 60. */
  readonly clockSkewSeconds: number;
  /** From `iat`, or from now when the token has none, to `exp`. */
  readonly maxLifetimeSeconds: number;
}

export interface VerifiedToken {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly audiences: readonly string[];
  readonly tokenId: string | undefined;
  readonly expiresAtSeconds: number;
  readonly issuedAtSeconds: number | undefined;
  readonly header: TokenHeader;
  /** All claims, deep-frozen, objects without prototype. */
  readonly claims: Claims;
}

/**
 * Decides whether a token is what it says (RFC 7519 §7.2, RFC 8725, RFC 9068 §4). No claim counts before the signature
 * has proven it. Throws `trust.refused`, the same for every cause from outside; `because` and `evidence` are for the
 * administrator.
 */
export async function verifyToken(
  preview: TokenPreview, rules: IssuerRules, keys: KeySet, now: Date,
): Promise<VerifiedToken> {
  assert(rules.clockSkewSeconds >= 0 && rules.clockSkewSeconds <= 60, 'clock skew is between 0 and 60 seconds');
  assert(rules.maxLifetimeSeconds > 0 && Number.isFinite(rules.maxLifetimeSeconds), 'a token lives for a limited time');
  const nowSeconds = now.getTime() / 1000;
  assert(Number.isFinite(nowSeconds), 'now is a time');

  await verifySignature(preview, rules.algorithms, keys);
  checkType(preview.header, rules.typ);
  const claims = preview.payload;
  const issuer = checkIssuer(claims, rules);
  const audiences = checkAudience(claims, rules);
  const times = checkTimes(claims, rules, nowSeconds);
  const subject = checkText(claims, 'sub', 'subject');
  const tokenId = checkText(claims, 'jti', 'token_id');
  return Object.freeze({ issuer, subject, audiences, tokenId, ...times, header: preview.header, claims });
}

/** RFC 8725 §3.11: a logout token, a security event or a proof is no token to act with, whoever signed it. */
function checkType({ typ }: TokenHeader, accepted: readonly string[] | undefined): void {
  if (typ === undefined && accepted === undefined) return;
  const expected = (accepted ?? ['JWT', 'at+jwt']).map(mediaType);
  if (typ !== undefined && expected.includes(mediaType(typ))) return;
  throw tokenRefusal('type', 'the token is of another type (`typ`)', { expected, actual: typ });
}

/** RFC 7515 §4.1.9: compared without case, `application/` may be left out. */
function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '');
}
