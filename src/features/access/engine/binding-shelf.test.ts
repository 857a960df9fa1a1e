/** The shelf beside a map of the same entries: whatever comes, goes and comes again, both tell the same. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '#kernel/world.ts';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import { AlikeRows } from './alike-rows.ts';
import { BindingShelf } from './binding-shelf.ts';
import type { ListedBy } from './binding-shelf.ts';
import type { BindingFacts } from '../schema.ts';

const uuid = (n: number): string => `0190aaaa-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
/** UUIDs, and texts that look like them. */
const uid = fc.oneof(fc.nat(30).map(uuid), fc.constantFrom(uuid(3).toUpperCase(), `${uuid(3)} `, 'role_binding:payments/b', '__proto__', ''));
const scope = fc.constantFrom('/', 'pay', 'payments', 'payments/check', '__proto__');
const identifier = fc.oneof(fc.nat(20).map((n) => `b${n}`), fc.constantFrom('', 'b', 'B', 'é', 'constructor', 'x'.repeat(255), 'x'.repeat(256), 'a\u0100'));
const reference = fc.constantFrom(null, 'a', 'b', '__proto__', uuid(1));

const plain = { noNullPrototype: true } as const;

const facts: fc.Arbitrary<BindingFacts> = fc.record({
  principal: fc.option(fc.record({ type: fc.constantFrom('user', 'user_group', 'service_account'), uid: fc.constantFrom('a', 'b', uuid(7)) }, plain), { freq: 5 }),
  roleUid: reference,
  resourceGroupUid: reference,
  disabled: fc.boolean(),
  expiresAtMs: fc.constantFrom(null, null, 0, 1_780_000_000_000),
}, plain);

const entry: fc.Arbitrary<Entry> = fc.record({
  uid, kind: fc.constant('role_binding'), scope, identifier, name: fc.constantFrom(null, null, 'A name'), version: fc.integer({ min: 1, max: 9 }),
  tags: fc.constantFrom({}, {}, { team: 'core' }), attributes: fc.constant({}), facts,
}, plain);

const step = fc.oneof({ weight: 3, arbitrary: entry.map((put) => ({ put })) }, { weight: 2, arbitrary: uid.map((remove) => ({ remove })) });

function check(shelf: BindingShelf, model: ReadonlyMap<string, Entry>): void {
  const sorted = (entries: Iterable<Entry>) => [...entries].toSorted((a, b) => (a.uid < b.uid ? -1 : 1));
  assert.equal(shelf.size, model.size);
  assert.deepEqual(sorted(shelf.list()), sorted(model.values()));
  for (const path of ['/', 'payments', 'nowhere']) assert.deepEqual(sorted(shelf.list(path)), sorted([...model.values()].filter((one) => one.scope === path)));
  for (const one of model.values()) {
    assert.deepEqual(shelf.get(one.uid), one);
    // Two may stand at one place only while a change is under way, so either is right.
    const found = shelf.find(one.scope, one.identifier)!;
    assert.deepEqual([found.scope, found.identifier], [one.scope, one.identifier]);
  }
  const named: readonly [ListedBy, (one: BindingFacts) => string | null][] = [
    ['subject', (one) => one.principal?.uid ?? null], ['role', (one) => one.roleUid], ['resourceGroup', (one) => one.resourceGroupUid],
  ];
  for (const [by, uidIn] of named) {
    for (const wanted of ['a', 'b', '__proto__', 'nobody']) {
      const expected = [...model.values()].filter(({ facts: one }) => isWhole(one as BindingFacts) && uidIn(one as BindingFacts) === wanted);
      assert.deepEqual(sorted(rows(shelf, by, wanted).map((row) => shelf.entry(row))), sorted(expected));
    }
  }
}

function checkAlike(shelf: BindingShelf, model: ReadonlyMap<string, Entry>): void {
  for (const path of ['/', 'pay', 'payments', '__proto__', 'nowhere']) {
    const whole = [...model.values()].filter((one) => one.scope === path && isWhole(one.facts as BindingFacts));
    const alike = shelf.alikeAt(path);
    assert.equal(alike === null, whole.length < 2);
    if (alike === null) continue;
    const expected = Object.values(Object.groupBy(whole, ({ facts: one }) => `${(one as BindingFacts).roleUid} ${(one as BindingFacts).resourceGroupUid}`));
    const uids = (lists: readonly (readonly string[])[]) => lists.map((list) => list.toSorted().join()).toSorted();
    assert.deepEqual(uids([...alike].map((list) => [...list].map((row) => shelf.entry(row).uid))), uids(expected.map((list) => list!.map((one) => one.uid))));
  }
}

function isWhole({ principal, roleUid, resourceGroupUid }: BindingFacts): boolean {
  return principal !== null && roleUid !== null && resourceGroupUid !== null;
}

function rows(shelf: BindingShelf, by: ListedBy, wanted: string): number[] {
  const found: number[] = [];
  for (let row = shelf.first(by, wanted); row >= 0; row = shelf.after(by, row)) found.push(row);
  return found;
}

it(`tells what a map of the same entries tells, after every put and removal (seed ${seed})`, () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const shelf = new BindingShelf(new AlikeRows(2));
    const model = new Map<string, Entry>();
    for (const [n, one] of steps.entries()) {
      // What is made when it is first asked for follows from there.
      if (n % 7 === 3) checkAlike(shelf, model);
      if ('put' in one) {
        shelf.put(one.put);
        model.set(one.put.uid, one.put);
      } else {
        shelf.remove(one.remove);
        model.delete(one.remove);
      }
    }
    check(shelf, model);
    checkAlike(shelf, model);
  }), { seed, numRuns: runs(300, 20_000) });
});

it('uses again what rows left that are gone', () => {
  const shelf = new BindingShelf();
  const put = (n: number): void => shelf.put({
    uid: uuid(n), kind: 'role_binding', scope: 'payments', identifier: `${'long'.repeat(20)}${n}`, name: null, version: 1, tags: {}, attributes: {},
    facts: { principal: { type: 'user', uid: 'a' }, roleUid: 'r', resourceGroupUid: 'g', disabled: false, expiresAtMs: null } satisfies BindingFacts,
  });
  for (let n = 0; n < 500; n++) put(n);
  const before = shelf.bytes;
  for (let n = 500; n < 50_000; n++) {
    put(n);
    shelf.remove(uuid(n - 500));
  }
  assert.equal(shelf.size, 500);
  assert.ok(shelf.bytes < 2 * before, `${shelf.bytes} bytes after, ${before} before`);
  assert.equal(shelf.find('payments', `${'long'.repeat(20)}49999`)?.uid, uuid(49_999));
});
