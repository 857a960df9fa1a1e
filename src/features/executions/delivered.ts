/**
 * What a lease was given: kept sealed until the attempt starts or ends, so that a runner whose answer got lost is given the
 * same again. Nothing is minted, read or recorded twice for one lease.
 */
import { z } from 'zod';
import type { AttemptRef } from '#features/runners/schema.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { DeliveredStep } from './deliver-step.ts';

/** The part of a delivered step that cannot be made again. */
export type DeliveredValues = Pick<DeliveredStep, 'environment' | 'masks' | 'identities'>;

const stored = z.strictObject({
  formatVersion: z.literal(1),
  environment: z.record(z.string(), z.string()),
  masks: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  identities: z.strictObject({
    environment: z.record(z.string(), z.string()),
    files: z.array(z.strictObject({ name: z.string(), content: z.string(), of: z.strictObject({ identity: z.string(), audience: z.string(), expiresAtMs: z.number() }).nullable() })),
    asked: z.array(z.strictObject({ identity: z.string(), audience: z.string() })),
  }).optional(),
});

function context({ attemptId, fence }: AttemptRef): string {
  return `delivery:${attemptId}:${fence}`;
}

/** Key work: not for a transaction. */
export async function sealDelivered({ keyring }: { readonly keyring: Keyring }, ref: AttemptRef, { environment, masks, identities }: DeliveredValues): Promise<Buffer> {
  const content = { formatVersion: 1, environment, masks, ...(identities === null ? {} : { identities }) };
  return keyring.seal(ref.accountId, context(ref), Buffer.from(JSON.stringify(content)));
}

/** False when something was kept before, which then stands. */
export async function keepDelivered(tx: Tx, ref: AttemptRef, { sealed, now }: { readonly sealed: Buffer; readonly now: Date }): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx.insertInto('attempt_delivery')
    .values({ account_id: ref.accountId, attempt_id: ref.attemptId, sealed, at: now })
    .onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

/** Null when nothing was delivered yet. */
export async function findDelivered({ database, keyring }: { readonly database: Database; readonly keyring: Keyring }, ref: AttemptRef): Promise<DeliveredValues | null> {
  const row = await database.read.selectFrom('attempt_delivery').select('sealed')
    .where('account_id', '=', ref.accountId).where('attempt_id', '=', ref.attemptId).executeTakeFirst();
  if (row === undefined) return null;
  const { environment, masks, identities = null } = stored.parse(JSON.parse((await keyring.open(ref.accountId, context(ref), row.sealed)).toString('utf8')));
  return { environment, masks, identities };
}

/** For whoever ends the time in which a payload may be asked for: the start, and every other end of a lease. */
export async function forgetDelivered(tx: Tx, { accountId, attemptId }: { readonly accountId: string; readonly attemptId: string }): Promise<void> {
  await tx.deleteFrom('attempt_delivery').where('account_id', '=', accountId).where('attempt_id', '=', attemptId).execute();
}
