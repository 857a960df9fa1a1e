/**
 * Texts of rows as bytes in one piece of memory: short ASCII, as identifiers are. Reading makes a string, comparing does
 * not. Bytes of rows that are gone are given back when they are more than the rest.
 */
import { grown } from './columns.ts';

/** Longer texts and others than ASCII do not fit. */
const maxLength = 255;

export class IdentifierBytes {
  #bytes = new Uint8Array(256);
  #used = 0;
  #live = 0;
  #starts = new Uint32Array(16);
  #lengths = new Uint8Array(16);

  get bytes(): number {
    return this.#bytes.byteLength + this.#starts.byteLength + this.#lengths.byteLength;
  }

  /** False = it does not fit, and the row has the empty text. */
  set(row: number, text: string): boolean {
    if (row >= this.#starts.length) {
      this.#starts = grown(this.#starts, row + 1);
      this.#lengths = grown(this.#lengths, row + 1);
    }
    this.#lengths[row] = 0;
    if (text.length > maxLength) return false;
    if (this.#used + text.length > this.#bytes.length) this.#makeRoom(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) return false;
      this.#bytes[this.#used + i] = code;
    }
    this.#starts[row] = this.#used;
    this.#lengths[row] = text.length;
    this.#used += text.length;
    this.#live += text.length;
    return true;
  }

  forget(row: number): void {
    this.#live -= this.#lengths[row]!;
    this.#lengths[row] = 0;
  }

  get(row: number): string {
    const start = this.#starts[row]!;
    let text = '';
    for (let i = 0; i < this.#lengths[row]!; i++) text += String.fromCharCode(this.#bytes[start + i]!);
    return text;
  }

  is(row: number, text: string): boolean {
    if (text.length !== this.#lengths[row]) return false;
    const start = this.#starts[row]!;
    for (let i = 0; i < text.length; i++) if (this.#bytes[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  #makeRoom(more: number): void {
    const old = this.#bytes;
    const isMostlyGone = 2 * (this.#live + more) < this.#used;
    this.#bytes = isMostlyGone ? new Uint8Array(old.length) : grown(old, this.#used + more);
    if (!isMostlyGone) return;
    this.#used = 0;
    for (let row = 0; row < this.#starts.length; row++) {
      const length = this.#lengths[row]!;
      if (length === 0) continue;
      this.#bytes.set(old.subarray(this.#starts[row]!, this.#starts[row]! + length), this.#used);
      this.#starts[row] = this.#used;
      this.#used += length;
    }
  }
}
