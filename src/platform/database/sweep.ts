/**
 * Removes what is old, some at a time. One statement for all of it would take longer the longer it was put off, and once it
 * takes longer than a statement may, nothing would ever be removed again.
 */
import { sql } from 'kysely';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** Tables with an index by the time their rows are from. */
type Aging = { readonly [T in keyof Tables]: { readonly table: T; readonly column: keyof Tables[T] & string } }[keyof Tables];

export interface Sweep {
  readonly before: Date;
  readonly signal: AbortSignal;
  /** About this many rows a statement. */
  readonly batch?: number;
}

/** Oldest first; rows of one instant go together, so nobody who reads meanwhile finds a part of what was written as one. */
export async function sweepOlder(database: Database, { table, column }: Aging, { before, signal, batch = 5_000 }: Sweep): Promise<void> {
  const at = sql.ref(column);
  for (let removed = 1n; removed > 0n && !signal.aborted; ) {
    const oldest = sql`select ${at} from ${sql.table(table)} where ${at} < ${before} order by ${at} limit ${batch}`;
    const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ${at} <= (select max(${at}) from (${oldest}) as oldest)`.execute(database.read);
    removed = numAffectedRows ?? 0n;
  }
}
