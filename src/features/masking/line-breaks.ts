/**
 * The search reads CRLF as LF: it leaves out the CR. This remembers where, so that a match's length in the text as
 * searched leads to its start in the text as written. Only what the current partial match spans is remembered.
 */
export class LeftOutReturns {
  /** Ascending; place of the LF after a left-out CR, in the text as searched (since the last `clear`). */
  private searched: number[] = [];
  /** Left out before those in `searched`. */
  private forgotten = 0;

  get remembered(): number {
    return this.searched.length;
  }

  /** `at`: the place of the CR in the text as written. Calls come in order. */
  add(at: number): void {
    this.searched.push(at - this.forgotten - this.searched.length);
  }

  /** The place in the text as written where the last `length` searched bytes before `end` start. */
  startOf(end: number, length: number): number {
    if (this.searched.length === 0) return end - length;
    const start = end - length - this.forgotten - this.searched.length;
    return start + this.forgotten + this.countUpTo(start);
  }

  /** Nothing that starts before the last `length` searched bytes before `end` will be asked for again. */
  keepFor(end: number, length: number): void {
    if (this.searched.length === 0) return;
    if (length === 0) return this.clear();
    const count = this.countUpTo(end - length - this.forgotten - this.searched.length);
    if (2 * count < this.searched.length) return;
    this.searched.splice(0, count);
    this.forgotten += count;
  }

  clear(): void {
    if (this.searched.length > 0) this.searched = [];
    this.forgotten = 0;
  }

  private countUpTo(place: number): number {
    let low = 0;
    let high = this.searched.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.searched[middle]! <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
