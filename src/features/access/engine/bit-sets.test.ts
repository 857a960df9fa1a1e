import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { seed } from '#test/seed.ts';
import { BitSets, emptySet } from './bit-sets.ts';

const size = 70;
const members = fc.uniqueArray(fc.nat(size - 1));

it(`unites and meets as sets do, and keeps equal sets once (seed ${seed})`, () => {
  fc.assert(fc.property(fc.array(fc.tuple(members, members), { maxLength: 20 }), (pairs) => {
    const sets = new BitSets(size);
    const told = (set: number) => Array.from({ length: size }, (_, bit) => bit).filter((bit) => sets.has(set, bit));
    for (const [a, b] of pairs) {
      const union = [...new Set([...a, ...b])].toSorted((x, y) => x - y);
      const meet = a.filter((bit) => b.includes(bit)).toSorted((x, y) => x - y);
      const [left, right] = [sets.of(a), sets.of(b)];
      assert.deepEqual(told(sets.union(left, right)), union);
      assert.deepEqual(told(sets.meet(left, right)), meet);
      assert.equal(sets.union(left, right), sets.of(union));
      assert.equal(sets.meet(left, right) === emptySet, meet.length === 0);
    }
  }), { seed, numRuns: 100 });
});
