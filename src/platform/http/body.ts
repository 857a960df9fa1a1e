/** The bytes of a body. They wait in the socket until somebody is admitted, so that what nobody known sends fills no memory. */
import type { IncomingMessage } from 'node:http';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';

const usualBytes = 1024 * 1024;
/** What a stranger may send: one token, and a few words around it. */
const openBytes = 64 * 1024;
/** 4 MiB of documents and what is around them. */
export const applyBytes = 4 * 1024 * 1024 + 64 * 1024;

/** How much an operation takes at most. */
export function maxBodyBytes({ access, path }: AnyOperation): number {
  if (access.shape === 'open') return openBytes;
  return path.includes('/manifests:') ? applyBytes : usualBytes;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Refuses a body that is larger as soon as that is known. One that does not come ends with its connection. */
export async function receiveBody(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const { readableLength: bytes } = message;
  // Most bodies come in one packet with their head. The message may not be known to be complete yet: its length says it.
  const isHere = bytes === Number(message.headers['content-length']) && bytes <= maxBytes;
  // Without a number a stream that flows gives its first chunk alone.
  return (isHere ? (message.read(bytes) as Buffer | null) : null) ?? whatComes(message, maxBytes);
}

function whatComes(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const stop = (error?: unknown): void => {
      for (const [name, listener] of Object.entries(listeners)) message.off(name, listener);
      if (error === undefined) return resolve(Buffer.concat(chunks, bytes));
      // What still comes is let go by.
      message.resume();
      reject(error);
    };
    const breakOff = (cause?: unknown): void => stop(refusal('request.malformed', { because: 'the body broke off', cause }));
    const listeners = {
      data: (chunk: Buffer): void => {
        bytes += chunk.length;
        if (bytes > maxBytes) stop(refusal('request.too_large'));
        else chunks.push(chunk);
      },
      end: (): void => stop(),
      error: breakOff,
      close: (): void => breakOff(),
    };
    if (Number(message.headers['content-length'] ?? 0) > maxBytes) return reject(refusal('request.too_large'));
    if (message.destroyed) return breakOff();
    for (const [name, listener] of Object.entries(listeners)) message.on(name, listener);
  });
}
