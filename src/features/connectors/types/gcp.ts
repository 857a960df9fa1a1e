import { z } from 'zod';
import { duration } from '#kernel/marks.ts';
import type { ConnectorType } from './words.ts';
import { algorithm, mintPolicy, subject, ttl, usableFrom } from './words.ts';

const everything = 'https://www.googleapis.com/auth/cloud-platform';
const scope = z.string().max(256).regex(/^https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._/-]+$/, { error: `must be an OAuth scope such as \`${everything}\`` });

export const gcpSpec = z.strictObject({
  type: z.literal('gcp_oidc'),
  projectNumber: z.string().regex(/^\d{1,20}$/, { error: 'must be the number of the project, as text' }),
  poolId: z.string().regex(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/, { error: 'must be a workload identity pool id' }),
  providerId: z.string().regex(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/, { error: 'must be a provider id' }),
  serviceAccountEmail: z.email().max(254).optional().describe('the service account to act as; without it the federated identity acts itself'),
  scopes: z.array(scope).min(1).max(20).default([everything]),
  accessTokenLifetime: duration({ minSeconds: 60, maxSeconds: 43_200 }).default('1h').describe('of tokens of the service account; more than `1h` needs a policy of the organization'),
  ttl,
  algorithm,
  subject,
  usableFrom,
  mintPolicy,
});
export type GcpSpec = z.infer<typeof gcpSpec>;

/** The full name of the provider, as STS takes it. */
export function providerName({ projectNumber, poolId, providerId }: Pick<GcpSpec, 'projectNumber' | 'poolId' | 'providerId'>): string {
  return `//iam.googleapis.com/projects/${projectNumber}/locations/global/workloadIdentityPools/${poolId}/providers/${providerId}`;
}

/** Workload identity federation of Google Cloud. By default a provider takes the https form of its own name as audience. */
export const gcpType: ConnectorType<GcpSpec> = { category: 'CLOUD_PROVIDER', audiences: (spec) => [`https:${providerName(spec)}`], endpoints: [] };
