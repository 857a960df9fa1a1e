import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { encodedForms } from './encodings.ts';
import { compileMaskSet } from './mask-set.ts';
import { containsSecret, maskWhole } from './masker.ts';

const secret = `p@ss/w0rd+"ü"\\n'line' two`;

function masked(text: string, value = secret): string {
  return maskWhole(compileMaskSet([{ name: 's', value }]), text);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What tools print of a secret that nobody meant to print. */
const printed: readonly [says: string, text: string, masked: string | null][] = [
  ['a basic authorization header', `authorization: Basic ${base64(`user:${secret}`)}`, null],
  ['the same behind a name of another length', `Basic ${base64(`users:${secret}`)}`, null],
  ['a token in base64 for URLs', `?t=${Buffer.from(`x${secret}y`).toString('base64url')}`, null],
  ['a query string', `GET /?password=${encodeURIComponent(secret)}&x=1`, 'GET /?password=***&x=1'],
  ['a form', `password=${new URLSearchParams({ p: secret }).toString().slice(2)}`, 'password=***'],
  ['a URL of a library that escapes in lower case', encodeURIComponent(secret).replaceAll(/%../g, (escape) => escape.toLowerCase()), '***'],
  ['a JSON log', JSON.stringify({ level: 'debug', password: secret }), '{"level":"debug","password":"***"}'],
  ['a JSON log of a library that writes ASCII alone', JSON.stringify(secret).replaceAll('ü', '\\u00fc'), '"***"'],
  ['a JSON log of a library that escapes slashes', JSON.stringify(secret).replaceAll('/', '\\/'), '"***"'],
  ['a dump in hexadecimal', `key: ${Buffer.from(secret).toString('hex')}.`, 'key: ***.'],
  ['a dump in capitals', Buffer.from(secret).toString('hex').toUpperCase(), '***'],
];

for (const [says, text, expected] of printed) {
  test(`is masked: ${says}`, () => {
    const out = masked(text);
    if (expected === null) assert.ok(out.includes('***') && !out.includes(base64(secret).slice(4, -4)), out);
    else assert.equal(out, expected);
  });
}

test('what is left of a masked base64 tells at most two bytes of the value', () => {
  for (const before of ['', 'u', 'us', 'use']) {
    for (const after of ['', 'a', 'ab', 'abc']) {
      const [left, right, ...more] = masked(base64(`${before}${secret}${after}`)).split('***');
      assert.equal(more.length, 0);
      const [head, tail] = [left!, right!.replaceAll('=', '')];
      // A character is six bits: beside those of what stands around it at most one reaches into the value on either side.
      assert.ok(head.length <= Math.ceil((before.length * 8) / 6) && tail.length <= Math.ceil((after.length * 8) / 6) + 1, `${head}…${tail}`);
    }
  }
});

test('an output that holds a secret in base64 is known to hold it', () => {
  assert.deepEqual(containsSecret(compileMaskSet([{ name: 's', value: secret }]), base64(`user:${secret}`)), ['s']);
});

test('whatever stands around a value when it is encoded, it is found', () => {
  const value = fc.string({ unit: 'binary', minLength: 8, maxLength: 60 }).filter((text) => text.isWellFormed() && Buffer.byteLength(text.trim()) >= 8 && !text.includes('*'));
  const around = fc.string({ unit: 'binary-ascii', maxLength: 7 });
  const encoders = fc.constantFrom<(text: string) => string>(base64, (text) => Buffer.from(text).toString('base64url'), encodeURIComponent, JSON.stringify, (text) => Buffer.from(text).toString('hex'));
  fc.assert(fc.property(value, around, around, encoders, (one, before, after, encode) => {
    const set = compileMaskSet([{ name: 's', value: one }]);
    // White space at the edges is no part of what is looked for.
    assert.deepEqual(containsSecret(set, encode(`${before}${one}${after}`)), ['s']);
  }), { numRuns: runs(300, 20_000) });
});

test('a short value has no form that would be found in ordinary text', () => {
  assert.ok(encodedForms(Buffer.from('abc123')).every((form) => form.length >= 8));
});

test('a file has no encoded forms', () => {
  assert.deepEqual(encodedForms(Buffer.alloc(4 * 1024 + 1, 'x')), []);
});
