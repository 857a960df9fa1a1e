import type { Preset } from './preset.ts';

const sts = '/https:~1~1sts.amazonaws.com~1';
const account = `${sts}/aws_account`;
const texts = ['source_region', 'ou_path', 'lambda_source_function_arn', 'ec2_source_instance_arn', 'ec2_role_delivery'];

/**
 * Outbound identity federation of AWS: an issuer for each account. `sub` is the ARN of a role, a name whose id the token does
 * not have; who may make roles in the account decides who it is. Request tags are what the caller wrote.
 */
export const awsOutbound: Preset = {
  title: 'AWS outbound identity federation',
  claims: [
    { claim: account, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: '/sub', type: 'text', presence: 'required' },
    { claim: `${sts}/org_id`, type: 'text', presence: 'sometimes', immutable: true },
    ...texts.map((name) => ({ claim: `${sts}/${name}`, type: 'text' as const, presence: 'sometimes' as const })),
    { claim: `${sts}/principal_tags`, type: 'object', presence: 'sometimes' },
    { claim: `${sts}/request_tags`, type: 'object', presence: 'sometimes' },
  ],
  subjectClaims: [account, '/sub'],
  issuers: [{ url: 'https://*.tokens.sts.global.api.aws', shared: false }],
  selfHosted: false,
  contexts: [],
};
