import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = InstanceType<typeof ipaddr.IPv4> | InstanceType<typeof ipaddr.IPv6>;

/** A range of addresses, read once. */
export interface Network {
  readonly base: Address;
  readonly bits: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Null = it is neither. */
export function readNetwork(text: string): Network | null {
  const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const base = address === undefined ? null : readAddress(address);
  if (base === null) return null;
  const width = base.kind() === 'ipv4' ? 32 : 128;
  // A mapped address is read as the IPv4 address it maps; the length of a prefix would then be about something else.
  if (bits !== undefined && (Number(bits) > width || isIP(address!) !== (width === 32 ? 4 : 6))) return null;
  return { base, bits: bits === undefined ? width : Number(bits) };
}

/** Whether an address, IPv4 as it is or mapped into IPv6, lies in one of them; what is no address lies in none. */
export function liesInAny(text: string, networks: readonly Network[]): boolean {
  if (networks.length === 0) return false;
  const address = readAddress(text);
  return address !== null && networks.some(({ base, bits }) => base.kind() === address.kind() && address.match(base, bits));
}

/** `isIP` first: ipaddr.js alone also reads `10.1` and zone ids. */
function readAddress(text: string): Address | null {
  return isIP(text) === 0 || text.includes('%') ? null : ipaddr.process(text);
}
