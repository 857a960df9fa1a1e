/** Bytes held back: appended at the end, dropped at the front, each at amortized constant cost. */
export class ByteQueue {
  private store = new Uint8Array(0);
  private first = 0;
  private last = 0;

  get length(): number {
    return this.last - this.first;
  }

  /** A view, valid until the next call of `append`. */
  get bytes(): Uint8Array {
    return this.store.subarray(this.first, this.last);
  }

  append(bytes: Uint8Array): void {
    if (this.last + bytes.length > this.store.length) this.makeRoom(bytes.length);
    this.store.set(bytes, this.last);
    this.last += bytes.length;
  }

  drop(count: number): void {
    this.first = count < this.length ? this.first + count : this.last;
    if (this.first === this.last) this.first = this.last = 0;
  }

  /** Moves only when at least half of the store is free afterwards. */
  private makeRoom(extra: number): void {
    const needed = this.length + extra;
    const target = 2 * needed <= this.store.length ? this.store : new Uint8Array(2 * needed);
    target.set(this.bytes);
    this.last = this.length;
    this.first = 0;
    this.store = target;
  }
}
