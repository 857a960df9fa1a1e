import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, isScopePattern, levelOf, parentOf, parseResourcePath, parseScope, patternMatches, upwards } from './scope.ts';

const paths: readonly (readonly [string, string | null])[] = [
  ['', '/'], ['/', '/'], ['payments', 'payments'], ['payments/checkout', 'payments/checkout'],
  ['payments/', null], ['/payments', null], ['a/b/c', null], ['pay ments', null], ['..', null], ['payments/..', null], ['__proto__', '__proto__'], ['1a', null],
];
for (const [text, expected] of paths) test(`the scope path \`${text}\` is ${expected ?? 'refused'}`, () => assert.equal(parseScope(text), expected));

const containment: readonly (readonly [string, string, boolean])[] = [
  ['/', 'payments/checkout', true], ['payments', 'payments', true], ['payments', 'payments/checkout', true], ['payments/checkout', 'payments', false],
  ['pay', 'payments', false], ['payments', 'payments2', false], ['payments', 'platform/payments', false], ['payments/check', 'payments/checkout', false],
];
for (const [outer, inner, expected] of containment) test(`${outer} ${expected ? 'contains' : 'does not contain'} ${inner}`, () => assert.equal(contains(outer, inner), expected));

const patterns: readonly (readonly [string, string, boolean])[] = [
  ['**', '/', true], ['**', 'payments/checkout', true], ['/', '/', true], ['/', 'payments', false], ['payments', 'payments', true], ['payments', 'payments/checkout', false],
  ['payments/**', 'payments', true], ['payments/**', 'payments/checkout', true], ['payments/**', 'payments2/checkout', false], ['payments/checkout', 'payments/checkout', true],
];
for (const [pattern, scope, expected] of patterns) {
  test(`the pattern ${pattern} ${expected ? 'names' : 'does not name'} ${scope}`, () => assert.equal(patternMatches(pattern, scope), expected));
}

for (const pattern of ['', '*', '/**', 'payments/*', 'payments/**/x', '**/x', 'payments/**/**', 'payments/checkout/x/**']) {
  test(`\`${pattern}\` is no scope pattern`, () => assert.equal(isScopePattern(pattern), false));
}

test('a project lies under its org and the account', () => {
  assert.deepEqual(upwards('payments/checkout'), ['payments/checkout', 'payments', '/']);
  assert.equal(parentOf('/'), null);
  assert.deepEqual(['/', 'a', 'a/b'].map(levelOf), ['account', 'org', 'project']);
});

test('a resource path is split at its last slash, and nothing odd gets through', () => {
  assert.deepEqual(parseResourcePath('payments/checkout/recover'), { scope: 'payments/checkout', identifier: 'recover' });
  assert.deepEqual(parseResourcePath('alice'), { scope: '/', identifier: 'alice' });
  for (const text of ['', '/', '/alice', 'a/b/c/d', 'a//b', 'a/b/']) assert.equal(parseResourcePath(text), null, text);
});
