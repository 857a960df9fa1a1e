import { z } from 'zod';
import { duration } from '#kernel/marks.ts';
import type { ConnectorType } from './words.ts';
import { algorithm, audience, mintPolicy, subject, ttl, usableFrom } from './words.ts';

/** Claims whose values are always fit to be tags: no names, which may hold what a tag may not. */
const sessionTagNames = [
  'account_id', 'organization_id', 'organization_uid', 'project_id', 'project_uid', 'pipeline_id', 'pipeline_uid', 'stage_id', 'stage_type', 'step_id',
  'step_type', 'connector_id', 'environment_id', 'environment_uid', 'environment_type', 'service_id', 'trigger_type', 'triggered_by_type', 'context',
] as const;
export type SessionTagName = (typeof sessionTagNames)[number];

export const awsSpec = z.strictObject({
  type: z.literal('aws_oidc'),
  roleArn: z.string().max(2_048).regex(/^arn:aws[a-z-]{0,16}:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, { error: 'must be the ARN of a role such as `arn:aws:iam::123456789012:role/deploy`' }),
  region: z.string().regex(/^[a-z]{2}(?:-[a-z]{2,12}){1,3}-\d{1,2}$/, { error: 'must be a region such as `eu-central-1`' }).optional().describe('whose STS is asked; without it the global one'),
  audience: audience.default('sts.amazonaws.com'),
  sessionDuration: duration({ minSeconds: 900, maxSeconds: 43_200 }).default('15m').describe('no longer than the role allows'),
  sessionTags: z.array(z.enum(sessionTagNames)).max(sessionTagNames.length).optional().describe('claims the session carries as principal tags'),
  ttl,
  algorithm,
  subject,
  usableFrom,
  mintPolicy,
});
export type AwsSpec = z.infer<typeof awsSpec>;

/** A role of AWS that trusts our issuer. */
export const awsType: ConnectorType<AwsSpec> = { category: 'CLOUD_PROVIDER', audiences: (spec) => [spec.audience], endpoints: [] };
