/** Rows of trust: sessions, versions of mappings that sessions met, last good keys of issuers. */
import { sql } from 'kysely';
import type { Bound } from '#kernel/caller.ts';
import type { Database, Reader, Tx } from '#platform/database/database.ts';
import type { IssuerMapping } from './match.ts';
import type { RecordedMapping } from './schema.ts';

/** By what of an issuer's rules a token was believed, so that rules that get narrower bite. */
export interface Proof {
  readonly algorithm: string;
  /** SHA-256 of the key (SubjectPublicKeyInfo), hexadecimal. */
  readonly key: string;
  /** Fingerprint of the place the key came from. */
  readonly source: string;
}

/** RFC 7800 §3: the thumbprint of a key (RFC 7638) a proof must be signed with, or of a client certificate. */
export type Confirmation = { readonly jkt: string } | { readonly 'x5t#S256': string };

/** What a session asked to be held to, as it asked and as it counts. */
export interface AskedLess {
  readonly bounds: readonly Bound[];
  /** Permissions; null = none were named. */
  readonly scope: readonly string[] | null;
  /** RFC 9396; null = there were none. */
  readonly details: readonly object[] | null;
}

export interface StoredSession {
  readonly accountId: string;
  readonly id: string;
  readonly issuerUid: string;
  readonly issuer: string;
  readonly subject: string;
  readonly label: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the audit may have of them, and which are digests there; null = all in clear. */
  readonly recorded: { readonly claims: Readonly<Record<string, unknown>>; readonly redacted: readonly string[] } | null;
  readonly proof: Proof;
  readonly mappings: readonly RecordedMapping[];
  /** SHA-256 of the outside token. */
  readonly tokenHash: Buffer;
  /** What it asked to be held to; null = as far as its mappings reach. */
  readonly less: AskedLess | null;
  /** What its holder has to prove; null = whoever has the token holds it. */
  readonly confirmation: Confirmation | null;
  /** It stands for the outside token itself, which is the credential. */
  readonly isDirect: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | null;
  readonly revokedBy: string | null;
}

/** False when the outside token stands for a session already. */
export async function insertSession(tx: Tx, session: StoredSession): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx.insertInto('workload_session').values({
    account_id: session.accountId, id: session.id, issuer_uid: session.issuerUid, issuer: session.issuer, subject: session.subject, label: session.label,
    claims: JSON.stringify(session.claims), proof: JSON.stringify(session.proof), mappings: JSON.stringify(session.mappings),
    recorded: session.recorded === null ? null : JSON.stringify(session.recorded),
    mapping_uids: session.mappings.map((mapping) => mapping.mappingUid), token_hash: session.tokenHash,
    bounds: session.less === null ? null : JSON.stringify(session.less), confirmation: session.confirmation === null ? null : JSON.stringify(session.confirmation),
    direct: session.isDirect, created_at: session.createdAt, expires_at: session.expiresAt, revoked_at: null, revoked_by: null,
  }).onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

/** The session an outside token stands for, whether it lives or not. */
export async function findDirectSession(reader: Reader, accountId: string, tokenHash: Buffer): Promise<string | null> {
  const row = await reader.selectFrom('workload_session').select('id').where('account_id', '=', accountId).where('token_hash', '=', tokenHash).where('direct', '=', true).executeTakeFirst();
  return row?.id ?? null;
}

/** Writes what is not there yet. */
export async function keepVersions(tx: Tx, accountId: string, mappings: readonly IssuerMapping[], now: Date): Promise<void> {
  const rows = mappings.map(({ uid, version, path, facts }) => ({ account_id: accountId, mapping_uid: uid, version, path, spec: JSON.stringify(facts.spec), seen_at: now }));
  for (let from = 0; from < rows.length; from += 500) {
    await tx.insertInto('mapping_version').values(rows.slice(from, from + 500)).onConflict((conflict) => conflict.doNothing()).execute();
  }
}

export async function findSession(reader: Reader, accountId: string, id: string): Promise<StoredSession | null> {
  const row = await reader.selectFrom('workload_session').selectAll().where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : sessionOf(row);
}

/** Null when there is no such session. All else of a session never changes. */
export async function findRevocation(reader: Reader, accountId: string, id: string): Promise<{ readonly revokedAt: Date | null } | null> {
  const row = await reader.selectFrom('workload_session').select('revoked_at').where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : { revokedAt: row.revoked_at };
}

/** Whether it was never revoked, be it over or not. One that is forgotten, a week after its end, was not kept for anybody. */
export async function sessionStands(reader: Reader, accountId: string, id: string): Promise<boolean> {
  return (await findRevocation(reader, accountId, id))?.revokedAt === null;
}

export interface SessionFilter {
  readonly subject?: string | undefined;
  readonly issuerUid?: string | undefined;
  readonly mappingUid?: string | undefined;
  /** Neither revoked nor expired at this time. */
  readonly liveAt?: Date | undefined;
}

