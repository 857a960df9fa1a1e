import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { testDatabase } from './database.ts';

async function ask(login: ClientConfig, text: string): Promise<unknown[]> {
  const client = new Client(login);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

describe('a database for tests', () => {
  test('is migrated, and its migrations are recorded', async () => {
    const { owner, drop } = await testDatabase();
    const [first] = await ask(owner, 'select count(*)::int as count from migration');
    assert.notDeepEqual(first, { count: 0 });
    await drop();
  });

  test('is nobody else’s: what one holds, another does not', async () => {
    const [one, other] = await Promise.all([testDatabase(), testDatabase()]);
    await ask(one.owner, 'create table mine (word text)');
    assert.notEqual(one.database, other.database);
    assert.deepEqual(await ask(other.owner, `select to_regclass('mine') as mine`), [{ mine: null }]);
    await Promise.all([one.drop(), other.drop()]);
  });

  test('is reached by URL, as owner and as the application', async () => {
    const { owner, application, ownerUrl, applicationUrl, database, drop } = await testDatabase();
    const asked = 'select current_user as user, current_database() as database';
    assert.deepEqual(await ask({ connectionString: ownerUrl }, asked), [{ user: owner.user, database }]);
    assert.deepEqual(await ask({ connectionString: applicationUrl }, asked), [{ user: application.user, database }]);
    await drop();
  });

  test('lets the application read its tables and change no schema', async () => {
    const { application, drop } = await testDatabase();
    assert.deepEqual(await ask(application, 'select * from account'), []);
    await assert.rejects(ask(application, 'create table mine (word text)'), /permission denied/);
    await drop();
  });

  test('is gone after drop, even with a connection open', async () => {
    const { owner, database, drop } = await testDatabase();
    const client = new Client(owner);
    const lost = new Promise<Error>((done) => client.on('error', done));
    await client.connect();
    await drop();
    assert.match((await lost).message, /terminat/);
    await assert.rejects(ask(owner, 'select 1'), new RegExp(`"${database}" does not exist`));
  });
});
