import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#kernel/errors.ts';
import { maskability, maximumFileSecretBytes, maximumNeedleBytes, maximumSecrets, maximumTextSecretBytes } from './maskability.ts';
import type { SecretValue } from './maskability.ts';
import { encodedForms } from './encodings.ts';
import { needlesOf } from './needles.ts';

function contentsOf(secrets: readonly SecretValue[]): Record<string, string[]> {
  const { needles } = needlesOf(secrets);
  return Object.fromEntries(needles.map(({ bytes, names }) => [Buffer.from(bytes).toString(), [...names]]));
}

const encodedOf = (value: string): string[] => encodedForms(Buffer.from(value)).map((form) => Buffer.from(form).toString());

const values: Record<string, [value: string, needles: string[]]> = {
  'a single line is one needle': ['hunter2', ['hunter2']],
  'white space at the edges is left out': [' \thunter2\r\n', ['hunter2']],
  'a value of lines is a needle, and each line of eight bytes': ['abcdefgh\r\nshort\r\n  ijklmnop', ['abcdefgh\nshort\n  ijklmnop', 'abcdefgh', 'ijklmnop']],
  'a JWT is a needle, and each part of sixteen bytes': [
    'eyJhbGciOiJub25lIn0.c2hvcnQ.c2lnbmF0dXJlLWJ5dGVz', ['eyJhbGciOiJub25lIn0.c2hvcnQ.c2lnbmF0dXJlLWJ5dGVz', 'eyJhbGciOiJub25lIn0', 'c2lnbmF0dXJlLWJ5dGVz'],
  ],
};

for (const [name, [value, needles]] of Object.entries(values)) {
  test(name, () => assert.deepEqual(Object.keys(contentsOf([{ name: 's', value }])), [...needles, ...encodedOf(value)]));
}

test('equal needles of several secrets are one needle with all names', () => {
  const contents = contentsOf([{ name: 'a', value: 'hunter2-line' }, { name: 'b', value: 'hunter2-line\nother-line' }]);
  const own = Object.fromEntries(Object.entries(contents).filter(([needle]) => needle.includes('-line')));
  assert.deepEqual(own, { 'hunter2-line': ['a', 'b'], 'hunter2-line\nother-line': ['b'], 'other-line': ['b'], 'hunter2-line\\nother-line': ['b'], 'hunter2-line%0Aother-line': ['b'], 'hunter2-line%0aother-line': ['b'] });
});

test('later secrets join earlier ones, which are not changed', () => {
  const earlier = needlesOf([{ name: 'a', value: 'hunter2' }, { name: 'tiny', value: 'x' }]);
  const later = needlesOf([{ name: 'b', value: 'hunter2' }], earlier);
  assert.deepEqual(new Set(later.needles.map(({ names }) => [...names].join())), new Set(['a,b']));
  assert.deepEqual(new Set(earlier.needles.map(({ names }) => [...names].join())), new Set(['a']));
  assert.deepEqual(later.unmaskable.map(({ name }) => name), ['tiny']);
});

test('a value changed after compiling leaves the needle as it was', () => {
  const value = Buffer.from('hunter2');
  const { needles } = needlesOf([{ name: 'a', value }]);
  value.fill(0);
  assert.equal(Buffer.from(needles[0]!.bytes).toString(), 'hunter2');
});

const verdicts: Record<string, [value: string, file: boolean, reason: string]> = {
  'six bytes are maskable': ['abc123', false, 'maskable'],
  'five bytes are too short': ['abc12', false, 'too short'],
  'white space around a value does not lengthen it': [' abc12 \n', false, 'too short'],
  'a CRLF counts as one byte': ['ab\r\ncd', false, 'too short'],
  'bytes count, not characters': ['→→', false, 'maskable'],
  'nothing is empty': ['', false, 'empty'],
  'white space is empty': [' \r\n\t ', false, 'empty'],
  'a text value of 64 KiB is maskable': ['a'.repeat(maximumTextSecretBytes), false, 'maskable'],
  'a text value beyond 64 KiB is too large': ['a'.repeat(maximumTextSecretBytes + 1), false, 'too large'],
  'a file of 1 MiB is maskable': ['a'.repeat(maximumFileSecretBytes), true, 'maskable'],
  'a file beyond 1 MiB is too large': ['a'.repeat(maximumFileSecretBytes + 1), true, 'too large'],
};

for (const [name, [value, file, expected]] of Object.entries(verdicts)) {
  test(`maskability: ${name}`, () => {
    const verdict = maskability(value, { file });
    assert.equal(verdict === 'maskable' ? verdict : verdict.reason, expected);
    if (verdict !== 'maskable' && value.trim() !== '') assert.ok(!verdict.problem.includes(value.trim()), 'the value is in the text');
  });
}

test('a short value is left out and named, it stops nothing', () => {
  const { needles, unmaskable } = needlesOf([{ name: 'pin', value: '1234' }, { name: 'none', value: '' }, { name: 'b', value: 'hunter2' }]);
  assert.deepEqual(new Set(needles.flatMap(({ names }) => [...names])), new Set(['b']));
  assert.deepEqual(unmaskable.map(({ name }) => name), ['pin', 'none']);
});

const file = (name: string, bytes: number): SecretValue => ({ name, value: name.repeat(Math.ceil(bytes / name.length)).slice(0, bytes), file: true });
const bounds: Record<string, SecretValue[]> = {
  'one secret more than the bound': Array.from({ length: maximumSecrets + 1 }, () => ({ name: 'a', value: 'hunter2' })),
  'a text value that is too large': [{ name: 'big', value: 'a'.repeat(maximumTextSecretBytes + 1) }],
  'a file that is too large': [file('big', maximumFileSecretBytes + 1)],
  'all together too large': Array.from({ length: Math.ceil(maximumNeedleBytes / maximumFileSecretBytes) + 1 }, (_, index) => file(`file-${index}-`, maximumFileSecretBytes)),
};

for (const [name, secrets] of Object.entries(bounds)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => needlesOf(secrets), (error) => error instanceof Refusal && error.code === 'request.too_large');
  });
}
