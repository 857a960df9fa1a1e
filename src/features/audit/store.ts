/** Reads of the audit trail: filtered pages newest first, and the whole trail in order. */
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Reader } from '#platform/database/database.ts';
import type { Moment } from '#platform/http/paged.ts';
import type { ClaimMatch } from './claim-search.ts';
import type { AuditEvent, Commitments, Outcome, Salted } from './leaf.ts';
import type { Checkpoint, TrailPart } from './verify.ts';

export interface AuditFilter {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly resource?: string | undefined;
  readonly outcome?: Outcome | undefined;
  readonly session?: string | undefined;
  readonly requestId?: string | undefined;
  /** What the verified claims must be like. */
  readonly claims?: readonly ClaimMatch[] | undefined;
  /** SHA-256 of the outside token, hexadecimal. */
  readonly tokenSha256?: string | undefined;
  /** Scope path and, where asked, everything below. */
  readonly scope: string;
  readonly below: boolean;
}

interface EventRow {
  account_id: string; at: Date; id: string; format: number; actor_type: string | null; actor_uid: string | null; via: string | null;
  action: string; resource_kind: string | null; resource_uid: string | null; resource_path: string | null; scope: string; outcome: string;
  session_id: string | null; request_id: string; detail: unknown; commitments: unknown; personal: unknown;
}

export interface ListedEvent extends VerifiableFields {
  readonly seq: number | null;
}

interface VerifiableFields {
  readonly format: number;
  readonly event: Omit<AuditEvent, 'personal'>;
  readonly commitments: Commitments;
  readonly personal: Salted;
}

export async function listEvents(reader: Reader, accountId: string, filter: AuditFilter, page: { readonly limit: number; readonly before: Moment | null }): Promise<ListedEvent[]> {
  let query = reader.selectFrom('audit_event as e')
    .leftJoin('audit_leaf as l', (join) => join.onRef('l.account_id', '=', 'e.account_id').onRef('l.event_id', '=', 'e.id'))
    .selectAll('e').select('l.seq')
    .where('e.account_id', '=', accountId);
  if (filter.since !== undefined) query = query.where('e.at', '>=', filter.since);
  if (filter.until !== undefined) query = query.where('e.at', '<', filter.until);
  if (filter.actor !== undefined) query = query.where('e.actor_uid', '=', filter.actor);
  if (filter.action !== undefined) query = query.where('e.action', '=', filter.action);
  if (filter.resource !== undefined) query = query.where((e) => e.or([e('e.resource_uid', '=', filter.resource!), e('e.resource_path', '=', filter.resource!)]));
  if (filter.outcome !== undefined) query = query.where('e.outcome', '=', filter.outcome);
  if (filter.session !== undefined) query = query.where('e.session_id', '=', filter.session);
  if (filter.requestId !== undefined) query = query.where('e.request_id', '=', filter.requestId);
  for (const match of filter.claims ?? []) query = query.where(claimsAre(match));
  if (filter.tokenSha256 !== undefined) query = query.where(sql<boolean>`e.detail ? 'tokenSha256' and e.detail ->> 'tokenSha256' = ${filter.tokenSha256}`);
  if (filter.scope !== '/' || !filter.below) {
    query = query.where((e) => e.or([
      e('e.scope', '=', filter.scope),
      ...(filter.below ? [e(sql<boolean>`starts_with(e.scope, ${`${filter.scope}/`})`, '=', true)] : []),
    ]));
  }
  if (page.before !== null) query = query.where(sql<boolean>`(e.at, e.id) < (${page.before.at}::timestamptz, ${page.before.id}::uuid)`);
  const rows = await query.orderBy('e.at', 'desc').orderBy('e.id', 'desc').limit(page.limit).execute();
  return rows.map((row) => ({ ...fieldsOf(row), seq: row.seq }));
}

function claimsAre({ contained, exactly }: ClaimMatch): RawBuilder<boolean> {
  const documents = contained.map((document) => sql`(e.personal -> 'claims' -> 'value') @> ${JSON.stringify(document)}::jsonb`);
  const any = sql<boolean>`(${sql.join(documents, sql` or `)})`;
  if (exactly === null) return any;
  const values = exactly.values.map((value) => sql`${JSON.stringify(value)}::jsonb`);
  return sql<boolean>`(${any} and (e.personal -> 'claims' -> 'value') #> ${[...exactly.path]}::text[] in (${sql.join(values)}))`;
}

/** An event by its id. */
export async function findEvent(reader: Reader, accountId: string, id: string): Promise<ListedEvent | null> {
  const leaf = await reader.selectFrom('audit_leaf').select(['event_at as at', 'seq']).where('account_id', '=', accountId).where('event_id', '=', id).executeTakeFirst();
  const at = leaf?.at ?? (await reader.selectFrom('audit_pending').select('at').where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst())?.at;
  if (at === undefined) return null;
  const row = await reader.selectFrom('audit_event').selectAll().where('account_id', '=', accountId).where('at', '=', at).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : { ...fieldsOf(row), seq: leaf?.seq ?? null };
}

