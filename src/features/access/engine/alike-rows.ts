/**
 * Rows of a crowded scope by what they give: those of one pair of a role and a resource group give the same, so whoever
 * searches asks once for all of them, and reads only the rows of pairs that could matter. Made when a scope is first
 * searched; from then on each change costs its own size.
 */
import { grown } from './columns.ts';

/** A row and the number of its pair. */
export interface PairedRow {
  readonly row: number;
  readonly pair: number;
}

const crowd = 1_000;

export class AlikeRows {
  readonly #crowd: number;
  /** Rows of each scope. */
  #counts = new Int32Array(16);
  readonly #pairs = new Map<number, Map<number, Set<number>>>();
  #kept = 0;

  constructor(fromRows = crowd) {
    this.#crowd = fromRows;
  }

  get bytes(): number {
    return this.#counts.byteLength + 40 * this.#kept;
  }

  add(scope: number, { row, pair }: PairedRow): void {
    if (scope >= this.#counts.length) this.#counts = grown(this.#counts, scope + 1);
    this.#counts[scope]! += 1;
    const pairs = this.#pairs.get(scope);
    if (pairs !== undefined) this.#keep(pairs, pair, row);
  }

  remove(scope: number, { row, pair }: PairedRow): void {
    this.#counts[scope]! -= 1;
    const pairs = this.#pairs.get(scope);
    const rows = pairs?.get(pair);
    if (pairs === undefined || rows === undefined) return;
    rows.delete(row);
    this.#kept -= 1;
    if (rows.size === 0) pairs.delete(pair);
  }

  /** Of a scope whose rows are `all`; null where they are so few that they are as quickly read one by one. */
  of(scope: number, all: Iterable<PairedRow>): Iterable<ReadonlySet<number>> | null {
    if ((this.#counts[scope] ?? 0) < this.#crowd) return null;
    let pairs = this.#pairs.get(scope);
    if (pairs === undefined) {
      this.#pairs.set(scope, (pairs = new Map()));
      for (const { row, pair } of all) this.#keep(pairs, pair, row);
    }
    return pairs.values();
  }

  #keep(pairs: Map<number, Set<number>>, pair: number, row: number): void {
    const rows = pairs.get(pair);
    if (rows === undefined) pairs.set(pair, new Set([row]));
    else rows.add(row);
    this.#kept += 1;
  }
}
