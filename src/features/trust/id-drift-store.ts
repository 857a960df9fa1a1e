/** Rows of names and their ids. */
import { sql } from 'kysely';
import type { Reader, Tx } from '#platform/database/database.ts';
import type { NamePin } from './name-pins.ts';

export interface StoredPin {
  readonly pin: string;
  readonly tenant: string;
  readonly claim: string;
  readonly name: string;
  readonly id: string;
  readonly firstSeen: Date;
  readonly acceptedAt: Date | null;
  readonly acceptedBy: string | null;
  readonly otherId: string | null;
  readonly otherSeen: Date | null;
  readonly refused: number;
}

export interface PinPlace {
  readonly accountId: string;
  readonly issuerUid: string;
}

/** Ids by pin, of those that are pinned. */
export async function findPinnedIds(reader: Reader, { accountId, issuerUid }: PinPlace, pins: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await reader.selectFrom('id_drift').select(['pin', 'id']).where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid)
    .where('pin', 'in', pins.map(bytes)).execute();
  return new Map(rows.map(({ pin, id }) => [pin.toString('hex'), id]));
}

export async function countPins(reader: Reader, { accountId, issuerUid }: PinPlace, most: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from (select 1 from id_drift where account_id = ${accountId} and issuer_uid = ${issuerUid} limit ${most}) as counted`.execute(reader);
  return rows[0]!.count;
}

/** How many of them are pinned now for the first time. Waits for whoever pins the same at the same moment. */
export async function insertPins(tx: Tx | Reader, { accountId, issuerUid }: PinPlace, pins: readonly (NamePin & { readonly id: string })[], now: Date): Promise<number> {
  // In one order everywhere, or two exchanges would wait for each other.
  const rows = pins.toSorted((a, b) => (a.pin < b.pin ? -1 : 1)).map(({ pin, tenant, claim, name, id }) => ({
    account_id: accountId, issuer_uid: issuerUid, pin: bytes(pin), tenant, claim, name, id, first_seen: now, accepted_at: null, accepted_by: null, other_id: null, other_seen: null,
  }));
  const { numInsertedOrUpdatedRows } = await tx.insertInto('id_drift').values(rows).onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  return Number(numInsertedOrUpdatedRows ?? 0n);
}

export async function noteDrift(reader: Reader, { accountId, issuerUid }: PinPlace, pin: string, otherId: string | null, now: Date): Promise<void> {
  await reader.updateTable('id_drift').set((row) => ({ refused: row('refused', '+', 1), other_seen: now, ...(otherId === null ? {} : { other_id: otherId }) }))
    .where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).where('pin', '=', bytes(pin)).execute();
}

/** Those that came with another id first; then by claim and name. `after` is the last of the page before. */
export async function listPins(reader: Reader, { accountId, issuerUid }: PinPlace, page: { readonly limit: number; readonly after: string | null; readonly driftedOnly: boolean }): Promise<StoredPin[]> {
  let query = reader.selectFrom('id_drift').selectAll().where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid);
  if (page.driftedOnly) query = query.where('other_seen', 'is not', null);
  if (page.after !== null) query = query.where('pin', '>', bytes(page.after));
  return (await query.orderBy('pin').limit(page.limit).execute()).map((row) => ({
    pin: row.pin.toString('hex'), tenant: row.tenant, claim: row.claim, name: row.name, id: row.id, firstSeen: row.first_seen,
    acceptedAt: row.accepted_at, acceptedBy: row.accepted_by, otherId: row.other_id, otherSeen: row.other_seen, refused: Number(row.refused),
  }));
}

/** The claim whose name is pinned; undefined when there is no such pin. */
export async function claimOfPin(reader: Reader, { accountId, issuerUid }: PinPlace, pin: string): Promise<string | undefined> {
  const row = await reader.selectFrom('id_drift').select('claim').where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).where('pin', '=', bytes(pin)).executeTakeFirst();
  return row?.claim;
}

/** What was accepted; null when the name has not come with this id, so that nobody accepts what nobody has seen. */
export async function acceptPin(tx: Tx, { accountId, issuerUid }: PinPlace, accepted: { pin: string; id: string }, by: { at: Date; author: string }): Promise<{ claim: string; name: string; was: string } | null> {
  const place = tx.selectFrom('id_drift').select(['claim', 'name', 'id']).where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid)
    .where('pin', '=', bytes(accepted.pin)).where('other_id', '=', accepted.id);
  const row = await place.forUpdate().executeTakeFirst();
  if (row === undefined) return null;
  await tx.updateTable('id_drift').set({ id: accepted.id, accepted_at: by.at, accepted_by: by.author, other_id: null, other_seen: null, refused: 0 })
    .where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).where('pin', '=', bytes(accepted.pin)).execute();
  return { claim: row.claim, name: row.name, was: row.id };
}

function bytes(pin: string): Buffer {
  return Buffer.from(pin, 'hex');
}
