/** Rows of catch mode: which issuers are watched, and what was caught of them. */
import type { Database, Reader, Tx } from '#platform/database/database.ts';
import type { TenantFilter } from './catch.ts';

export interface ActiveCatch {
  readonly accountId: string;
  readonly issuerUid: string;
  readonly tenant: TenantFilter | null;
  readonly until: Date;
}

export interface Caught {
  readonly id: string;
  readonly at: Date;
  readonly outcome: string;
  readonly claims: object;
  readonly detail: object;
}

const maxCaught = 20;
/** Accounts watch some issuers at a time, not all of them. */
const maxActive = 10_000;

export async function activeCatches(reader: Reader, now: Date): Promise<ActiveCatch[]> {
  const rows = await reader.selectFrom('issuer_catch').selectAll().where('until', '>', now).limit(maxActive).execute();
  return rows.map((row) => ({ accountId: row.account_id, issuerUid: row.issuer_uid, tenant: row.tenant as TenantFilter | null, until: row.until }));
}

export async function findCatch(reader: Reader, accountId: string, issuerUid: string): Promise<(ActiveCatch & { readonly startedBy: string }) | null> {
  const row = await reader.selectFrom('issuer_catch').selectAll().where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).executeTakeFirst();
  return row === undefined ? null : { accountId, issuerUid, tenant: row.tenant as TenantFilter | null, until: row.until, startedBy: row.started_by };
}

export async function startCatch(tx: Tx, wanted: ActiveCatch, by: { readonly at: Date; readonly author: string }): Promise<void> {
  const values = { tenant: wanted.tenant === null ? null : JSON.stringify(wanted.tenant), until: wanted.until, started_at: by.at, started_by: by.author };
  await tx.insertInto('issuer_catch').values({ account_id: wanted.accountId, issuer_uid: wanted.issuerUid, ...values })
    .onConflict((conflict) => conflict.columns(['account_id', 'issuer_uid']).doUpdateSet(values)).execute();
  // What another wish has caught is not what this one asked for.
  await forgetCaught(tx, wanted.accountId, wanted.issuerUid);
}

/** What was caught goes with it. Returns whether there was one. */
export async function stopCatch(tx: Tx, accountId: string, issuerUid: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('issuer_catch').where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).executeTakeFirst();
  await forgetCaught(tx, accountId, issuerUid);
  return numDeletedRows > 0n;
}

async function forgetCaught(tx: Tx, accountId: string, issuerUid: string): Promise<void> {
  await tx.deleteFrom('caught_token').where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).execute();
}

export async function keepCaught(database: Database, caught: Caught & { readonly accountId: string; readonly issuerUid: string; readonly keepUntil: Date }): Promise<void> {
  const of = { account_id: caught.accountId, issuer_uid: caught.issuerUid };
  await database.transaction(async (tx) => {
    await tx.insertInto('caught_token').values({
      ...of, id: caught.id, at: caught.at, outcome: caught.outcome, claims: JSON.stringify(caught.claims), detail: JSON.stringify(caught.detail), keep_until: caught.keepUntil,
    }).execute();
    await tx.deleteFrom('caught_token').where('account_id', '=', caught.accountId).where('issuer_uid', '=', caught.issuerUid)
      .where('id', 'in', (old) => old.selectFrom('caught_token').select('id').where('account_id', '=', caught.accountId).where('issuer_uid', '=', caught.issuerUid)
        .orderBy('at', 'desc').orderBy('id', 'desc').offset(maxCaught).limit(1_000))
      .execute();
  });
}

/** Newest first. */
export async function listCaught(reader: Reader, accountId: string, issuerUid: string, now: Date): Promise<Caught[]> {
  const rows = await reader.selectFrom('caught_token').selectAll().where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).where('keep_until', '>', now)
    .orderBy('at', 'desc').orderBy('id', 'desc').limit(maxCaught).execute();
  return rows.map(({ id, at, outcome, claims, detail }) => ({ id, at, outcome, claims, detail }));
}

/** What nobody may see any more. */
export async function sweepCaught(database: Database, now: Date): Promise<void> {
  await database.read.deleteFrom('caught_token').where('keep_until', '<=', now).execute();
}
