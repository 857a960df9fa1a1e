import type { Samples } from './sample.ts';

const issuer = 'https://a1b2c3d4-e5f6-47a8-9b0c-d1e2f3a4b5c6.tokens.sts.global.api.aws';
const role = 'arn:aws:iam::123456789012:role/Deployer';
const subject = `https:~1~1sts.amazonaws.com~1/aws_account=123456789012&sub=${encodeURIComponent(role)}`;

export const samples: Samples = {
  from: 'AWS IAM User Guide, "Understanding token claims" of outbound identity federation',
  tokens: [
    {
      says: 'a role', subject,
      claims: { iss: issuer, aud: 'https://sallyport.example', sub: role, jti: 'xyz-1', 'https://sts.amazonaws.com/': { aws_account: '123456789012', source_region: 'eu-west-1' } },
    },
    {
      says: 'a function of an organization, with tags', subject,
      claims: {
        iss: issuer, aud: 'https://sallyport.example', sub: role, jti: 'xyz-2',
        'https://sts.amazonaws.com/': {
          aws_account: '123456789012', source_region: 'eu-west-1', org_id: 'o-abc1234567', ou_path: 'o-abc1234567/r-ab12/ou-ab12-11111111/', principal_tags: { team: 'payments' }, request_tags: { job: '7' },
          lambda_source_function_arn: 'arn:aws:lambda:eu-west-1:123456789012:function:deploy', ec2_source_instance_arn: 'arn:aws:ec2:eu-west-1:123456789012:instance/i-1', ec2_role_delivery: '2.0',
        },
      },
    },
  ],
};
