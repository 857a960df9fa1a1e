import type { Samples } from './sample.ts';

const job = {
  iss: 'https://gitlab.com', aud: 'https://sallyport.example', jti: '235b3a54-b797-45c7-ae9a-f72d7bc6ef5b', sub: 'project_path:acme/shop:ref_type:branch:ref:main',
  namespace_id: '72', namespace_path: 'acme', project_id: '20', project_path: 'acme/shop', project_visibility: 'private',
  user_id: '1', user_login: 'ann', user_email: 'ann@example.com', user_access_level: 'maintainer', pipeline_id: '574', pipeline_source: 'push', job_id: '302',
  ref: 'main', ref_type: 'branch', ref_path: 'refs/heads/main', ref_protected: 'true', runner_id: 1, runner_environment: 'gitlab-hosted',
  sha: '714a629c0b401fdce83e847fc9589983fc6f46bc', ci_config_ref_uri: 'gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main', ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
};

export const samples: Samples = {
  from: 'GitLab Docs, "OpenID Connect (OIDC) Authentication Using ID Tokens": token payload',
  tokens: [
    { says: 'a push to a protected branch', claims: job, subject: 'namespace_id=72&project_id=20' },
    {
      says: 'a deployment',
      claims: {
        ...job, environment: 'prod', environment_protected: 'true', deployment_tier: 'production', environment_action: 'start', job_source: 'push', groups_direct: ['acme', 'acme/ops'],
        user_identities: [{ provider: 'saml', extern_uid: 'ann' }], job_project_id: '20', job_project_path: 'acme/shop', job_namespace_id: '72', job_namespace_path: 'acme',
        job_policy_ref_uri: 'gitlab.com/acme/policies//.gitlab-ci.yml@refs/heads/main', job_policy_ref_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
      },
      subject: 'namespace_id=72&project_id=20',
    },
    {
      says: 'a merge request of a fork, which runs in the target project',
      claims: {
        ...job, sub: 'project_path:mallory/shop:ref_type:branch:ref:patch', pipeline_source: 'merge_request_event', namespace_id: '666', namespace_path: 'mallory', project_id: '667', project_path: 'mallory/shop',
        job_project_id: '20', job_project_path: 'acme/shop', job_namespace_id: '72', job_namespace_path: 'acme', ref: 'patch', ref_path: 'refs/heads/patch', ref_protected: 'false',
      },
      subject: 'namespace_id=666&project_id=667',
    },
  ],
};
