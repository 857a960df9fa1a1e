import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { compileIssuer } from '#features/trust/compile-issuer.ts';
import { presetNames, presets, tenantClaimsOf } from '#features/trust/presets.ts';
import type { PresetName } from '#features/trust/presets.ts';
import type { ClaimMappingSpec, ConditionSpec, TrustedIssuerSpec } from '#features/trust/schema.ts';
import { claimMappingSpec } from '#features/trust/schema.ts';
import { World } from '#kernel/world.ts';
import { lintCodes } from './finding.ts';
import { lintIssuer } from './issuer-rules.ts';
import { lintMapping, refusalsOf } from './lint-mapping.ts';

const shared: Partial<Record<PresetName, string>> = {
  hcp_terraform: 'https://app.terraform.io', github_actions: 'https://token.actions.githubusercontent.com', gitlab: 'https://gitlab.com', circleci: 'https://oidc.circleci.com',
  buildkite: 'https://agent.buildkite.com', bitbucket: 'https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc', gcp_service_account: 'https://accounts.google.com',
};
const own = 'https://issuer.example';

function issuerSpec(preset: PresetName, issuer: string, changes: object = {}): TrustedIssuerSpec {
  return { issuer, preset, audiences: ['a'], keys: { discovery: true }, algorithms: ['RS256'], ...changes };
}

const grants: ClaimMappingSpec['grants'] = [{ role: 'r', scope: 'payments', resources: [] }];

/** Codes and places, in the order they are told. */
function found(preset: PresetName, issuer: string, spec: Partial<ClaimMappingSpec> & { when: ConditionSpec[] }, changes: object = {}): string[] {
  const draft = { scope: '/', identifier: 'm', refs: () => undefined, spec: { issuer: 'i', grants, ...spec } };
  assert.equal(claimMappingSpec.safeParse(draft.spec).success, true, JSON.stringify(spec));
  const findings = lintMapping({ draft, issuer: compileIssuer({ spec: issuerSpec(preset, issuer, changes) }), issuerUid: 'i', after: new World('account', 1) });
  for (const { code, severity, message } of findings) {
    assert.equal(severity === undefined, lintCodes[code].refuses, code);
    assert.ok(message.length > 20 && message.length < 500, message);
  }
  return findings.map(({ code, pointer }) => `${code.slice(5)} ${pointer}`);
}

const org = { claim: '/terraform_organization_id', equals: 'org-abc' };
const workspace = { claim: '/terraform_workspace_id', equals: 'ws-123' };
const apply = { claim: '/terraform_run_phase', equals: 'apply' };
const owner = { claim: '/repository_owner_id', equals: '65' };
const repository = { claim: '/repository_id', equals: '74' };
const push = { claim: '/event_name', equals: 'push' };

