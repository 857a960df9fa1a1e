/** Numbers that are the same every time, for any place of a world by itself: nothing has to be made to reach the rest. */
export class Seeded {
  #state: number;

  constructor(...parts: readonly number[]) {
    let state = 0x9e3779b9;
    for (const part of parts) {
      state = Math.imul(state ^ part, 0x85ebca6b);
      state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) ^ (state >>> 16);
    }
    this.#state = state;
  }

  /** In [0, 1) (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  /** So many different ones, in changing order; all when there are no more. */
  some<Item>(items: readonly Item[], count: number): Item[] {
    const left = [...items];
    for (let at = 0; at < left.length; at += 1) {
      const other = at + this.below(left.length - at);
      [left[at], left[other]] = [left[other]!, left[at]!];
    }
    return left.slice(0, count);
  }
}
