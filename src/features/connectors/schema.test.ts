import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnAudience } from './schema.ts';

const own = ['https://sallyport.example', 'https://host.example/base'];

const rows: readonly (readonly [string, string, boolean])[] = [
  ['an audience of somebody else', 'https://partner.example', false],
  ['our own URL', 'https://sallyport.example', true],
  ['our own URL with a slash', 'https://sallyport.example/', true],
  ['an account issuer below it', 'https://sallyport.example/accounts/default', true],
  ['another scheme of the same host', 'http://sallyport.example/accounts/default', true],
  ['the host in capitals', 'https://SALLYPORT.example/x', true],
  ['a look-alike host', 'https://sallyport.example.evil.test', false],
  ['below a base path', 'https://host.example/base/accounts/a', true],
  ['a look-alike path', 'https://host.example/basement', false],
  ['beside a base path', 'https://host.example/other', false],
  ['a path with dots that comes back', 'https://host.example/other/../base/x', true],
  ['a name that is no URL', 'sts.amazonaws.com', false],
  ['user information before our host', 'https://user@sallyport.example', true],
];

for (const [says, audience, expected] of rows) {
  test(`${says} is ${expected ? '' : 'not '}ourselves`, () => assert.equal(isOwnAudience(audience, own), expected));
}
