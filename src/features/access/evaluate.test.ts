/** What decision tables cannot say in documents: other accounts, facts that contradict each other, bounds of answers. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { testKinds } from '#test/cases/stand-ins.ts';
import { askerOf, buildWorld, putsOf } from '#test/cases/world.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Question } from '#kernel/decision.ts';
import type { Entry } from '#kernel/world.ts';
import { builtin, builtinByUid, builtins, isBuiltinIdentifier } from './builtins.ts';
import { evaluate } from './evaluate.ts';
import type { BindingFacts, GroupFacts } from './schema.ts';

const everything = 'all_resources_including_child_scopes';
const world: Manifest[] = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Organization', identifier: 'platform', spec: {} },
  { kind: 'User', identifier: 'alice', spec: { email: 'a@example.com' } },
  { kind: 'ServiceAccount', scope: 'platform', identifier: 'ci', spec: {} },
  { kind: 'UserGroup', scope: 'platform', identifier: 'team', spec: { members: [{ type: 'user', id: 'alice' }] } },
  { kind: 'UserGroup', scope: 'payments', identifier: 'team', spec: { members: [] } },
  { kind: 'Role', identifier: 'reader', spec: { level: 'org', permissions: ['secret.view'] } },
  ...Array.from({ length: 40 }, (_, i): Manifest => {
    return { kind: 'RoleBinding', scope: 'platform', identifier: `b${i}`, spec: { principal: { type: 'user', id: 'alice' }, role: 'account.reader', resourceGroup: everything } };
  }),
];
const built = buildWorld({ world, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds);
const question: Question = { permission: 'secret.view', target: { kind: 'secret', scope: 'payments', identifier: 's', tags: {}, attributes: {} } };

function answer(entries: readonly Entry[], who: string) {
  const after = built.world.overlay(entries.map((put) => ({ put })));
  return evaluate(after, testKinds, askerOf(built, { who }), question, built.now);
}

function binding(facts: Partial<BindingFacts>): Entry {
  const written = { kind: 'RoleBinding', scope: 'payments', identifier: 'x', spec: { principal: { type: 'user', id: 'alice' }, role: 'account.reader', resourceGroup: everything } };
  const [entry] = putsOf(built.world, testKinds, [written]);
  return { ...entry!, facts: { ...(entry!.facts as BindingFacts), ...facts } };
}

it('the binding used below allows when it is whole', () => assert.equal(answer([binding({})], 'user:alice').allowed, true));

it('a caller of another account is nobody, bootstrap included', () => {
  for (const who of ['user:alice', 'system:bootstrap']) {
    const asker = { ...askerOf(built, { who }), accountId: 'another' };
    assert.equal(evaluate(built.world, testKinds, asker, question, built.now).reasons[0]?.code, 'unknown_principal');
  }
  assert.equal(evaluate(built.world, testKinds, askerOf(built, { who: 'system:bootstrap' }), question, built.now).allowed, true);
});

it('a workload without evidence is nobody', () => {
  const asker = { ...askerOf(built, { who: 'user:alice' }), principal: { type: 'workload' as const, uid: 'user:alice', path: 'x' } };
  assert.equal(evaluate(built.world, testKinds, asker, question, built.now).reasons[0]?.code, 'unknown_principal');
});

it('a binding whose principal is of another type than its uid gives nothing', () => {
  assert.equal(answer([binding({ principal: { type: 'service_account', uid: 'user:alice' } })], 'user:alice').allowed, false);
});

it('a service account of another org is nobody in a binding', () => {
  assert.equal(answer([binding({ principal: { type: 'service_account', uid: 'service_account:platform/ci' } })], 'service_account:platform/ci').allowed, false);
});

it('a group of another org is nobody in a binding, nor as a member', () => {
  const foreign = { type: 'user_group', uid: 'user_group:platform/team' } as const;
  assert.equal(answer([binding({ principal: foreign })], 'user:alice').allowed, false);
  const team = built.world.get('user_group:payments/team')!;
  const facts: GroupFacts = { members: [foreign] };
  assert.equal(answer([binding({ principal: { type: 'user_group', uid: team.uid } }), { ...team, facts }], 'user:alice').allowed, false);
});

it('a role named where a resource group is asked for is none', () => {
  assert.equal(answer([binding({ resourceGroupUid: 'role:reader' })], 'user:alice').allowed, false);
  assert.equal(answer([binding({ roleUid: 'builtin:resource_group:all_resources_including_child_scopes' })], 'user:alice').allowed, false);
});

it('a role above its level gives nothing, whoever let it be saved', () => {
  const above = { ...binding({}), scope: '/' };
  assert.equal(answer([above], 'user:alice').allowed, false);
});

it('a missing tag does not match even a condition that asks for nothing there', () => {
  const resources = [{ type: 'secret', where: { 'tags.team': { exists: false } } }];
  const bounds = [{ permissions: 'all' as const, extent: { scope: '/', includeChildScopes: true, resources } }];
  const asker = { ...askerOf(built, { who: 'system:bootstrap' }), bounds };
  assert.equal(evaluate(built.world, testKinds, asker, question, built.now).reasons[0]?.code, 'outside_bounds');
});

it('an answer has at most twenty reasons', () => {
  const { allowed, reasons } = answer([], 'user:alice');
  assert.deepEqual({ allowed, count: reasons.length, code: reasons[0]?.code }, { allowed: false, count: 20, code: 'scope_outside_binding' });
});

it('an answer carries the revision it was made from', () => assert.equal(answer([], 'user:alice').revision, built.world.revision));

it('built-ins are found by kind and bare identifier alone', () => {
  assert.equal(builtin('role', 'account_admin')?.uid, 'builtin:role:account_admin');
  assert.equal(builtinByUid('builtin:role:account_admin')?.identifier, 'account_admin');
  assert.equal(isBuiltinIdentifier('role', 'pipeline_executor'), true);
  for (const [kind, identifier] of [['resource_group', 'account_admin'], ['role', everything], ['role', 'constructor'], ['role', '__proto__'], ['role', 'account.account_admin']] as const) {
    assert.equal(isBuiltinIdentifier(kind, identifier), false, identifier);
  }
  assert.deepEqual([builtins('role').length, builtins('resource_group').length, builtins('user').length], [12, 4, 0]);
});
