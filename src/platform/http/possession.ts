/** What a request brings besides its credential to prove that its sender holds a key or a certificate; nothing is verified here. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Possession } from '#kernel/manifest.ts';
import type { Network } from '../networks.ts';
import { liesInAny } from '../networks.ts';

const maxProofCharacters = 8_192;
const maxCertificateCharacters = 16_384;
/** RFC 9440 §2.1: a byte sequence of structured fields. */
const certificatePattern = /^:([A-Za-z0-9+/]+={0,2}):$/;

export interface Believed {
  readonly trustedProxies: readonly Network[];
  /** The proxies verify client certificates, and let no `Client-Cert` through that they did not write. */
  readonly clientCertificates: boolean;
}

export function readPossession(request: Pick<FastifyRequest, 'headers' | 'raw' | 'socket' | 'method' | 'url'>, scheme: Possession['scheme'], believed: Believed): Possession {
  const dpop = givenOnce(request.raw.rawHeaders, 'dpop');
  return {
    scheme,
    method: request.method,
    path: request.url.split('?')[0]!,
    dpop: dpop === null || /^[\x21-\x7e]*$/.test(dpop) ? dpop?.slice(0, maxProofCharacters) ?? null : '',
    certificate: certificateOf(request, believed),
  };
}

function certificateOf({ raw, socket }: Pick<FastifyRequest, 'raw' | 'socket'>, { trustedProxies, clientCertificates }: Believed): string | null {
  if (!clientCertificates || !liesInAny(socket.remoteAddress ?? '', trustedProxies)) return null;
  const given = givenOnce(raw.rawHeaders, 'client-cert');
  const [, text] = given === null || given.length > maxCertificateCharacters ? [] : (certificatePattern.exec(given) ?? []);
  return text === undefined ? null : createHash('sha256').update(Buffer.from(text, 'base64')).digest('base64url');
}

/** Null = not there; empty = more than once, of which nobody knows which one counts. `raw` has names and values in turn. */
function givenOnce(raw: readonly string[], name: string): string | null {
  const values: string[] = [];
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.length === name.length && raw[at]!.toLowerCase() === name) values.push(raw[at + 1]!);
  return values.length > 1 ? '' : values[0] ?? null;
}
