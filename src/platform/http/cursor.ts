/**
 * Cursors of lists: bound to the query and the caller, the same on every node, and closed to whoever holds them, since a page
 * that ended early may have ended behind something its reader is not to know.
 */
import { createCipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { refusal } from '#kernel/errors.ts';

export interface Cursors {
  /** `binding` names operation, account, caller and query; `position` is where the next page begins. */
  encode(binding: readonly string[], position: string): string;
  decode(binding: readonly string[], cursor: string): string;
}

const macBytes = 16;
/** Lengths are told in steps of so many bytes. */
const stepBytes = 64;
const lengthBytes = 4;

/**
 * A MAC over binding and position is the nonce under which the position is encrypted (SIV, as RFC 5297 §2.6 does it with
 * other parts): without randomness, and equal only for equal positions of one query and caller. `key`: 32 bytes.
 */
export function createCursors(key: Uint8Array): Cursors {
  const [macKey, cipherKey] = ['mac', 'cipher'].map((use) => createHmac('sha256', key).update(`cursor ${use}`).digest()) as [Buffer, Buffer];
  const macOf = (binding: readonly string[], position: string): Buffer =>
    createHmac('sha256', macKey).update(JSON.stringify([...binding, position])).digest().subarray(0, macBytes);
  // Counter mode is its own inverse.
  const turned = (mac: Buffer, bytes: Buffer): Buffer => createCipheriv('aes-256-ctr', cipherKey, mac).update(bytes);
  const sealed = (binding: readonly string[], position: string): Buffer => {
    const mac = macOf(binding, position);
    return Buffer.concat([mac, turned(mac, padded(position))]);
  };
  return {
    encode: (binding, position) => sealed(binding, position).toString('base64url'),
    decode(binding, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const position = bytes.length > macBytes ? unpadded(turned(bytes.subarray(0, macBytes), bytes.subarray(macBytes))) : null;
      const expected = position === null ? null : sealed(binding, position);
      if (position === null || expected?.length !== bytes.length || !timingSafeEqual(expected, bytes)) {
        throw refusal('request.invalid', {
          say: 'the cursor belongs to another query',
          errors: [{ pointer: '/cursor', message: 'use the `next` of the page before, with the same query' }],
        });
      }
      return position;
    },
  };
}

function padded(position: string): Buffer {
  const text = Buffer.from(position);
  const bytes = Buffer.alloc(Math.ceil((lengthBytes + text.length) / stepBytes) * stepBytes);
  bytes.writeUInt32BE(text.length);
  text.copy(bytes, lengthBytes);
  return bytes;
}

/** Null = nothing that was padded. */
function unpadded(bytes: Buffer): string | null {
  const length = bytes.length < lengthBytes ? bytes.length : bytes.readUInt32BE();
  return lengthBytes + length > bytes.length ? null : bytes.subarray(lengthBytes, lengthBytes + length).toString();
}
