import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testKinds } from '#test/cases/stand-ins.ts';
import { askerOf, buildWorld } from '#test/cases/world.ts';
import type { Case } from '#test/cases/world.ts';
import type { Manifest } from '#features/resources/schema.ts';
import { anyGrantNow, hasLiveGrant, visibleNames } from './live.ts';

function bind(scope: string, who: string, role: string, resourceGroup: string, more: object = {}): Manifest {
  return { kind: 'RoleBinding', scope, identifier: who, spec: { principal: { type: 'user', id: who }, role, resourceGroup, ...more } };
}

function mapping(identifier: string, ws: string, ...grants: object[]): Manifest {
  return { kind: 'ClaimMapping', identifier, spec: { issuer: 'hcp', when: [{ claim: '/ws', equals: ws }], grants } };
}

const everything = 'all_resources_including_child_scopes';
const pipelines = { role: 'reader', includeChildScopes: true, resources: [{ type: 'pipeline' }] };

const world: Manifest[] = [
  ...['payments', 'pay'].map((identifier) => ({ kind: 'Organization', identifier, spec: {} })),
  ...['checkout', 'refunds'].map((identifier) => ({ kind: 'Project', scope: 'payments', identifier, spec: {} })),
  { kind: 'Project', scope: 'pay', identifier: 'old', spec: {} },
  { kind: 'TrustedIssuer', identifier: 'hcp', spec: {} },
  ...['inside', 'above', 'off', 'over', 'hollow', 'mute', 'beside', 'atop', 'none'].map((identifier) => ({ kind: 'User', identifier, spec: { email: 'a@example.com' } })),
  { kind: 'Role', identifier: 'reader', spec: { level: 'account', permissions: ['pipeline.view'] } },
  { kind: 'Role', identifier: 'scopes', spec: { level: 'account', permissions: ['organization.view', 'pipeline.view'] } },
  { kind: 'Role', identifier: 'hollow', spec: { level: 'account', permissions: [] } },
  { kind: 'ResourceGroup', identifier: 'secrets', spec: { includeChildScopes: true, resources: [{ type: 'secret' }] } },
  { kind: 'ResourceGroup', identifier: 'payments', spec: { scopes: [{ scope: 'payments', includeChildScopes: true }], all: true } },
  bind('payments/checkout', 'inside', 'account.reader', 'all_project_level_resources'),
  bind('/', 'above', 'reader', everything),
  bind('/', 'off', 'reader', everything, { disabled: true }),
  bind('/', 'over', 'reader', everything, { expiresAt: '2026-06-01T12:00:00Z' }),
  bind('/', 'hollow', 'hollow', everything),
  bind('/', 'mute', 'reader', 'secrets'),
  bind('/', 'atop', 'scopes', 'all_account_level_resources'),
  bind('pay', 'beside', 'account.reader', 'account.payments'),
  mapping('steady', 'one', { ...pipelines, scope: 'payments' }),
  mapping('moved', 'two', { ...pipelines, scope: 'payments/checkout' }),
  mapping('ghost', 'four', { ...pipelines, scope: 'pay/old' }),
  mapping('gone', 'three', { ...pipelines, scope: 'payments' }),
];

const sessions = { steady: { issuer: 'hcp', claims: { ws: 'one' } }, moved: { issuer: 'hcp', claims: { ws: 'two' } }, gone: { issuer: 'hcp', claims: { ws: 'three' } }, ghost: { issuer: 'hcp', claims: { ws: 'four' } } };
const later = { apply: [mapping('moved', 'two', { ...pipelines, scope: 'payments/refunds' })], delete: ['claim_mapping:gone', 'project:pay/old'] };
const built = buildWorld({ world, sessions, later, now: '2026-06-01T12:00:00Z' }, testKinds);

/** `lists`: scopes whose lists answer; `names`: scopes whose names show. */
const rows: readonly { it: string; who: string; within?: Case['within']; lists: string[]; names: string[] }[] = [
  { it: 'a grant in a project answers there and above, and shows the names above', who: 'user:inside', lists: ['/', 'payments', 'payments/checkout'], names: ['/', 'payments', 'payments/checkout'] },
  { it: 'a grant above answers below, and shows no names below', who: 'user:above', lists: ['/', 'pay', 'payments', 'payments/checkout', 'payments/refunds'], names: ['/'] },
  { it: 'a disabled binding is not alive', who: 'user:off', lists: [], names: [] },
  { it: 'an expired binding is not alive', who: 'user:over', lists: [], names: [] },
  { it: 'an empty role is not alive', who: 'user:hollow', lists: [], names: [] },
  { it: 'a role that says nothing of the kinds selected is not alive', who: 'user:mute', lists: [], names: [] },
  { it: 'a group beside its binding is not alive', who: 'user:beside', lists: [], names: [] },
  { it: 'nobody has nothing', who: 'user:none', lists: [], names: [] },
  { it: 'an unknown user has nothing', who: 'user:mallory', lists: [], names: [] },
  { it: 'a session whose mapping stays is alive', who: 'session:steady', lists: ['/', 'payments', 'payments/checkout', 'payments/refunds'], names: ['/', 'payments'] },
  { it: 'a session whose mapping moved away is dead', who: 'session:moved', lists: [], names: [] },
  { it: 'a session whose mapping is gone is dead', who: 'session:gone', lists: [], names: [] },
  { it: 'a session whose only scope is gone is dead', who: 'session:ghost', lists: [], names: [] },
  { it: 'bounds narrow where a caller is alive', who: 'user:above', within: [{ permissions: 'all', scope: 'payments/checkout', includeChildScopes: false, resources: 'all' }], lists: ['/', 'payments', 'payments/checkout'], names: ['/', 'payments', 'payments/checkout'] },
  { it: 'a scope seen from above and from within is shared, itself and no more', who: 'user:atop', within: [{ permissions: 'all', scope: 'payments', includeChildScopes: true, resources: 'all' }], lists: ['/', 'payments', 'payments/checkout', 'payments/refunds'], names: ['/', 'payments'] },
  { it: 'what lies in a scope is not shared with the scope above', who: 'user:atop', within: [{ permissions: ['pipeline.view'], scope: 'payments', includeChildScopes: true, resources: 'all' }], lists: [], names: [] },
  { it: 'bounds on other permissions leave nothing', who: 'user:above', within: [{ permissions: ['secret.view'], scope: '/', includeChildScopes: true, resources: 'all' }], lists: [], names: [] },
  { it: 'no bounds leave nothing', who: 'user:above', within: [], lists: [], names: [] },
];

const scopes = ['/', 'pay', 'payments', 'payments/checkout', 'payments/refunds', 'nowhere', 'payments/nowhere'];

describe('where a caller has anything at all', () => {
  for (const { it: sentence, who, within, lists, names } of rows) {
    it(sentence, () => {
      const asker = askerOf(built, { who, within });
      assert.deepEqual(scopes.filter((scope) => hasLiveGrant(built.world, testKinds, asker, scope, built.now)), lists);
      assert.deepEqual([...visibleNames(built.world, testKinds, asker, built.now)].toSorted(), names);
      assert.equal(anyGrantNow(built.world, testKinds, asker, built.now), lists.length > 0);
    });
  }
});