const partRows = 1_000;

export interface TrailRange {
  /** Rows and checkpoints behind this number … */
  readonly after: number;
  /** … up to this one. */
  readonly through: number;
}

/** At most `limit` numbered rows of a range in order, with the checkpoints up to the last of them. */
export async function trailPart(reader: Reader, accountId: string, { after, through }: TrailRange, limit: number): Promise<TrailPart> {
  const rows = await reader.selectFrom('audit_leaf as l')
    .innerJoin('audit_event as e', (join) => join.onRef('e.account_id', '=', 'l.account_id').onRef('e.at', '=', 'l.event_at').onRef('e.id', '=', 'l.event_id'))
    .selectAll('e').select(['l.seq', 'l.link'])
    .where('l.account_id', '=', accountId).where('l.seq', '>', after).where('l.seq', '<=', through).orderBy('l.seq').limit(limit).execute();
  const last = rows.at(-1)?.seq ?? after;
  return {
    rows: rows.map((row) => ({ ...fieldsOf(row), seq: row.seq, link: row.link })),
    checkpoints: await checkpointsOf(reader, accountId, { after, through: last }),
  };
}

/** A range in bounded parts until `signal` ends; the last one has the checkpoints behind its last row too. */
export async function* trail(reader: Reader, accountId: string, { after, through, signal }: TrailRange & { readonly signal: AbortSignal }): AsyncGenerator<TrailPart> {
  let from = after;
  for (let full = true; full; ) {
    signal.throwIfAborted();
    const part = await trailPart(reader, accountId, { after: from, through }, partRows);
    yield part;
    from = part.rows.at(-1)?.seq ?? from;
    full = part.rows.length === partRows;
  }
  yield { rows: [], checkpoints: await checkpointsOf(reader, accountId, { after: from, through }) };
}

async function checkpointsOf(reader: Reader, accountId: string, { after, through }: TrailRange): Promise<Checkpoint[]> {
  const rows = await reader.selectFrom('audit_checkpoint').selectAll()
    .where('account_id', '=', accountId).where('seq', '>', after).where('seq', '<=', through).orderBy('seq').execute();
  return rows.map((row) => ({ seq: row.seq, link: row.link, at: row.at, keyId: row.key_id, signature: row.signature }));
}

/** The link of one row as it is stored; null when there is none. */
export async function linkAt(reader: Reader, accountId: string, seq: number): Promise<Buffer | null> {
  const row = await reader.selectFrom('audit_leaf').select('link').where('account_id', '=', accountId).where('seq', '=', seq).executeTakeFirst();
  return row?.link ?? null;
}

export async function lastCheckpoint(reader: Reader, accountId: string): Promise<Checkpoint | null> {
  const row = await reader.selectFrom('audit_checkpoint').selectAll().where('account_id', '=', accountId).orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return row === undefined ? null : { seq: row.seq, link: row.link, at: row.at, keyId: row.key_id, signature: row.signature };
}

/** Number of the last row by the sequencer's own account; 0 when there is none. */
export async function headSeq(reader: Reader, accountId: string): Promise<number> {
  const head = await reader.selectFrom('audit_head').select('seq').where('account_id', '=', accountId).executeTakeFirst();
  return head?.seq ?? 0;
}

/** Ids of rows that have no number and wait for none: nobody who records an event leaves one like this. At most 20. */
export async function strayEvents(reader: Reader, accountId: string): Promise<string[]> {
  const rows = await reader.selectFrom('audit_event as e').select('e.id').where('e.account_id', '=', accountId)
    .where((e) => e.not(e.exists(e.selectFrom('audit_leaf as l').select('l.seq').whereRef('l.account_id', '=', 'e.account_id').whereRef('l.event_at', '=', 'e.at').whereRef('l.event_id', '=', 'e.id'))))
    .where((e) => e.not(e.exists(e.selectFrom('audit_pending as p').select('p.id').whereRef('p.account_id', '=', 'e.account_id').whereRef('p.at', '=', 'e.at').whereRef('p.id', '=', 'e.id'))))
    .orderBy('e.at').limit(20).execute();
  return rows.map((row) => row.id);
}

function fieldsOf(row: EventRow): VerifiableFields {
  return {
    format: row.format,
    event: {
      accountId: row.account_id, id: row.id, at: row.at, actorType: row.actor_type, actorUid: row.actor_uid, via: row.via, action: row.action,
      resourceKind: row.resource_kind, resourceUid: row.resource_uid, resourcePath: row.resource_path, scope: row.scope, outcome: row.outcome as Outcome,
      sessionId: row.session_id, requestId: row.request_id, detail: row.detail,
    },
    commitments: row.commitments as Commitments,
    personal: row.personal as Salted,
  };
}
