/** What may be used once, on whatever node: tokens by mappings of single use, and proofs of possession. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database, Reader, Tx } from '#platform/database/database.ts';

/** SHA-256, so that a `jti` of any length and content can be kept. `maker`: whoever must not make two with one `jti`. */
export function jtiHash(maker: string, jti: string): Buffer {
  return createHash('sha256').update(maker).update('\0').update(jti).digest();
}

export interface Use {
  readonly accountId: string;
  /** Uids of mappings, or a word for what else is used. */
  readonly usedBy: readonly string[];
  readonly jti: Buffer;
}

/** Which of them have used it. */
export async function findUses(reader: Reader, { accountId, usedBy, jti }: Use): Promise<ReadonlySet<string>> {
  const rows = await reader.selectFrom('used_jti').select('used_by')
    .where('account_id', '=', accountId).where('used_by', 'in', [...usedBy]).where('jti', '=', jti).execute();
  return new Set(rows.map((row) => row.used_by));
}

/**
 * How many of them use it now for the first time. Waits for whoever uses it at the same moment, so that of many one wins.
 * It may be forgotten after `keepUntil`: then nothing with this `jti` can be good any more.
 */
export async function useNow(writer: Tx | Reader, { accountId, usedBy, jti }: Use, keepUntil: Date): Promise<number> {
  // In one order everywhere, or two exchanges would wait for each other.
  const rows = usedBy.toSorted().map((by) => ({ account_id: accountId, used_by: by, jti, keep_until: keepUntil }));
  const { numInsertedOrUpdatedRows } = await writer.insertInto('used_jti').values(rows).onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  return Number(numInsertedOrUpdatedRows ?? 0n);
}

const sweepBatch = 5_000;

/** Forgets what cannot come again. */
export async function sweepUses(database: Database, before: Date, signal: AbortSignal): Promise<void> {
  const accounts = await database.read.selectFrom('account').select('id').execute();
  for (const { id } of accounts) {
    for (let removed = sweepBatch; removed === sweepBatch && !signal.aborted; ) {
      const { numAffectedRows } = await sql`
        delete from used_jti where ctid in (select ctid from used_jti where account_id = ${id} and keep_until < ${before} limit ${sweepBatch})`.execute(database.read);
      removed = Number(numAffectedRows ?? 0n);
    }
  }
}
