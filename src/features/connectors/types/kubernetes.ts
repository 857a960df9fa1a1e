import { z } from 'zod';
import type { ConnectorType } from './words.ts';
import { algorithm, audience, endpoint, mintPolicy, subject, ttl, usableFrom } from './words.ts';

const certificates = z.string().max(65_536).regex(/^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s-]+-----END CERTIFICATE-----\s*$/, { error: 'must be one or more certificates in PEM' });

export const kubernetesSpec = z.strictObject({
  type: z.literal('kubernetes_oidc'),
  server: endpoint.describe('of the API server'),
  certificateAuthority: certificates.optional(),
  audience: audience.optional().describe('one that the API server accepts; by default its URL'),
  ttl,
  algorithm,
  subject,
  usableFrom,
  mintPolicy,
});
export type KubernetesSpec = z.infer<typeof kubernetesSpec>;

/** A cluster that trusts our issuer (structured authentication, or `--oidc-issuer-url`): it takes our tokens as they are. */
export const kubernetesType: ConnectorType<KubernetesSpec> = { category: 'CLOUD_PROVIDER', audiences: (spec) => [spec.audience ?? spec.server], endpoints: ['server'] };
