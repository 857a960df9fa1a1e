import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seed } from '#test/seed.ts';
import type { KeyPolicy, KeyRow } from './key-life.ts';
import { isPublished, keepKeysSeconds, mintAlgorithms, plannedKeys, soonest, standingOf } from './key-life.ts';

const minute = 60_000;
const policy: KeyPolicy = { lifeMs: 100 * minute, aheadMs: 10 * minute, overlapMs: 70 * minute };
const at = (minutes: number): Date => new Date(minutes * minute);

function key(id: string, signsFrom: number, { revoked, algorithm = 'RS256', created = signsFrom - 10 }: { revoked?: number; algorithm?: KeyRow['algorithm']; created?: number } = {}): KeyRow {
  return { id, algorithm, createdAt: at(created), signsFrom: at(signsFrom), revokedAt: revoked === undefined ? null : at(revoked) };
}

const states = (rows: readonly KeyRow[], now: number): string => standingOf(rows, policy, at(now)).map(({ row, state }) => `${row.id}:${state}`).join(' ');

describe('what a key is', () => {
  const rows: [says: string, rows: KeyRow[], now: number, expected: string][] = [
    ['a key signs from its time on', [key('a', 100)], 100, 'a:current'],
    ['before its time a key is published and does not sign', [key('a', 0), key('b', 100)], 99, 'a:current b:next'],
    ['the newest whose time has come signs, and the one before is past', [key('a', 0), key('b', 100)], 100, 'b:current a:past'],
    ['a past key is there until the last token it can have signed is over', [key('a', 0), key('b', 100)], 169, 'b:current a:past'],
    ['and then it is over', [key('a', 0), key('b', 100)], 170, 'b:current a:over'],
    ['a revoked key is nothing but revoked', [key('a', 0), key('b', 100, { revoked: 110 })], 120, 'a:past b:revoked'],
    ['nobody signs in the place of a revoked key until one is made for it: never an older one', [key('a', 0), key('b', 100, { revoked: 110 }), key('c', 200)], 150, 'c:next a:past b:revoked'],
    ['what follows a revoked key signs at its own time', [key('a', 0, { revoked: 50 }), key('b', 51)], 60, 'b:current a:revoked'],
    ['each algorithm has a line of its own', [key('a', 0), key('e', 50, { algorithm: 'ES256' })], 60, 'a:current e:current'],
  ];
  for (const [says, its, now, expected] of rows) test(says, () => assert.equal(states(its, now), expected));
});

describe('what is to be done', () => {
  const planned = (rows: readonly KeyRow[], now: number) => {
    const { make, forget } = plannedKeys(rows, policy, at(now));
    return { make: make.map(({ algorithm, signsFrom }) => `${algorithm}@${signsFrom.getTime() / minute}`), forget };
  };
  const es = [key('e', 0, { algorithm: 'ES256' }), key('f', 500, { algorithm: 'ES256' })];

  test('an account without keys gets one that signs and one that will, of each algorithm', () => {
    assert.deepEqual(planned([], 7), { make: ['RS256@7', 'RS256@107', 'ES256@7', 'ES256@107'], forget: [] });
  });
  test('the one that will begins when the life of the present one is over', () => assert.deepEqual(planned([key('a', 20), ...es], 50).make, ['RS256@120']));
  test('late, it is published first all the same', () => assert.deepEqual(planned([key('a', 0), ...es], 300).make, ['RS256@310']));
  test('with both there is nothing to do', () => assert.deepEqual(planned([key('a', 0), key('b', 100), ...es], 50), { make: [], forget: [] }));
  test('keys that are over are forgotten', () => assert.deepEqual(planned([key('a', 0), key('b', 100), key('c', 300), ...es], 200), { make: [], forget: ['a'] }));
  test('in the place of a revoked key that nobody follows one signs at once', () => assert.deepEqual(planned([key('a', 0, { revoked: 5 }), ...es], 6).make, ['RS256@6', 'RS256@106']));

  test('by hand the next one signs at once if it was published for long enough, else as soon as it was', () => {
    assert.deepEqual([soonest(key('b', 100, { created: 0 }), policy, at(50)), soonest(key('b', 100, { created: 45 }), policy, at(50))], [at(50), at(55)]);
  });
});

test('over any life of an account, a key is published for the time ahead before it signs, and until its last token is over', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40 }), (waits) => {
    const rows: KeyRow[] = [];
    const signed = new Map<string, number>();
    let now = 1_000;
    let made = 0;
    for (const wait of waits) {
      now += wait;
      const { make, forget } = plannedKeys(rows, policy, at(now));
      for (const { algorithm, signsFrom } of make) {
        if (rows.some((row) => row.algorithm === algorithm)) assert.ok(signsFrom.getTime() - at(now).getTime() >= policy.aheadMs);
        rows.push({ id: `${algorithm}${made++}`, algorithm, createdAt: at(now), signsFrom, revokedAt: null });
      }
      for (const id of forget) {
        rows.splice(rows.findIndex((row) => row.id === id), 1);
      }
      const standing = standingOf(rows, policy, at(now));
      for (const algorithm of mintAlgorithms) {
        const current = standing.filter(({ row, state }) => row.algorithm === algorithm && state === 'current');
        assert.equal(current.length, 1);
        signed.set(current[0]!.row.id, now);
      }
      // No token lives longer than the overlap.
      const published = new Set(standing.filter(isPublished).map(({ row }) => row.id));
      for (const [id, last] of signed) if (now - last < policy.overlapMs / minute) assert.ok(published.has(id), `${id} signed at ${last} and is gone at ${now}`);
    }
  }), { seed, numRuns: 100 });
});

test('others may keep the keys for half the time a key is there before it signs, five minutes at most', () => {
  for (const [aheadMs, seconds] of [[60_000, 30], [600_000, 300], [3_600_000, 300]] as const) assert.equal(keepKeysSeconds({ ...policy, aheadMs }), seconds);
});