/** Newest first: ids are sorted by creation. */
export async function listSessions(reader: Reader, accountId: string, filter: SessionFilter, page: { readonly limit: number; readonly before: string | null }): Promise<StoredSession[]> {
  let query = reader.selectFrom('workload_session').selectAll().where('account_id', '=', accountId);
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject);
  if (filter.issuerUid !== undefined) query = query.where('issuer_uid', '=', filter.issuerUid);
  if (filter.mappingUid !== undefined) query = query.where(sql<boolean>`mapping_uids @> array[${filter.mappingUid}]::uuid[]`);
  if (filter.liveAt !== undefined) query = query.where('revoked_at', 'is', null).where('expires_at', '>', filter.liveAt);
  if (page.before !== null) query = query.where('id', '<', page.before);
  return (await query.orderBy('id', 'desc').limit(page.limit).execute()).map(sessionOf);
}

export type RevocationSelector = { readonly id: string } | { readonly subject: string } | { readonly issuerUid: string } | { readonly mappingUid: string };

/** Returns how many live sessions ended. Those that are over end too where something they started still runs. */
export async function revokeSessions(tx: Tx, accountId: string, selector: RevocationSelector, by: { readonly at: Date; readonly author: string }): Promise<number> {
  let query = tx.updateTable('workload_session').set({ revoked_at: by.at, revoked_by: by.author })
    .where('account_id', '=', accountId).where('revoked_at', 'is', null)
    .where((e) => e.or([e('expires_at', '>', by.at), e.exists(e.selectFrom('execution').select('execution.id')
      .where('execution.account_id', '=', accountId).where('execution.ended_at', 'is', null)
      .where('execution.starter_uid', '=', sql<string>`workload_session.issuer || '#' || workload_session.subject`))]));
  if ('id' in selector) query = query.where('id', '=', selector.id);
  else if ('subject' in selector) query = query.where('subject', '=', selector.subject);
  else if ('issuerUid' in selector) query = query.where('issuer_uid', '=', selector.issuerUid);
  else query = query.where(sql<boolean>`mapping_uids @> array[${selector.mappingUid}]::uuid[]`);
  const rows = await query.returning('expires_at').execute();
  return rows.filter((row) => row.expires_at > by.at).length;
}

const sweepBatch = 5_000;

/** Removes sessions that ended before `endedBefore`; what they did stays in the audit. */
export async function sweepSessions(database: Database, endedBefore: Date, signal: AbortSignal): Promise<void> {
  const accounts = await database.read.selectFrom('account').select('id').execute();
  for (const { id } of accounts) {
    for (let removed = sweepBatch; removed === sweepBatch && !signal.aborted; ) {
      const { numDeletedRows } = await database.read.deleteFrom('workload_session').where('account_id', '=', id)
        .where('id', 'in', (old) => old.selectFrom('workload_session').select('id').where('account_id', '=', id).where('expires_at', '<', endedBefore).limit(sweepBatch))
        .executeTakeFirst();
      removed = Number(numDeletedRows);
    }
  }
}

export async function findKeys(reader: Reader, accountId: string, issuerUid: string, source: string): Promise<{ readonly jwks: Buffer; readonly fetchedAt: Date } | null> {
  const row = await reader.selectFrom('issuer_keys').select(['jwks', 'fetched_at'])
    .where('account_id', '=', accountId).where('issuer_uid', '=', issuerUid).where('source', '=', source).executeTakeFirst();
  return row === undefined ? null : { jwks: row.jwks, fetchedAt: row.fetched_at };
}

/** The newest fetch of any node stays. */
export async function saveKeys(reader: Reader, kept: { accountId: string; issuerUid: string; source: string; jwks: Buffer; fetchedAt: Date }): Promise<void> {
  const values = { source: kept.source, jwks: kept.jwks, fetched_at: kept.fetchedAt };
  await reader.insertInto('issuer_keys').values({ account_id: kept.accountId, issuer_uid: kept.issuerUid, ...values })
    .onConflict((conflict) => conflict.columns(['account_id', 'issuer_uid']).doUpdateSet(values)
      .where('issuer_keys.fetched_at', '<=', kept.fetchedAt))
    .execute();
}

interface SessionRow {
  readonly account_id: string; readonly id: string; readonly issuer_uid: string; readonly issuer: string; readonly subject: string; readonly label: string;
  readonly recorded: unknown; readonly claims: object; readonly proof: object; readonly mappings: object; readonly token_hash: Buffer;
  readonly created_at: Date; readonly expires_at: Date; readonly revoked_at: Date | null; readonly revoked_by: string | null;
  readonly bounds: unknown; readonly confirmation: unknown; readonly direct: boolean;
}

function sessionOf(row: SessionRow): StoredSession {
  return {
    accountId: row.account_id, id: row.id, issuerUid: row.issuer_uid, issuer: row.issuer, subject: row.subject, label: row.label,
    claims: row.claims as Record<string, unknown>, recorded: row.recorded as StoredSession['recorded'], proof: row.proof as Proof, mappings: row.mappings as RecordedMapping[], tokenHash: row.token_hash,
    less: row.bounds as AskedLess | null, confirmation: row.confirmation as Confirmation | null, isDirect: row.direct, createdAt: row.created_at, expiresAt: row.expires_at, revokedAt: row.revoked_at, revokedBy: row.revoked_by,
  };
}
