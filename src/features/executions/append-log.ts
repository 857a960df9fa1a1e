/** Stores what a runner sends of a log. */
import type { AttemptRef, LogChunk, LogPosition } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import { expectStatus, holds, lockAttempt, staleFence } from './lease.ts';

export interface LogBounds {
  readonly now: Date;
  /** Of both streams of an attempt together. */
  readonly maxBytes: number;
}

/** Offsets count the masked bytes of a stream. What is said again is taken as said before. */
export async function appendLog(tx: Tx, ref: AttemptRef, chunk: LogChunk, { now, maxBytes }: LogBounds): Promise<LogPosition> {
  const attempt = await lockAttempt(tx, ref);
  if (!holds(attempt, ref, now)) throw staleFence();
  expectStatus(attempt, 'started');
  const { maskSet } = attempt;
  if (chunk.maskSet > maskSet) throw refusal('runner.protocol', { say: `the attempt has no version ${chunk.maskSet} of its secrets; it has ${maskSet}` });
  const stored = attempt.logBytes[chunk.stream];
  const position = (outcome: LogPosition['outcome'], nextOffset: number): LogPosition => ({ outcome, nextOffset, maskSet });
  if (chunk.maskSet < maskSet) return position('old_masks', stored);
  if (chunk.offset > stored) return position('gap', stored);
  const fresh = chunk.bytes.subarray(stored - chunk.offset);
  if (fresh.length === 0) return position('stored', stored);
  if (attempt.logBytes.stdout + attempt.logBytes.stderr + fresh.length > maxBytes) return position('full', stored);
  const end = stored + fresh.length;
  await tx.insertInto('log_segment').values({
    account_id: ref.accountId, attempt_id: ref.attemptId, stream: chunk.stream, start_offset: stored, bytes: Buffer.from(fresh), mask_version: chunk.maskSet, at: now,
  }).execute();
  await tx.updateTable('attempt').set(chunk.stream === 'stdout' ? { stdout_bytes: end } : { stderr_bytes: end })
    .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
  return position('stored', end);
}
