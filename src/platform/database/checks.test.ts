import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { testDatabase } from '#test/database/database.ts';
import type { Clock } from '../clock.ts';
import { systemClock, systemRandomness } from '../clock.ts';
import type { Finding } from '../host-checks.ts';
import { rootKeyRow } from '../keyring.ts';
import { createSealing } from '../sealing.ts';
import { databaseFindings } from './checks.ts';

const rootKey = { id: 'aaaaaaaa-0000-8000-8000-000000000001', bytes: randomBytes(32) };
let client: Client;
before(async () => {
  const { owner } = await testDatabase();
  client = new Client(owner);
  client.on('error', () => {}); // the server of the run may end first
  await client.connect();
  const row = rootKeyRow(rootKey, createSealing(systemRandomness.bytes), systemClock.now());
  await client.query('insert into root_key values ($1, $2, $3, null)', [row.id, row.check_value, row.created_at]);
});
after(() => client.end());

interface World {
  readonly external?: boolean;
  readonly clock?: Clock;
  readonly rootKey?: typeof rootKey | null;
}

/** Findings in a transaction that is never committed: roles belong to the whole server, which others use. */
async function findingsAfter(sabotage: string, world: World = {}): Promise<Finding[]> {
  await client.query('begin');
  try {
    await client.query(sabotage);
    return await databaseFindings({ client, clock: systemClock, external: false, rootKey, ...world });
  } finally {
    await client.query('rollback');
  }
}

test('a database as `migrate` leaves it gives no cause for concern', async () => {
  const findings = await findingsAfter('');
  assert.deepEqual(findings.filter(({ level }) => level !== 'ok'), []);
  assert.deepEqual(findings.map(({ check }) => check), ['database', 'clock', 'migrations', 'root key', 'application role', 'audit', 'nodes']);
});

const shifted = (ms: number): Clock => ({ ...systemClock, now: () => new Date(systemClock.now().getTime() + ms) });
const expected: [string, string, World, string, Finding['level'], string][] = [
  ['an application role that became a superuser', 'alter role sallyport_app superuser', {}, 'application role', 'fail', 'is a superuser'],
  ['an application role that may make roles', 'alter role sallyport_app createrole', {}, 'application role', 'fail', 'may make roles'],
  ['an application role that may make tables', 'grant create on schema public to sallyport_app', {}, 'application role', 'fail', 'may make tables'],
  ['everybody being allowed to make tables', 'grant create on schema public to public', {}, 'application role', 'fail', 'may make tables'],
  ['an application role that owns a table', 'alter table job owner to sallyport_app', {}, 'application role', 'fail', 'owns tables'],
  ['an application role that is a member of the owner', 'grant sallyport to sallyport_app', {}, 'application role', 'fail', 'is a member of a superuser'],
  ['no application role', 'alter role sallyport_app rename to other', {}, 'application role', 'fail', 'there is no role `sallyport_app`'],
  ['audit rows that can be changed', 'grant update on audit_event to sallyport_app', {}, 'audit', 'fail', '`audit_event`'],
  ['audit rows that can be removed', 'grant delete on audit_leaf to sallyport_app', {}, 'audit', 'fail', '`audit_leaf`'],
  ['audit rows that can be removed all at once', 'grant truncate on audit_checkpoint to sallyport_app', {}, 'audit', 'fail', '`audit_checkpoint`'],
  ['a partition of the audit that can be changed', 'grant update on audit_event_rest to sallyport_app', {}, 'audit', 'fail', '`audit_event_rest`'],
  ['a database of a newer release', `insert into migration values ('9999-future.sql', 'x')`, {}, 'migrations', 'fail', '`9999-future.sql`'],
  ['a migration that is not the released one', `update migration set sha256 = 'x' where name = '0001-ground.sql'`, {}, 'migrations', 'fail', '`0001-ground.sql`'],
  ['a migration that is pending', `delete from migration where name = '0001-ground.sql'`, {}, 'migrations', 'warn', '`0001-ground.sql` pending'],
  ['no migration at all', 'drop table migration', {}, 'migrations', 'warn', 'none applied'],
  ['another root key', '', { rootKey: { ...rootKey, id: 'bbbbbbbb-0000-8000-8000-000000000002' } }, 'root key', 'fail', `sealed with the root key \`${rootKey.id}\``],
  ['a root key of the right name with other bytes', '', { rootKey: { ...rootKey, bytes: randomBytes(32) } }, 'root key', 'fail', ''],
  ['a retired root key', 'update root_key set retired_at = now()', {}, 'root key', 'ok', 'nothing is sealed yet'],
  ['a clock two seconds ahead', '', { clock: shifted(2_000) }, 'clock', 'warn', 'synchronise'],
  ['a clock a minute behind', '', { clock: shifted(-60_000) }, 'clock', 'fail', 'synchronise'],
  ['an external database served by its superuser', '', { external: true }, 'database login', 'warn', 'is a superuser'],
  ['an external database on this machine', '', { external: true }, 'database transport', 'ok', 'on this machine'],
  ['a server at work', 'insert into node values (gen_random_uuid(), now(), now())', {}, 'nodes', 'ok', '1 server works'],
];
describe('doctor tells', () => {
  for (const [what, sabotage, world, check, level, says] of expected) {
    test(`${what}: ${level}`, async () => {
      const found = (await findingsAfter(sabotage, world)).find((each) => each.check === check);
      assert.deepEqual([found?.level, found?.says.includes(says)], [level, true], JSON.stringify(found));
    });
  }
});
