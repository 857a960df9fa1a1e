/** Executions in the database: the events are the truth, rows are projections written in the same transaction. */
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { ExecutionEvent, ExecutionRecord, Plan, State } from '#features/pipelines/feature.ts';
import type { Status } from '#features/pipelines/schema.ts';
import { assert } from '#kernel/errors.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Reader, Tx } from '#platform/database/database.ts';
import type { Moment } from '#platform/http/paged.ts';

/** What of an execution tells who may see it; small, where plan and state may have megabytes. */
export interface ExecutionHead {
  readonly accountId: string;
  readonly id: string;
  readonly pipelineUid: string;
  readonly pipelinePath: string;
  readonly scope: ScopePath;
  readonly starterUid: string;
  readonly status: Status;
}

export interface Execution extends ExecutionHead {
  readonly runGrant: Buffer;
  readonly state: State;
  /** How many events there are. */
  readonly events: number;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface Place {
  readonly accountId: string;
  readonly executionId: string;
}

export async function insertExecution(tx: Tx, execution: Execution): Promise<void> {
  const { state } = execution;
  await tx.insertInto('execution').values({
    account_id: execution.accountId, id: execution.id, pipeline_uid: execution.pipelineUid, pipeline_path: execution.pipelinePath, sequence_id: state.record!.sequenceId, scope: execution.scope,
    plan: JSON.stringify(state.plan), record: JSON.stringify(state.record), run_grant: execution.runGrant, starter_uid: execution.starterUid,
    state: JSON.stringify(thin(state)), status: state.status, events: 0, created_at: execution.createdAt, ended_at: null,
  }).execute();
}

/** Plan and record have columns of their own and never change. */
function thin(state: State): Omit<State, 'plan' | 'record'> {
  const { plan: _plan, record: _record, ...rest } = state;
  return rest;
}

/**
 * Holds a pipeline's row, so that two starts do not draw the same number, and tells what it is now; null when it is gone.
 * The account is locked first, as changes do: a new execution refers to it, and whoever saves the pipeline holds it already.
 */
export async function holdPipeline(tx: Tx, accountId: string, pipelineUid: string): Promise<{ readonly version: number | null; readonly revision: number }> {
  const { revision } = await tx.selectFrom('account').select('revision').where('id', '=', accountId).forKeyShare().executeTakeFirstOrThrow();
  const row = await tx.selectFrom('resource').select('version').where('account_id', '=', accountId).where('uid', '=', pipelineUid).forUpdate().executeTakeFirst();
  return { version: row?.version ?? null, revision };
}

/** The next number of a pipeline's runs. */
export async function nextSequenceId(tx: Tx, accountId: string, pipelineUid: string): Promise<number> {
  const { last } = await tx.selectFrom('execution').select((e) => e.fn.max('sequence_id').as('last'))
    .where('account_id', '=', accountId).where('pipeline_uid', '=', pipelineUid).executeTakeFirstOrThrow();
  return Number(last ?? 0) + 1;
}

interface HeadRow {
  account_id: string; id: string; pipeline_uid: string; pipeline_path: string; scope: string; starter_uid: string; status: string;
}

interface Row extends HeadRow {
  plan: unknown; record: unknown; run_grant: Buffer; state: unknown; events: number; created_at: Date; ended_at: Date | null;
}

function headOf(row: HeadRow): ExecutionHead {
  return {
    accountId: row.account_id, id: row.id, pipelineUid: row.pipeline_uid, pipelinePath: row.pipeline_path, scope: row.scope, starterUid: row.starter_uid,
    status: row.status as Status,
  };
}

function executionOf(row: Row): Execution {
  const state = { ...(row.state as State), plan: row.plan as Plan, record: row.record as ExecutionRecord };
  assert(state.formatVersion === 1 && state.plan.formatVersion === 1, 'an execution was stored by a newer release');
  return { ...headOf(row), runGrant: row.run_grant, state, events: row.events, createdAt: row.created_at, endedAt: row.ended_at };
}

const headColumns = ['account_id', 'id', 'pipeline_uid', 'pipeline_path', 'scope', 'starter_uid', 'status'] as const;

export async function findHead(reader: Reader, { accountId, executionId }: Place): Promise<ExecutionHead | null> {
  const row = await reader.selectFrom('execution').select(headColumns).where('account_id', '=', accountId).where('id', '=', executionId).executeTakeFirst();
  return row === undefined ? null : headOf(row);
}

export async function findRunGrant(reader: Reader, { accountId, executionId }: Place): Promise<Buffer | null> {
  const row = await reader.selectFrom('execution').select('run_grant').where('account_id', '=', accountId).where('id', '=', executionId).executeTakeFirst();
  return row?.run_grant ?? null;
}

export async function findExecution(reader: Reader, { accountId, executionId }: Place): Promise<Execution | null> {
  const row = await reader.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('id', '=', executionId).executeTakeFirst();
  return row === undefined ? null : executionOf(row);
}

/** By id. */
export async function loadExecutions(reader: Reader, accountId: string, ids: readonly string[]): Promise<Map<string, Execution>> {
  if (ids.length === 0) return new Map();
  const rows = await reader.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.id, executionOf(row)]));
}

