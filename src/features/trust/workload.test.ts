import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { presets } from './presets.ts';
import { subjectOf, workloadId } from './workload.ts';

const terraform = { terraform_organization_id: 'org-abc', terraform_project_id: 'prj-A', terraform_workspace_id: 'ws-123', sub: 'organization:acme:project:x' };

describe('who a workload is', () => {
  const rows: [says: string, preset: keyof typeof presets, claims: Record<string, unknown>, subject: string | null][] = [
    ['without a preset it is `sub`', 'generic', { sub: 'repo:acme/app' }, 'repo:acme/app'],
    ['`sub` is not trimmed or folded', 'generic', { sub: ' Repo ' }, ' Repo '],
    ['without `sub` it is nobody', 'generic', { azp: 'x' }, null],
    ['an empty `sub` is nobody', 'generic', { sub: '' }, null],
    ['a number is no subject', 'generic', { sub: 7 }, null],
    ['an inherited `sub` does not count', 'generic', Object.create({ sub: 'x' }) as Record<string, unknown>, null],
    ['a `sub` of more than 1000 bytes is nobody', 'generic', { sub: 'ä'.repeat(501) }, null],
    ['Terraform: ids and no names', 'hcp_terraform', terraform, 'terraform_organization_id=org-abc&terraform_project_id=prj-A&terraform_workspace_id=ws-123'],
    ['Terraform: a renamed workspace stays who it is', 'hcp_terraform', { ...terraform, sub: 'organization:new' }, 'terraform_organization_id=org-abc&terraform_project_id=prj-A&terraform_workspace_id=ws-123'],
    ['Terraform: a token without the workspace is nobody', 'hcp_terraform', { ...terraform, terraform_workspace_id: undefined }, null],
    ['Terraform: a null id is nobody', 'hcp_terraform', { ...terraform, terraform_project_id: null }, null],
    ['separators in a value stay in the value', 'hcp_terraform', { ...terraform, terraform_organization_id: 'a&terraform_project_id=b' }, 'terraform_organization_id=a%26terraform_project_id%3Db&terraform_project_id=prj-A&terraform_workspace_id=ws-123'],
    ['an escaped value that grows too long is nobody', 'hcp_terraform', { ...terraform, terraform_organization_id: '&'.repeat(400) }, null],
  ];
  for (const [says, preset, claims, subject] of rows) test(says, () => assert.equal(subjectOf(presets[preset], claims), subject));

  test('issuer and subject cannot be told apart wrongly', () => {
    assert.equal(workloadId('https://a.example', 'b#c'), 'https://a.example#b#c');
  });
});
