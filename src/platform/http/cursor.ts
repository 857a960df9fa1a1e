/** Cursors of lists: opaque, bound to the query and the caller by a MAC, the same on every node. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { refusal } from '#kernel/errors.ts';

export interface Cursors {
  /** `binding` names operation, account, caller and query; `position` is where the next page begins. */
  encode(binding: readonly string[], position: string): string;
  decode(binding: readonly string[], cursor: string): string;
}

const macBytes = 16;

export function createCursors(key: Uint8Array): Cursors {
  const mac = (binding: readonly string[], position: string): Buffer =>
    createHmac('sha256', key).update(JSON.stringify(['cursor', ...binding, position])).digest().subarray(0, macBytes);
  return {
    encode: (binding, position) => Buffer.concat([mac(binding, position), Buffer.from(position)]).toString('base64url'),
    decode(binding, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const position = bytes.subarray(macBytes).toString();
      if (bytes.length < macBytes || !timingSafeEqual(bytes.subarray(0, macBytes), mac(binding, position))) {
        throw refusal('request.invalid', {
          say: 'the cursor belongs to another query',
          errors: [{ pointer: '/cursor', message: 'use the `next` of the page before, with the same query' }],
        });
      }
      return position;
    },
  };
}
