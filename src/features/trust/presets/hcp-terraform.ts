import type { Preset } from './preset.ts';

const ids = ['/terraform_organization_id', '/terraform_project_id', '/terraform_workspace_id'];

/**
 * HCP Terraform and Terraform Enterprise. `sub` is made of names, which are given out again when an organization,
 * project or workspace is deleted; the ids are not.
 */
export const hcpTerraform: Preset = { immutableClaims: ids, subjectClaims: ids };
