/**
 * A new root key: every data key is unwrapped with the old one and wrapped with the new one, in one transaction. What the
 * data keys seal stays as it is, so the size of the data does not matter.
 */
import { assert, refusal } from '#kernel/errors.ts';
import type { Clock, Randomness } from './clock.ts';
import type { Database, Tx } from './database/database.ts';
import { dataKeyContext, rootKeyRow } from './keyring.ts';
import { liveNodes, lockNodes, nodeGoneMs } from './nodes.ts';
import type { DataKey, Sealing } from './sealing.ts';
import { createSealing, open } from './sealing.ts';

export interface RotationOptions {
  readonly database: Database;
  readonly oldKey: DataKey;
  readonly newKey: DataKey;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** This process, which does not count as a server. */
  readonly nodeId: string;
  /** Runs in the transaction: what the audit is to say. */
  readonly alsoWrite: (tx: Tx, accountIds: readonly string[]) => Promise<void>;
}

/** Returns how many data keys were wrapped anew. Refuses with `host.in_use` while a server works on the database. */
export async function rotateRootKey(options: RotationOptions): Promise<number> {
  const { database, newKey, oldKey } = options;
  if (newKey.id === oldKey.id) throw refusal('keys.wrong_root', { say: 'the new root key is the present one; name a file that does not exist, or one with another key' });
  const sealing = createSealing(options.randomness.bytes);
  return database.transaction(async (tx) => {
    await lockNodes(tx);
    await refuseWhileServed(tx, options.nodeId);
    await retire(tx, options, sealing);
    const rows = await tx.selectFrom('data_key').selectAll().orderBy('account_id').orderBy('id').forUpdate().execute();
    for (const row of rows) {
      const context = dataKeyContext(row.account_id, row.id);
      const bytes = open(oldKey, context, row.wrapped);
      const wrapped = sealing.seal(newKey, context, bytes);
      assert(open(newKey, context, wrapped).equals(bytes), 'a data key wrapped with the new root key opens');
      await tx.updateTable('data_key').set({ wrapped, root_key_id: newKey.id }).where('account_id', '=', row.account_id).where('id', '=', row.id).execute();
    }
    const accounts = await tx.selectFrom('account').select('id').orderBy('id').execute();
    await options.alsoWrite(tx, accounts.map(({ id }) => id));
    return rows.length;
  });
}

async function refuseWhileServed(tx: Tx, ownId: string): Promise<void> {
  const [live, ...more] = await liveNodes(tx, ownId);
  if (live === undefined) return;
  throw refusal('host.in_use', {
    say: `${more.length === 0 ? 'a server works' : `${more.length + 1} servers work`} on this database (last seen ${live.seenSecondsAgo} s ago): stop all of them; one that was killed counts as gone after ${nodeGoneMs / 1_000} s`,
  });
}

async function retire(tx: Tx, { oldKey, newKey, clock }: RotationOptions, sealing: Sealing): Promise<void> {
  const now = clock.now();
  const used = await tx.selectFrom('root_key').select('id').where('id', '=', newKey.id).executeTakeFirst();
  if (used !== undefined) throw refusal('keys.wrong_root', { say: `the root key \`${newKey.id}\` was retired before; make a new one` });
  const { numUpdatedRows } = await tx.updateTable('root_key').set({ retired_at: now }).where('id', '=', oldKey.id).where('retired_at', 'is', null).executeTakeFirst();
  if (numUpdatedRows !== 1n) throw refusal('keys.wrong_root', { say: `the root key \`${oldKey.id}\` was retired already` });
  await tx.insertInto('root_key').values(rootKeyRow(newKey, sealing, now)).execute();
}