/** Locks it for the transaction: events of one execution happen one after another. */
export async function lockExecution(tx: Tx, { accountId, executionId }: Place): Promise<Execution | null> {
  const row = await tx.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('id', '=', executionId).forUpdate().executeTakeFirst();
  return row === undefined ? null : executionOf(row);
}

/** Pipelines by uid; those that are gone are in no `only` and may be in an `except`. */
export type PipelineSet = { readonly only: readonly string[] } | { readonly except: readonly string[] };

export interface ListedRuns {
  readonly accountId: string;
  readonly scope: ScopePath;
  /** Runs of these pipelines, */
  readonly of: PipelineSet;
  /** and those this one started of these. */
  readonly startedBy: { readonly uid: string; readonly of: PipelineSet };
}

/** Newest first. */
export async function listHeads(reader: Reader, wanted: ListedRuns, page: { readonly limit: number; readonly before: Moment | null }): Promise<(Moment & { readonly head: ExecutionHead })[]> {
  const { startedBy } = wanted;
  let query = reader.selectFrom('execution').select([...headColumns, 'created_at'])
    .where('account_id', '=', wanted.accountId).where('scope', '=', wanted.scope)
    .where((e) => e.or([isOf(wanted.of), e.and([e('starter_uid', '=', startedBy.uid), isOf(startedBy.of)])]));
  if (page.before !== null) query = query.where(sql<boolean>`(created_at, id) < (${page.before.at}::timestamptz, ${page.before.id}::uuid)`);
  const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(page.limit).execute();
  return rows.map((row) => ({ at: row.created_at, id: row.id, head: headOf(row) }));
}

function isOf(set: PipelineSet): RawBuilder<boolean> {
  if ('only' in set) return set.only.length === 0 ? sql<boolean>`false` : sql<boolean>`pipeline_uid = any(${set.only}::uuid[])`;
  return set.except.length === 0 ? sql<boolean>`true` : sql<boolean>`pipeline_uid <> all(${set.except}::uuid[])`;
}

export interface Progress {
  readonly state: State;
  readonly events: readonly ExecutionEvent[];
  readonly now: Date;
}

/** Adds events and projects the state they lead to. Returns the execution as it is now. */
export async function saveProgress(tx: Tx, execution: Execution, { state, events, now }: Progress): Promise<Execution> {
  const { accountId, id } = execution;
  const ended = state.endedAtMs !== null && execution.endedAt === null;
  const next: Execution = { ...execution, state, status: state.status, events: execution.events + events.length, endedAt: ended ? now : execution.endedAt };
  await tx.updateTable('execution').set({ state: JSON.stringify(thin(state)), status: state.status, events: next.events, ended_at: next.endedAt })
    .where('account_id', '=', accountId).where('id', '=', id).execute();
  const rows = events.map((event, i) => ({ account_id: accountId, execution_id: id, seq: execution.events + i + 1, event: JSON.stringify(event), at: now }));
  if (rows.length > 0) await tx.insertInto('execution_event').values(rows).execute();
  return next;
}
