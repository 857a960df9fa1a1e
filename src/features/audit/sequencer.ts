/**
 * Numbers committed audit rows without gaps, links them, and signs checkpoints: one sequencer at a time per account,
 * whichever node gets its row. Nobody who writes audit waits for it.
 */
import { sign } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Metrics } from '#platform/metrics.ts';
import { checkpointText, linkOf, zeroLink } from './leaf.ts';

export interface SequencerServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

const batchRows = 2_000;

/** Sequences everything that is pending now. Returns how many rows it numbered. */
export async function sequenceAll(services: SequencerServices): Promise<number> {
  const accounts = await services.database.read.selectFrom('audit_pending').select('account_id').distinct().limit(1_000).execute();
  let numbered = 0;
  for (const { account_id } of accounts) numbered += await sequenceAccount(services, account_id);
  services.metrics.auditPending.set(0);
  return numbered;
}

export async function sequenceAccount(services: SequencerServices, accountId: string): Promise<number> {
  const key = await services.keyring.signingKey(accountId, 'checkpoint');
  let numbered = 0;
  for (;;) {
    const count = await services.database.transaction((tx) => sequenceBatch(services, tx, accountId, (text) => sign(null, text, key.privateKey), key.id));
    numbered += count;
    if (count < batchRows) return numbered;
  }
}

async function sequenceBatch(services: SequencerServices, tx: Tx, accountId: string, signText: (text: Buffer) => Buffer, keyId: string): Promise<number> {
  await tx.insertInto('audit_head').values({ account_id: accountId, seq: 0, link: zeroLink }).onConflict((conflict) => conflict.doNothing()).execute();
  const head = await tx.selectFrom('audit_head').selectAll().where('account_id', '=', accountId).forUpdate().skipLocked().executeTakeFirst();
  // Another node is at it.
  if (head === undefined) return 0;
  const pending = await tx.selectFrom('audit_pending as p')
    .innerJoin('audit_event as e', (join) => join.onRef('e.account_id', '=', 'p.account_id').onRef('e.at', '=', 'p.at').onRef('e.id', '=', 'p.id'))
    .select(['p.at', 'p.id', 'e.leaf'])
    .where('p.account_id', '=', accountId).orderBy('p.at').orderBy('p.id').limit(batchRows).execute();
  if (pending.length === 0) return 0;
  let { seq, link } = head;
  const leaves = pending.map((row) => {
    seq += 1;
    link = linkOf(link, seq, row.leaf);
    return { account_id: accountId, seq, event_at: row.at, event_id: row.id, leaf: row.leaf, link };
  });
  for (let from = 0; from < leaves.length; from += 1_000) await tx.insertInto('audit_leaf').values(leaves.slice(from, from + 1_000)).execute();
  await tx.updateTable('audit_head').set({ seq, link }).where('account_id', '=', accountId).execute();
  await tx.deleteFrom('audit_pending').where('account_id', '=', accountId).where('id', 'in', pending.map((row) => row.id)).execute();
  const at = services.clock.now();
  const signature = signText(checkpointText({ accountId, seq, link, at }));
  await tx.insertInto('audit_checkpoint').values({ account_id: accountId, seq, link, at, key_id: keyId, signature }).execute();
  return pending.length;
}
