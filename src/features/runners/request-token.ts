/**
 * The server's half of request tokens: who says it is asking, and for exactly what. Bound to path and body, so that
 * whoever repeats one repeats a call that is safe to repeat.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '#kernel/canonical.ts';
import { parseJson } from '#kernel/json.ts';
import type { RequestTokenClaims, SigningJwk } from './schema.ts';
import { protocolLimits, requestTokenClaims, requestTokenHeader } from './schema.ts';

const maxTokenBytes = 4_096;
/** How far the clock of a runner may be ahead; runners correct theirs by the `Date` of our answers. */
const maxAheadSeconds = 30;
const jsonLimits = { maxBytes: maxTokenBytes, maxDepth: 2, maxNodes: 20 };

interface ReadToken {
  readonly claims: RequestTokenClaims;
  readonly signed: string;
  readonly signature: Buffer;
}

/** Whether this is the form of a request token at all, three parts with its header; decides nothing else. */
export function isRequestToken(token: string): boolean {
  if (token.length > maxTokenBytes) return false;
  const parts = token.split('.');
  return parts.length === 3 && readPart(parts[0]!, requestTokenHeader) !== null;
}

/** What an unverified token says about its maker, to find the key by. */
export function readRequestToken(token: string): ReadToken | null {
  if (token.length > maxTokenBytes) return null;
  const [header = '', payload = '', signature = '', ...more] = token.split('.');
  if (more.length > 0 || !/^[A-Za-z0-9_-]{86}$/.test(signature)) return null;
  const claims = readPart(header, requestTokenHeader) === null ? null : readPart(payload, requestTokenClaims);
  return claims === null ? null : { claims, signed: `${header}.${payload}`, signature: Buffer.from(signature, 'base64url') };
}

/** True when `key` signed it and its time is now. */
export function isGenuine({ claims, signed, signature }: ReadToken, key: SigningJwk, now: Date): boolean {
  const nowSeconds = now.getTime() / 1_000;
  const { iat, exp } = claims;
  if (exp <= iat || exp - iat > protocolLimits.requestTokenSeconds || exp < nowSeconds || iat > nowSeconds + maxAheadSeconds) return false;
  return verify(null, Buffer.from(signed), createPublicKey({ key, format: 'jwk' }), signature);
}

/** The digest a token must carry for this body. */
export function digestOf(body: unknown): string {
  return createHash('sha256').update(canonicalJson(body)).digest('base64url');
}

function readPart<T>(text: string, schema: z.ZodType<T>): T | null {
  if (text.length > maxTokenBytes || !/^[A-Za-z0-9_-]+$/.test(text)) return null;
  const parsed = parseJson(Buffer.from(text, 'base64url'), jsonLimits);
  if ('problem' in parsed) return null;
  const result = schema.safeParse(parsed.value);
  return result.success ? result.data : null;
}
