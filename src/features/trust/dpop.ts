/**
 * Proofs of possession (RFC 9449): a token signed for one request by the key its sender holds. A proof carries a nonce of
 * ours, so that none can be made in advance, and counts once, on whatever node.
 */
import { createHash } from 'node:crypto';
import { compactVerify } from 'jose';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Possession } from '#kernel/manifest.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Claims } from './jwt.ts';
import { member, readCompact, readPayload } from './jwt.ts';
import { compileKeySet, supportedAlgorithms } from './key-set.ts';
import type { VerificationKey } from './key-set.ts';
import type { Use } from './used-once.ts';
import { jtiHash } from './used-once.ts';

export const proofAlgorithms = supportedAlgorithms;

/** Thrown for a proof that is not accepted; the words may reach its sender, who made it. */
export class BadProof extends Error {
  readonly needsNonce: boolean;

  constructor(because: string, { needsNonce = false } = {}) {
    super(because);
    this.name = 'BadProof';
    this.needsNonce = needsNonce;
  }
}

export interface ProofOfRequest {
  /** Thumbprint of the key (RFC 7638). */
  readonly jkt: string;
  /** To be used once, or the proof is a replay. */
  readonly once: Use;
  readonly keepUntil: Date;
}

export interface Proofs {
  /** The nonce to send now. */
  nonce(accountId: string, now: Date): Promise<string>;
  /** Throws `BadProof`. `token`: the session token it is sent with; null at the token endpoint. */
  verify(request: { readonly accountId: string; readonly possession: Possession; readonly token: string | null; readonly now: Date }): Promise<ProofOfRequest>;
}

/** A nonce is good in its window, the one after it, and, since clocks of nodes differ, the one before. */
const windowMs = 60_000;
/** RFC 9449 §11.1: beside the nonce; clocks of senders may be as wrong as this. */
const maxIatSeconds = 300;
const keepMs = 2 * maxIatSeconds * 1_000;
const maxJtiBytes = 512;
/** A proof that brings keys by reference, or asks for what nobody implements. */
const forbidden = ['crit', 'b64', 'zip', 'jku', 'x5u', 'x5c'];
const dpopUse = 'dpop';

export function createProofs({ keyring, publicUrl }: { readonly keyring: Pick<Keyring, 'digest'>; readonly publicUrl: () => string }): Proofs {
  const nonceAt = async (accountId: string, window: number): Promise<string> =>
    (await keyring.digest(accountId, 'dpop-nonce', String(window))).subarray(0, 18).toString('base64url');

  async function isFresh(accountId: string, nonce: unknown, now: Date): Promise<boolean> {
    const window = Math.floor(now.getTime() / windowMs);
    const good = await Promise.all([window, window - 1, window + 1].map((one) => nonceAt(accountId, one)));
    return typeof nonce === 'string' && good.includes(nonce);
  }

  return {
    nonce: (accountId, now) => nonceAt(accountId, Math.floor(now.getTime() / windowMs)),
    async verify({ accountId, possession, token, now }) {
      if (possession.dpop === null) throw new BadProof('a proof is needed in the header `DPoP`');
      const { key, claims } = await readProof(possession.dpop);
      checkRequest(claims, possession, publicUrl());
      checkTime(claims, now);
      const ath = member(claims, 'ath');
      if (token !== null && ath !== createHash('sha256').update(token).digest('base64url')) throw new BadProof('`ath` is not the hash of the token it is sent with');
      const jti = member(claims, 'jti');
      if (typeof jti !== 'string' || jti === '' || Buffer.byteLength(jti) > maxJtiBytes) throw new BadProof('`jti` is missing, no text or too long');
      // Last, so that a proof that is wrong in other ways is not made again in vain.
      if (!(await isFresh(accountId, member(claims, 'nonce'), now))) throw new BadProof('the nonce is not ours, or old', { needsNonce: true });
      const jkt = thumbprint(key);
      return { jkt, once: { accountId, usedBy: [dpopUse], jti: jtiHash(jkt, jti) }, keepUntil: new Date(now.getTime() + keepMs) };
    },
  };
}

/** RFC 9449 §4.3, 1 to 7: one well-formed token, signed by the public key it carries. */
async function readProof(text: string): Promise<{ readonly key: VerificationKey; readonly claims: Claims }> {
  try {
    const compact = readCompact(text);
    const { alg, typ, members } = compact.header;
    if (typ?.toLowerCase().replace(/^application\//, '') !== 'dpop+jwt') throw new BadProof('the proof is not of the type `dpop+jwt`');
    const refused = forbidden.find((name) => Object.hasOwn(members, name));
    if (refused !== undefined) throw new BadProof(`the header of the proof has \`${refused}\``);
    // Nothing but the public key itself counts, so what else stands in it cannot matter.
    const [key] = compileKeySet({ keys: [withoutUse(member(members, 'jwk'))] }).keys;
    if (key === undefined || !key.algorithms.includes(alg)) throw new BadProof('the key of the proof is not made for its algorithm');
    await compactVerify(text, key.key, { algorithms: [alg] });
    return { key, claims: readPayload(compact) };
  } catch (error) {
    if (error instanceof BadProof) throw error;
    throw new BadProof('the proof cannot be read, or its signature does not fit its key');
  }
}

function withoutUse(jwk: unknown): unknown {
  if (typeof jwk !== 'object' || jwk === null) return jwk;
  const { use: _use, key_ops: _operations, kid: _kid, ...key } = jwk as Record<string, unknown>;
  return key;
}

/** §4.3, 8 and 9: method and address, without query and fragment. */
function checkRequest(claims: Claims, { method, path }: Possession, publicUrl: string): void {
  if (member(claims, 'htm') !== method) throw new BadProof('`htm` is not the method of the request');
  const htu = member(claims, 'htu');
  const said = typeof htu === 'string' && htu.length <= 4_096 ? URL.parse(htu) : null;
  const asked = new URL(`${publicUrl}${path}`);
  if (said === null || said.origin !== asked.origin || said.pathname !== asked.pathname) throw new BadProof(`\`htu\` is not \`${asked.origin}${asked.pathname}\``);
}

function checkTime(claims: Claims, now: Date): void {
  const iat = member(claims, 'iat');
  if (typeof iat !== 'number' || Math.abs(now.getTime() / 1_000 - iat) > maxIatSeconds) throw new BadProof('`iat` is missing or not now');
}

/** RFC 7638 §3, of the key as it was understood. */
function thumbprint({ key }: VerificationKey): string {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  const members = Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined));
  return createHash('sha256').update(canonicalJson(members)).digest('base64url');
}
