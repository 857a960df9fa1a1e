/** Somebody who verifies tokens with a library of their own: what to verify them with, and what they must say. */
import type { JwtSpec } from '#features/connectors/schema.ts';
import type { Trust, TrustWish } from './words.ts';
import { json, pinsOf, sameText } from './words.ts';

export function jwtTrust({ spec, claims }: TrustWish<JwtSpec>): Trust {
  const rules = {
    issuer: claims.iss, jwks_uri: `${claims.iss}/jwks`, algorithms: [spec.algorithm ?? 'RS256'], typ: 'JWT', audience: claims.aud, claims: { sub: claims.sub, ...pinsOf(claims) },
  };
  return {
    parts: [{ title: 'what a token must have', format: 'json', text: json(rules) }],
    check: (token) => [
      sameText('issuer', rules.issuer, token.iss), sameText('audience', rules.audience, token.aud),
      ...Object.entries(rules.claims).map(([name, wants]) => sameText(name, wants, token[name])),
    ],
  };
}
