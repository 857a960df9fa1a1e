import { test } from 'node:test';
import { deepStrictEqual, notDeepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import { createSealing, open, sealedKeyId } from '#platform/sealing.ts';

const key = { id: '01930000-0000-7000-8000-0000000000aa', bytes: Buffer.alloc(32, 7) };
const sealing = createSealing(randomBytes);
const secret = Buffer.from('correct horse');
const context = 'account/01930000/secret/db_password/3';

function unsealable(run: () => unknown): void {
  throws(run, (error: unknown) => error instanceof Refusal && error.code === 'keys.unsealable' && !error.message.includes('horse'));
}

test('what was sealed opens with the same key and context', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ minLength: 1, unit: 'grapheme' }), (plaintext, place) => {
    deepStrictEqual(open(key, place, sealing.seal(key, place, plaintext)), Buffer.from(plaintext));
  }), { numRuns: 200, verbose: true });
});

test('the layout is version, key id, nonce, tag, ciphertext, and stays openable', () => {
  const sealed = createSealing((byteCount) => Buffer.alloc(byteCount, 9)).seal(key, 'place', Buffer.from('value'));
  strictEqual(sealed.toString('hex'), [
    '01', '01930000000070008000' + '0000000000aa', '090909090909090909090909', sealed.subarray(29, 45).toString('hex'), sealed.subarray(45).toString('hex'),
  ].join(''));
  strictEqual(sealed.length, 45 + 5);
  strictEqual(sealedKeyId(sealed), key.id);
  // Made once with Python's `cryptography` over the documented layout.
  const stored = '01019300000000700080000000000000aa090909090909090909090909c4b4d8795f47bd134a2a6931ea89774a51e4e8e1db';
  deepStrictEqual(sealed.toString('hex'), stored);
  strictEqual(open(key, 'place', Buffer.from(stored, 'hex')).toString(), 'value');
});

test('no changed bit of any byte of an envelope opens', () => {
  const sealed = sealing.seal(key, context, secret);
  for (let at = 0; at < sealed.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const flipped = Buffer.from(sealed);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      unsealable(() => open(key, context, flipped));
    }
  }
});

test('no shortened or lengthened envelope opens', () => {
  const sealed = sealing.seal(key, context, secret);
  for (let length = 0; length < sealed.length; length += 1) unsealable(() => open(key, context, sealed.subarray(0, length)));
  unsealable(() => open(key, context, Buffer.concat([sealed, Buffer.alloc(1)])));
});

const others: readonly (readonly [string, typeof key, string])[] = [
  ['another context', key, `${context}x`],
  ['a context in another case', key, context.toUpperCase()],
  ['a context of which it was a prefix', key, context.slice(0, -1)],
  ['another key with the same id', { ...key, bytes: Buffer.alloc(32, 8) }, context],
  ['the same key under another id', { ...key, id: '01930000-0000-7000-8000-0000000000ab' }, context],
];

for (const [name, otherKey, place] of others) {
  test(`${name} does not open it`, () => unsealable(() => open(otherKey, place, sealing.seal(key, context, secret))));
}

test('sealing the same value twice gives different envelopes', () => {
  notDeepStrictEqual(sealing.seal(key, context, secret), sealing.seal(key, context, secret));
});

const defects: readonly (readonly [string, () => unknown])[] = [
  ['a short key', () => sealing.seal({ ...key, bytes: Buffer.alloc(16) }, context, secret)],
  ['a key id that is no UUID', () => sealing.seal({ ...key, id: 'k1' }, context, secret)],
  ['an empty context', () => sealing.seal(key, '', secret)],
  ['a context with a lone surrogate', () => sealing.seal(key, 'a\ud800', secret)],
  ['a source of randomness that gives too little', () => createSealing(() => Buffer.alloc(4)).seal(key, context, secret)],
  ['more than 16 MiB', () => sealing.seal(key, context, Buffer.alloc(16 * 1024 * 1024 + 1))],
];

for (const [name, run] of defects) test(`${name} is a defect`, () => throws(run, /^Error: defect/));
