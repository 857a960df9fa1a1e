import type { Preset } from './preset.ts';

const workspace = '/workspaceUuid';
const repository = '/repositoryUuid';

/**
 * Bitbucket Cloud. The issuer's URL has the name of the workspace, which is given out again, so it counts as shared. UUIDs
 * have braces. A step may name up to ten audiences.
 */
export const bitbucket: Preset = {
  title: 'Bitbucket Pipelines',
  claims: [
    { claim: workspace, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: repository, type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', immutable: true },
    { claim: '/pipelineUuid', type: 'text', presence: 'always', immutable: true },
    { claim: '/stepUuid', type: 'text', presence: 'always', immutable: true },
    { claim: '/branchName', type: 'text', presence: 'sometimes' },
    { claim: '/deploymentEnvironmentUuid', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/pullRequestId', type: 'text', presence: 'sometimes' },
  ],
  subjectClaims: [workspace, repository],
  issuers: [{ url: 'https://api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc', shared: true }],
  selfHosted: false,
  contexts: [{
    context: 'pull request', claim: '/branchName', orCompared: ['/deploymentEnvironmentUuid', '/pullRequestId'],
    remedy: 'compare `/deploymentEnvironmentUuid` or `/branchName`: any branch can be proposed for merging',
  }],
  severalAudiences: true,
};
