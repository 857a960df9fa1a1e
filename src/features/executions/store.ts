/** Executions in the database: the events are the truth, rows are projections written in the same transaction. */
import { sql } from 'kysely';
import type { ExecutionEvent, ExecutionRecord, Plan, State } from '#features/pipelines/feature.ts';
import { assert } from '#kernel/errors.ts';
import type { Database, Reader, Tx } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';

export interface Execution {
  readonly accountId: string;
  readonly id: string;
  readonly pipelineUid: string;
  readonly pipelinePath: string;
  readonly scope: string;
  readonly starterUid: string;
  readonly runGrant: Buffer;
  readonly state: State;
  /** How many events there are. */
  readonly events: number;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export type AttemptStatus = 'offered' | 'leased' | 'started' | 'ended' | 'lost' | 'withdrawn';

export interface Attempt {
  readonly accountId: string;
  readonly id: string;
  readonly executionId: string;
  readonly stepUid: string;
  readonly number: number;
  readonly status: AttemptStatus;
  readonly fence: number;
  readonly runnerId: string | null;
  readonly leaseUntil: Date | null;
  readonly cancel: boolean;
}

export async function insertExecution(tx: Tx, execution: Execution): Promise<void> {
  const { state } = execution;
  await tx.insertInto('execution').values({
    account_id: execution.accountId, id: execution.id, pipeline_uid: execution.pipelineUid, pipeline_path: execution.pipelinePath, sequence_id: state.record!.sequenceId, scope: execution.scope,
    plan: JSON.stringify(state.plan), record: JSON.stringify(state.record), run_grant: execution.runGrant, starter_uid: execution.starterUid,
    state: JSON.stringify(thin(state)), status: state.status, events: 0, created_at: execution.createdAt, ended_at: null,
  }).execute();
}

/** The next number of a pipeline's runs; holds the pipeline's row so that two starts do not draw the same. */
export async function nextSequenceId(tx: Tx, accountId: string, pipelineUid: string): Promise<number> {
  await tx.selectFrom('resource').select('uid').where('account_id', '=', accountId).where('uid', '=', pipelineUid).forUpdate().execute();
  const { last } = await tx.selectFrom('execution').select((e) => e.fn.max('sequence_id').as('last'))
    .where('account_id', '=', accountId).where('pipeline_uid', '=', pipelineUid).executeTakeFirstOrThrow();
  return Number(last ?? 0) + 1;
}

/** Plan and record have columns of their own and never change. */
function thin(state: State): Omit<State, 'plan' | 'record'> {
  const { plan: _plan, record: _record, ...rest } = state;
  return rest;
}

interface Row {
  account_id: string; id: string; pipeline_uid: string; pipeline_path: string; scope: string; plan: unknown; record: unknown; run_grant: Buffer;
  starter_uid: string; state: unknown; status: string; events: number; created_at: Date; ended_at: Date | null;
}

function executionOf(row: Row): Execution {
  const state = { ...(row.state as State), plan: row.plan as Plan, record: row.record as ExecutionRecord };
  assert(state.formatVersion === 1 && state.plan.formatVersion === 1, 'an execution was stored by a newer release');
  return {
    accountId: row.account_id, id: row.id, pipelineUid: row.pipeline_uid, pipelinePath: row.pipeline_path, scope: row.scope, starterUid: row.starter_uid,
    runGrant: row.run_grant, state, events: row.events, createdAt: row.created_at, endedAt: row.ended_at,
  };
}

export async function findExecution(reader: Reader, accountId: string, id: string): Promise<Execution | null> {
  const row = await reader.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : executionOf(row);
}

/** Locks it for the transaction: events of one execution happen one after another. */
export async function lockExecution(tx: Tx, accountId: string, id: string): Promise<Execution | null> {
  const row = await tx.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('id', '=', id).forUpdate().executeTakeFirst();
  return row === undefined ? null : executionOf(row);
}

export async function listExecutions(reader: Reader, accountId: string, scope: string, page: { readonly limit: number; readonly before: { at: Date; id: string } | null }): Promise<Execution[]> {
  let query = reader.selectFrom('execution').selectAll().where('account_id', '=', accountId).where('scope', '=', scope);
  if (page.before !== null) query = query.where(sql<boolean>`(created_at, id) < (${page.before.at}::timestamptz, ${page.before.id}::uuid)`);
  return (await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(page.limit).execute()).map(executionOf);
}

export async function saveProgress(tx: Tx, execution: Execution, progress: { readonly state: State; readonly events: readonly ExecutionEvent[]; readonly now: Date; readonly ended: boolean }): Promise<void> {
  const { accountId, id } = execution;
  await tx.updateTable('execution')
    .set({ state: JSON.stringify(thin(progress.state)), status: progress.state.status, events: execution.events + progress.events.length, ...(progress.ended ? { ended_at: progress.now } : {}) })
    .where('account_id', '=', accountId).where('id', '=', id).execute();
  const rows = progress.events.map((event, i) => ({ account_id: accountId, execution_id: id, seq: execution.events + i + 1, event: JSON.stringify(event), at: progress.now }));
  if (rows.length > 0) await tx.insertInto('execution_event').values(rows).execute();
}

interface AttemptRow {
  account_id: string; id: string; execution_id: string; step_uid: string; number: number; status: AttemptStatus; fence: number;
  runner_id: string | null; lease_until: Date | null; cancel: boolean;
}

export function attemptOf(row: AttemptRow): Attempt {
  return {
    accountId: row.account_id, id: row.id, executionId: row.execution_id, stepUid: row.step_uid, number: row.number, status: row.status, fence: row.fence,
    runnerId: row.runner_id, leaseUntil: row.lease_until, cancel: row.cancel,
  };
}

export async function findAttempt(reader: Reader, accountId: string, id: string): Promise<Attempt | null> {
  const row = await reader.selectFrom('attempt').selectAll().where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : attemptOf(row);
}

export async function attemptsOf(reader: Reader, accountId: string, executionId: string): Promise<Attempt[]> {
  const rows = await reader.selectFrom('attempt').selectAll().where('account_id', '=', accountId).where('execution_id', '=', executionId).orderBy('offered_at').orderBy('id').execute();
  return rows.map(attemptOf);
}

/** The value of an output that holds a secret; for delivery to a later step of the same execution alone. */
export async function openSealedOutput(services: { readonly database: Database; readonly keyring: Keyring }, execution: Execution, place: { readonly id: string; readonly context: string }): Promise<string> {
  const row = await services.database.read.selectFrom('sealed_output').select('sealed')
    .where('account_id', '=', execution.accountId).where('execution_id', '=', execution.id).where('id', '=', place.id).executeTakeFirstOrThrow();
  return (await services.keyring.open(execution.accountId, place.context, row.sealed)).toString('utf8');
}
