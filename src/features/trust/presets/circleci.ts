import type { Preset } from './preset.ts';

const organization = '/oidc.circleci.com~1org-id';
const project = '/oidc.circleci.com~1project-id';
const run = ['/oidc.circleci.com~1job-id', '/oidc.circleci.com~1pipeline-id', '/oidc.circleci.com~1workflow-id'];

/** CircleCI: an issuer for each organization, and one for all. All ids are UUIDs, `sub` is made of them. */
export const circleci: Preset = {
  title: 'CircleCI',
  claims: [
    { claim: organization, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: project, type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', immutable: true },
    ...run.map((claim) => ({ claim, type: 'text' as const, presence: 'always' as const, immutable: true as const })),
    { claim: '/oidc.circleci.com~1pipeline-definition-id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/oidc.circleci.com~1context-ids', type: 'list', presence: 'sometimes' },
    { claim: '/oidc.circleci.com~1vcs-origin', type: 'text', presence: 'sometimes' },
    { claim: '/oidc.circleci.com~1vcs-ref', type: 'text', presence: 'sometimes' },
    { claim: '/oidc.circleci.com~1ssh-rerun', type: 'boolean', presence: 'sometimes' },
  ],
  subjectClaims: [organization, project],
  issuers: [{ url: 'https://oidc.circleci.com', shared: true }, { url: 'https://oidc.circleci.com/org/*', shared: false }],
  selfHosted: true,
  contexts: [{
    context: 'fork', claim: '/oidc.circleci.com~1vcs-origin',
    remedy: 'compare `/oidc.circleci.com~1vcs-origin` with your own repository: a build of a fork has its address there',
  }],
};