describe('the linter refuses', () => {
  const hcp = shared.hcp_terraform!;
  const rows: [says: string, preset: PresetName, issuer: string, when: ConditionSpec[], found: string[]][] = [
    ['a shared issuer pinned by a workspace alone', 'hcp_terraform', hcp, [workspace, apply], ['shared_issuer_unpinned /when']],
    ['a shared issuer pinned by the tenant\'s name, which strangers get when it is free', 'hcp_terraform', hcp, [{ claim: '/terraform_organization_name', equals: 'acme' }, workspace, apply], ['shared_issuer_unpinned /when', 'mutable_name /when/0']],
    ['a tenant that only has to be there', 'hcp_terraform', hcp, [{ claim: '/terraform_organization_id', exists: true }, workspace, apply], ['shared_issuer_unpinned /when']],
    ['a tenant out of a list of none', 'hcp_terraform', hcp, [{ claim: '/terraform_organization_id', oneOf: [] }, workspace, apply], ['shared_issuer_unpinned /when', 'selects_nothing /when/0/oneOf']],
    ['a tenant by glob', 'hcp_terraform', hcp, [{ claim: '/terraform_organization_id', glob: 'org-*' }, workspace, apply], ['shared_issuer_unpinned /when', 'glob_across_tenants /when/0/glob']],
    ['a glob over `sub` that strangers can fit', 'github_actions', shared.github_actions!, [{ claim: '/sub', glob: 'repo:acme*/shop:*' }, push], ['shared_issuer_unpinned /when', 'glob_across_tenants /when/0/glob', 'mutable_name /when/0']],
    ['a glob over a name that strangers can fit', 'gitlab', shared.gitlab!, [{ claim: '/project_path', glob: 'acme/*' }, { claim: '/ref_protected', equals: 'true' }], ['shared_issuer_unpinned /when', 'glob_across_tenants /when/0/glob', 'mutable_name /when/0']],
    ['a tenant by glob where the issuer is one\'s own', 'gitlab', own, [{ claim: '/namespace_id', glob: '7?' }, { claim: '/ref_protected', equals: 'true' }], ['glob_across_tenants /when/0/glob']],
    ['two values at once', 'generic', own, [{ claim: '/a', equals: 'x' }, { claim: '/a', equals: 'y' }], ['never_matches /when/1']],
    ['a value beside the list', 'generic', own, [{ claim: '/a', equals: 'x' }, { claim: '/a', oneOf: ['y', 'z'] }], ['never_matches /when/1']],
    ['lists with nothing in common', 'generic', own, [{ claim: '/a', oneOf: ['w', 'x'] }, { claim: '/a', oneOf: ['y', 'z'] }], ['never_matches /when/1']],
    ['a value that does not fit the glob', 'generic', own, [{ claim: '/a', equals: 'x' }, { claim: '/a', glob: 'y*' }], ['never_matches /when/1']],
    ['a number and a glob', 'generic', own, [{ claim: '/a', equals: 1 }, { claim: '/a', glob: '*' }], ['never_matches /when/1']],
    ['absence and a value', 'generic', own, [{ claim: '/a', absent: true }, { claim: '/a', equals: 'x' }], ['never_matches /when/1']],
    ['a list and a value', 'generic', own, [{ claim: '/a', any: { equals: 'x' } }, { claim: '/a', equals: 'x' }], ['never_matches /when/1']],
    ['the absence of what every token has', 'hcp_terraform', own, [workspace, apply, { claim: '/terraform_organization_id', absent: true }], ['never_matches /when/2/absent']],
    ['a boolean where the issuer writes text', 'gitlab', own, [{ claim: '/ref_protected', equals: true }, { claim: '/job_project_id', equals: '20' }], ['never_matches /when/0/equals']],
    ['text where the issuer writes a boolean', 'circleci', own, [{ claim: '/oidc.circleci.com~1ssh-rerun', equals: 'false' }, { claim: '/oidc.circleci.com~1vcs-origin', equals: 'g' }], ['never_matches /when/0/equals']],
    ['numbers where the issuer writes text', 'github_actions', own, [{ claim: '/repository_id', oneOf: [74, 75] }, push], ['never_matches /when/0/oneOf']],
    ['a glob over a number', 'gitlab', own, [{ claim: '/runner_id', glob: '1*' }, { claim: '/ref_protected', equals: 'true' }], ['never_matches /when/0/glob']],
    ['a list as if it were a value', 'circleci', own, [{ claim: '/oidc.circleci.com~1context-ids', equals: 'c' }, { claim: '/oidc.circleci.com~1vcs-origin', equals: 'g' }], ['never_matches /when/0']],
    ['a value as if it were a list', 'hcp_terraform', own, [{ claim: '/terraform_workspace_id', any: { equals: 'ws-123' } }, apply], ['never_matches /when/0']],
    ['an object as if it were a value', 'aws_outbound', own, [{ claim: '/https:~1~1sts.amazonaws.com~1/principal_tags', equals: 'x' }], ['never_matches /when/0']],
    ['another issuer', 'generic', own, [{ claim: '/iss', equals: 'https://other.example' }, { claim: '/a', equals: 'x' }], ['never_matches /when/0/equals']],
  ];
  for (const [says, preset, issuer, when, expected] of rows) test(says, () => assert.deepEqual(found(preset, issuer, { when }), expected));

  for (const name of presetNames) {
    const issuer = shared[name];
    if (issuer === undefined) continue;
    test(`a mapping of ${issuer} without its tenant, and names the claims that do`, () => {
      const refused = refusalsOf({ draft: { scope: '/', identifier: 'm', refs: () => undefined, spec: { issuer: 'i', grants, when: [{ claim: '/custom', equals: 'x' }] } }, issuer: compileIssuer({ spec: issuerSpec(name, issuer) }), issuerUid: 'i', after: new World('account', 1) });
      assert.deepEqual(refused.map(({ code }) => code), ['lint.shared_issuer_unpinned']);
      for (const claim of tenantClaimsOf(presets[name])) assert.ok(refused[0]!.message.includes(`\`${claim}\``));
    });
  }

  const expressions: [says: string, condition: string, found: string[]][] = [
    ['an expression with a boolean where the issuer writes text', 'claims.ref_protected == true', ['expression_type /condition']],
    ['an expression with a number where the issuer writes text', 'claims.repository_id == 74', ['expression_type /condition']],
    ['an expression that is true of nothing', 'claims.event_name == "push" && false', ['never_matches /condition']],
  ];
  for (const [says, condition, expected] of expressions) test(says, () => assert.deepEqual(found('github_actions', own, { when: [owner, repository, push], condition }), expected));
});

