import type { Preset } from './preset.ts';

const organization = '/org_id';
const project = '/prj_id';

/**
 * Azure DevOps: an issuer for each organization, by its id. `sub` is `p://ORG/PROJECT/PIPELINE`, or with a service
 * connection `sc://ORG/PROJECT/CONNECTION`: names. The ids of what runs come with pipelines; a token of a service
 * connection that has none of them is one of Entra's, or is mapped with the preset `generic`.
 */
export const azureDevops: Preset = {
  title: 'Azure DevOps',
  claims: [
    { claim: organization, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: project, type: 'text', presence: 'required', immutable: true },
    { claim: '/def_id', type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', names: '/def_id' },
    { claim: '/run_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/rpo_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/rpo_uri', type: 'text', presence: 'always', names: '/rpo_id' },
    { claim: '/rpo_ref', type: 'text', presence: 'always' },
    { claim: '/rpo_ver', type: 'text', presence: 'always' },
  ],
  subjectClaims: [organization, project, '/def_id'],
  issuers: [{ url: 'https://vstoken.dev.azure.com/*', shared: false }],
  selfHosted: false,
  contexts: [{
    context: 'pull request', claim: '/rpo_ref',
    remedy: 'compare `/rpo_ref`: a run of a pull request has `refs/pull/…` there',
  }],
};
