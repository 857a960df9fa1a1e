/**
 * Numbers committed audit rows without gaps, links them, and signs checkpoints: one sequencer at a time per account,
 * whichever node gets its row. Nobody who writes audit waits for it.
 */
import { sign } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Keyring, SigningKey } from '#platform/keyring.ts';
import type { Metrics } from '#platform/metrics.ts';
import { eachAccount } from './each-account.ts';
import { checkpointText, linkOf, zeroLink } from './leaf.ts';
import type { Checkpoint } from './verify.ts';

export interface SequencerServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The newest checkpoint this node signed, by account: what it remembers cannot be rolled back behind its back. */
  readonly signed: Map<string, Checkpoint>;
}

const batchRows = 2_000;
const nothing = { rows: 0, checkpoint: null };

/** Sequences everything that is pending now. An account that cannot be sequenced stops no other. */
export async function sequenceAll(services: SequencerServices): Promise<void> {
  const waiting = await services.database.read.selectFrom('audit_pending').select((e) => ['account_id', e.fn.countAll<number>().as('rows')])
    .groupBy('account_id').orderBy('account_id').execute();
  services.metrics.auditPending.set(waiting.reduce((sum, { rows }) => sum + rows, 0));
  await eachAccount('the audit is not numbered', waiting.map(({ account_id }) => account_id), (accountId) => sequenceAccount(services, accountId));
}

/** With `wait` all that is pending now is numbered, by whomever; otherwise an account another node is at is left to it. */
export async function sequenceAccount(services: SequencerServices, accountId: string, { wait = false }: { readonly wait?: boolean } = {}): Promise<number> {
  const key = await services.keyring.signingKey(accountId, 'checkpoint');
  let numbered = 0;
  for (;;) {
    const { rows, checkpoint } = await services.database.transaction((tx) => sequenceBatch(services, tx, { accountId, key, wait }));
    if (checkpoint !== null) services.signed.set(accountId, checkpoint);
    numbered += rows;
    if (rows < batchRows) return numbered;
  }
}

interface Turn {
  readonly accountId: string;
  readonly key: SigningKey;
  readonly wait: boolean;
}

async function sequenceBatch(services: SequencerServices, tx: Tx, { accountId, key, wait }: Turn): Promise<{ rows: number; checkpoint: Checkpoint | null }> {
  await tx.insertInto('audit_head').values({ account_id: accountId, seq: 0, link: zeroLink }).onConflict((conflict) => conflict.doNothing()).execute();
  const locking = tx.selectFrom('audit_head').selectAll().where('account_id', '=', accountId).forUpdate();
  const head = await (wait ? locking : locking.skipLocked()).executeTakeFirst();
  // Another node is at it.
  if (head === undefined) return nothing;
  const pending = await tx.selectFrom('audit_pending as p')
    .innerJoin('audit_event as e', (join) => join.onRef('e.account_id', '=', 'p.account_id').onRef('e.at', '=', 'p.at').onRef('e.id', '=', 'p.id'))
    .select(['p.at', 'p.id', 'e.leaf'])
    .where('p.account_id', '=', accountId).orderBy('p.at').orderBy('p.id').limit(batchRows).execute();
  if (pending.length === 0) return nothing;
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
  const signature = sign(null, checkpointText({ accountId, seq, link, at }), key.privateKey);
  await tx.insertInto('audit_checkpoint').values({ account_id: accountId, seq, link, at, key_id: key.id, signature }).execute();
  return { rows: pending.length, checkpoint: { seq, link, at, keyId: key.id, signature } };
}