describe('the linter warns', () => {
  const rows: [says: string, preset: PresetName, spec: Partial<ClaimMappingSpec> & { when: ConditionSpec[] }, found: string[]][] = [
    ['of a name beside which there is an id', 'github_actions', { when: [owner, { claim: '/repository', equals: 'acme/shop' }, push] }, ['mutable_name /when/1']],
    ['of a name in an expression', 'github_actions', { when: [owner, push], condition: 'claims.repository == "acme/shop"' }, ['mutable_name /condition']],
    ['of a name a scope is taken from', 'hcp_terraform', { when: [org, apply], grants: [{ role: 'r', scope: { from: '/terraform_project_name', map: { a: 'payments' } }, resources: [] }] }, ['mutable_name /grants/0/scope/from']],
    ['not of a name whose id is stated', 'github_actions', { when: [owner, repository, { claim: '/repository', equals: 'acme/shop' }, push] }, []],
    ['of `sub` alone', 'github_actions', { when: [{ claim: '/sub', equals: 'repo:acme/shop:environment:prod' }] }, ['sub_only /when', 'pull_request /when']],
    ['of `sub` beside others as of a name', 'github_actions', { when: [owner, { claim: '/sub', glob: 'repo:acme/shop:*' }, push] }, ['mutable_name /when/1']],
    ['not of `sub` where it is an id', 'gcp_service_account', { when: [{ claim: '/sub', equals: '113774264463038321964' }] }, []],
    ['not of `sub` where nothing better is known', 'generic', { when: [{ claim: '/sub', equals: 'x' }] }, []],
    ['of pull requests', 'github_actions', { when: [owner, repository] }, ['pull_request /when']],
    ['of pull requests among other events', 'github_actions', { when: [owner, repository, { claim: '/event_name', oneOf: ['push', 'pull_request_target'] }] }, ['pull_request /when']],
    ['not of pull requests where an environment stands in the way', 'github_actions', { when: [owner, repository, { claim: '/environment', equals: 'prod' }] }, []],
    ['not of pull requests of which an expression says something', 'github_actions', { when: [owner, repository], condition: 'claims.event_name != "pull_request"' }, []],
    ['of an event that only has to be there', 'github_actions', { when: [owner, repository, { claim: '/event_name', exists: true }] }, ['pull_request /when']],
    ['of plans, which pull requests cause', 'hcp_terraform', { when: [org, workspace] }, ['pull_request /when']],
    ['of plans that are let in by name', 'hcp_terraform', { when: [org, workspace, { claim: '/terraform_run_phase', oneOf: ['plan', 'apply'] }] }, ['pull_request /when']],
    ['not of plans where only an apply gets in', 'hcp_terraform', { when: [org, workspace, apply] }, []],
    ['of forks and merge requests', 'gitlab', { when: [{ claim: '/project_id', equals: '20' }] }, ['fork /when', 'pull_request /when']],
    ['not of forks where the branch is protected', 'gitlab', { when: [{ claim: '/project_id', equals: '20' }, { claim: '/ref_protected', equals: 'true' }] }, []],
    ['not of forks where an expression compares where it runs with whose it is', 'gitlab', { when: [{ claim: '/project_id', equals: '20' }, { claim: '/pipeline_source', equals: 'push' }], condition: 'claims.project_id == claims.job_project_id' }, []],
    ['of forks where the origin is not compared', 'circleci', { when: [{ claim: '/oidc.circleci.com~1project-id', equals: 'p' }] }, ['fork /when']],
    ['of a claim nobody has heard of', 'hcp_terraform', { when: [org, workspace, apply, { claim: '/terraform_workspace_idd', exists: true }] }, ['unknown_claim /when/3/claim']],
    ['of such a claim in an expression', 'hcp_terraform', { when: [org, workspace, apply], condition: 'claims.terraform_phase == "apply"' }, ['unknown_claim /condition']],
    ['of a value nobody has heard of', 'hcp_terraform', { when: [org, workspace, { claim: '/terraform_run_phase', equals: 'aply' }] }, ['unknown_value /when/2']],
    ['of what every token has, and nothing else', 'hcp_terraform', { when: [{ claim: '/terraform_organization_id', exists: true }] }, ['everybody /when', 'pull_request /when']],
    ['of what every token has, as a star', 'generic', { when: [{ claim: '/sub', glob: '*' }] }, ['everybody /when']],
    ['of absence alone', 'generic', { when: [{ claim: '/act', absent: true }] }, ['everybody /when']],
    ['not of an expression beside what every token has', 'generic', { when: [{ claim: '/sub', exists: true }], condition: 'claims.a == "b"' }, []],
    ['of a list of no values', 'generic', { when: [{ claim: '/a', oneOf: [] }] }, ['selects_nothing /when/0/oneOf']],
    ['of nothing when all is well', 'hcp_terraform', { when: [org, workspace, apply] }, []],
  ];
  for (const [says, preset, spec, expected] of rows) test(says, () => assert.deepEqual(found(preset, shared[preset] !== undefined && preset === 'gcp_service_account' ? shared[preset] : own, spec), expected));

  test('of a claim nobody has heard of, with the one that is meant', () => {
    const draft = { scope: '/', identifier: 'm', refs: () => undefined, spec: { issuer: 'i', grants, when: [org, workspace, apply, { claim: '/terraform_workspace_nam', equals: 'x' }] } };
    const [warning] = lintMapping({ draft, issuer: compileIssuer({ spec: issuerSpec('hcp_terraform', own) }), issuerUid: 'i', after: new World('account', 1) });
    assert.equal(warning!.suggestion, '/terraform_workspace_name');
  });

  test('not of a claim the issuer\'s document lists', () => {
    const spec = issuerSpec('hcp_terraform', own, { immutableClaims: ['cost_centre'] });
    const draft = { scope: '/', identifier: 'm', refs: () => undefined, spec: { issuer: 'i', grants, when: [org, workspace, apply, { claim: '/cost_centre', equals: '7' }] } };
    assert.deepEqual(lintMapping({ draft, issuer: compileIssuer({ spec }), issuerUid: 'i', after: new World('account', 1) }), []);
  });

  test('at most fifty times', () => {
    const when = Array.from({ length: 50 }, (_, i): ConditionSpec => ({ claim: `/custom_${i}`, equals: 'x' }));
    assert.equal(found('hcp_terraform', own, { when: when.map((one) => ({ ...one })), condition: 'claims.more == "x"' }).length, 50);
  });
});

