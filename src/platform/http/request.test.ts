import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import { readNetwork } from '../networks.ts';
import { clientAddress } from './request.ts';

const trusted = ['10.0.0.0/8', '2001:db8:1::/48'].map((text) => readNetwork(text)!);

function addressOf(peer: string, forwarded: string | undefined): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return clientAddress({ socket: { remoteAddress: peer }, headers } as Pick<FastifyRequest, 'socket' | 'headers'>, trusted);
}

describe('the address of a client', () => {
  const rows: readonly (readonly [says: string, peer: string, forwarded: string | undefined, address: string])[] = [
    ['who is no proxy of ours is its own, whatever it says', '198.51.100.7', '203.0.113.9', '198.51.100.7'],
    ['behind a proxy is the one the proxy names', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['behind a proxy on a socket for both families is found too', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['behind two proxies is the one before the first of them', '10.0.0.1', '198.51.100.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['that a proxy names with a port is that without the port', '10.0.0.1', '203.0.113.9:51234', '203.0.113.9'],
    ['of IPv6 is the same in brackets, with and without a port', '10.0.0.1', '[2001:db8:2::9]:443', '2001:db8:2::9'],
    ['of IPv6 in brackets alone', '10.0.0.1', '[2001:db8:2::9]', '2001:db8:2::9'],
    ['of a proxy in brackets is passed over', '10.0.0.1', '2001:db8:2::9, [2001:db8:1::1]:443', '2001:db8:2::9'],
    ['that a proxy does not know is the proxy', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['that a proxy does not say is the proxy', '10.0.0.1', undefined, '10.0.0.1'],
    ['who is a proxy itself is the peer', '10.0.0.1', '10.1.2.3, 10.4.5.6', '10.0.0.1'],
    ['forged before a port is not believed', '10.0.0.1', '1.2.3.4, 203.0.113.9:51234', '203.0.113.9'],
    ['forged before what the proxy does not know is not believed', '10.0.0.1', '1.2.3.4, unknown', '10.0.0.1'],
    ['forged before an obfuscated name is not believed', '10.0.0.1', '1.2.3.4, _hidden', '10.0.0.1'],
    ['forged before an empty entry is not believed', '10.0.0.1', '1.2.3.4, ', '10.0.0.1'],
    ['forged before one on the proxy’s own link is not believed', '10.0.0.1', '1.2.3.4, fe80::1%eth0', 'fe80::1%eth0'],
    ['forged as a range is the peer', '10.0.0.1', '1.2.3.4/32', '10.0.0.1'],
  ];
  for (const [says, peer, forwarded, address] of rows) test(says, () => assert.equal(addressOf(peer, forwarded), address));
});
