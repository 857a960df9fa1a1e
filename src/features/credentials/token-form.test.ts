import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { makeToken, readToken } from './token-form.ts';

test('a token made is a token read, of the same kind', () => {
  for (const kind of ['personal', 'service_account', 'impersonation'] as const) assert.equal(readToken(makeToken(kind, randomBytes)), kind);
});

test('a token with any one character changed is not a token', () => {
  const token = makeToken('personal', randomBytes);
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'a' ? 'b' : 'a';
    assert.equal(readToken(token.slice(0, at) + other + token.slice(at + 1)), null, `position ${at}`);
  }
});

test('tokens of the smallest and the largest randomness have the same length', () => {
  const small = makeToken('personal', (n) => Buffer.alloc(n, 0));
  const large = makeToken('personal', (n) => Buffer.alloc(n, 255));
  assert.equal(small.length, large.length);
  assert.equal(readToken(large), 'personal');
});

test('truncated, extended and empty texts are not tokens', () => {
  const token = makeToken('service_account', randomBytes);
  for (const text of ['', 'sallyport_sat_', token.slice(0, -1), `${token}0`, token.replace('sat', 'pat')]) assert.equal(readToken(text), null);
});
