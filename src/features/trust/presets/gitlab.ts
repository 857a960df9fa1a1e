import type { Preset } from './preset.ts';

const namespace = '/namespace_id';
const project = '/project_id';
const always = ['/ref', '/ref_type', '/ref_path', '/pipeline_source', '/sha', '/runner_environment', '/project_visibility', '/ci_config_ref_uri', '/ci_config_sha', '/user_access_level'];
const atTimes = ['/environment', '/environment_action', '/deployment_tier', '/job_source', '/job_policy_ref_uri', '/job_policy_ref_sha', '/user_email'];

/**
 * GitLab, on gitlab.com and on own servers. Ids and booleans are text, the runner's id is a number. A merge request from
 * a fork may run in the target project: `project_id` is then the fork's, `job_project_id` the target's.
 */
export const gitlab: Preset = {
  title: 'GitLab CI/CD',
  claims: [
    { claim: namespace, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: project, type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', names: project, namesLike: 'project_path:*' },
    { claim: '/namespace_path', type: 'text', presence: 'always', names: namespace },
    { claim: '/project_path', type: 'text', presence: 'always', names: project },
    { claim: '/job_namespace_id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/job_namespace_path', type: 'text', presence: 'sometimes', names: '/job_namespace_id' },
    { claim: '/job_project_id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/job_project_path', type: 'text', presence: 'sometimes', names: '/job_project_id' },
    { claim: '/user_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/user_login', type: 'text', presence: 'always', names: '/user_id' },
    { claim: '/pipeline_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/job_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/runner_id', type: 'number', presence: 'always', immutable: true },
    { claim: '/ref_protected', type: 'text', presence: 'always', values: ['true', 'false'] },
    { claim: '/environment_protected', type: 'text', presence: 'sometimes', values: ['true', 'false'] },
    { claim: '/groups_direct', type: 'list', presence: 'sometimes' },
    { claim: '/user_identities', type: 'list', presence: 'sometimes' },
    ...always.map((claim) => ({ claim, type: 'text' as const, presence: 'always' as const })),
    ...atTimes.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const })),
  ],
  subjectClaims: [namespace, project],
  issuers: [{ url: 'https://gitlab.com', shared: true }],
  selfHosted: true,
  contexts: [
    {
      context: 'fork', claim: '/job_project_id', orCompared: ['/ref_protected', '/environment_protected'],
      remedy: '`condition: claims.project_id == claims.job_project_id`, or `{ claim: /ref_protected, equals: "true" }`, keeps out merge requests of forks',
    },
    {
      context: 'pull request', claim: '/pipeline_source', values: ['merge_request_event', 'external_pull_request_event'], orCompared: ['/ref_protected', '/environment_protected'],
      remedy: '`{ claim: /ref_protected, equals: "true" }` keeps out merge requests',
    },
  ],
};