describe('an issuer\'s document', () => {
  const codes = (spec: TrustedIssuerSpec) => lintIssuer(spec).map(({ code, pointer }) => `${code.slice(5)} ${pointer}`);
  const rows: [says: string, spec: TrustedIssuerSpec, found: string[]][] = [
    ['at a shared address needs its preset', { ...issuerSpec('generic', 'https://app.terraform.io') }, ['shared_issuer_preset /preset']],
    ['at a shared address is not somebody else\'s', issuerSpec('spiffe', 'https://gitlab.com', { allowOtherAudiences: false }), ['shared_issuer_preset /preset']],
    ['at a shared address in other letters', issuerSpec('generic', 'https://App.Terraform.IO/'), ['shared_issuer_preset /preset']],
    ['at its own address is right', issuerSpec('hcp_terraform', 'https://app.terraform.io'), []],
    ['at a server of one\'s own is right', issuerSpec('gitlab', 'https://gitlab.example.com'), []],
    ['at an address such issuers do not have is looked at', issuerSpec('buildkite', own), ['issuer_address /issuer']],
    ['whose tokens may name several audiences says what then', issuerSpec('kubernetes', own), ['several_audiences /allowOtherAudiences']],
    ['that says it is not asked', issuerSpec('kubernetes', own, { allowOtherAudiences: false }), []],
  ];
  for (const [says, spec, expected] of rows) test(says, () => assert.deepEqual(codes(spec), expected));
});

test('every code is in the page', () => {
  const page = readFileSync(new URL('../../../../docs/claims-in.md', import.meta.url), 'utf8');
  assert.deepEqual(Object.keys(lintCodes).filter((code) => !page.includes(`\`${code}\``)), []);
});
