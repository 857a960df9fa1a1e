/** The uids of rows: UUIDs as four words, or nothing where the text is none. */
import { grown } from './columns.ts';
import { hashText, hashUid, readUid, writeUid } from './uid-words.ts';

/** A uid that is looked for or put, read once. Its words are overwritten by the next. */
export interface WantedUid {
  readonly text: string;
  readonly words: Uint32Array;
  readonly isWords: boolean;
  readonly hash: number;
}

export class UidColumn {
  #words = new Uint32Array(64);
  readonly #wanted = new Uint32Array(4);

  get bytes(): number {
    return this.#words.byteLength;
  }

  wanted(text: string): WantedUid {
    const words = this.#wanted;
    const isWords = writeUid(text, words, 0);
    return { text, words, isWords, hash: isWords ? hashUid(words, 0) : hashText(text, 0) };
  }

  set(row: number, { words }: WantedUid): void {
    if (4 * row + 4 > this.#words.length) this.#words = grown(this.#words, 4 * row + 4);
    for (let i = 0; i < 4; i++) this.#words[4 * row + i] = words[i]!;
  }

  is(row: number, { words }: WantedUid): boolean {
    for (let i = 0; i < 4; i++) if (this.#words[4 * row + i] !== words[i]) return false;
    return true;
  }

  /** Only of rows whose uid is words. */
  get(row: number): string {
    return readUid(this.#words, 4 * row);
  }

  /** As `wanted` has it. */
  hash(row: number): number {
    return hashUid(this.#words, 4 * row);
  }
}
