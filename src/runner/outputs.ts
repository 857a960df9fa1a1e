import type { FileHandle } from 'node:fs/promises';

export const maxOutputVariables = 1_000;
/** All output variables of one step together, names included. */
export const maxOutputVariableBytes = 512 * 1024;

/** What the end of a script left: its exit status as it saw it, and its output variables. */
export type CapturedOutputs =
  | { readonly outcome: 'captured'; readonly status: number; readonly outputs: Record<string, string> }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'too_large' };

/**
 * Reads the record `mainProgram` writes. It is read through the handle from the file's creation, so a link or FIFO the
 * step puts in its place is never followed. What the step wrote is untrusted: only listed names count, the last value of
 * a name wins, a value without its NUL is dropped, bytes that are not UTF-8 become U+FFFD, nothing is interpreted.
 */
export async function readOutputs(file: FileHandle, names: readonly string[]): Promise<CapturedOutputs> {
  const buffer = Buffer.alloc(maxOutputVariableBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length > maxOutputVariableBytes ? { outcome: 'too_large' } : parseOutputs(buffer.subarray(0, length), names);
}

export function parseOutputs(record: Uint8Array, names: readonly string[]): CapturedOutputs {
  const entries = Buffer.from(record).toString('utf8').split('\0').slice(0, -1);
  const status = entries.shift();
  if (status === undefined || !/^\d{1,3}$/.test(status)) return { outcome: 'absent' };
  const listed = new Set(names);
  const outputs = new Map<string, string>();
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    const name = entry.slice(0, Math.max(equals, 0));
    if (listed.has(name)) outputs.set(name, entry.slice(equals + 1));
  }
  return { outcome: 'captured', status: Number(status), outputs: Object.fromEntries(outputs) };
}
