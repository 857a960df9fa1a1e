/** The built-in groups of all users, as they are found from outside: turned round, followed, and as the last administrators. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Manifest } from '#features/resources/schema.ts';
import type { World } from '#kernel/world.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import { accountId, buildWorld, putsOf } from '#test/cases/world.ts';
import { allUsersNamed, allUsersScope, allUsersUid, scopesJoinedAt } from './all-users.ts';
import { builtin, builtinByUid, builtins } from './builtins.ts';
import { accountAccess } from './engine/account-access.ts';
import { evaluate } from './evaluate.ts';
import { lastAdminGone } from './last-admin.ts';
import { groupsAround } from './lookup.ts';
import { staysOf } from './memberships.ts';
import { isUnder, peopleUnder } from './reached.ts';
import type { BindingFacts } from './schema.ts';

const everything = 'all_resources_including_child_scopes';
const user = (identifier: string, spec: object = {}): Manifest => ({ kind: 'User', identifier, spec: { email: 'a@example.com', ...spec } });
const bind = (identifier: string, principal: { type: string; id: string }, scope?: string, more: object = {}): Manifest => (
  { kind: 'RoleBinding', ...(scope === undefined ? {} : { scope }), identifier, spec: { principal, role: 'project_viewer', resourceGroup: everything, ...more } }
);

function built(...more: Manifest[]): World {
  const world: Manifest[] = [
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Organization', identifier: 'pay', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'ServiceAccount', identifier: 'ci', spec: {} },
    ...['lead', 'developer', 'member', 'outsider'].map((identifier) => user(identifier)),
    { kind: 'UserGroup', identifier: 'team', spec: { members: [{ type: 'user', id: 'member' }, { type: 'service_account', id: 'ci' }] } },
    { ...bind('lead', { type: 'user', id: 'lead' }, 'payments'), spec: { principal: { type: 'user', id: 'lead' }, role: 'org_viewer', resourceGroup: everything } },
    bind('developer', { type: 'user', id: 'developer' }, 'payments/checkout'),
    bind('team', { type: 'user_group', id: 'account.team' }, 'payments/checkout'),
    bind('ci', { type: 'service_account', id: 'account.ci' }, 'payments/checkout'),
    ...more,
  ];
  return buildWorld({ world, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds).world;
}

describe('a built-in group of all users', () => {
  const meant: readonly [reference: string, namer: string, scope: string | null][] = [
    ['all_account_users', '/', '/'],
    ['all_account_users', 'payments/checkout', '/'],
    ['all_org_users', '/', null],
    ['all_org_users', 'payments', 'payments'],
    ['all_org_users', 'payments/checkout', 'payments'],
    ['all_project_users', '/', null],
    ['all_project_users', 'payments', null],
    ['all_project_users', 'payments/checkout', 'payments/checkout'],
    ['all_org_users', '__proto__/constructor', '__proto__'],
  ];
  for (const [reference, namer, scope] of meant) {
    it(`named in ${namer}, \`${reference}\` means ${scope === null ? 'nobody' : `the users of ${scope}`}`, () => {
      const uid = allUsersNamed(builtin('user_group', reference)!.uid, namer);
      assert.equal(uid, scope === null ? null : allUsersUid(scope));
      if (uid === null) return;
      assert.equal(allUsersScope(uid), scope);
      assert.equal(builtinByUid(uid)?.identifier, reference);
    });
  }

  it('is not joined through a group of another place, whatever a stored binding says: a group counts at its own scope and below', () => {
    const base = built({ kind: 'UserGroup', scope: 'pay', identifier: 'strangers', spec: { members: [{ type: 'user', id: 'outsider' }] } });
    const outsider = base.find('user', '/', 'outsider')!;
    const scopesOf = (uid: string): string[] => {
      const binding = base.find('role_binding', 'payments/checkout', 'team')!;
      const facts = { ...(binding.facts as BindingFacts), principal: { type: 'user_group', uid } };
      const world = base.overlay([{ put: { ...binding, facts } }]);
      return [...staysOf(world, groupsAround(world, outsider)).keys()].toSorted();
    };
    assert.deepEqual(scopesOf(base.find('user_group', 'pay', 'strangers')!.uid), []);
    assert.deepEqual([...staysOf(base, groupsAround(base, base.find('user', '/', 'member')!)).keys()].toSorted(), ['payments', 'payments/checkout']);
  });

  it('is there for every level, and no scope has another’s', () => {
    assert.deepEqual(builtins('user_group').map(({ identifier }) => identifier), ['all_account_users', 'all_org_users', 'all_project_users']);
    assert.deepEqual(scopesJoinedAt('/'), []);
    assert.deepEqual(scopesJoinedAt('payments/checkout').toSorted(), ['payments', 'payments/checkout']);
  });
});

describe('turned round, its users are', () => {
  const found: readonly [scope: string, users: readonly string[]][] = [
    ['/', ['developer', 'lead', 'member', 'outsider']],
    ['payments', ['developer', 'lead', 'member']],
    ['payments/checkout', ['developer', 'member']],
    ['pay', []],
  ];
  for (const [scope, users] of found) {
    it(`of ${scope}: ${users.join(', ') || 'nobody'}`, () => {
      const world = built();
      const subjects = new Set([allUsersUid(scope)]);
      for (const one of [world, world.overlay([{ remove: 'role_binding:payments/none' }])]) {
        assert.deepEqual(peopleUnder(one, subjects, 10)!.map(({ identifier }) => identifier).toSorted(), users);
        assert.equal(peopleUnder(one, subjects, 0) === null, users.length > 0, 'too many to tell are none told');
        const walked = [...one.list('user'), ...one.list('service_account')].filter((person) => isUnder(one, person, subjects));
        assert.deepEqual(walked.map(({ identifier }) => identifier).toSorted(), users);
      }
    });
  }

  it('told with those of others, each once', () => {
    const found = peopleUnder(built(), new Set([allUsersUid('/'), allUsersUid('payments'), 'user:lead', 'service_account:ci']), 10)!;
    assert.deepEqual(found.map(({ identifier }) => identifier).toSorted(), ['ci', 'developer', 'lead', 'member', 'outsider']);
  });
});

describe('what its bindings give follows each change', () => {
  const question = { permission: 'secret.view', target: { kind: 'secret', scope: 'payments', identifier: 's', tags: {}, attributes: {} } };
  const may = (world: World, name: string): boolean => {
    const asker = { accountId, bounds: 'principal' as const, principal: { type: 'user' as const, uid: `user:${name}`, path: name } };
    return evaluate(world, testKinds, asker, question, new Date('2026-06-01T12:00:00Z')).allowed;
  };
  const users: Manifest = { kind: 'RoleBinding', scope: 'payments', identifier: 'users', spec: { principal: { type: 'user_group', id: 'all_org_users' }, role: 'org_viewer', resourceGroup: everything } };

  it('what is compiled of users of other scopes stays', () => {
    const world = built();
    assert.deepEqual(['developer', 'outsider'].map((name) => may(world, name)), [false, false]);
    const outsider = accountAccess(world).engine(testKinds).person('user', 'user:outsider');
    world.apply(putsOf(world, testKinds, [users]).map((put) => ({ put })), world.revision + 1);
    assert.deepEqual(['developer', 'outsider'].map((name) => may(world, name)), [true, false]);
    assert.equal(accountAccess(world).engine(testKinds).person('user', 'user:outsider'), outsider);
    world.apply([{ remove: 'role_binding:payments/users' }], world.revision + 1);
    assert.deepEqual(['developer', 'outsider'].map((name) => may(world, name)), [false, false]);
  });

  it('a binding more makes a user, a group left makes none', () => {
    const world = built(users);
    assert.deepEqual(['member', 'outsider'].map((name) => may(world, name)), [true, false]);
    const over = world.overlay([...putsOf(world, testKinds, [bind('outsider', { type: 'user', id: 'outsider' }, 'payments/checkout')]).map((put) => ({ put })), { remove: 'user_group:team' }]);
    assert.deepEqual(['member', 'outsider'].map((name) => may(over, name)), [false, true]);
    assert.deepEqual(['member', 'outsider'].map((name) => may(world, name)), [true, false]);
  });
});

describe('all users as administrators', () => {
  const admins: Manifest = { kind: 'RoleBinding', identifier: 'admins', spec: { principal: { type: 'user_group', id: 'all_account_users' }, role: 'account_admin', resourceGroup: everything } };
  const now = new Date('2026-06-01T12:00:00Z');
  const everybody = ['lead', 'developer', 'member', 'outsider'];

  it('are some while one of them is enabled', () => {
    const world = built(admins);
    const asleep = (names: readonly string[]) => world.overlay(putsOf(world, testKinds, names.map((name) => user(name, { disabled: true }))).map((put) => ({ put })));
    assert.equal(lastAdminGone(world, asleep(everybody.slice(1)), now), false);
    assert.equal(lastAdminGone(world, asleep(everybody), now), true);
    assert.equal(lastAdminGone(world, world.overlay([{ remove: 'role_binding:admins' }]), now), true);
  });
});
