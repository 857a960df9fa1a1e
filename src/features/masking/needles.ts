/**
 * Secrets → needles: the byte strings to look for. Knows nothing of how they are searched.
 *
 * A needle's line breaks are LF and stand for LF or CRLF in the text; it never starts or ends with white space, which
 * the search relies on (a CR or LF at an edge would make the place of a match depend on its neighbours).
 */
import { refusal } from '#kernel/errors.ts';
import { encodedForms } from './encodings.ts';
import {
  bytesOf, contentOf, maskability, maximumNeedleBytes, maximumSecrets, minimumLineBytes, minimumTokenPartBytes,
  withoutEdgeSpace,
} from './maskability.ts';
import type { SecretValue } from './maskability.ts';

export interface Needle {
  readonly bytes: Uint8Array;
  /** Every secret that has this needle. */
  readonly names: ReadonlySet<string>;
}

/** A secret the set cannot mask because its value is too short; saving it should have refused it. */
export interface Unmaskable {
  readonly name: string;
  readonly problem: string;
}

export interface NeedleSet {
  readonly needles: readonly Needle[];
  readonly unmaskable: readonly Unmaskable[];
  readonly secretCount: number;
}

export const noNeedles: NeedleSet = { needles: [], unmaskable: [], secretCount: 0 };

const lineFeed = 0x0a;

/** The needles of `earlier` and those of `secrets`, each once. Refuses (`request.too_large`) what exceeds a bound. */
export function needlesOf(secrets: readonly SecretValue[], earlier: NeedleSet = noNeedles): NeedleSet {
  const secretCount = earlier.secretCount + secrets.length;
  if (secretCount > maximumSecrets) {
    throw refusal('request.too_large', { say: `at most ${maximumSecrets} secrets can be masked together, not ${secretCount}` });
  }
  const byContent = new Map(earlier.needles.map((needle) => [contentKey(needle.bytes), needle]));
  const unmaskable = [...earlier.unmaskable];
  let needleBytes = earlier.needles.reduce((sum, needle) => sum + needle.bytes.length, 0);
  for (const secret of secrets) {
    const value = bytesOf(secret.value);
    const verdict = maskability(value, secret);
    if (verdict !== 'maskable') {
      if (verdict.reason === 'too large') throw tooLarge(secret.name, verdict.problem);
      unmaskable.push({ name: secret.name, problem: verdict.problem });
      continue;
    }
    for (const bytes of formsOf(value)) {
      const key = contentKey(bytes);
      const known = byContent.get(key);
      byContent.set(key, { bytes: known?.bytes ?? bytes, names: new Set([...(known?.names ?? []), secret.name]) });
      if (known === undefined) needleBytes += bytes.length;
      if (needleBytes > maximumNeedleBytes) throw tooLarge(secret.name, `all secrets together exceed ${maximumNeedleBytes} bytes`);
    }
  }
  return { needles: [...byContent.values()], unmaskable, secretCount };
}

/**
 * Every form of a value that must not be seen. The encoded ones are computed from the value as it is, not from its content,
 * because an encoder sees the CR.
 */
function formsOf(value: Uint8Array): Uint8Array[] {
  const whole = contentOf(value);
  return [whole, ...linesOf(whole), ...tokenPartsOf(whole), ...encodedForms(value)];
}

function linesOf(whole: Uint8Array): Uint8Array[] {
  if (!whole.includes(lineFeed)) return [];
  return split(whole, lineFeed).map(withoutEdgeSpace).filter((line) => line.length >= minimumLineBytes);
}

/** The parts of a JWS in compact serialization (RFC 7515 §3.1); each can be printed, and the payload read, alone. */
function tokenPartsOf(whole: Uint8Array): Uint8Array[] {
  const parts = split(whole, 0x2e);
  if (parts.length !== 3 || !parts.every((part) => part.every(isBase64url))) return [];
  return parts.filter((part) => part.length >= minimumTokenPartBytes);
}

function isBase64url(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
    || byte === 0x2d || byte === 0x5f;
}

function split(bytes: Uint8Array, separator: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(separator); end !== -1; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  parts.push(bytes.subarray(start));
  return parts;
}

function contentKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function tooLarge(name: string, problem: string): Error {
  return refusal('request.too_large', { say: `secret \`${name}\`: ${problem}` });
}
