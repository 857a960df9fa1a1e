/** Google Cloud: a provider of a workload identity pool, and who may act as the service account. */
import type { GcpSpec } from '#features/connectors/schema.ts';
import { providerName } from '#features/connectors/schema.ts';
import { conditionCheck, conditionOf } from './condition.ts';
import type { Trust, TrustWish } from './words.ts';
import { json, pinsOf, quoted, sameText } from './words.ts';

export function gcpTrust({ spec, claims, connector }: TrustWish<GcpSpec>): Trust {
  const pins = pinsOf(claims);
  const condition = conditionOf('assertion', pins);
  const audience = `https:${providerName(spec)}`;
  // A claim that is null in tokens of other stages would make the whole mapping fail.
  const mapped = Object.fromEntries(Object.keys(pins).map((name) => [`attribute.${name}`, `assertion.${name} == null ? "" : assertion.${name}`]));
  const provider = {
    displayName: 'Sallyport', description: `connector ${connector}`.slice(0, 256),
    attributeMapping: { 'google.subject': 'assertion.sub', ...mapped }, attributeCondition: condition,
    oidc: { issuerUri: claims.iss, allowedAudiences: [audience] },
  };
  const parts = [
    { title: `the provider \`${spec.providerId}\` of the pool \`${spec.poolId}\` (REST)`, format: 'json' as const, text: json(provider) },
    { title: 'the same by gcloud', format: 'sh' as const, text: gcloud(spec, provider) },
  ];
  const principal = `principal:${poolName(spec)}/subject/${claims.sub}`;
  if (spec.serviceAccountEmail !== undefined) parts.push({ title: 'who may act as the service account', format: 'sh', text: binding(spec, spec.serviceAccountEmail, principal) });
  return {
    parts,
    check: (token) => [
      sameText('issuer', provider.oidc.issuerUri, token.iss), sameText('audience', audience, token.aud),
      conditionCheck('attribute condition', 'assertion', condition, token),
      ...(spec.serviceAccountEmail === undefined ? [] : [sameText('principal', principal, `principal:${poolName(spec)}/subject/${token.sub}`)]),
      { what: 'length of google.subject', wants: 'at most 127 bytes', has: `${Buffer.byteLength(token.sub)} bytes`, matches: Buffer.byteLength(token.sub) <= 127 },
    ],
  };
}

function poolName(spec: GcpSpec): string {
  const provider = providerName(spec);
  return provider.slice(0, provider.indexOf('/providers/'));
}

interface Provider {
  readonly attributeMapping: Readonly<Record<string, string>>;
  readonly attributeCondition: string;
  readonly oidc: { readonly issuerUri: string; readonly allowedAudiences: readonly string[] };
}

function gcloud({ projectNumber, poolId, providerId }: GcpSpec, { attributeMapping, attributeCondition, oidc }: Provider): string {
  const mapping = Object.entries(attributeMapping).map(([to, from]) => `${to}=${from}`).join(',');
  return [
    `gcloud iam workload-identity-pools providers create-oidc ${providerId} --project=${projectNumber} --location=global --workload-identity-pool=${poolId}`,
    `--issuer-uri=${quoted(oidc.issuerUri)}`, `--allowed-audiences=${quoted(oidc.allowedAudiences.join(','))}`,
    `--attribute-mapping=${quoted(mapping)}`, `--attribute-condition=${quoted(attributeCondition)}`,
  ].join(' \\\n  ') + '\n';
}

function binding({ projectNumber }: GcpSpec, email: string, member: string): string {
  return `gcloud iam service-accounts add-iam-policy-binding ${quoted(email)} --project=${projectNumber} \\\n  --role=roles/iam.workloadIdentityUser \\\n  --member=${quoted(member)}\n`;
}
