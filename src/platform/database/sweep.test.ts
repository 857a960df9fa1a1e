import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from '#test/database/database.ts';
import { atEnd } from '#test/endings.ts';
import type { Database } from './database.ts';
import { openDatabase } from './database.ts';
import { sweepOlder } from './sweep.ts';

let database: Database;
const account = '00000000-0000-7000-8000-000000000001';
const never = new AbortController().signal;

before(async () => {
  const { application } = await testDatabase();
  database = await openDatabase({ login: { ...application }, maxConnections: 2, onError: () => undefined });
  atEnd(() => database.close());
  await database.read.insertInto('account').values({ id: account, identifier: 'a', name: null, revision: 0, disabled: false, created_at: new Date(0) }).execute();
});

/** Revisions of three changes each, one a second. */
async function fill(revisions: number): Promise<void> {
  await database.read.deleteFrom('access_change').execute();
  await sql`insert into access_change select ${account}::uuid, r, p, '{}', to_timestamp(r) from generate_series(1, ${revisions}::int) as r, generate_series(1, 3) as p`.execute(database.read);
}

async function left(): Promise<readonly number[]> {
  return (await database.read.selectFrom('access_change').select('revision').orderBy('revision').orderBy('position').execute()).map(({ revision }) => revision);
}

describe('a sweep', () => {
  for (const batch of [1, 2, 4, 5, 1_000]) {
    test(`of ${batch} rows at a time removes what is older, and that alone`, async () => {
      await fill(10);
      await sweepOlder(database, { table: 'access_change', column: 'at' }, { before: new Date(8_000), signal: never, batch });
      assert.deepEqual(await left(), [8, 8, 8, 9, 9, 9, 10, 10, 10]);
    });
  }

  test('that is stopped leaves no part of what was written as one', async () => {
    await fill(10);
    const stop = new AbortController();
    const counting: Database = { ...database, get read() {
      stop.abort();
      return database.read;
    } };
    await sweepOlder(counting, { table: 'access_change', column: 'at' }, { before: new Date(8_000), signal: stop.signal, batch: 4 });
    assert.deepEqual((await left()).slice(0, 4), [3, 3, 3, 4]);
  });

  test('of nothing ends', async () => {
    await fill(0);
    await sweepOlder(database, { table: 'access_change', column: 'at' }, { before: new Date(8_000), signal: never });
    assert.deepEqual(await left(), []);
  });
});
