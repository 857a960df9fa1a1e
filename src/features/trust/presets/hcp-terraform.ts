import type { Preset } from './preset.ts';

const organization = '/terraform_organization_id';
const project = '/terraform_project_id';
const workspace = '/terraform_workspace_id';

/**
 * HCP Terraform and Terraform Enterprise. `sub` is made of names, which are given out again when an organization,
 * project or workspace is deleted; the ids are not. A speculative plan runs what a pull request says.
 */
export const hcpTerraform: Preset = {
  title: 'HCP Terraform and Terraform Enterprise',
  claims: [
    { claim: organization, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: project, type: 'text', presence: 'required', immutable: true },
    { claim: workspace, type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', names: workspace },
    { claim: '/terraform_organization_name', type: 'text', presence: 'always', names: organization },
    { claim: '/terraform_project_name', type: 'text', presence: 'always', names: project, namedIn: ['/terraform_organization_name'] },
    { claim: '/terraform_workspace_name', type: 'text', presence: 'always', names: workspace, namedIn: ['/terraform_organization_name'] },
    { claim: '/terraform_full_workspace', type: 'text', presence: 'always', names: workspace },
    { claim: '/terraform_run_id', type: 'text', presence: 'always', immutable: true },
    { claim: '/terraform_run_phase', type: 'text', presence: 'always', values: ['plan', 'apply'] },
  ],
  subjectClaims: [organization, project, workspace],
  issuers: [{ url: 'https://app.terraform.io', shared: true }, { url: 'https://app.eu.terraform.io', shared: true }],
  selfHosted: true,
  contexts: [{
    context: 'pull request', claim: '/terraform_run_phase', values: ['plan'],
    remedy: '`{ claim: /terraform_run_phase, equals: apply }` lets in what somebody has approved and no plan',
  }],
};
