/** Rows of the keys of minted tokens. Private keys leave them sealed. */
import { sql } from 'kysely';
import type { SealedKey } from '#platform/keyring.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { KeyRow, MintAlgorithm } from './key-life.ts';

export interface StoredKey extends KeyRow, SealedKey {}

export async function listKeys(reader: Database['read'] | Tx, accountId: string): Promise<StoredKey[]> {
  const rows = await reader.selectFrom('signing_key').select(['id', 'algorithm', 'sealed', 'created_at', 'signs_from', 'revoked_at'])
    .where('account_id', '=', accountId).where('purpose', '=', 'mint').execute();
  return rows.map((row) => ({ id: row.id, algorithm: row.algorithm as MintAlgorithm, sealed: row.sealed, createdAt: row.created_at, signsFrom: row.signs_from!, revokedAt: row.revoked_at }));
}

/** Those who change keys of an account do it one after another. */
export async function lockKeys(tx: Tx, accountId: string): Promise<StoredKey[]> {
  await tx.selectFrom('account').select('id').where('id', '=', accountId).forUpdate().execute();
  return listKeys(tx, accountId);
}

export async function insertKey(tx: Tx, accountId: string, { id, algorithm, sealed, createdAt, signsFrom }: StoredKey): Promise<void> {
  await tx.insertInto('signing_key')
    .values({ account_id: accountId, id, purpose: 'mint', algorithm, sealed, created_at: createdAt, retired_at: null, signs_from: signsFrom, revoked_at: null })
    .execute();
}

export async function setSignsFrom(tx: Tx, accountId: string, id: string, signsFrom: Date): Promise<void> {
  await tx.updateTable('signing_key').set({ signs_from: signsFrom }).where('account_id', '=', accountId).where('purpose', '=', 'mint').where('id', '=', id).execute();
}

/** The private key goes with it; the row stays, so that nobody older takes its place. */
export async function revokeKey(tx: Tx, accountId: string, id: string, at: Date): Promise<void> {
  await tx.updateTable('signing_key').set({ revoked_at: at, sealed: Buffer.alloc(0) })
    .where('account_id', '=', accountId).where('purpose', '=', 'mint').where('id', '=', id).execute();
}

export async function forgetKeys(tx: Tx, accountId: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx.deleteFrom('signing_key').where('account_id', '=', accountId).where('purpose', '=', 'mint').where('id', 'in', ids).execute();
}

/** Accounts with a key that no other will follow, or one whose tokens are all over; some of them. */
export async function untendedAccounts(reader: Database['read'], { overAt, now, limit }: { overAt: Date; now: Date; limit: number }): Promise<string[]> {
  const { rows } = await sql<{ account_id: string }>`
    select distinct k.account_id from signing_key k join account a on a.id = k.account_id and not a.disabled
    where k.purpose = 'mint' and k.revoked_at is null and (
      not exists (select 1 from signing_key n where n.account_id = k.account_id and n.purpose = 'mint' and n.algorithm = k.algorithm and n.revoked_at is null and n.signs_from > ${now})
      or exists (select 1 from signing_key n where n.account_id = k.account_id and n.purpose = 'mint' and n.algorithm = k.algorithm and n.signs_from > k.signs_from and n.signs_from <= ${overAt}))
    limit ${limit}`.execute(reader);
  return rows.map(({ account_id: id }) => id);
}
