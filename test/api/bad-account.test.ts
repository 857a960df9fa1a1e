/** What is wrong with one account is no matter of the others. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createRecorder, createRefusalCounts } from '#features/audit/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';

/** Accounts in the order in which their audit is seen to: the one in the middle is bad. */
let node: TestServer;
const all: { readonly id: string; readonly api: string; readonly token: string }[] = [];

before(async () => {
  const first = await startTestServer();
  all.push({ id: first.account.id, api: first.api, token: first.adminToken });
  for (const name of ['second', 'third']) {
    const { account, api, adminToken } = await first.addAccount(name);
    all.push({ id: account.id, api, token: adminToken });
  }
  all.sort((a, b) => (a.id < b.id ? -1 : 1));
  await until(async () => (await first.sql('select 1 from audit_pending')).length === 0, 'all is numbered');
  await first.stop();
  node = await startTestServer({ beside: first });
  // The node has had no use for the key yet.
  await node.sql(`update signing_key set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where purpose = 'checkpoint' and account_id = $1`, [all[1]!.id]);
});

const change = (i: number) => node.call({ method: 'POST', path: `${all[i]!.api}/manifests:apply`, token: all[i]!.token, body: { documents: [{ kind: 'Organization', identifier: 'payments', spec: {} }] } });
const pending = async (): Promise<string[]> => (await node.sql<{ account_id: string }>('select distinct account_id from audit_pending')).map((row) => row.account_id);

describe('an account whose checkpoint key cannot be opened', () => {
  test('stops the numbering of no other, and what waits is counted', async () => {
    for (const i of [1, 0, 2]) assert.equal((await change(i)).status, 200);
    await until(async () => (await pending()).join() === all[1]!.id, 'the others are numbered');
    const [own] = await node.sql<{ rows: number }>('select count(*)::int as rows from audit_pending');
    await until(async () => ((await node.call({ method: 'GET', path: '/metrics', token: null })).body as string).includes(`sallyport_audit_pending ${own!.rows}\n`), 'the rows that wait are counted');
  });
});

describe('an account whose audit cannot be written', () => {
  test('keeps the summaries of refusals of no other, and gets its own when it can', async () => {
    await node.sql(`
      create table unwritable (account_id uuid);
      create function refuse_summary() returns trigger language plpgsql security definer as $$
        begin if exists (select 1 from unwritable where account_id = new.account_id) then raise exception 'no'; end if; return new; end $$;
      create trigger refuse_summary before insert on audit_event for each row when (new.action = 'refusals.summary') execute function refuse_summary()`);
    await node.sql('insert into unwritable values ($1)', [all[0]!.id]);
    const { database, clock } = node;
    const refusals = createRefusalCounts({ database, clock, randomness: systemRandomness, record: createRecorder(systemRandomness) });
    for (const { id } of all) refusals.count({ accountId: id, code: 'credential.invalid', address: '203.0.113.9', operation: 'counted.here' });
    const written = async () => (await node.sql<{ account_id: string }>(`select account_id from audit_event where detail->>'operation' = 'counted.here' order by account_id`)).map((row) => row.account_id);
    await assert.rejects(refusals.flush(), new RegExp(`^Error: summaries of refusals are not written for the account ${all[0]!.id}$`));
    assert.deepEqual(await written(), [all[1]!.id, all[2]!.id]);
    await node.sql('delete from unwritable');
    await refusals.flush();
    assert.deepEqual(await written(), all.map(({ id }) => id));
  });
});
