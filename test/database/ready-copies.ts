/**
 * Copies of the template made ahead of need, because a copy takes longer than most tests. They are rows of a table in
 * the owner's database; whoever takes one deletes its row, and the process of the run makes another.
 */
import { Client } from 'pg';
import type { PgLogin } from '#platform/database/embedded.ts';
import { templateName } from './server.ts';

const keepReady = 2;
const channel = 'ready_copy_taken';

/** Makes the table and keeps it filled until `stop`. Call it once per server. */
export async function keepCopiesReady(owner: PgLogin): Promise<{ stop(): Promise<void> }> {
  const client = new Client(owner);
  await client.connect();
  await client.query('create table ready_copy (name text primary key)');
  await client.query(`listen ${channel}`);
  const fill = async (): Promise<void> => {
    for (;;) {
      const { rows } = await client.query<{ ready: number }>('select count(*)::int as ready from ready_copy');
      if ((rows[0]?.ready ?? 0) >= keepReady) return;
      await client.query('insert into ready_copy (name) values ($1)', [await makeCopy(client)]);
    }
  };
  // One after the other; an error is kept for `stop`, because takers make copies themselves when none is ready.
  let filling = fill();
  client.on('notification', () => (filling = filling.then(fill)));
  return {
    stop: async () => {
      client.removeAllListeners('notification');
      await filling.finally(() => client.end());
    },
  };
}

/** Takes a ready copy, or makes one if the server keeps none or all are taken. Returns the name of the database. */
export async function takeCopy(client: Client): Promise<string> {
  const { rows: tables } = await client.query(`select 1 from pg_tables where tablename = 'ready_copy'`);
  if (tables.length === 0) return makeCopy(client);
  const { rows } = await client.query<{ name: string }>(
    'delete from ready_copy where name = (select name from ready_copy limit 1 for update skip locked) returning name',
  );
  await client.query(`notify ${channel}`);
  return rows[0]?.name ?? makeCopy(client);
}

const makeCopy = (client: Client): Promise<string> => makeFrom(client, templateName);

/** Makes a database as a new server has it. */
export const makeBlank = (client: Client): Promise<string> => makeFrom(client, 'template0');

async function makeFrom(client: Client, template: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(`select 'test_' || replace(gen_random_uuid()::text, '-', '') as name`);
  const name = rows[0]?.name ?? '';
  await client.query(`create database ${name} template ${template} strategy file_copy`);
  return name;
}
