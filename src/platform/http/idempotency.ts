/** `Idempotency-Key`: the first answer, kept 24 h with a hash of the request, in the transaction of the act. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '#kernel/canonical.ts';
import { refusal } from '#kernel/errors.ts';
import { Reply } from '#kernel/operation.ts';
import type { Clock } from '../clock.ts';
import type { Database, Tx } from '../database/database.ts';
import { sweepOlder } from '../database/sweep.ts';

export interface IdempotencyKey {
  readonly accountId: string;
  /** Operation and caller: a key means something to the one who made it up. */
  readonly caller: string;
  readonly key: string;
  readonly requestHash: Buffer;
}

const keptMs = 86_400_000;

export function requestHash(input: unknown): Buffer {
  return createHash('sha256').update(canonicalJson(JSON.parse(JSON.stringify(input)))).digest();
}

/** Workload ids may be longer than an index row may be. */
export function callerHash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** Takes the key for this transaction; a repeat waits for the first and gets its answer. */
export async function takeKey(tx: Tx, key: IdempotencyKey, now: Date): Promise<Reply | null> {
  const { numInsertedOrUpdatedRows } = await tx.insertInto('idempotency')
    .values({ account_id: key.accountId, caller: key.caller, key: key.key, request_hash: key.requestHash, status: null, answer: null, created_at: now })
    .onConflict((conflict) => conflict.columns(['account_id', 'caller', 'key']).doNothing()).executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return null;
  const row = await tx.selectFrom('idempotency').selectAll()
    .where('account_id', '=', key.accountId).where('caller', '=', key.caller).where('key', '=', key.key).executeTakeFirstOrThrow();
  if (!row.request_hash.equals(key.requestHash)) throw refusal('request.idempotency_conflict');
  return new Reply(row.answer, { status: row.status ?? 200 });
}

export async function keepAnswer(tx: Tx, key: IdempotencyKey, answer: Reply): Promise<void> {
  await tx.updateTable('idempotency').set({ status: answer.status, answer: JSON.stringify(answer.body) })
    .where('account_id', '=', key.accountId).where('caller', '=', key.caller).where('key', '=', key.key).execute();
}

export async function forgetOldKeys(database: Database, clock: Clock, signal: AbortSignal): Promise<void> {
  await sweepOlder(database, { table: 'idempotency', column: 'created_at' }, { before: new Date(clock.now().getTime() - keptMs), signal });
}
