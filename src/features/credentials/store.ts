/** Hashed credentials. A token's row is found by its hash; nothing here can give the token back. */
import { sql } from 'kysely';
import type { Bound } from '#kernel/caller.ts';
import type { Reader, Tx } from '#platform/database/database.ts';

export type CredentialKind = 'setup' | 'bootstrap' | 'personal' | 'service_account' | 'impersonation';

export interface Credential {
  readonly id: string;
  readonly accountId: string;
  readonly kind: CredentialKind;
  readonly principalType: string | null;
  readonly principalUid: string | null;
  /** Who acts as the principal; null = the principal itself. */
  readonly actor: { readonly type: string; readonly uid: string } | null;
  readonly name: string | null;
  readonly bounds: 'principal' | readonly Bound[];
  readonly mayAdminister: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
  /** The token it was made with: revoking that ends this. */
  readonly parentId: string | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

export async function insertCredential(tx: Tx | Reader, credential: Omit<Credential, 'revokedAt'> & { readonly hash: Buffer }): Promise<void> {
  await tx.insertInto('credential').values({
    account_id: credential.accountId, id: credential.id, kind: credential.kind,
    principal_type: credential.principalType, principal_uid: credential.principalUid,
    actor_type: credential.actor?.type ?? null, actor_uid: credential.actor?.uid ?? null, name: credential.name, hash: credential.hash,
    bounds: credential.bounds === 'principal' ? null : JSON.stringify(credential.bounds),
    may_administer: credential.mayAdminister,
    created_at: credential.createdAt, created_by: credential.createdBy, parent_id: credential.parentId, expires_at: credential.expiresAt, revoked_at: null,
  }).execute();
}

/** Null unless it exists, is not revoked and not expired. */
export async function findLive(reader: Reader, accountId: string, hash: Buffer, now: Date): Promise<Credential | null> {
  const row = await reader.selectFrom('credential').selectAll()
    .where('account_id', '=', accountId).where('hash', '=', hash).where('revoked_at', 'is', null).executeTakeFirst();
  if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return null;
  return credentialOf(row);
}

/** Those of these tokens that are not revoked, expired or not. */
export async function findUnrevoked(reader: Reader, wanted: readonly { readonly accountId: string; readonly hash: Buffer }[]): Promise<{ hash: Buffer; credential: Credential }[]> {
  const rows = await reader.selectFrom('credential').selectAll()
    .where('account_id', 'in', [...new Set(wanted.map(({ accountId }) => accountId))]).where('hash', 'in', wanted.map(({ hash }) => hash))
    .where('revoked_at', 'is', null).execute();
  return rows.map((row) => ({ hash: row.hash, credential: credentialOf(row) }));
}

/** Those of the accounts in which a bootstrap token lives. */
export async function accountsWithBootstrap(reader: Reader, accountIds: readonly string[], now: Date): Promise<string[]> {
  const rows = await reader.selectFrom('credential').select('account_id').distinct()
    .where('account_id', 'in', accountIds).where('principal_type', '=', 'system').where('principal_uid', '=', 'bootstrap')
    .where('revoked_at', 'is', null).where('expires_at', '>', now).execute();
  return rows.map((row) => row.account_id);
}

export async function findById(reader: Reader, accountId: string, id: string): Promise<Credential | null> {
  const row = await reader.selectFrom('credential').selectAll().where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : credentialOf(row);
}

export async function listOf(reader: Reader, accountId: string, principal: { type: string; uid: string }, page: { limit: number; after: string }): Promise<Credential[]> {
  let query = reader.selectFrom('credential').selectAll()
    .where('account_id', '=', accountId).where('principal_type', '=', principal.type).where('principal_uid', '=', principal.uid);
  if (page.after !== '') query = query.where('id', '>', page.after);
  return (await query.orderBy('id').limit(page.limit).execute()).map(credentialOf);
}

/**
 * Whether the credential is not revoked, and will not be before the transaction is over: whoever revokes it waits, and then
 * finds what the transaction made.
 */
export async function keepsUnrevoked(tx: Tx, accountId: string, id: string): Promise<boolean> {
  const row = await tx.selectFrom('credential').select('id')
    .where('account_id', '=', accountId).where('id', '=', id).where('revoked_at', 'is', null).forShare().executeTakeFirst();
  return row !== undefined;
}

/** By id with everything made with it, however far down: none of it outlives the credential it came from. */
export async function revoke(tx: Tx, accountId: string, which: { readonly id: string } | { readonly kind: CredentialKind }, now: Date): Promise<void> {
  if ('kind' in which) {
    await tx.updateTable('credential').set({ revoked_at: now }).where('account_id', '=', accountId).where('revoked_at', 'is', null).where('kind', '=', which.kind).execute();
    return;
  }
  // What was being made with one of them while the others were counted is seen only once that one is revoked.
  while ((await revokeFamily(tx, accountId, which.id, now)) > 0n);
}

async function revokeFamily(tx: Tx, accountId: string, id: string, now: Date): Promise<bigint> {
  const { numAffectedRows } = await sql`
    with recursive family as (
      select id from credential where account_id = ${accountId} and id = ${id}
      union
      select child.id from credential child join family on child.account_id = ${accountId} and child.parent_id = family.id
    )
    update credential set revoked_at = ${now} where account_id = ${accountId} and revoked_at is null and id in (select id from family)`.execute(tx);
  return numAffectedRows ?? 0n;
}

interface Row {
  account_id: string; id: string; kind: CredentialKind; principal_type: string | null; principal_uid: string | null;
  actor_type: string | null; actor_uid: string | null; name: string | null;
  bounds: unknown; may_administer: boolean; created_at: Date; created_by: string; parent_id: string | null; expires_at: Date | null; revoked_at: Date | null;
}

function credentialOf(row: Row): Credential {
  return {
    id: row.id, accountId: row.account_id, kind: row.kind, principalType: row.principal_type, principalUid: row.principal_uid,
    actor: row.actor_type === null || row.actor_uid === null ? null : { type: row.actor_type, uid: row.actor_uid }, name: row.name,
    bounds: row.bounds === null ? 'principal' : (row.bounds as Bound[]),
    mayAdminister: row.may_administer, createdAt: row.created_at, createdBy: row.created_by, parentId: row.parent_id, expiresAt: row.expires_at, revokedAt: row.revoked_at,
  };
}
