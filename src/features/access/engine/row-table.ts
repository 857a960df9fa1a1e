/**
 * Finds rows by hash: open addressing with linear steps, 8 bytes a slot, at most two thirds full. Whoever asks compares
 * the rows itself:
 *
 *     for (let at = table.first(hash); at >= 0; at = table.after(at, hash)) if (isIt(table.row(at))) …
 *
 * Time is O(1) for hashes that spread. Rows are from 0 on.
 */
export class RowTable {
  /** Pairs of row + 1 and its hash; 0 = empty. */
  #slots = new Int32Array(2 * 16);
  #mask = 15;
  #size = 0;

  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** A slot whose row has the hash; -1 = none has. */
  first(hash: number): number {
    return this.#from(hash & this.#mask, hash);
  }

  after(slot: number, hash: number): number {
    return this.#from((slot + 1) & this.#mask, hash);
  }

  row(slot: number): number {
    return this.#slots[2 * slot]! - 1;
  }

  add(hash: number, row: number): void {
    if (3 * (this.#size + 1) > 2 * (this.#mask + 1)) this.#grow();
    this.#size += 1;
    this.#insert(hash, row + 1);
  }

  /** Closes the gap, so that no search ends too early (Knuth 6.4, algorithm R). */
  remove(hash: number, row: number): void {
    let gap = this.first(hash);
    while (gap >= 0 && this.row(gap) !== row) gap = this.after(gap, hash);
    if (gap < 0) return;
    this.#size -= 1;
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (gap + 1) & mask; slots[2 * at] !== 0; at = (at + 1) & mask) {
      const home = slots[2 * at + 1]! & mask;
      // It may move back only if its home does not lie after the gap.
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      slots[2 * gap] = slots[2 * at]!;
      slots[2 * gap + 1] = slots[2 * at + 1]!;
      gap = at;
    }
    slots[2 * gap] = 0;
  }

  #from(start: number, hash: number): number {
    const slots = this.#slots;
    for (let at = start; slots[2 * at] !== 0; at = (at + 1) & this.#mask) if (slots[2 * at + 1] === hash) return at;
    return -1;
  }

  #insert(hash: number, stored: number): void {
    const slots = this.#slots;
    let at = hash & this.#mask;
    while (slots[2 * at] !== 0) at = (at + 1) & this.#mask;
    slots[2 * at] = stored;
    slots[2 * at + 1] = hash;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length);
    this.#mask = 2 * this.#mask + 1;
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.#insert(old[i + 1]!, old[i]!);
  }
}
