import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '#kernel/world.ts';
import { World, entryPath } from '#kernel/world.ts';
import { seed } from '#test/seed.ts';
import { firstOf, ofKindWithin } from './ordered.ts';

const entry = (identifier: string, scope = '/', kind = 'role'): Entry => ({ uid: `${kind}:${scope}:${identifier}`, kind, scope, identifier, name: null, version: 1, tags: {}, attributes: {}, facts: undefined });
const { signal } = new AbortController();
const keyOf = (one: Entry): string => one.identifier;

describe('entries in order', () => {
  test('are those a sort would give, from any place on, however many are asked for and seen', async () => {
    const names = fc.uniqueArray(fc.integer({ min: 0, max: 99_999 }), { maxLength: 3_000, size: 'max' });
    await fc.assert(fc.asyncProperty(names, fc.option(fc.integer({ min: 0, max: 99_999 })), fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 50 }), async (numbers, from, limit, nth) => {
      const entries = numbers.map((number) => entry(`e${number}`));
      const after = from === null ? null : `e${from}`;
      const see = (one: Entry): string | null => (Number(one.identifier.slice(1)) % nth === 0 ? one.identifier : null);
      const expected = entries.map(keyOf).toSorted().filter((name) => after === null || name > after).filter((name) => see(entry(name)) !== null).slice(0, limit);
      assert.deepEqual(await firstOf({ entries: () => entries, keyOf, after, signal }, limit, see), expected);
    }), { numRuns: 40, seed });
  });

  test('give others their turn, and end when nobody waits for them any more', async () => {
    const entries = Array.from({ length: 20_000 }, (_, i) => entry(`e${String(i).padStart(5, '0')}`));
    const over = new AbortController();
    let looked = 0;
    const turns = setInterval(() => looked > 1_000 && over.abort(new Error('left')), 0);
    try {
      const all = firstOf({ entries: () => entries, keyOf, after: null, signal: over.signal }, 1, () => {
        looked += 1;
        return null;
      });
      await assert.rejects(all, /left/);
    } finally {
      clearInterval(turns);
    }
    assert.ok(looked < entries.length);
  });

  test('of a kind within a scope are those of it and below', () => {
    const world = new World('a', 1, [
      entry('payments', '/', 'organization'), entry('checkout', 'payments', 'project'), entry('pay', '/', 'organization'),
      entry('one'), entry('two', 'payments'), entry('three', 'payments/checkout'), entry('four', 'pay'), entry('other', 'payments', 'pipeline'),
    ]);
    const within = (scope: string): string[] => [...ofKindWithin(world, 'role', scope)].map(entryPath).toSorted();
    assert.deepEqual(within('/'), ['one', 'pay/four', 'payments/checkout/three', 'payments/two']);
    assert.deepEqual(within('payments'), ['payments/checkout/three', 'payments/two']);
    assert.deepEqual(within('payments/checkout'), ['payments/checkout/three']);
  });
});
