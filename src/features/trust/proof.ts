/** By what a token was believed, short enough to be kept with the session. */
import { createHash } from 'node:crypto';
import type { CompactToken } from './jwt.ts';
import type { VerificationKey } from './key-set.ts';
import type { KeySource } from './schema.ts';
import type { Proof } from './store.ts';
import type { KeySet } from './verify.ts';

const digests = new WeakMap<VerificationKey, string>();

/** SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal. */
export function keyDigest(key: VerificationKey): string {
  let digest = digests.get(key);
  if (digest === undefined) {
    digest = createHash('sha256').update(key.key.export({ format: 'der', type: 'spki' })).digest('hex');
    digests.set(key, digest);
  }
  return digest;
}

/** Of a token these keys have verified. */
export function proofOf({ header }: CompactToken, { keys }: KeySet, source: KeySource): Proof {
  const key = header.kid === undefined ? keys[0] : keys.find(({ kid }) => kid === header.kid);
  return { algorithm: header.alg, key: key === undefined ? '' : keyDigest(key), source: source.fingerprint };
}
