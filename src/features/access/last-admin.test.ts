import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { putsOf, buildWorld } from '#test/cases/world.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import type { Manifest } from '#features/resources/schema.ts';
import { lastAdminGone } from './last-admin.ts';

const everything = 'all_resources_including_child_scopes';

function user(identifier: string, more: object = {}): Manifest {
  return { kind: 'User', identifier, spec: { email: `${identifier}@example.com`, ...more } };
}

function group(identifier: string, ...members: string[]): Manifest {
  return { kind: 'UserGroup', identifier, spec: { members: members.map((member) => ({ type: member.split(':')[0], id: member.split(':')[1] })) } };
}

function admin(identifier: string, principal: string, more: object = {}): Manifest {
  const [type, id] = principal.split(':');
  return { kind: 'RoleBinding', identifier, spec: { principal: { type, id }, role: 'account_admin', resourceGroup: everything, ...more } };
}

function until(expiresAt: string): object {
  return { expiresAt };
}

const alice = [user('alice'), admin('a', 'user:alice')];
const brief = [user('alice'), admin('a', 'user:alice', until('2027-01-01T00:00:00Z'))];
const viaGroups = [user('alice'), group('inner', 'user:alice'), group('outer', 'user_group:inner', 'user_group:loop'), group('loop', 'user_group:outer'), admin('a', 'user_group:outer')];

const rows: readonly { it: string; world: readonly Manifest[]; apply?: readonly Manifest[]; remove?: readonly string[]; gone: boolean }[] = [
  { it: 'taking the only binding away', world: alice, remove: ['role_binding:a'], gone: true },
  { it: 'deleting the only admin', world: alice, remove: ['user:alice'], gone: true },
  { it: 'disabling the only admin', world: alice, apply: [user('alice', { disabled: true })], gone: true },
  { it: 'disabling the only binding', world: alice, apply: [admin('a', 'user:alice', { disabled: true })], gone: true },
  { it: 'letting the only binding be over', world: alice, apply: [admin('a', 'user:alice', until('2026-06-01T12:00:00Z'))], gone: true },
  { it: 'letting the only binding end later', world: alice, apply: [admin('a', 'user:alice', until('2026-06-01T12:00:01Z'))], gone: true },
  { it: 'a handover to somebody for a while', world: alice, apply: [user('bob'), admin('b', 'user:bob', until('2099-01-01T00:00:00Z'))], remove: ['role_binding:a'], gone: true },
  { it: 'a handover to a group for a while', world: alice, apply: [group('some', 'user:alice'), admin('b', 'user_group:some', until('2099-01-01T00:00:00Z'))], remove: ['role_binding:a'], gone: true },
  { it: 'letting one of two ways of the only admin end later', world: [...alice, admin('b', 'user:alice')], apply: [admin('a', 'user:alice', until('2026-06-01T12:00:01Z'))], gone: false },
  { it: 'taking away one who is it for a while beside one who is it for good', world: [...alice, user('bob'), admin('b', 'user:bob', until('2027-01-01T00:00:00Z'))], remove: ['user:bob'], gone: false },
  { it: 'where all are it for a while: an earlier end of the last', world: brief, apply: [admin('a', 'user:alice', until('2026-06-01T12:00:01Z'))], gone: false },
  { it: 'where all are it for a while: an end of the last that is now', world: brief, apply: [admin('a', 'user:alice', until('2026-06-01T12:00:00Z'))], gone: true },
  { it: 'where all are it for a while: taking the last away', world: brief, remove: ['user:alice'], gone: true },
  { it: 'where all are it for a while: a change of something else', world: brief, apply: [user('bob')], gone: false },
  { it: 'where all are over: taking the last away', world: [user('alice'), admin('a', 'user:alice', until('2026-06-01T12:00:00Z'))], remove: ['user:alice'], gone: false },
  { it: 'another role for the only admin', world: alice, apply: [admin('a', 'user:alice', { role: 'account_viewer' })], gone: true },
  { it: 'a smaller group of resources for the only admin', world: alice, apply: [admin('a', 'user:alice', { resourceGroup: 'all_account_level_resources' })], gone: true },
  { it: 'a handover in one call', world: alice, apply: [user('bob'), admin('b', 'user:bob')], remove: ['role_binding:a'], gone: false },
  { it: 'a handover to somebody disabled', world: alice, apply: [user('bob', { disabled: true }), admin('b', 'user:bob')], remove: ['role_binding:a'], gone: true },
  { it: 'a handover to a service account', world: alice, apply: [{ kind: 'ServiceAccount', identifier: 'ci', spec: {} }, admin('b', 'service_account:ci')], remove: ['user:alice'], gone: false },
  { it: 'one of two admins', world: [...alice, user('bob'), admin('b', 'user:bob')], remove: ['user:alice'], gone: false },
  { it: 'a change of something else', world: alice, apply: [user('bob')], gone: false },
  { it: 'the last member of nested groups', world: viaGroups, apply: [group('inner')], gone: true },
  { it: 'the group between', world: viaGroups, remove: ['user_group:inner'], gone: true },
  { it: 'one of two ways through groups', world: viaGroups, apply: [group('loop', 'user:alice')], remove: ['user_group:inner'], gone: false },
  { it: 'an account that has no admin stays without', world: [user('alice')], remove: ['user:alice'], gone: false },
];

describe('the account loses its last admin by', () => {
  for (const row of rows) {
    it(`${row.it}: ${row.gone ? 'yes' : 'no'}`, () => {
      const { world, now } = buildWorld({ world: [...row.world], sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds);
      const puts = putsOf(world, testKinds, row.apply ?? []).map((put) => ({ put }));
      const after = world.overlay([...(row.remove ?? []).map((remove) => ({ remove })), ...puts]);
      assert.equal(lastAdminGone(world, after, now), row.gone);
    });
  }
});
