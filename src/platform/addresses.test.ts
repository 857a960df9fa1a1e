import { test } from 'node:test';
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { classifyAddress, normalAddress } from '#platform/addresses.ts';

const publicAddresses = ['8.8.8.8', '1.1.1.1', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0', '223.255.255.255',
  '2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450::1', '3ffe::1'];

for (const address of publicAddresses) {
  test(`${address} is public`, () => deepStrictEqual(classifyAddress(address), { kind: 'public', range: 'unicast' }));
}

const others: readonly (readonly [string, 'private' | 'never', readonly string[]])[] = [
  ['private 10/8', 'private', ['10.0.0.0', '10.255.255.255']],
  ['private 172.16/12', 'private', ['172.16.0.0', '172.31.255.255']],
  ['private 192.168/16', 'private', ['192.168.0.0', '192.168.255.255']],
  ['loopback 127/8', 'private', ['127.0.0.1', '127.255.255.254']],
  ['link-local 169.254/16', 'private', ['169.254.0.1']],
  ['the metadata address of most clouds', 'private', ['169.254.169.254', '169.254.170.2', 'fd00:ec2::254']],
  ['the metadata address of Alibaba Cloud', 'private', ['100.100.100.200']],
  ['the metadata address of Oracle Cloud', 'private', ['192.0.0.192']],
  ['the wire server of Azure', 'private', ['168.63.129.16']],
  ['carrier-grade NAT 100.64/10', 'private', ['100.64.0.0', '100.127.255.255']],
  ['protocol assignments 192.0.0/24', 'private', ['192.0.0.1']],
  ['documentation', 'private', ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1']],
  ['benchmarking', 'private', ['198.18.0.1', '198.19.255.255', '2001:2::1']],
  ['6to4 relays 192.88.99/24', 'private', ['192.88.99.1']],
  ['AS112 and AMT', 'private', ['192.175.48.1', '192.31.196.1', '192.52.193.1', '2620:4f:8000::1', '2001:4:112::1', '2001:3::1']],
  ['class E 240/4', 'private', ['240.0.0.1', '255.255.255.254']],
  ['unspecified 0/8', 'never', ['0.0.0.0', '0.1.2.3']],
  ['unspecified ::', 'never', ['::', '0:0:0:0:0:0:0:0']],
  ['multicast', 'never', ['224.0.0.1', '239.255.255.255', 'ff02::1', 'ff0e::1']],
  ['broadcast', 'never', ['255.255.255.255']],
  ['loopback ::1', 'private', ['::1', '0:0:0:0:0:0:0:1']],
  ['link-local fe80::/10', 'private', ['fe80::1', 'febf::1']],
  ['site-local fec0::/10', 'private', ['fec0::1']],
  ['unique local fc00::/7', 'private', ['fc00::1', 'fdff::1']],
  ['IPv4-mapped, whatever is inside', 'private', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:8.8.8.8']],
  ['IPv4-compatible', 'private', ['::127.0.0.1', '::8.8.8.8']],
  ['IPv4-translated', 'private', ['::ffff:0:127.0.0.1']],
  ['NAT64', 'private', ['64:ff9b::127.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b:1::a00:1']],
  ['6to4', 'private', ['2002:7f00:1::', '2002:808:808::1']],
  ['Teredo', 'private', ['2001::1', '2001:0:7f00:1::1']],
  ['ISATAP', 'private', ['2606:4700::5efe:10.0.0.1', '2606:4700::200:5efe:a00:1']],
  ['ORCHID', 'private', ['2001:10::1', '2001:20::1']],
  ['discard 100::/64', 'private', ['100::1']],
  ['segment routing 5f00::/16', 'private', ['5f00::1']],
  ['unassigned outside 2000::/3', 'private', ['4000::1', '1::1', 'e000::1']],
  ['an address with a zone', 'never', ['fe80::1%eth0', '2606:4700::1%1']],
  ['text that is no address', 'never', ['', 'localhost', '127.1', '0x7f.0.0.1', '0177.0.0.1', '2130706433', '127.0.0.1 ', '[::1]', '8.8.8.8/32', '08.8.8.8']],
];

for (const [name, kind, addresses] of others) {
  test(`${name} is ${kind}`, () => {
    for (const address of addresses) strictEqual(classifyAddress(address).kind, kind, address);
  });
}

test('no spelling of an IPv6 address changes its class', () => {
  fc.assert(fc.property(fc.ipV6(), (address) => {
    const expected = classifyAddress(address);
    for (const spelling of [address.toUpperCase(), normalAddress(address)]) deepStrictEqual(classifyAddress(spelling), expected);
  }), { numRuns: 500, verbose: true });
});

test('an IPv4 address wrapped in IPv6 is never public', () => {
  fc.assert(fc.property(fc.ipV4(), fc.constantFrom('::ffff:', '::', '64:ff9b::', '::ffff:0:'), (inner, wrap) => {
    strictEqual(classifyAddress(wrap + inner).kind === 'public', false);
  }), { numRuns: 500, verbose: true });
});
