import { createCipheriv, createDecipheriv } from 'node:crypto';
import { assert, refusal } from '#kernel/errors.ts';

/**
 * AES-256-GCM envelopes bound to the place they are kept in. Layout of version 1:
 *
 *     version (1) | data key id (16) | nonce (12) | tag (16) | ciphertext
 *
 * The additional data is version | key id | context, so an envelope moved to another row, account or key does not open.
 * Nonces are random: one data key is good for 2^32 envelopes (NIST SP 800-38D §8.3).
 */
const version = 1;
const nonceAt = 17;
const tagAt = 29;
const ciphertextAt = 45;
const maxPlaintextBytes = 16 * 1024 * 1024;

export interface DataKey {
  /** A UUID in its canonical text form. */
  readonly id: string;
  /** 32 bytes. */
  readonly bytes: Buffer;
}

export interface Sealing {
  /** `context` names the place exactly, e.g. account, kind and uid; at most 16 MiB of plaintext. */
  seal(key: DataKey, context: string, plaintext: Uint8Array): Buffer;
  /** Refuses with `keys.unsealable` unless key, context and every byte are those of `seal`. */
  open(key: DataKey, context: string, sealed: Uint8Array): Buffer;
}

/** `random(n)` gives n fresh bytes from a cryptographic source. */
export function createSealing(random: (byteCount: number) => Uint8Array): Sealing {
  return {
    seal(key, context, plaintext) {
      assert(plaintext.length <= maxPlaintextBytes, `more than ${maxPlaintextBytes} bytes to seal`);
      const nonce = random(12);
      assert(nonce.length === 12, 'a nonce has 12 bytes');
      const head = header(key);
      const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: 16 });
      cipher.setAAD(boundTo(head, context));
      const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
      return Buffer.concat([head, nonce, cipher.getAuthTag(), ciphertext]);
    },
    open,
  };
}

/** Opens what `seal` made; needs no randomness. */
export function open(key: DataKey, context: string, sealed: Uint8Array): Buffer {
  const keyId = sealedKeyId(sealed);
  if (keyId !== key.id) {
    throw refusal('keys.unsealable', { because: `it was sealed with data key ${keyId}, not ${key.id}` });
  }
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, sealed.subarray(nonceAt, tagAt), { authTagLength: 16 });
  decipher.setAAD(boundTo(header(key), context));
  decipher.setAuthTag(sealed.subarray(tagAt, ciphertextAt));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(ciphertextAt)), decipher.final()]);
  } catch {
    throw refusal('keys.unsealable', { because: 'its context, key or bytes are not those it was sealed with' });
  }
}

/** The id of the data key an envelope names, to find the key by. Trusted only once `open` succeeds. */
export function sealedKeyId(sealed: Uint8Array): string {
  if (sealed.length < ciphertextAt) throw refusal('keys.unsealable', { because: 'it is shorter than an envelope' });
  const made = sealed[0];
  if (made !== version) throw refusal('keys.unsealable', { because: `envelope version ${made} is not known` });
  const hex = Buffer.from(sealed.subarray(1, nonceAt)).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function header(key: DataKey): Buffer {
  assert(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key.id), 'a data key id is a UUID in lower case');
  assert(key.bytes.length === 32, 'a data key has 32 bytes');
  return Buffer.concat([Buffer.of(version), Buffer.from(key.id.replaceAll('-', ''), 'hex')]);
}

function boundTo(head: Buffer, context: string): Buffer {
  // Lone surrogates would all become the same replacement character, and two contexts one.
  assert(context.length > 0 && context.isWellFormed(), 'a context is well-formed text and not empty');
  return Buffer.concat([head, Buffer.from(context, 'utf8')]);
}
