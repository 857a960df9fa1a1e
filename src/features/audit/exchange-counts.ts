/** How exchanges of an issuer went lately, from the rows there are: nothing is counted twice, and no more than a bound is read. */
import { sql } from 'kysely';
import type { Reader } from '#platform/database/database.ts';
import type { Moment } from '#platform/http/paged.ts';

export interface OfIssuer {
  readonly accountId: string;
  readonly uid: string;
  /** As summaries name it. */
  readonly path: string;
  readonly since: Date;
}

export interface RefusalCount {
  readonly code: string;
  /** Null when no single check of the token failed. */
  readonly check: string | null;
  /** Whether the token was proven to be the issuer's. */
  readonly verified: boolean;
  readonly count: number;
}

/** Rows one count reads at most, the newest of them. */
const maxCounted = 20_000;

/** Refused tokens that were proven have a row each; of all others there are summaries, and rows only of some. */
export async function countRefusals(reader: Reader, { accountId, uid, path, since }: OfIssuer): Promise<{ readonly items: readonly RefusalCount[]; readonly complete: boolean }> {
  const { rows } = await sql<{ code: string; verified: boolean; count: string; read: string }>`
    with verified as (
      select detail ->> 'code' || coalesce('/' || (detail ->> 'check'), '') as code from audit_event
      where account_id = ${accountId} and resource_uid = ${uid} and at >= ${since} and action = 'session.refused' and personal ? 'claims'
      order by at desc limit ${maxCounted}
    ), counted as (
      select detail ->> 'code' as code, (detail ->> 'count')::bigint as count from audit_event
      where account_id = ${accountId} and action = 'refusals.summary' and at >= ${since} and detail ->> 'operation' = ${path}
      order by at desc limit ${maxCounted}
    )
    select code, true as verified, count(*) as count, count(*) as read from verified group by code
    union all select code, false, sum(count), count(*) from counted group by code order by count desc limit 200`.execute(reader);
  const read = (verified: boolean): number => rows.filter((row) => row.verified === verified).reduce((sum, row) => sum + Number(row.read), 0);
  return { items: rows.map(countOf), complete: read(true) < maxCounted && read(false) < maxCounted };
}

function countOf({ code, verified, count }: { code: string; verified: boolean; count: string }): RefusalCount {
  const slash = code.indexOf('/');
  return { code: slash === -1 ? code : code.slice(0, slash), check: slash === -1 ? null : code.slice(slash + 1), verified, count: Number(count) };
}

/** Claims of the newest proven tokens of an issuer, as they were recorded; at most `limit`, looked for among a bounded number. */
export async function recentExchanges(reader: Reader, { accountId, uid, since }: OfIssuer, limit: number): Promise<readonly { readonly at: Date; readonly accepted: boolean; readonly claims: unknown }[]> {
  const { rows } = await sql<{ at: Date; accepted: boolean; claims: unknown }>`
    select at, accepted, claims from (
      (select at, true as accepted, detail ->> 'issuer' as issuer, personal -> 'claims' -> 'value' as claims from audit_event
        where account_id = ${accountId} and action = 'session.create' and at >= ${since} order by at desc limit ${maxCounted / 4})
      union all
      (select at, false, resource_uid, personal -> 'claims' -> 'value' from audit_event
        where account_id = ${accountId} and resource_uid = ${uid} and action = 'session.refused' and at >= ${since} order by at desc limit ${maxCounted / 4})
    ) as recent
    where issuer = ${uid} and claims is not null order by at desc limit ${limit}`.execute(reader);
  return rows;
}

export interface PastExchange {
  readonly at: Date;
  readonly id: string;
  readonly accepted: boolean;
  readonly subject: string | null;
  readonly detail: unknown;
  readonly claims: unknown;
}

/** Exchanges of some issuers whose tokens were proven, newest first, behind `before`. */
export async function pastExchanges(
  reader: Reader, { accountId, issuerUids, since }: { readonly accountId: string; readonly issuerUids: readonly string[]; readonly since: Date },
  page: { readonly limit: number; readonly before: Moment | null },
): Promise<readonly PastExchange[]> {
  if (issuerUids.length === 0) return [];
  const { before, limit } = page;
  const behind = before === null ? sql`true` : sql`(at, id) < (${before.at}::timestamptz, ${before.id}::uuid)`;
  const issuers = sql`${[...issuerUids]}::text[]`;
  const part = (action: string, ofIssuer: ReturnType<typeof sql>) => sql`(
    select at, id, outcome = 'success' as accepted, actor_uid as subject, detail, personal -> 'claims' -> 'value' as claims from audit_event
    where account_id = ${accountId} and action = ${action} and at >= ${since} and ${behind} and ${ofIssuer} and personal ? 'claims'
    order by at desc, id desc limit ${limit})`;
  const { rows } = await sql<PastExchange>`
    select * from (${part('session.create', sql`detail ->> 'issuer' = any(${issuers})`)} union all ${part('session.refused', sql`resource_uid = any(${issuers})`)}) as past
    order by at desc, id desc limit ${limit}`.execute(reader);
  return rows;
}
