import type { Preset } from './preset.ts';

const owner = '/repository_owner_id';
const repository = '/repository_id';
const workflow = ['/event_name', '/ref', '/ref_type', '/sha', '/workflow', '/run_id', '/run_number', '/run_attempt', '/runner_environment', '/repository_visibility'];
const atTimes = [
  '/base_ref', '/head_ref', '/environment', '/environment_node_id', '/workflow_ref', '/workflow_sha', '/job_workflow_ref', '/job_workflow_sha',
  '/check_run_id', '/issuer_scope',
];

/**
 * GitHub Actions, on github.com and on an own server. `sub` has two forms, `repo:OWNER/REPO:…` and, for repositories made,
 * renamed or moved since July 2026, `repo:OWNER@OWNERID/REPO@REPOID:…`; what follows depends on event and environment, so
 * mappings had better not read it; an organization may also have it made of something else. Everything is text, `"true"` and numbers too.
 */
export const githubActions: Preset = {
  title: 'GitHub Actions',
  claims: [
    { claim: owner, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: repository, type: 'text', presence: 'required', immutable: true },
    { claim: '/enterprise_id', type: 'text', presence: 'sometimes', immutable: true, tenant: true },
    { claim: '/actor_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', names: repository, namesLike: 'repo:*' },
    { claim: '/repository', type: 'text', presence: 'always', names: repository },
    { claim: '/repository_owner', type: 'text', presence: 'always', names: owner },
    { claim: '/enterprise', type: 'text', presence: 'sometimes', names: '/enterprise_id' },
    { claim: '/actor', type: 'text', presence: 'always', names: '/actor_id' },
    { claim: '/ref_protected', type: 'text', presence: 'always', values: ['true', 'false'] },
    ...workflow.map((claim) => ({ claim, type: 'text' as const, presence: 'always' as const })),
    ...atTimes.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const })),
  ],
  families: ['/repo_property_'],
  subjectClaims: [owner, repository],
  issuers: [
    { url: 'https://token.actions.githubusercontent.com', shared: true },
    { url: 'https://token.actions.githubusercontent.com/*', shared: true },
    { url: 'https://*/_services/token', shared: false },
  ],
  selfHosted: true,
  contexts: [{
    context: 'pull request', claim: '/event_name', orCompared: ['/environment'],
    values: ['pull_request', 'pull_request_target', 'pull_request_review', 'issue_comment', 'workflow_run'],
    remedy: '`{ claim: /event_name, oneOf: [push, workflow_dispatch] }`, or a protected `/environment`, keeps out what strangers propose',
  }],
};
