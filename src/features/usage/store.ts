/** SQL of what was used: one row per subject, permission and scope, with the day it was used last. */
import { sql } from 'kysely';
import type { Database, Reader } from '#platform/database/database.ts';
import { dayText } from './recorder.ts';
import type { Use } from './seen-today.ts';

/**
 * Moves days forward, never back. Subjects that are gone are passed over, and a row that has the day already is not
 * touched. In the order of the key, so that nodes wait for each other and never in a circle.
 */
export async function writeUses(database: Database, uses: readonly Use[]): Promise<void> {
  const column = (of: (use: Use) => string): string[] => uses.map(of);
  await database.transaction((tx) =>
    sql`insert into permission_use (account_id, subject_uid, permission, scope, last_used)
      select u.account_id, u.subject_uid, u.permission, u.scope, max(u.day)
      from unnest(${column((use) => use.accountId)}::uuid[], ${column((use) => use.subjectUid)}::uuid[], ${column((use) => use.permission)}::text[],
        ${column((use) => use.scope)}::text[], ${column((use) => dayText(use.day))}::date[]) as u (account_id, subject_uid, permission, scope, day)
      where exists (select from resource r where r.account_id = u.account_id and r.uid = u.subject_uid)
        and not exists (select from permission_use p where p.account_id = u.account_id and p.subject_uid = u.subject_uid
          and p.permission = u.permission and p.scope = u.scope and p.last_used >= u.day)
      group by 1, 2, 3, 4 order by 1, 2, 3, 4
      on conflict (account_id, subject_uid, permission, scope) do update set last_used = excluded.last_used where permission_use.last_used < excluded.last_used`.execute(tx),
  );
}

/** Whose uses are asked for, and where: in the scope and below it. */
export interface Asked {
  /** What the answer calls it. */
  readonly number: number;
  readonly subjectUid: string;
  readonly scope: string;
  /** Where somebody who lists what the scope lies in finds it; null = the account lies nowhere. */
  readonly parent: string | null;
}

export interface LastUse {
  readonly number: number;
  readonly permission: string;
  /** `2026-06-01` */
  readonly day: string;
}

/** The last day of each permission, of everybody asked for under one number together. */
export async function lastUses(reader: Reader, accountId: string, asked: readonly Asked[]): Promise<readonly LastUse[]> {
  const { rows } = await sql<LastUse>`
    select a.number, p.permission, max(p.last_used)::text as day
    from unnest(${asked.map(({ number }) => number)}::int[], ${asked.map(({ subjectUid }) => subjectUid)}::uuid[], ${asked.map(({ scope }) => scope)}::text[],
      ${asked.map(({ parent }) => parent)}::text[]) as a (number, subject_uid, scope, parent)
    join permission_use p on p.account_id = ${accountId} and p.subject_uid = a.subject_uid
      and (a.scope = '/' or p.scope = a.scope or starts_with(p.scope, a.scope || '/')
        or (p.scope = a.parent and split_part(p.permission, '.', 1) in ('organization', 'project')))
    group by a.number, p.permission`.execute(reader);
  return rows;
}

export async function recordedSince(reader: Reader, accountId: string): Promise<Date> {
  const row = await reader.selectFrom('account').select('uses_recorded_since').where('id', '=', accountId).executeTakeFirstOrThrow();
  return row.uses_recorded_since;
}

/** When these resources were created, by uid. */
export async function createdAt(reader: Reader, accountId: string, uids: readonly string[]): Promise<ReadonlyMap<string, Date>> {
  const rows = await reader.selectFrom('resource').select(['uid', 'created_at']).where('account_id', '=', accountId).where('uid', 'in', [...uids, accountId]).execute();
  return new Map(rows.map((row) => [row.uid, row.created_at]));
}
