import type { Samples } from './sample.ts';

const workspace = {
  iss: 'https://app.terraform.io', aud: 'https://sallyport.example', jti: 'b3c1f6de-8b0c-4c7b-9a55-6a4f2f1a8a01',
  terraform_organization_id: 'org-V6mBXyz4Jf1S7aXQ', terraform_organization_name: 'acme',
  terraform_project_id: 'prj-9cGk2bqQ7cVwYx1T', terraform_project_name: 'Default Project',
  terraform_workspace_id: 'ws-mbsd5E3Ktt5Rg2Xm', terraform_workspace_name: 'platform',
  terraform_full_workspace: 'organization:acme:project:Default Project:workspace:platform',
  terraform_run_id: 'run-W4pRb7Ju2dYnBk3L',
};
const subject = 'terraform_organization_id=org-V6mBXyz4Jf1S7aXQ&terraform_project_id=prj-9cGk2bqQ7cVwYx1T&terraform_workspace_id=ws-mbsd5E3Ktt5Rg2Xm';

export const samples: Samples = {
  from: 'HCP Terraform, "Workload identity": token structure',
  tokens: [
    { says: 'an apply', claims: { ...workspace, sub: `${workspace.terraform_full_workspace}:run_phase:apply`, terraform_run_phase: 'apply' }, subject },
    { says: 'a plan, of the same workspace', claims: { ...workspace, sub: `${workspace.terraform_full_workspace}:run_phase:plan`, terraform_run_phase: 'plan' }, subject },
  ],
};
