import type { Samples } from './sample.ts';

const run = {
  iss: 'https://token.actions.githubusercontent.com', aud: 'https://sallyport.example', jti: '6f4762ed-0758-4ccb-808d-ee3af5d723a8',
  actor: 'octocat', actor_id: '583231', base_ref: '', head_ref: '', event_name: 'push', ref: 'refs/heads/main', ref_type: 'branch', ref_protected: 'true',
  repository: 'acme/shop', repository_id: '74', repository_owner: 'acme', repository_owner_id: '65', repository_visibility: 'private',
  run_attempt: '2', run_id: '1234567890', run_number: '10', runner_environment: 'github-hosted', sha: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c',
  workflow: 'deploy', workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main', workflow_sha: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c',
  job_workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main', job_workflow_sha: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c', check_run_id: '99',
};
const subject = 'repository_owner_id=65&repository_id=74';

export const samples: Samples = {
  from: 'GitHub Docs, "OpenID Connect reference", and the change of the default subject announced on 23 April 2026',
  tokens: [
    { says: 'a push, `sub` made of names', claims: { ...run, sub: 'repo:acme/shop:ref:refs/heads/main' }, subject },
    { says: 'a push, `sub` with ids beside the names', claims: { ...run, sub: 'repo:acme@65/shop@74:ref:refs/heads/main' }, subject },
    {
      says: 'a deployment, where the environment stands in place of the ref',
      claims: { ...run, sub: 'repo:acme@65/shop@74:environment:prod', environment: 'prod', environment_node_id: 'EN_kwDOA1', enterprise: 'acme-inc', enterprise_id: '7', issuer_scope: 'enterprise' },
      subject,
    },
    { says: 'a pull request', claims: { ...run, sub: 'repo:acme/shop:pull_request', event_name: 'pull_request', ref: 'refs/pull/5/merge', base_ref: 'main', head_ref: 'feature', ref_protected: 'false' }, subject },
  ],
};
