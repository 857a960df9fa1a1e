/** The bounds of masking and the one rule that says whether a value can be masked at all. Pure; asked at save time. */

/** Below this a value would black out ordinary words of a log. Counted in what `contentOf` leaves. */
const minimumSecretBytes = 6;
/** A single line of a longer value is masked on its own from this length on. */
export const minimumLineBytes = 8;
/** A part of a JWT is masked on its own from this length on. */
export const minimumTokenPartBytes = 16;
export const maximumTextSecretBytes = 64 * 1024;
export const maximumFileSecretBytes = 1024 * 1024;
export const maximumSecrets = 10_000;
/** All needles of a set together; each byte costs about 14 bytes of tables, and states are 24-bit numbers. */
export const maximumNeedleBytes = 16 * 1024 * 1024 - 1;

export interface SecretValue {
  readonly name: string;
  readonly value: string | Uint8Array;
  /** A file secret: the larger size bound holds. */
  readonly file?: boolean;
}

export type Maskability = 'maskable' | Obstacle;

export interface Obstacle {
  readonly reason: 'empty' | 'too short' | 'too large';
  /** For the person who saves the value; never contains it. */
  readonly problem: string;
}

/** Says whether `value` (a string counts as UTF-8) can be kept out of logs, and if not, why. */
export function maskability(value: string | Uint8Array, { file = false }: { readonly file?: boolean } = {}): Maskability {
  const bytes = bytesOf(value);
  const maximum = file ? maximumFileSecretBytes : maximumTextSecretBytes;
  if (bytes.length > maximum) {
    const remedy = file ? 'split it' : 'store it as a file secret or split it';
    return { reason: 'too large', problem: `the value has ${bytes.length} bytes, at most ${maximum} can be kept out of logs: ${remedy}` };
  }
  const { length } = contentOf(bytes);
  if (length >= minimumSecretBytes) return 'maskable';
  if (length === 0) return { reason: 'empty', problem: 'the value is empty or only white space: give it a value' };
  return {
    reason: 'too short',
    problem: `the value has ${length} bytes without the white space around it, fewer than ${minimumSecretBytes} `
      + 'cannot be told from ordinary text in logs: use a longer value',
  };
}

/** A string as its UTF-8 bytes; bytes as they are. */
export function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}

/** What is looked for of a value, as a copy: CRLF as LF, which stands for both in the text, no white space at the edges. */
export function contentOf(value: Uint8Array): Uint8Array {
  const content = new Uint8Array(value.length);
  let length = 0;
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === 0x0d && value[at + 1] === 0x0a) continue;
    content[length] = value[at]!;
    length += 1;
  }
  return withoutEdgeSpace(content.subarray(0, length));
}

/** Without ASCII white space at both ends: shells drop it, and what is found without it is found with it too. */
export function withoutEdgeSpace(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start])) start += 1;
  while (end > start && isSpace(bytes[end - 1])) end -= 1;
  return bytes.subarray(start, end);
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}
