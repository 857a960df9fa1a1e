import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import { inOneOrder } from './in-one-order.ts';

const path = fc.constantFrom('a', 'b', 'ba', 'c/d', 'c', 'é', '', '\uffff', '__proto__');
const list = fc.uniqueArray(path).map((paths) => paths.toSorted().map((one) => ({ path: one })));

it(`lists in order are one list in order, each path once, after any of them (seed ${seed})`, () => {
  fc.assert(fc.property(fc.array(list, { maxLength: 12 }), fc.option(path), (lists, after) => {
    const expected = [...new Set(lists.flat().map((one) => one.path))].toSorted().filter((one) => after === null || one > after);
    assert.deepEqual([...inOneOrder(lists, after)].map((one) => one.path), expected);
  }), { seed, numRuns: runs(500, 20_000) });
});

it('whoever stops early has read no further', () => {
  const read: number[] = [];
  const watched = (from: number) => new Proxy([1, 2, 3].map((n) => ({ path: `${from + n}` })), {
    get: (items, key) => {
      if (typeof key === 'string' && /^\d$/.test(key)) read.push(from + Number(key));
      return Reflect.get(items, key) as unknown;
    },
  });
  const [first] = inOneOrder([watched(1), watched(5)], null);
  assert.equal(first?.path, '2');
  assert.deepEqual([...new Set(read)].toSorted(), [1, 5]);
});
