import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { liesInAny, readNetwork } from './networks.ts';

describe('a network', () => {
  for (const text of ['10.0.0.0/8', '10.1.2.3', '0.0.0.0/0', '10.0.0.0/32', '::1', '2001:db8::/32', '::/0', '::ffff:10.1.2.3']) {
    test(`is \`${text}\``, () => assert.ok(readNetwork(text) !== null));
  }
  const others = [
    '', '/', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/ 8', '10.0.0.0/08x', '2001:db8::/129', '10.1', '10/8', '0x7f.0.0.1', 'localhost', 'example.com/8',
    'fe80::1%eth0', '::ffff:10.0.0.0/104', '10.0.0.0/8,10.1.0.0/16',
  ];
  for (const text of others) test(`is not \`${text}\``, () => assert.equal(readNetwork(text), null));
});

describe('an address lies in a network', () => {
  const rows: readonly (readonly [address: string, network: string, lies: boolean])[] = [
    ['10.255.255.255', '10.0.0.0/8', true], ['11.0.0.0', '10.0.0.0/8', false], ['10.1.2.3', '10.1.2.3', true], ['10.1.2.4', '10.1.2.3', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true], ['10.1.2.3', '::ffff:10.1.2.3', true], ['10.1.2.3', '::/0', false], ['2001:db8::1', '0.0.0.0/0', false],
    ['2001:DB8:0::1', '2001:db8::/32', true], ['2001:db9::1', '2001:db8::/32', false], ['localhost', '0.0.0.0/0', false], ['', '0.0.0.0/0', false], ['10.1', '10.0.0.0/8', false],
    ['fe80::1%eth0', 'fe80::/10', false],
  ];
  for (const [address, network, lies] of rows) {
    test(`${lies ? '' : 'not '}\`${address}\` in \`${network}\``, () => assert.equal(liesInAny(address, [readNetwork(network)!]), lies));
  }
});
