/** Cursors lead whom they were given to where they were given, and tell nobody anything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import { createCursors } from './cursor.ts';

const key = Buffer.alloc(32, 7);
const cursors = createCursors(key);
const binding = ['access', 'account', 'user', 'alice'];
const invalid = { code: 'request.invalid' };

test(`a cursor leads back to its position, on every node (seed ${seed})`, () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 4 }), fc.string({ unit: 'grapheme', maxLength: 300 }), (bound, position) => {
    const cursor = cursors.encode(bound, position);
    assert.equal(createCursors(key).decode(bound, cursor), position);
    assert.equal(createCursors(key).encode(bound, position), cursor);
  }), { seed, numRuns: runs(200, 5_000) });
});

describe('tells nothing of where it leads', () => {
  const hidden = 'payments/checkout\nsecret\npayments/checkout/merger_with_acme';
  const raw = (position: string, of = binding): Buffer => Buffer.from(cursors.encode(of, position), 'base64url');

  test('not the name of a resource that its holder may not see', () => {
    for (const part of ['payments', 'secret', 'merger', 'acme']) assert.ok(!raw(hidden).includes(part), part);
  });
  test('not how long such a name is', () => {
    assert.equal(raw('payments\nsecret\na').length, raw('payments\nsecret\na_much_longer_name').length);
  });
  test('not how the position of one goes on in that of another', () => {
    assert.notDeepEqual(raw(hidden).subarray(16, 48), raw(`${hidden}_2`).subarray(16, 48));
  });
  test('not that two callers stand at the same place', () => {
    assert.notDeepEqual(raw(hidden).subarray(16), raw(hidden, [...binding.slice(0, 3), 'bob']).subarray(16));
  });
});

describe('is refused', () => {
  const cursor = cursors.encode(binding, 'payments');
  const rows: readonly (readonly [attack: string, decode: () => string])[] = [
    ['to another caller', () => cursors.decode([...binding.slice(0, 3), 'bob'], cursor)],
    ['to a query whose parts are cut elsewhere', () => cursors.decode(['access', 'accountuser', 'alice'], cursors.encode(['access', 'account', 'useralice'], 'payments'))],
    ['of a deployment with another key', () => createCursors(Buffer.alloc(32, 8)).decode(binding, cursor)],
    ['when it is empty', () => cursors.decode(binding, '')],
    ['when it is cut', () => cursors.decode(binding, cursor.slice(0, 22))],
    ['when it is cut within', () => cursors.decode(binding, cursor.slice(0, 25))],
    ['when it is no base64', () => cursors.decode(binding, '§§§ ///')],
    ['when it is one of before there was encryption', () => cursors.decode(binding, Buffer.concat([Buffer.alloc(16), Buffer.from('payments')]).toString('base64url'))],
  ];
  for (const [attack, decode] of rows) test(attack, () => assert.throws(decode, invalid));

  test('when any bit of it is another', () => {
    const bytes = Buffer.from(cursor, 'base64url');
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const other = Buffer.from(bytes);
      other[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => cursors.decode(binding, other.toString('base64url')), invalid, `bit ${bit}`);
    }
  });
});
