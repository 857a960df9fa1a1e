import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * What kind of address a connection would go to.
 * - `public`: global unicast, reachable by anybody.
 * - `private`: ours, our network's or our cloud's; only for origins the operator allowed.
 * - `never`: no machine of its own (unspecified, multicast, broadcast) or not an address at all.
 */
export interface AddressClass {
  readonly kind: 'public' | 'private' | 'never';
  /** The name of the range, for the administrator's half of a refusal. */
  readonly range: string;
}

/** Ranges without a peer that could be meant: 0.0.0.0 and :: are this very host by another name. */
const neverRanges = new Set(['unspecified', 'multicast', 'broadcast']);

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** Publicly numbered, yet answered by the host a machine runs on: Azure's wire server. */
const hypervisorAddresses = new Set(['168.63.129.16']);

/**
 * Classifies one address in the text form a resolver gives. Every form that carries an IPv4 address inside IPv6
 * (mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP) counts as private whatever it carries: the packet may
 * end at the inner address.
 */
export function classifyAddress(text: string): AddressClass {
  // isIP first: ipaddr.js alone also reads `127.1`, `0x7f.1` and zone ids.
  if (isIP(text) === 0 || text.includes('%')) return { kind: 'never', range: 'not an address' };
  const address = ipaddr.parse(text);
  const range = address.range();
  if (neverRanges.has(range)) return { kind: 'never', range };
  if (range !== 'unicast') return { kind: 'private', range };
  if (hypervisorAddresses.has(text)) return { kind: 'private', range: 'cloud host' };
  if (address instanceof ipaddr.IPv6) {
    if (!address.match(globalUnicast)) return { kind: 'private', range: 'outside global unicast' };
    if (isIsatap(address)) return { kind: 'private', range: 'isatap' };
  }
  return { kind: 'public', range };
}

/** One spelling per address, so that two can be compared: `::FFFF:1.2.3.4`, `2001:0DB8::1` and friends. */
export function normalAddress(text: string): string {
  return isIP(text) === 0 ? text : ipaddr.parse(text).toString();
}

/** RFC 5214 §6.1: the interface identifier is 0000:5efe or 0200:5efe and an IPv4 address. */
function isIsatap(address: InstanceType<typeof ipaddr.IPv6>): boolean {
  return ((address.parts[4] ?? 0) & 0xfdff) === 0 && address.parts[5] === 0x5efe;
}
