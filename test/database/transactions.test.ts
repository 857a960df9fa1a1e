import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { sql } from 'kysely';
import type { Database, Tx } from '#platform/database/database.ts';
import { openDatabase } from '#platform/database/database.ts';
import { toRefusal } from '#platform/http/problem.ts';
import { atEnd } from '../endings.ts';
import { startTcpProxy } from '../parties/tcp-proxy.ts';
import { testDatabase } from './database.ts';

let database: Database;
const ids = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'] as const;

before(async () => {
  const { application } = await testDatabase();
  database = await openDatabase({ login: { ...application }, maxConnections: 5, onError: () => undefined });
  atEnd(() => database.close());
  for (const [i, id] of ids.entries()) await database.read.insertInto('account').values({ id, identifier: `a${i}`, name: null, revision: 0, disabled: false, created_at: new Date(0) }).execute();
});

const bump = (tx: Tx, id: string): Promise<unknown> => tx.updateTable('account').set((e) => ({ revision: e('revision', '+', 1) })).where('id', '=', id).execute();
const revisions = async (): Promise<number[]> => (await database.read.selectFrom('account').select('revision').orderBy('id').execute()).map((row) => row.revision);

describe('a transaction', () => {
  test('that cannot be put in order with another runs again', async () => {
    let runs = 0;
    await database.transaction(async (tx) => {
      runs += 1;
      await sql`select 1`.execute(tx);
      // Somebody else is quicker, the first time.
      if (runs === 1) await database.transaction((other) => bump(other, ids[0]));
      await bump(tx, ids[0]);
    }, { isolation: 'repeatable read' });
    assert.equal(runs, 2);
    assert.deepEqual(await revisions(), [2, 0]);
  });

  test('that is in a deadlock with another runs again, and both are done', async () => {
    const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const runs = [0, 0];
    const before = await revisions();
    await Promise.all([0, 1].map((mine) => database.transaction(async (tx) => {
      runs[mine]! += 1;
      await bump(tx, ids[mine]!);
      held[mine]!.resolve();
      await held[1 - mine]!.promise;
      await bump(tx, ids[1 - mine]!);
    })));
    assert.deepEqual(await revisions(), before.map((revision) => revision + 2));
    // On a slow machine both may have to give way.
    assert.ok(runs[0]! + runs[1]! >= 3, 'one of them twice');
  });

  test('that never comes into order gives up with what stopped it', async () => {
    let runs = 0;
    const always = database.transaction(async (tx) => {
      runs += 1;
      await sql`select 1`.execute(tx);
      await database.transaction((other) => bump(other, ids[0]));
      await bump(tx, ids[0]);
    }, { isolation: 'repeatable read' });
    await assert.rejects(always, { code: '40001' });
    assert.equal(runs, 5);
  });

  test('that fails leaves nothing', async () => {
    const before = await revisions();
    await assert.rejects(database.transaction(async (tx) => {
      await bump(tx, ids[0]);
      throw new Error('no');
    }), /no/);
    assert.deepEqual(await revisions(), before);
  });
});

describe('a database that takes too long', () => {
  test('is told as such, and not as a mistake of the server', async () => {
    const { application } = await testDatabase();
    const hasty = await openDatabase({ login: { ...application }, maxConnections: 1, onError: () => undefined, statementMs: 50 });
    atEnd(() => hasty.close());
    const slow = hasty.transaction((tx) => sql`select pg_sleep(10)`.execute(tx));
    await assert.rejects(slow, { code: 'database.unavailable', say: 'the database took too long; ask for less at once, or send it again' });
    assert.equal(toRefusal(Object.assign(new Error('idle-in-transaction timeout'), { code: '25P03' })).code, 'database.unavailable');
    assert.deepEqual((await sql<{ one: number }>`select 1 as one`.execute(hasty.read)).rows, [{ one: 1 }]);
  });
});

describe('a database whose host vanishes without a word', () => {
  test('is reached again over new connections, and those that say nothing are given to nobody', async () => {
    const { application } = await testDatabase();
    const wire = await startTcpProxy({ target: application });
    const login = { ...application, host: wire.host, port: wire.port };
    const patient = await openDatabase({ login, maxConnections: 2, onError: () => undefined, statementMs: 300 });
    atEnd(() => patient.close());
    const ask = () => sql`select 1`.execute(patient.read);
    await Promise.all([ask(), ask()]);
    wire.cut('vanish');
    const lost = await Promise.allSettled([ask(), patient.transaction((tx) => sql`select 1`.execute(tx))]);
    assert.deepEqual(lost.map((outcome) => outcome.status === 'rejected' && toRefusal(outcome.reason).code), ['database.unavailable', 'database.unavailable']);
    for (let i = 0; i < 4; i++) await ask();
  });
});
