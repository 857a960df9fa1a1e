/** Attempts in the database: who holds which step of which execution, and until when. */
import type { Stream } from '#features/runners/schema.ts';
import type { Reader } from '#platform/database/database.ts';
import type { Place } from './store.ts';

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
  /** No lease lasts longer, however often it is renewed. */
  readonly leaseLimit: Date | null;
  readonly timeoutMs: number;
  readonly cancel: boolean;
  /** Version of the secrets its output must be masked with. */
  readonly maskSet: number;
  /** Of the last result, so that the same one again is known. */
  readonly resultHash: Buffer | null;
  /** How many bytes of each stream are stored. */
  readonly logBytes: Readonly<Record<Stream, number>>;
}

interface Row {
  account_id: string; id: string; execution_id: string; step_uid: string; number: number; status: AttemptStatus; fence: number;
  runner_id: string | null; lease_until: Date | null; lease_limit: Date | null; timeout_ms: number; cancel: boolean; mask_set: number; result_hash: Buffer | null;
  stdout_bytes: number; stderr_bytes: number;
}

export function attemptOf(row: Row): Attempt {
  return {
    accountId: row.account_id, id: row.id, executionId: row.execution_id, stepUid: row.step_uid, number: row.number, status: row.status, fence: row.fence,
    runnerId: row.runner_id, leaseUntil: row.lease_until, leaseLimit: row.lease_limit, timeoutMs: row.timeout_ms, cancel: row.cancel,
    maskSet: row.mask_set, resultHash: row.result_hash,
    logBytes: { stdout: row.stdout_bytes, stderr: row.stderr_bytes },
  };
}

/** Nothing more will happen to it, and nothing more is logged. */
export function isOver({ status }: Attempt): boolean {
  return status === 'ended' || status === 'lost' || status === 'withdrawn';
}

export async function findAttempt(reader: Reader, { accountId, attemptId }: { readonly accountId: string; readonly attemptId: string }): Promise<Attempt | null> {
  const row = await reader.selectFrom('attempt').selectAll().where('account_id', '=', accountId).where('id', '=', attemptId).executeTakeFirst();
  return row === undefined ? null : attemptOf(row);
}

/** Of one execution; there are at most as many as its plan has steps, times the offers of a step. */
export async function attemptsOf(reader: Reader, { accountId, executionId }: Place): Promise<Attempt[]> {
  return attemptsOfAll(reader, accountId, [executionId]);
}

export async function attemptsOfAll(reader: Reader, accountId: string, executionIds: readonly string[]): Promise<Attempt[]> {
  if (executionIds.length === 0) return [];
  const rows = await reader.selectFrom('attempt').selectAll()
    .where('account_id', '=', accountId).where('execution_id', 'in', executionIds).orderBy('offered_at').orderBy('id').execute();
  return rows.map(attemptOf);
}
