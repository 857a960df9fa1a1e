/** Vault and OpenBao: the JWT auth method and a role. */
import type { VaultSpec } from '#features/connectors/schema.ts';
import type { Trust, TrustWish } from './words.ts';
import { json, pinsOf, quoted, sameText } from './words.ts';

export function vaultTrust({ spec, claims }: TrustWish<VaultSpec>): Trust {
  const audience = spec.audience ?? spec.address;
  const config = { oidc_discovery_url: claims.iss, bound_issuer: claims.iss, jwt_supported_algs: [spec.algorithm ?? 'RS256'] };
  const bound = pinsOf(claims);
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: [audience], bound_subject: claims.sub, bound_claims_type: 'string', bound_claims: bound, token_ttl: '10m' };
  const write = (path: string): string => `vault write${spec.namespace === undefined ? '' : ` -namespace=${quoted(spec.namespace)}`} ${quoted(path)} -`;
  return {
    parts: [
      { title: `the auth method at \`auth/${spec.mount}\``, format: 'json', text: json(config) },
      { title: `the role \`${spec.role}\`: add \`token_policies\``, format: 'json', text: json(role) },
      { title: 'the same by vault, each with its text on standard input', format: 'sh', text: `${write(`auth/${spec.mount}/config`)}\n${write(`auth/${spec.mount}/role/${spec.role}`)}\n` },
    ],
    check: (token) => [
      sameText('bound_issuer', config.bound_issuer, token.iss), sameText('bound_audiences', audience, token.aud), sameText('bound_subject', role.bound_subject, token.sub),
      ...Object.entries(bound).map(([name, wants]) => sameText(`bound_claims ${name}`, wants, token[name])),
    ],
  };
}
