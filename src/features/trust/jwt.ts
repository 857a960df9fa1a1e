import { refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { JsonValue } from '#kernel/json.ts';

/**
 * Reading a token without trusting it: JWS compact serialization (RFC 7515 §3.1) carrying a JWT claims set (RFC 7519).
 * Whatever two readers could understand differently is `trust.malformed`.
 */

/** Larger than any token seen in the wild (GitHub needs about 5 KiB); checked before anything is decoded. */
const maxTokenBytes = 16 * 1024;
/** Items of lists (groups, audiences) may be many; members may not. */
const documentLimits = { maxBytes: maxTokenBytes, maxDepth: 16, maxNodes: 2000 };
const maxMembers = 200;
const maxKidBytes = 512;
const maxIssuerBytes = 1000;

/** A claim: deep-frozen data; objects have no prototype. */
export type Claim = null | boolean | number | string | readonly Claim[] | Claims;

export interface Claims {
  readonly [name: string]: Claim;
}

export interface TokenHeader {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
  /** All members, for the rules about those that must not be there. */
  readonly members: Claims;
}

/** A compact JWS taken apart. Nothing of it is verified. */
export interface CompactToken {
  readonly compact: string;
  readonly header: TokenHeader;
  readonly payloadBytes: Uint8Array;
}

/** What a token says of itself. The issuer serves to find the rules and keys to verify it with, and nothing else. */
export interface TokenPreview extends CompactToken {
  readonly payload: Claims;
  readonly unverifiedIssuer: string;
}

/** Reads header, payload and issuer within the limits. Throws `trust.malformed`; the cause is in `because`. */
export function readToken(token: string): TokenPreview {
  const parts = readCompact(token);
  const payload = readPayload(parts);
  const unverifiedIssuer = member(payload, 'iss');
  if (typeof unverifiedIssuer !== 'string' || unverifiedIssuer === '') throw malformed('`iss` is missing or no text');
  if (isLonger(unverifiedIssuer, maxIssuerBytes)) throw malformed(`\`iss\` is longer than ${maxIssuerBytes} bytes`);
  return Object.freeze({ ...parts, payload, unverifiedIssuer });
}

/** The payload as a claims set, within the limits. */
export function readPayload({ payloadBytes }: CompactToken): Claims {
  return readObject(payloadBytes, 'payload');
}

/** Takes a compact JWS apart whose payload may be anything. */
export function readCompact(token: string): CompactToken {
  if (typeof token !== 'string') throw malformed('the token is no text');
  if (token.length > maxTokenBytes) throw malformed(`the token is longer than ${maxTokenBytes} bytes`);
  const parts = token.split('.', 6);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw malformed(`the token has ${parts.length > 5 ? 'more than 5' : parts.length} parts instead of 3`);
  }
  if (header === '') throw malformed('the header is empty');
  const compact = {
    compact: token,
    header: readHeader(decodePart(header, 'header')),
    payloadBytes: decodePart(payload, 'payload'),
  };
  decodePart(signature, 'signature');
  if (signature === '') throw malformed('the signature is empty');
  return Object.freeze(compact);
}

/** An own member; names such as `constructor` and `__proto__` are data like any other. */
export function member(claims: Claims, name: string): Claim | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function readHeader(bytes: Uint8Array): TokenHeader {
  const members = readObject(bytes, 'header');
  const alg = member(members, 'alg');
  const kid = member(members, 'kid');
  const typ = member(members, 'typ');
  if (typeof alg !== 'string') throw malformed('`alg` is missing or no text');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '')) throw malformed('`kid` is empty or no text');
  if (kid !== undefined && isLonger(kid, maxKidBytes)) throw malformed(`\`kid\` is longer than ${maxKidBytes} bytes`);
  if (typ !== undefined && typeof typ !== 'string') throw malformed('`typ` is no text');
  return Object.freeze({ alg, kid, typ, members });
}

/** Strict base64url (RFC 7515 §2): no padding, no white space, no other alphabet, unused bits zero. */
function decodePart(text: string, part: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  // The decoder skips what it does not know; only the one spelling survives the way back.
  if (bytes.toString('base64url') !== text) throw malformed(`the ${part} is not strict base64url`);
  return bytes;
}

function readObject(bytes: Uint8Array, part: string): Claims {
  const { value, problem, offset } = parseJson(bytes, documentLimits);
  if (problem !== undefined) throw malformed(`the ${part} is not acceptable JSON: ${problem} at byte ${offset}`);
  const claims = frozen(value);
  if (!isObject(claims)) throw malformed(`the ${part} is no JSON object`);
  if (countMembers(claims) > maxMembers) throw malformed(`the ${part} has more than ${maxMembers} members`);
  return claims;
}

// The recursion of the next two is bounded by the depth limit of the document.

function countMembers(claim: Claim): number {
  if (claim === null || typeof claim !== 'object') return 0;
  const items = Object.values(claim);
  return items.reduce<number>((sum, item) => sum + countMembers(item), Array.isArray(claim) ? 0 : items.length);
}

function frozen(value: JsonValue): Claim {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return Object.freeze(value.map(frozen));
  const bare: Record<string, Claim> = Object.create(null);
  for (const [name, item] of Object.entries(value)) bare[name] = frozen(item as JsonValue);
  return Object.freeze(bare);
}

function isObject(claim: Claim): claim is Claims {
  return claim !== null && typeof claim === 'object' && !Array.isArray(claim);
}

function isLonger(text: string, maxBytes: number): boolean {
  return Buffer.byteLength(text) > maxBytes;
}

function malformed(because: string): Error {
  return refusal('trust.malformed', { because });
}
