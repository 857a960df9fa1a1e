import { isIP } from 'node:net';
import { refusal } from '#kernel/errors.ts';
import { classifyAddress, normalAddress } from '#platform/addresses.ts';

const maxUrlLength = 8192;
const maxAddresses = 64;

/** A URL that may be asked for, if the addresses of its host pass too. */
export interface OutboundTarget {
  readonly url: URL;
  /** The host without the brackets of IPv6. */
  readonly host: string;
  /** The operator named exactly this origin: private addresses and plain http are fine. */
  readonly isAllowedPrivate: boolean;
}

/** Reads the operator's list of origins. Each is a scheme, a host and perhaps a port, nothing else. */
export function compileOrigins(origins: readonly string[]): ReadonlySet<string> {
  return new Set(origins.map((text) => {
    const url = URL.parse(text);
    const isOrigin = url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.host !== ''
      && (url.href === `${url.origin}/`) && !/[?#@]/.test(text);
    if (!isOrigin) {
      const say = `\`${text}\` is not an origin; write it like \`https://idp.internal:8443\``;
      throw refusal('config.invalid', { say });
    }
    return url.origin;
  }));
}

/**
 * Checks everything about a URL that can be known without the network. The parser of WHATWG URL has already turned
 * decimal, octal, hexadecimal, short and full-width spellings of IPv4 into dotted form.
 */
export function readTarget(text: string, allowedOrigins: ReadonlySet<string>): OutboundTarget {
  const url = text.length <= maxUrlLength ? URL.parse(text) : null;
  // The parser drops tabs and line breaks silently; whoever sends them means something else.
  if (url === null || /[\0-\x20\x7f]/.test(text)) throw refused(`it is no URL of at most ${maxUrlLength} characters`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(`its scheme is \`${url.protocol}\``);
  if (url.username !== '' || url.password !== '') throw refused('it carries user information');
  if (text.includes('#')) throw refused('it carries a fragment');
  if (url.port === '0') throw refused('its port is 0');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // `name.` and `name` are one host but two origins and two certificates.
  if (host.endsWith('.')) throw refused('its host ends in a dot');
  const isAllowedPrivate = allowedOrigins.has(url.origin);
  if (isAllowedPrivate) return { url, host, isAllowedPrivate };
  if (url.protocol === 'http:') throw refused(`plain http is only for allowed origins, not \`${url.origin}\``);
  if (/(^|\.)localhost$/.test(host)) throw refused('its host is a name of this machine (loopback)');
  return { url, host, isAllowedPrivate };
}

/** The host as the one address it is, when it needs no resolver. */
export function literalAddress(target: OutboundTarget): readonly string[] | undefined {
  return isIP(target.host) === 0 ? undefined : [target.host];
}

/**
 * Every address the host has must be fit to connect to: with one bad among them the answer is not trusted at all.
 * The reason names the range and keeps the address, which may be an inside of the operator's network.
 */
export function checkAddresses(target: OutboundTarget, addresses: readonly string[]): readonly string[] {
  if (addresses.length === 0) throw refusal('outbound.failed', { because: `\`${target.host}\` has no address` });
  if (addresses.length > maxAddresses) throw refused(`\`${target.host}\` has more than ${maxAddresses} addresses`);
  for (const address of addresses) {
    const { kind, range } = classifyAddress(address);
    if (kind === 'public' || (kind === 'private' && target.isAllowedPrivate)) continue;
    throw refused(`\`${target.host}\` leads to an address that is not public (${range})`);
  }
  return addresses.map(normalAddress);
}

function refused(because: string): Error {
  return refusal('outbound.refused', { because: `the address was not called: ${because}` });
}
