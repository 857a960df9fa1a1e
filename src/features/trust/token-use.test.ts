import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { UseConditions } from './token-use.ts';
import { asksForLess, unmetUses } from './token-use.ts';

const nothing: UseConditions = { singleUse: false, maxTokenAgeSeconds: null, proofOfPossession: false };
const use = { atMs: 1_000_000, isBound: false, isDirect: false };

describe('how a token is used', () => {
  const rows: [says: string, conditions: Partial<UseConditions>, claims: object, how: Partial<typeof use> | undefined, isMet: boolean][] = [
    ['is nothing to a mapping that asks for nothing', {}, {}, undefined, true],
    ['once: a token with `jti` may be', { singleUse: true }, { jti: 'a' }, {}, true],
    ['once: a token without `jti` is not', { singleUse: true }, {}, {}, false],
    ['once: a `jti` that is no text is none', { singleUse: true }, { jti: 7 }, {}, false],
    ['once: never when the token itself is the credential', { singleUse: true }, { jti: 'a' }, { isDirect: true }, false],
    ['once: nothing is known of how it came, so it does not', { singleUse: true }, { jti: 'a' }, undefined, false],
    ['soon: at the greatest age it still is', { maxTokenAgeSeconds: 60 }, { iat: 940 }, {}, true],
    ['soon: past it no more', { maxTokenAgeSeconds: 60 }, { iat: 939.9 }, {}, false],
    ['soon: without `iat` nobody knows', { maxTokenAgeSeconds: 60 }, {}, {}, false],
    ['soon: null is no time', { maxTokenAgeSeconds: 60 }, { iat: null }, {}, false],
    ['soon: nothing is known of when it came, so it was not', { maxTokenAgeSeconds: 60 }, { iat: 999 }, undefined, false],
    ['by whoever holds a key: a bound session is', { proofOfPossession: true }, {}, { isBound: true }, true],
    ['by whoever holds a key: another is not', { proofOfPossession: true }, {}, {}, false],
    ['by whoever holds a key: nothing is known, so it is not', { proofOfPossession: true }, {}, undefined, false],
    ['must meet all at once', { singleUse: true, proofOfPossession: true }, { jti: 'a' }, {}, false],
  ];
  for (const [says, conditions, claims, how, isMet] of rows) {
    test(says, () => {
      const unmet = unmetUses({ ...nothing, ...conditions }, claims as Record<string, unknown>, how === undefined ? undefined : { ...use, ...how });
      assert.equal(unmet.length === 0, isMet, unmet.join());
    });
  }
});

describe('a mapping that asks for less than before gives more', () => {
  const rows: [says: string, before: Partial<UseConditions>, after: Partial<UseConditions>, less: boolean][] = [
    ['single use dropped', { singleUse: true }, {}, true],
    ['single use added', {}, { singleUse: true }, false],
    ['proof dropped', { proofOfPossession: true }, {}, true],
    ['a greater age', { maxTokenAgeSeconds: 60 }, { maxTokenAgeSeconds: 61 }, true],
    ['any age', { maxTokenAgeSeconds: 60 }, {}, true],
    ['a smaller age', { maxTokenAgeSeconds: 60 }, { maxTokenAgeSeconds: 59 }, false],
    ['the same', { singleUse: true, maxTokenAgeSeconds: 60 }, { singleUse: true, maxTokenAgeSeconds: 60 }, false],
  ];
  for (const [says, before, after, less] of rows) test(says, () => assert.equal(asksForLess({ ...nothing, ...before }, { ...nothing, ...after }), less));
});
