/**
 * The form of our own tokens: prefix, 32 random bytes, CRC-32 checksum, in base 62. The prefix lets scanners find leaked
 * ones, the checksum lets them (and us) dismiss look-alikes without asking the database.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type TokenKind = 'personal' | 'service_account' | 'impersonation';

const prefixes: Readonly<Record<TokenKind, string>> = { personal: 'sallyport_pat_', service_account: 'sallyport_sat_', impersonation: 'sallyport_imp_' };
const kinds = Object.keys(prefixes) as TokenKind[];
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const bodyLength = 43;
const checksumLength = 6;

export function makeToken(kind: TokenKind, random: (bytes: number) => Buffer): string {
  const body = base62(BigInt(`0x${random(32).toString('hex')}`), bodyLength);
  return prefixes[kind] + body + checksum(prefixes[kind] + body);
}

/** The kind of a well-formed token of ours, or null. */
export function readToken(token: string): TokenKind | null {
  const kind = kinds.find((one) => token.startsWith(prefixes[one]));
  if (kind === undefined || token.length !== prefixes[kind].length + bodyLength + checksumLength) return null;
  return checksum(token.slice(0, -checksumLength)) === token.slice(-checksumLength) ? kind : null;
}

export function isOurs(token: string): boolean {
  return token.startsWith('sallyport_');
}

/** Tokens carry 256 bits of their own, so one fast hash keeps them as well as a slow one would. */
export function hashToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

function checksum(text: string): string {
  let letters = '';
  for (let rest = crc32(text); letters.length < checksumLength; rest = Math.floor(rest / 62)) letters = alphabet[rest % 62]! + letters;
  return letters;
}

function base62(number: bigint, length: number): string {
  let text = '';
  for (let rest = number; text.length < length; rest /= 62n) text = alphabet[Number(rest % 62n)]! + text;
  return text;
}
