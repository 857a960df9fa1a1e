/** Rows in lists, one list for each number of a column: linked both ways, so that a row comes and goes in O(1). */
import { grown } from './columns.ts';

export class RowLists {
  /** Row + 1; 0 = none. */
  #heads = new Int32Array(16);
  #next = new Int32Array(16);
  #previous = new Int32Array(16);

  get bytes(): number {
    return this.#heads.byteLength + this.#next.byteLength + this.#previous.byteLength;
  }

  /** -1 = the list is empty. */
  first(list: number): number {
    return list < this.#heads.length ? this.#heads[list]! - 1 : -1;
  }

  /** -1 = it was the last. */
  after(row: number): number {
    return this.#next[row]! - 1;
  }

  add(list: number, row: number): void {
    if (list >= this.#heads.length) this.#heads = grown(this.#heads, list + 1);
    if (row >= this.#next.length) {
      this.#next = grown(this.#next, row + 1);
      this.#previous = grown(this.#previous, row + 1);
    }
    const head = this.#heads[list]!;
    this.#next[row] = head;
    this.#previous[row] = 0;
    if (head !== 0) this.#previous[head - 1] = row + 1;
    this.#heads[list] = row + 1;
  }

  remove(list: number, row: number): void {
    const next = this.#next[row]!;
    const previous = this.#previous[row]!;
    if (previous === 0) this.#heads[list] = next;
    else this.#next[previous - 1] = next;
    if (next !== 0) this.#previous[next - 1] = previous;
  }
}
