import type { Claim, Claims } from '#features/trust/jwt.ts';
import { member } from '#features/trust/jwt.ts';
import { tokenRefusal } from '#features/trust/token-refusal.ts';
import type { IssuerRules } from '#features/trust/verify.ts';

/** Rules for the claims of RFC 7519 §4.1. Each reads one, throws `trust.refused` or returns its checked value. */

const maxTextBytes = 1000;
/** Year 5138; beyond lie times in milliseconds and overflows. */
const maxSeconds = 100_000_000_000;

export interface TokenTimes {
  readonly expiresAtSeconds: number;
  readonly issuedAtSeconds: number | undefined;
}

export function checkIssuer(claims: Claims, { issuer }: IssuerRules): string {
  const actual = member(claims, 'iss');
  // Byte for byte: no case folding, no trailing slash, no Unicode normalisation.
  if (actual === issuer) return issuer;
  throw tokenRefusal('issuer', 'the token is of another issuer', { expected: issuer, actual });
}

/** A text counts as a list of one. Without `allowOtherAudiences` a token that is also good elsewhere is refused. */
export function checkAudience(claims: Claims, { audiences, allowOtherAudiences }: IssuerRules): readonly string[] {
  const aud = member(claims, 'aud');
  const seen = { expected: audiences, actual: aud };
  if (aud === undefined) throw tokenRefusal('audience', 'the token has no `aud`', seen);
  const list: readonly Claim[] = Array.isArray(aud) ? aud : [aud];
  const texts = list.filter((item): item is string => typeof item === 'string' && item !== '');
  if (list.length === 0 || texts.length !== list.length) {
    throw tokenRefusal('audience', '`aud` is neither a text nor a list of texts', seen);
  }
  const ours = texts.filter((audience) => audiences.includes(audience));
  if (ours.length === 0) throw tokenRefusal('audience', 'the token is meant for somebody else', seen);
  if (ours.length < texts.length && !allowOtherAudiences) {
    throw tokenRefusal('audience', 'the token is meant for others too', seen);
  }
  return Object.freeze(texts);
}

/** `exp` is required. Skew is allowed at the edges, not in the lifetime; fractions are fine (RFC 7519 §2). */
export function checkTimes(claims: Claims, rules: IssuerRules, nowSeconds: number): TokenTimes {
  const { clockSkewSeconds: skew, maxLifetimeSeconds } = rules;
  const exp = seconds(claims, 'exp', 'expiry');
  const nbf = seconds(claims, 'nbf', 'not_before');
  const iat = seconds(claims, 'iat', 'issued_at');
  if (exp === undefined) throw tokenRefusal('expiry', 'the token has no `exp`');
  if (nowSeconds >= exp + skew) {
    throw tokenRefusal('expiry', 'the token has expired', { expected: nowSeconds, actual: exp });
  }
  if (nbf !== undefined && nowSeconds + skew < nbf) {
    throw tokenRefusal('not_before', 'the token is not valid yet', { expected: nowSeconds, actual: nbf });
  }
  if (iat !== undefined && nowSeconds + skew < iat) {
    throw tokenRefusal('issued_at', 'the token was issued in the future', { expected: nowSeconds, actual: iat });
  }
  if (iat !== undefined && iat > exp) {
    throw tokenRefusal('issued_at', 'the token was issued after its own end', { expected: exp, actual: iat });
  }
  const lifetime = exp - (iat ?? nowSeconds);
  if (lifetime > maxLifetimeSeconds) {
    const seen = { expected: maxLifetimeSeconds, actual: lifetime };
    throw tokenRefusal('lifetime', 'the token lives longer than allowed for this issuer', seen);
  }
  return { expiresAtSeconds: exp, issuedAtSeconds: iat };
}

/** `sub` and `jti` are optional; which rules need them is said by mappings. */
export function checkText(claims: Claims, name: 'sub' | 'jti', check: 'subject' | 'token_id'): string | undefined {
  const value = member(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > maxTextBytes) {
    throw tokenRefusal(check, `\`${name}\` is empty, no text or longer than ${maxTextBytes} bytes`, { actual: value });
  }
  return value;
}

function seconds(claims: Claims, name: string, check: 'expiry' | 'not_before' | 'issued_at'): number | undefined {
  const value = member(claims, name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && value <= maxSeconds) return value;
  throw tokenRefusal(check, `\`${name}\` is no time in seconds since 1970`, { actual: value });
}
