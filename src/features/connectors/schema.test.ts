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
  ['our host without a scheme', 'sallyport.example/accounts/default', true],
  ['our host after two slashes', '//sallyport.example/accounts/default', true],
  ['our host with its final dot', 'https://sallyport.example./accounts/default', true],
  ['our host with the port of its scheme', 'https://sallyport.example:443/', true],
  ['another port of our host', 'https://sallyport.example:8443/', false],
  ['another scheme with our host as its authority', 'spiffe://Sallyport.example/ci', true],
  ['a base path that is escaped', 'https://host.example/%62ase/accounts/a', true],
  ['a base path after doubled slashes', 'https://host.example//base//accounts/a', true],
  ['a base path behind dots that are escaped', 'https://host.example/x/%2e%2e/base', true],
  ['an escape that is none', 'https://host.example/%zz', false],
  ['our URL behind somebody else’s', 'https://partner.example/?for=https://sallyport.example', false],
  ['the resource name of a cloud', '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/s', false],
  ['a URN', 'urn:example:partner', false],
  ['user information before our host', 'https://user@sallyport.example', true],
];

for (const [says, audience, expected] of rows) {
  test(`${says} is ${expected ? '' : 'not '}ourselves`, () => assert.equal(isOwnAudience(audience, own), expected));
}
