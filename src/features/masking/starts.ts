/**
 * Where may a needle start? Passes quickly over text that holds none, so that the automaton sees only the rest.
 *
 * Every needle has at least `window` bytes, hence each of its occurrences covers one whole gram (3 bytes) of any grid
 * with a step of `window − 2`. The scan looks at the grid only: a table says for a gram at which offsets of a needle's
 * first `window` bytes it occurs. Where it does, the first bytes at each such start are looked up in a second table.
 * Both tables may say "maybe" wrongly, never "no".
 */
import { assert } from '#kernel/errors.ts';
import type { Needle } from './needles.ts';

const gramBytes = 3;
/** So that the offsets of a gram fit one byte of the table. */
const maximumWindowBytes = gramBytes + 7;
const maximumPrefixBytes = 8;
/** All that `gramHash` fills. */
const gramHashBits = 20;
const lineFeed = 0x0a;
const carriageReturnLineFeed = [0x0d, 0x0a];

/** Counts what a search did, in table look-ups: what must stay linear in the text. */
export interface Meter {
  steps: number;
}

export class Starts {
  /** So many bytes decide; a partial match that is longer is worth following. */
  readonly prefixBytes: number;
  private readonly windowBytes: number;
  private readonly grams: Uint8Array;
  private readonly prefixes: Uint8Array;
  private readonly prefixShift: number;

  constructor(needles: readonly Needle[]) {
    this.windowBytes = needles.reduce((least, { bytes }) => Math.min(least, bytes.length), maximumWindowBytes);
    assert(this.windowBytes > gramBytes, 'a needle is too short to be searched');
    this.prefixBytes = Math.min(this.windowBytes, maximumPrefixBytes);
    const heads = needles.flatMap(({ bytes }) => headsAsWritten(bytes, this.windowBytes));
    const gramBits = tableBits(heads.length * (this.windowBytes - gramBytes + 1), { least: 18, most: gramHashBits });
    const prefixBits = tableBits(heads.length, { least: 12, most: 22 });
    this.grams = new Uint8Array(2 ** gramBits);
    this.prefixes = new Uint8Array(2 ** prefixBits);
    this.prefixShift = 32 - prefixBits;
    for (const head of heads) this.enter(head);
  }

  /**
   * The first place ≥ `from` where a needle may start, or from which `bytes` are too short to tell. No needle starts
   * in [from, result).
   */
  seek(bytes: Uint8Array, from: number, meter: Meter): number {
    const { grams, prefixes, prefixBytes, prefixShift } = this;
    const mask = grams.length - 1;
    const lastOffset = this.windowBytes - gramBytes;
    const stride = lastOffset + 1;
    const end = bytes.length - gramBytes + 1;
    let lookups = 0;
    let at = from + lastOffset;
    for (; at < end; at += stride) {
      let offsets = grams[gramHash(bytes, at) & mask]!;
      while (offsets !== 0) {
        const offset = 31 - Math.clz32(offsets);
        const start = at - offset;
        lookups += 1;
        if (start + prefixBytes > bytes.length || prefixes[prefixHash(bytes, start, prefixBytes) >>> prefixShift] === 1) {
          meter.steps += lookups + Math.ceil((at - from) / stride);
          return start;
        }
        offsets ^= 1 << offset;
      }
    }
    meter.steps += lookups + Math.ceil((at - from) / stride);
    return at - lastOffset;
  }

  private enter(head: Uint8Array): void {
    for (let offset = 0; offset + gramBytes <= head.length; offset += 1) {
      this.grams[gramHash(head, offset) & (this.grams.length - 1)]! |= 1 << offset;
    }
    this.prefixes[prefixHash(head, 0, this.prefixBytes) >>> this.prefixShift] = 1;
  }
}

function gramHash(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 12) ^ (bytes[at + 1]! << 6) ^ bytes[at + 2]!;
}

/** Over two words of 4 bytes, which overlap when the prefix is shorter than 8. */
function prefixHash(bytes: Uint8Array, start: number, prefixBytes: number): number {
  const second = start + prefixBytes - 4;
  return Math.imul(wordAt(bytes, start), 0x9e3779b1) ^ Math.imul(wordAt(bytes, second), 0x85ebca6b);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** One entry in about 32 taken, as far as the caches allow. */
function tableBits(entries: number, { least, most }: { least: number; most: number }): number {
  return Math.max(least, Math.min(most, Math.ceil(Math.log2(32 * entries + 1))));
}

/** The first `length` bytes of a needle as a text may hold them: each of its line breaks as LF or as CRLF. */
function headsAsWritten(needle: Uint8Array, length: number): Uint8Array[] {
  const head = needle.subarray(0, length);
  if (!head.includes(lineFeed)) return [head];
  let heads: number[][] = [[]];
  for (const byte of head) {
    const spellings = byte === lineFeed ? [[lineFeed], carriageReturnLineFeed] : [[byte]];
    heads = heads.flatMap((start) => spellings.map((spelling) => [...start, ...spelling]));
  }
  return heads.map((bytes) => Uint8Array.from(bytes.slice(0, length)));
}
