/** Who grants must hold what is granted: every row of CONTRACTS §5 that access answers for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changeOf, checksOf } from '#test/cases/changes.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import type { Case } from '#test/cases/world.ts';
import { askerOf, boundOf, buildWorld } from '#test/cases/world.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Caller } from '#kernel/caller.ts';
import { authorize } from './authorize.ts';
import { holdings } from './gives.ts';
import { holds } from './holds.ts';

const everything = 'all_resources_including_child_scopes';

function doc(kind: string, path: string, spec: object, tags?: Record<string, string>): Manifest {
  const at = path.lastIndexOf('/');
  return { kind, scope: at === -1 ? '/' : path.slice(0, at), identifier: path.slice(at + 1), spec, ...(tags === undefined ? {} : { tags }) };
}

function user(name: string, more: object = {}): Manifest {
  return doc('User', name, { email: `${name}@example.com`, ...more });
}

function bind(path: string, principal: string, role: string, resourceGroup: string, more: object = {}): Manifest {
  const [type, id] = principal.split(':');
  return doc('RoleBinding', path, { principal: { type, id }, role, resourceGroup, ...more });
}

const here: Record<string, string> = { '0': 'all_account_level_resources', '1': 'all_org_level_resources', '2': 'all_project_level_resources' };

const world: Manifest[] = [
  doc('Organization', 'payments', {}),
  doc('Organization', 'platform', {}),
  doc('Project', 'payments/checkout', {}),
  doc('Project', 'payments/refunds', {}),
  doc('TrustedIssuer', 'hcp', {}),
  ...['root', 'flat_root', 'org_root', 'project_root', 'viewer', 'narrow', 'tagged', 'binder', 'foo_binder', 'governor', 'nobody', 'seller', 'wide', 'writer', 'lister', 'past', 'victim', 'parent'].map((name) => user(name)),
  user('asleep', { disabled: true }),
  doc('ServiceAccount', 'robot', { disabled: true }),
  doc('UserGroup', 'inner', { members: [] }),
  doc('UserGroup', 'outer', { members: [{ type: 'user_group', id: 'inner' }] }),
  doc('UserGroup', 'free', { members: [] }),
  doc('UserGroup', 'off', { members: [] }),
  doc('Role', 'runner', { level: 'account', permissions: ['pipeline.view', 'pipeline.execute'] }),
  doc('Role', 'reader', { level: 'account', permissions: ['pipeline.view'] }),
  doc('Role', 'binder', { level: 'account', permissions: ['role.bind'] }),
  doc('Role', 'governor', { level: 'account', permissions: ['pipeline.govern', 'environment.govern'] }),
  doc('Role', 'keeper', { level: 'account', permissions: ['project.edit', 'organization.edit'] }),
  doc('Role', 'unbound', { level: 'account', permissions: ['secret.view'] }),
  doc('ResourceGroup', 'payments/recovery', { includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.purpose': { equals: 'recovery' } } }] }),
  doc('ResourceGroup', 'payments/named', { includeChildScopes: true, resources: [{ type: 'pipeline', identifiers: ['a', 'b'] }] }),
  doc('ResourceGroup', 'payments/pipelines', { includeChildScopes: true, resources: [{ type: 'pipeline' }] }),
  doc('ResourceGroup', 'payments/flat', { all: true }),
  doc('ResourceGroup', 'payments/foo', { includeChildScopes: true, resources: [{ type: 'role', identifiers: ['runner'] }] }),
  doc('ResourceGroup', 'payments/tight', { resources: [{ type: 'pipeline', identifiers: ['a'] }] }),
  doc('ResourceGroup', 'claimed', { includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.application': { equalsClaim: '/application' } } }] }),
  doc('ResourceGroup', 'gold', { includeChildScopes: true, resources: [{ type: 'project', where: { 'tags.tier': { equals: 'gold' } } }] }),
  bind('root', 'user:root', 'account_admin', everything),
  bind('flat_root', 'user:flat_root', 'account_admin', here['0']!),
  bind('payments/org_root', 'user:org_root', 'org_admin', everything),
  bind('payments/checkout/project_root', 'user:project_root', 'project_admin', here['2']!),
  bind('payments/viewer', 'user:viewer', 'org_viewer', everything),
  bind('payments/narrow', 'user:narrow', 'account.runner', 'named'),
  bind('payments/tagged', 'user:tagged', 'account.runner', 'recovery'),
  bind('payments/wide', 'user:wide', 'account.runner', 'pipelines'),
  bind('payments/binder', 'user:binder', 'account.binder', everything),
  bind('payments/foo_binder', 'user:foo_binder', 'account.binder', 'foo'),
  bind('payments/governor', 'user:governor', 'account.governor', everything),
  bind('payments/lister', 'user:lister', 'account.reader', 'tight'),
  bind('payments/outer', 'user_group:account.outer', 'account.runner', 'pipelines'),
  bind('payments/off', 'user_group:account.off', 'account.runner', 'pipelines', { disabled: true }),
  bind('payments/asleep', 'user:asleep', 'account.runner', 'pipelines'),
  bind('payments/robot', 'service_account:account.robot', 'account.runner', 'pipelines'),
  bind('payments/victim', 'user:victim', 'account.runner', 'pipelines'),
  bind('past', 'user:past', 'account_admin', everything, { expiresAt: '2026-01-01T00:00:00Z' }),
  bind('payments/checkout/keeper', 'user:writer', 'account.keeper', here['2']!),
  bind('payments/parent', 'user:parent', 'account.keeper', here['1']!),
  bind('gold', 'user:seller', 'keeper', 'gold'),
  doc('Pipeline', 'payments/checkout/a', {}),
  doc('Pipeline', 'payments/checkout/z', {}, { purpose: 'recovery', application: 'x' }),
  doc('Environment', 'payments/checkout/prod', { type: 'Production' }),
  doc('ClaimMapping', 'm', { issuer: 'hcp', when: [{ claim: '/ws', equals: '1' }], grants: [{ role: 'runner', scope: 'platform', resourceGroup: 'claimed' }, { role: 'reader', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] }),
];

const built = buildWorld({ world, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds);

function caller(who: string, within?: Case['within']): Caller {
  return { ...askerOf(built, { who, within }), credential: { kind: 'personal', id: '1' }, mayAdminister: true, expiresAt: null };
}

function mayApply(who: string, apply: readonly Manifest[], within?: Case['within']): boolean {
  const { after, given } = changeOf(built.world, testKinds, apply);
  return authorize({ kinds: testKinds, caller: caller(who, within), before: built.world, after, checks: checksOf(given), now: built.now }).allowed;
}

interface Row {
  readonly it: string;
  readonly who: string;
  readonly apply: readonly Manifest[];
  readonly within?: Case['within'];
  readonly held: boolean;
}

const member = (group: string, ...ids: string[]) => doc('UserGroup', group, { members: ids.map((id) => ({ type: id.includes(':') ? id.split(':')[0] : 'user', id: id.split(':').at(-1)! })) });
const pipelinesOf = (...selectors: object[]) => doc('ResourceGroup', 'payments/tight', { resources: selectors });
const allBelow = [{ permissions: 'all' as const, scope: 'payments', includeChildScopes: true, resources: 'all' as const }];

const rows: readonly Row[] = [
  // role binding: the role over that range
  { it: 'an account admin binds anything anywhere', who: 'root', apply: [bind('x', 'user:nobody', 'account_admin', everything)], held: true },
  { it: 'bootstrap binds anything anywhere', who: 'system:bootstrap', apply: [bind('x', 'user:nobody', 'account_admin', everything)], held: true },
  { it: 'an account admin without child scopes does not give child scopes', who: 'flat_root', apply: [bind('x', 'user:nobody', 'account_admin', everything)], held: false },
  { it: 'an account admin without child scopes gives what it has', who: 'flat_root', apply: [bind('x', 'user:nobody', 'account_admin', here['0']!)], held: true },
  { it: 'an org admin makes org admins', who: 'org_root', apply: [bind('payments/x', 'user:nobody', 'org_admin', everything)], held: true },
  { it: 'an org admin makes project admins', who: 'org_root', apply: [bind('payments/checkout/x', 'user:nobody', 'project_admin', here['2']!)], held: true },
  { it: 'an org admin makes no admins of another org', who: 'org_root', apply: [bind('platform/x', 'user:nobody', 'org_admin', everything)], held: false },
  { it: 'an org admin makes no account admins', who: 'org_root', apply: [bind('x', 'user:nobody', 'account_admin', everything)], held: false },
  { it: 'an account role bound in the org gives only what is there', who: 'org_root', apply: [bind('payments/x', 'user:nobody', 'account_admin', everything)], held: true },
  { it: 'a project admin makes project admins', who: 'project_root', apply: [bind('payments/checkout/x', 'user:nobody', 'project_admin', here['2']!)], held: true },
  { it: 'a project admin with a group of the org over it gives only its project', who: 'project_root', apply: [bind('payments/checkout/x', 'user:nobody', 'account.runner', 'org.pipelines')], held: true },
  { it: 'a project admin gives the project itself through a group of the org', who: 'project_root', apply: [bind('payments/checkout/x', 'user:nobody', 'account.keeper', 'org.flat')], held: true },
  { it: 'who holds the projects of an org gives one of them in itself', who: 'parent', apply: [bind('payments/checkout/x', 'user:nobody', 'account.keeper', 'org.flat')], held: true },
  { it: 'somebody in the project who does not hold it does not give the project itself so', who: 'viewer', apply: [bind('payments/checkout/x', 'user:nobody', 'account.keeper', 'org.flat')], held: false },
  { it: 'a project admin gives nothing in a sibling', who: 'project_root', apply: [bind('payments/refunds/x', 'user:nobody', 'project_viewer', here['2']!)], held: false },
  { it: 'a viewer makes viewers', who: 'viewer', apply: [bind('payments/checkout/x', 'user:nobody', 'project_viewer', here['2']!)], held: true },
  { it: 'a viewer makes no executors', who: 'viewer', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: false },
  { it: 'nobody gives anything to oneself', who: 'nobody', apply: [bind('payments/x', 'user:nobody', 'account.reader', 'pipelines')], held: false },
  { it: 'an expired admin gives nothing', who: 'past', apply: [bind('payments/x', 'user:nobody', 'account.reader', 'pipelines')], held: false },
  { it: 'a disabled user gives nothing', who: 'asleep', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: false },
  { it: 'names are covered by the same names', who: 'narrow', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'named')], held: true },
  { it: 'names are covered by more names', who: 'narrow', apply: [bind('payments/x', 'user:nobody', 'account.reader', 'tight')], held: true },
  { it: 'a kind is not covered by names', who: 'narrow', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: false },
  { it: 'a binding below the group gives only what is below', who: 'narrow', apply: [bind('payments/checkout/x', 'user:nobody', 'account.runner', 'org.named')], held: true },
  { it: 'a conditional grant covers not even the same condition', who: 'tagged', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'recovery')], held: false },
  { it: 'a condition of what is given counts as none', who: 'narrow', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'recovery')], held: false },
  { it: 'whoever holds the kind gives the conditional part', who: 'wide', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'recovery')], held: true },
  { it: 'bounds narrow what may be given', who: 'root', within: allBelow, apply: [bind('x', 'user:nobody', 'account_admin', everything)], held: false },
  { it: 'what bounds leave may be given', who: 'root', within: allBelow, apply: [bind('payments/x', 'user:nobody', 'org_admin', everything)], held: true },
  { it: 'bounds on one permission do not give a role of two', who: 'root', within: [{ permissions: ['pipeline.view'], scope: '/', includeChildScopes: true, resources: 'all' }], apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: false },
  { it: 'bounds on the permissions give their role', who: 'root', within: [{ permissions: ['pipeline.view', 'pipeline.execute'], scope: '/', includeChildScopes: true, resources: 'all' }], apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: true },
  { it: 'a disabled binding gives nothing yet', who: 'nobody', apply: [bind('x', 'user:nobody', 'account_admin', everything, { disabled: true })], held: true },
  { it: 'enabling it gives all of it', who: 'viewer', apply: [bind('payments/off', 'user_group:account.off', 'account.runner', 'pipelines')], held: false },
  { it: 'disabling a binding gives nothing', who: 'nobody', apply: [bind('root', 'user:root', 'account_admin', everything, { disabled: true })], held: true },
  { it: 'an earlier end gives nothing', who: 'nobody', apply: [bind('root', 'user:root', 'account_admin', everything, { expiresAt: '2027-01-01T00:00:00Z' })], held: true },
  { it: 'a later end gives all of it', who: 'viewer', apply: [bind('past', 'user:past', 'account_admin', everything, { expiresAt: '2027-01-01T00:00:00Z' })], held: false },
  { it: 'another principal gets all of it', who: 'nobody', apply: [bind('root', 'user:nobody', 'account_admin', everything)], held: false },
  { it: 'an empty role gives nothing', who: 'nobody', apply: [doc('Role', 'none', { level: 'account', permissions: [] }), bind('x', 'user:nobody', 'none', everything)], held: true },
  // role.bind
  { it: 'who may bind roles binds one without holding it', who: 'binder', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: true },
  { it: 'and binds it below', who: 'binder', apply: [bind('payments/checkout/x', 'user:nobody', 'project_admin', here['2']!)], held: true },
  { it: 'but not above', who: 'binder', apply: [bind('x', 'user:nobody', 'runner', here['0']!)], held: false },
  { it: 'nor beside', who: 'binder', apply: [bind('platform/x', 'user:nobody', 'account.runner', here['1']!)], held: false },
  { it: 'who may bind a role by name does not bind one of that name from another scope', who: 'foo_binder', apply: [bind('payments/x', 'user:nobody', 'account.runner', 'pipelines')], held: false },
  { it: 'and no other', who: 'foo_binder', apply: [bind('payments/x', 'user:nobody', 'account.reader', 'pipelines')], held: false },
  { it: 'who may bind roles does not widen a group so', who: 'binder', apply: [member('inner', 'nobody')], held: false },
  // role edit: each added permission wherever the role is bound
  { it: 'a permission added to a bound role is given', who: 'wide', apply: [doc('Role', 'runner', { level: 'account', permissions: ['pipeline.view', 'pipeline.execute', 'pipeline.edit'] })], held: false },
  { it: 'an org admin does not add to a role that a mapping grants elsewhere', who: 'org_root', apply: [doc('Role', 'runner', { level: 'account', permissions: ['pipeline.view', 'pipeline.execute', 'pipeline.edit'] })], held: false },
  { it: 'an account admin does', who: 'root', apply: [doc('Role', 'runner', { level: 'account', permissions: ['pipeline.view', 'pipeline.execute', 'pipeline.edit'] })], held: true },
  { it: 'an org admin adds to a role that is used in the org alone', who: 'org_root', apply: [doc('Role', 'reader', { level: 'account', permissions: ['pipeline.view', 'pipeline.edit'] })], held: true },
  { it: 'taking a permission away gives nothing', who: 'nobody', apply: [doc('Role', 'runner', { level: 'account', permissions: ['pipeline.view'] })], held: true },
  { it: 'a role bound nowhere gives nothing', who: 'nobody', apply: [doc('Role', 'unbound', { level: 'account', permissions: ['secret.view', 'secret.access'] })], held: true },
  { it: 'a role widened and bound in one call is given as it becomes', who: 'viewer', apply: [doc('Role', 'unbound', { level: 'account', permissions: ['secret.view', 'secret.access'] }), bind('payments/x', 'user:nobody', 'account.unbound', here['1']!)], held: false },
  // resource-group edit: the roles bound through it, over the new extent
  { it: 'a widened group gives its roles', who: 'lister', apply: [pipelinesOf({ type: 'pipeline', identifiers: ['a', 'b'] })], held: false },
  { it: 'who holds them over the new extent widens it', who: 'wide', apply: [pipelinesOf({ type: 'pipeline', identifiers: ['a', 'b'] })], held: true },
  { it: 'a dropped condition widens', who: 'tagged', apply: [doc('ResourceGroup', 'payments/recovery', { includeChildScopes: true, resources: [{ type: 'pipeline' }] })], held: false },
  { it: 'a narrowed group gives nothing', who: 'nobody', apply: [doc('ResourceGroup', 'payments/pipelines', { includeChildScopes: true, resources: [{ type: 'pipeline', identifiers: ['a'] }] })], held: true },
  { it: 'child scopes taken away give nothing', who: 'nobody', apply: [doc('ResourceGroup', 'payments/pipelines', { resources: [{ type: 'pipeline' }] })], held: true },
  { it: 'an added condition gives nothing', who: 'nobody', apply: [doc('ResourceGroup', 'payments/pipelines', { includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.a': { equals: 'b' } } }] })], held: true },
  { it: 'another condition is another extent', who: 'tagged', apply: [doc('ResourceGroup', 'payments/recovery', { includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.purpose': { exists: true } } }] })], held: false },
  { it: 'a group that a mapping grants gives to whom it matches', who: 'org_root', apply: [doc('ResourceGroup', 'claimed', { includeChildScopes: true, resources: [{ type: 'pipeline' }] })], held: false },
  { it: 'and is widened by who holds it there', who: 'root', apply: [doc('ResourceGroup', 'claimed', { includeChildScopes: true, resources: [{ type: 'pipeline' }] })], held: true },
  { it: 'a group used nowhere gives nothing', who: 'nobody', apply: [doc('ResourceGroup', 'payments/flat', { all: true, includeChildScopes: true })], held: true },
  // adding a member
  { it: 'a member of a group without bindings gets nothing', who: 'nobody', apply: [member('free', 'nobody')], held: true },
  { it: 'a member gets what the groups around its group grant', who: 'viewer', apply: [member('inner', 'nobody')], held: false },
  { it: 'who holds that adds members', who: 'wide', apply: [member('inner', 'nobody')], held: true },
  { it: 'a member of a group put into another in the same call gets that too', who: 'viewer', apply: [member('free', 'nobody'), member('inner', 'user_group:free')], held: false },
  { it: 'a group put into another gives its members what that grants', who: 'viewer', apply: [member('inner', 'user_group:free')], held: false },
  { it: 'a new group gives what groups around it grant', who: 'viewer', apply: [member('fresh', 'nobody'), member('outer', 'user_group:inner', 'user_group:fresh')], held: false },
  { it: 'a member taken out gets nothing', who: 'nobody', apply: [member('outer')], held: true },
  { it: 'a member of a group with a disabled binding gets nothing', who: 'nobody', apply: [member('off', 'nobody')], held: true },
  // people
  { it: 'another e-mail address gives all the user holds', who: 'viewer', apply: [user('victim', { email: 'mallory@example.com' })], held: false },
  { it: 'who holds that changes it', who: 'wide', apply: [user('victim', { email: 'new@example.com' })], held: true },
  { it: 'one changes the address of somebody without rights', who: 'nobody', apply: [user('nobody', { email: 'new@example.com' })], held: true },
  { it: 'enabling a user gives back what it holds', who: 'viewer', apply: [user('asleep')], held: false },
  { it: 'enabling a service account gives back what it holds', who: 'viewer', apply: [doc('ServiceAccount', 'robot', {})], held: false },
  { it: 'who holds that enables it', who: 'wide', apply: [doc('ServiceAccount', 'robot', {})], held: true },
  { it: 'disabling gives nothing', who: 'nobody', apply: [user('victim', { disabled: true })], held: true },
  // governed tags and attributes
  { it: 'a tag that a condition reads gives what the condition gives', who: 'viewer', apply: [doc('Pipeline', 'payments/checkout/a', {}, { purpose: 'recovery' })], held: false },
  { it: 'who holds that sets it', who: 'wide', apply: [doc('Pipeline', 'payments/checkout/a', {}, { purpose: 'recovery' })], held: true },
  { it: 'who holds it by name sets it on that name', who: 'narrow', apply: [doc('Pipeline', 'payments/checkout/a', {}, { purpose: 'recovery' })], held: true },
  { it: 'but on no other name', who: 'narrow', apply: [doc('Pipeline', 'payments/checkout/y', {}, { purpose: 'recovery' })], held: false },
  { it: 'who governs the kind sets it', who: 'governor', apply: [doc('Pipeline', 'payments/checkout/a', {}, { purpose: 'recovery' })], held: true },
  { it: 'a value no condition reads gives nothing', who: 'nobody', apply: [doc('Pipeline', 'payments/checkout/a', {}, { purpose: 'other', team: 'core' })], held: true },
  { it: 'taking the tag away gives nothing', who: 'nobody', apply: [doc('Pipeline', 'payments/checkout/z', {}, {})], held: true },
  { it: 'leaving the tag as it is gives nothing', who: 'nobody', apply: [doc('Pipeline', 'payments/checkout/z', {}, { purpose: 'recovery', application: 'x', note: '1' })], held: true },
  { it: 'a new resource with the tag gives what the condition gives', who: 'viewer', apply: [doc('Pipeline', 'payments/refunds/new', {}, { purpose: 'recovery' })], held: false },
  { it: 'a condition on a claim is met by any new value, where the grant reaches', who: 'viewer', apply: [doc('Project', 'platform/edge', {}), doc('Pipeline', 'platform/edge/p', {}, { application: 'x' })], held: false },
  { it: 'where the grant does not reach the value gives nothing', who: 'nobody', apply: [doc('Pipeline', 'payments/checkout/z', {}, { purpose: 'recovery', application: 'y' })], held: true },
  { it: 'a tag of a project itself is governed too', who: 'viewer', apply: [doc('Project', 'payments/checkout', {}, { tier: 'gold' })], held: false },
  { it: 'who holds it on the project itself sets it', who: 'writer', apply: [doc('Project', 'payments/checkout', {}, { tier: 'gold' })], held: true },
  // scopes the call makes
  { it: 'an admin with child scopes holds a scope the call makes', who: 'org_root', apply: [doc('Project', 'payments/new', {}), bind('payments/new/x', 'user:nobody', 'project_admin', here['2']!)], held: true },
  { it: 'an admin without child scopes does not', who: 'flat_root', apply: [doc('Organization', 'fresh', {}), bind('fresh/x', 'user:nobody', 'org_viewer', here['1']!)], held: false },
  { it: 'nobody becomes admin of what one makes', who: 'viewer', apply: [doc('Project', 'payments/new', {}), bind('payments/new/x', 'user:viewer', 'project_admin', here['2']!)], held: false },
  { it: 'rights of the same call do not count', who: 'viewer', apply: [bind('payments/x', 'user:viewer', 'org_admin', everything), bind('payments/y', 'user:nobody', 'org_admin', everything)], held: false },
];

describe('who grants must hold what is granted', () => {
  for (const row of rows) {
    it(row.it, () => assert.equal(mayApply(row.who.includes(':') ? row.who : `user:${row.who}`, row.apply, row.within), row.held));
  }
});

describe('a bound is held', () => {
  const cases = [
    { it: 'when it gives nothing', who: 'user:nobody', given: { permissions: [], scope: '/', includeChildScopes: true, resources: 'all' as const }, held: true },
    { it: 'when it selects nothing', who: 'user:nobody', given: { permissions: 'all' as const, scope: '/', includeChildScopes: true, resources: [] }, held: true },
    { it: 'when it names nothing', who: 'user:nobody', given: { permissions: ['pipeline.view'], scope: '/', includeChildScopes: true, resources: [{ type: 'pipeline', identifiers: [] }] }, held: true },
    { it: 'not when nobody asks', who: 'user:mallory', given: { permissions: [], scope: '/', includeChildScopes: true, resources: 'all' as const }, held: false },
    { it: 'in full by an admin in full', who: 'user:root', given: { permissions: 'all' as const, scope: '/', includeChildScopes: true, resources: 'all' as const }, held: true },
    { it: 'not in full by an org admin', who: 'user:org_root', given: { permissions: 'all' as const, scope: '/', includeChildScopes: true, resources: 'all' as const }, held: false },
    { it: 'in full over one kind by who has each permission of it there', who: 'user:org_root', given: { permissions: 'all' as const, scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }, held: true },
    { it: 'with kinds nobody knows yet by who holds every kind', who: 'user:root', given: { permissions: ['todo.view'], scope: '/', includeChildScopes: true, resources: [{ type: 'todo' }] }, held: true },
    { it: 'not with kinds nobody knows yet by anybody else', who: 'user:wide', given: { permissions: ['todo.view'], scope: 'payments', includeChildScopes: true, resources: [{ type: 'todo' }] }, held: false },
    { it: 'not with an unknown kind in full by anybody else', who: 'user:wide', given: { permissions: 'all' as const, scope: 'payments', includeChildScopes: false, resources: [{ type: 'todo' }] }, held: false },
    { it: 'over a project by child scopes of it, which has none', who: 'user:project_root', given: { permissions: ['pipeline.view'], scope: 'payments/checkout', includeChildScopes: true, resources: 'all' as const }, held: true },
    { it: 'not over child scopes by one scope', who: 'user:flat_root', given: { permissions: ['secret.view'], scope: '/', includeChildScopes: true, resources: 'all' as const }, held: false },
  ];
  for (const { it: sentence, who, given, held } of cases) {
    it(sentence, () => assert.equal(holds(built.world, testKinds, askerOf(built, { who }), boundOf(given), built.now), held));
  }
});

describe('authorize', () => {
  const target = { kind: 'pipeline', scope: 'payments/fresh', identifier: 'p', tags: {}, attributes: {} };
  const { after } = changeOf(built.world, testKinds, [doc('Project', 'payments/fresh', {}), bind('payments/fresh/x', 'user:nobody', 'project_admin', here['2']!)]);
  const act = (who: string, mayAdminister = true) => ({ kinds: testKinds, caller: { ...caller(who), mayAdminister }, before: built.world, after, now: built.now });

  it('asks about a scope the call makes with the rights before it', () => {
    const checks = [{ ask: 'permission', permission: 'pipeline.create', target, world: 'after' }] as const;
    assert.equal(authorize({ ...act('user:org_root'), checks }).allowed, true);
    assert.deepEqual(authorize({ ...act('user:nobody'), checks }), { allowed: false, failed: checks[0] }, 'the binding of the same call does not count');
  });

  it('does not know such a scope before', () => {
    const checks = [{ ask: 'permission', permission: 'pipeline.create', target, world: 'before' }] as const;
    assert.deepEqual(authorize({ ...act('user:org_root'), checks }), { allowed: false, failed: checks[0] });
  });

  it('lets only credentials made for it administer', () => {
    const checks = [{ ask: 'administer', kind: 'role' }] as const;
    assert.equal(authorize({ ...act('user:root'), checks }).allowed, true);
    assert.deepEqual(authorize({ ...act('user:root', false), checks }), { allowed: false, failed: checks[0] });
  });

  it('allows what asks nothing', () => assert.deepEqual(authorize({ ...act('user:nobody'), checks: [] }), { allowed: true, used: [] }));
});

describe('holdings', () => {
  it('are those of users and service accounts alone', () => {
    assert.equal(holdings(built.world, testKinds, { type: 'user', uid: 'user:victim' }).length, 1);
    assert.equal(holdings(built.world, testKinds, { type: 'service_account', uid: 'user:victim' }).length, 0);
    assert.equal(holdings(built.world, testKinds, { type: 'user_group', uid: 'user_group:outer' }).length, 0);
    assert.equal(holdings(built.world, testKinds, { type: 'system', uid: 'bootstrap' }).length, 0);
  });
});
