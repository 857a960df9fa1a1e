import type { Preset } from './preset.ts';

const organization = '/organization_id';
const pipeline = '/pipeline_id';

/**
 * Buildkite. The ids come only when the job asks for them: `buildkite-agent oidc request-token --claim
 * organization_id,pipeline_id`. Without them a token has names alone, and is refused.
 */
export const buildkite: Preset = {
  title: 'Buildkite',
  claims: [
    { claim: organization, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: pipeline, type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', names: pipeline, namesLike: 'organization:*:pipeline:*' },
    { claim: '/organization_slug', type: 'text', presence: 'always', names: organization },
    { claim: '/pipeline_slug', type: 'text', presence: 'always', names: pipeline, namedIn: ['/organization_slug'] },
    { claim: '/build_number', type: 'number', presence: 'always' },
    { claim: '/build_branch', type: 'text', presence: 'always' },
    { claim: '/build_commit', type: 'text', presence: 'always' },
    { claim: '/job_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/agent_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/build_source', type: 'text', presence: 'always', values: ['api', 'ui', 'webhook', 'trigger_job', 'schedule'] },
    { claim: '/runner_environment', type: 'text', presence: 'always', values: ['buildkite-hosted', 'self-hosted'] },
    { claim: '/build_tag', type: 'text', presence: 'sometimes' },
    { claim: '/step_key', type: 'text', presence: 'sometimes' },
    { claim: '/build_id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/cluster_id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/cluster_name', type: 'text', presence: 'sometimes', names: '/cluster_id', namedIn: ['/organization_slug'] },
    { claim: '/queue_id', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/queue_key', type: 'text', presence: 'sometimes', names: '/queue_id', namedIn: ['/organization_slug', '/cluster_id'] },
  ],
  families: ['/agent_tag:'],
  subjectClaims: [organization, pipeline],
  issuers: [{ url: 'https://agent.buildkite.com', shared: true }],
  selfHosted: false,
  contexts: [{
    context: 'fork', claim: '/build_branch', orCompared: ['/build_tag', '/cluster_id', '/queue_id'],
    remedy: 'compare `/build_branch`: a build of a fork has `user:branch` there',
  }],
};
