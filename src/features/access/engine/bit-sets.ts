/**
 * Sets of small whole numbers, each set kept once and named by a number: grants of a million bindings come down to a few
 * thousand different sets of permissions. 0 is the empty set. Sets are never taken away; whoever makes too many drops
 * the whole collection.
 */
import { grown } from './columns.ts';
import { RowTable } from './row-table.ts';

export const emptySet = 0;

export class BitSets {
  readonly #wordsEach: number;
  readonly #known = new RowTable();
  #words: Uint32Array;
  #count = 0;

  /** For numbers below `size`. */
  constructor(size: number) {
    this.#wordsEach = Math.max(1, Math.ceil(size / 32));
    this.#words = new Uint32Array(16 * this.#wordsEach);
    this.#keep();
  }

  get bytes(): number {
    return this.#words.byteLength + this.#known.bytes;
  }

  has(set: number, bit: number): boolean {
    return ((this.#words[set * this.#wordsEach + (bit >>> 5)]! >>> (bit & 31)) & 1) !== 0;
  }

  of(bits: Iterable<number>): number {
    const at = this.#draft();
    for (const bit of bits) this.#words[at + (bit >>> 5)]! |= 1 << (bit & 31);
    return this.#keep();
  }

  union(a: number, b: number): number {
    if (a === b || b === emptySet) return a;
    if (a === emptySet) return b;
    const at = this.#draft();
    for (let i = 0; i < this.#wordsEach; i++) this.#words[at + i] = this.#words[a * this.#wordsEach + i]! | this.#words[b * this.#wordsEach + i]!;
    return this.#keep();
  }

  meet(a: number, b: number): number {
    if (a === b) return a;
    const at = this.#draft();
    for (let i = 0; i < this.#wordsEach; i++) this.#words[at + i] = this.#words[a * this.#wordsEach + i]! & this.#words[b * this.#wordsEach + i]!;
    return this.#keep();
  }

  /** Room for one more set behind those that are kept. */
  #draft(): number {
    const at = this.#count * this.#wordsEach;
    if (at + this.#wordsEach > this.#words.length) this.#words = grown(this.#words, at + this.#wordsEach);
    this.#words.fill(0, at, at + this.#wordsEach);
    return at;
  }

  /** The number of the drafted set: that of its like, if there is one. */
  #keep(): number {
    const hash = this.#hash(this.#count);
    for (let at = this.#known.first(hash); at >= 0; at = this.#known.after(at, hash)) {
      if (this.#isDraft(this.#known.row(at))) return this.#known.row(at);
    }
    this.#known.add(hash, this.#count);
    return this.#count++;
  }

  #hash(set: number): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < this.#wordsEach; i++) {
      hash = Math.imul(hash ^ this.#words[set * this.#wordsEach + i]!, 0x85ebca6b);
      hash ^= hash >>> 13;
    }
    return hash;
  }

  #isDraft(set: number): boolean {
    for (let i = 0; i < this.#wordsEach; i++) {
      if (this.#words[set * this.#wordsEach + i] !== this.#words[this.#count * this.#wordsEach + i]) return false;
    }
    return true;
  }
}
