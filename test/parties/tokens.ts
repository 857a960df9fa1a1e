import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/**
 * Tokens as an outside issuer, or an attacker, would write them: real keys, real signatures, and no rule that keeps one
 * from writing nonsense.
 */
export interface IssuerKey {
  readonly alg: string;
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** With `kid`, `alg` and `use`, as a JWKS endpoint lists it. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

export function issuerKey(alg: string, kid: string, rsa: { bits?: number; exponent?: number } = {}): IssuerKey {
  const { bits = 2048, exponent = 65537 } = rsa;
  const namedCurve = curves[alg];
  const { publicKey, privateKey } = alg === 'EdDSA' ? generateKeyPairSync('ed25519')
    : namedCurve === undefined ? generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent })
      : generateKeyPairSync('ec', { namedCurve });
  return { alg, kid, publicKey, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

/** The signature of `input` under `alg` (default: the key's own), whether or not that makes sense. */
export function signature(key: IssuerKey, input: Buffer, alg: string = key.alg): Buffer {
  const hash = `sha${alg.slice(2)}`;
  if (alg === 'EdDSA') return sign(null, input, key.privateKey);
  if (alg.startsWith('ES')) return sign(hash, input, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('RS')) return sign(hash, input, key.privateKey);
  return sign(hash, input, {
    key: key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });
}

export function hmac(alg: string, secret: Uint8Array | string): (input: Buffer) => Buffer {
  return (input) => createHmac(`sha${alg.slice(2)}`, secret).update(input).digest();
}

/** Header and payload as objects, as JSON text of one's own making, or as bytes. */
export type Part = object | string;

/** A compact JWS of these parts, signed by `signer`. */
export function compactJws(header: Part, payload: Part, signer: (input: Buffer) => Uint8Array): string {
  const input = `${encoded(header)}.${encoded(payload)}`;
  return `${input}.${Buffer.from(signer(Buffer.from(input))).toString('base64url')}`;
}

/** What an honest issuer signs: `alg`, `kid` and `typ: JWT`, changed by `header`. */
export function issue(key: IssuerKey, payload: Part, header: object = {}): string {
  return compactJws({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header }, payload, (input) => signature(key, input));
}

function encoded(part: Part): string {
  if (part instanceof Uint8Array) return Buffer.from(part).toString('base64url');
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}
