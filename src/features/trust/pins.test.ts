import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileCondition } from './claim-condition.ts';
import type { ConditionSpec } from './claim-condition.ts';
import { choosePins } from './pins.ts';

const chosen = (mappings: readonly ConditionSpec[][]) => choosePins(mappings.map((when) => when.map(compileCondition)));

describe('what a mapping is found by', () => {
  test('is the claim that tells it from the others, not the tenant they share', () => {
    const workspaces = Array.from({ length: 1_000 }, (_, i): ConditionSpec[] => [{ claim: '/org', equals: 'acme' }, { claim: '/workspace', equals: `ws-${i}` }]);
    assert.equal(chosen(workspaces).every((pin) => pin?.claim === '/workspace'), true);
  });

  test('is the tenant when that is all there is', () => assert.deepEqual(chosen([[{ claim: '/org', equals: 'acme' }]]), [{ claim: '/org', values: ['acme'] }]));

  test('is a list of values too, each of them once', () => {
    assert.deepEqual(chosen([[{ claim: '/org', equals: 'acme' }, { claim: '/w', oneOf: ['a', 'b', 'a'] }], [{ claim: '/org', equals: 'acme' }, { claim: '/w', equals: 'c' }]]), [
      { claim: '/w', values: ['a', 'b'] }, { claim: '/w', values: ['c'] },
    ]);
  });

  test('is nothing for globs, existence, absence and lists', () => {
    assert.deepEqual(chosen([[{ claim: '/a', glob: '*' }, { claim: '/b', exists: true }, { claim: '/c', absent: true }, { claim: '/d', any: { equals: 'x' } }]]), [null]);
  });
});
