import type { Samples } from './sample.ts';

const organization = '4d7a9c53-11d0-4b4f-8f0b-0f2a5f6c7d01';
const project = '9b2c6a7e-3b1d-4a52-9d3c-64b7a9f1e202';
const job = {
  iss: `https://oidc.circleci.com/org/${organization}`, aud: 'https://sallyport.example', sub: `org/${organization}/project/${project}/user/7a1f0c3d-52b6-4be1-8a44-b5e0a6f2c303`,
  'oidc.circleci.com/org-id': organization, 'oidc.circleci.com/project-id': project,
  'oidc.circleci.com/job-id': 'c1d2e3f4-0000-4000-8000-000000000001', 'oidc.circleci.com/pipeline-id': 'c1d2e3f4-0000-4000-8000-000000000002',
  'oidc.circleci.com/workflow-id': 'c1d2e3f4-0000-4000-8000-000000000003', 'oidc.circleci.com/ssh-rerun': false,
};
const subject = `oidc.circleci.com~1org-id=${organization}&oidc.circleci.com~1project-id=${project}`;

export const samples: Samples = {
  from: 'CircleCI Docs, "Using OpenID Connect tokens in jobs": format of the token',
  tokens: [
    { says: 'a job, `sub` in its first form', claims: job, subject },
    {
      says: 'a job with contexts, `sub` with origin and ref',
      claims: {
        ...job, sub: `${job.sub}/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main`, 'oidc.circleci.com/context-ids': ['c1d2e3f4-0000-4000-8000-000000000004'],
        'oidc.circleci.com/vcs-origin': 'github.com/acme/shop', 'oidc.circleci.com/vcs-ref': 'refs/heads/main', 'oidc.circleci.com/pipeline-definition-id': 'c1d2e3f4-0000-4000-8000-000000000005',
      },
      subject,
    },
  ],
};
