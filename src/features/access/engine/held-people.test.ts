/** What is kept of compiled holdings: as much as there is room for, and right after every change. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Manifest } from '#features/resources/schema.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import { accountId, askerOf, buildWorld, putsOf } from '#test/cases/world.ts';
import type { Entry, World } from '#kernel/world.ts';
import { accountAccess } from './account-access.ts';
import { evaluate } from '../evaluate.ts';
import { HeldPeople } from './held-people.ts';
import { Vocabulary } from './vocabulary.ts';

const people = Array.from({ length: 40 }, (_, i) => `person${i}`);
const everything = 'all_resources_including_child_scopes';
const written: Manifest[] = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  ...people.map((identifier): Manifest => ({ kind: 'User', identifier, spec: { email: 'a@example.com' } })),
  ...people.map((identifier): Manifest => {
    return { kind: 'RoleBinding', scope: 'payments', identifier, spec: { principal: { type: 'user', id: identifier }, role: 'org_viewer', resourceGroup: everything } };
  }),
];

function built() {
  return buildWorld({ world: written, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds);
}

it('more people than there is room for are held in turn, and each is still answered', () => {
  const { world } = built();
  const account = accountAccess(world);
  const one = new HeldPeople(account, new Vocabulary(testKinds), Infinity);
  one.find('user', 'user:person0');
  const maxBytes = 10 * one.bytes;
  const held = new HeldPeople(account, new Vocabulary(testKinds), maxBytes);
  for (let round = 0; round < 3; round++) {
    for (const name of people) {
      assert.notEqual(held.find('user', `user:${name}`), null);
      assert.ok(held.bytes <= maxBytes, `${held.bytes} bytes`);
    }
  }
  assert.ok(held.bytes >= maxBytes / 2, 'what there is room for is held');
});

it('paths that claims name and that are no scopes are forgotten when they are many, and nothing compiled outlives them', () => {
  const { world, now } = built();
  const account = accountAccess(world);
  const question = { permission: 'organization.view', target: { kind: 'organization', scope: '/', identifier: 'payments', tags: {}, attributes: {} } };
  const ask = () => evaluate(world, testKinds, askerOf({ kinds: testKinds, world, now, sessions: new Map() }, { who: 'user:person1' }), question, now).allowed;
  assert.equal(ask(), true);
  for (let n = 0; n < 20_001; n++) account.scopes.node(`payments/claimed${n}`);
  assert.equal(account.scopes.isCrowded, true);
  world.apply([{ put: { ...(world.get('user:person1') as Entry), version: 2 } }], world.revision + 1);
  assert.equal(ask(), true);
  assert.equal(account.scopes.isCrowded, false);
  assert.equal(account.scopes.find('payments/claimed1'), undefined);
});

it('an overlay of others is answered from what is compiled, and one of oneself from its changes', () => {
  const { world, now } = built();
  const question = { permission: 'secret.view', target: { kind: 'secret', scope: 'payments', identifier: 's', tags: {}, attributes: {} } };
  const ask = (of: World, name: string) => {
    const asker = { accountId, bounds: 'principal' as const, principal: { type: 'user' as const, uid: `user:${name}`, path: name } };
    const { allowed, reasons } = evaluate(of, testKinds, asker, question, now);
    return [allowed, reasons[0]?.code, reasons[0]?.binding];
  };
  const gone = world.overlay([{ remove: 'role_binding:payments/person1' }]);
  assert.deepEqual(ask(gone, 'person1'), [false, 'no_binding', undefined]);
  assert.deepEqual(ask(gone, 'person2'), [true, 'allowed', 'role_binding:payments/person2']);
  assert.deepEqual(ask(world, 'person1'), [true, 'allowed', 'role_binding:payments/person1']);
  const again = gone.overlay(putsOf(world, testKinds, [{ ...written.at(-39)!, identifier: 'again' }]).map((put) => ({ put })));
  assert.deepEqual(ask(again, 'person1'), [true, 'allowed', 'role_binding:payments/again']);
});
