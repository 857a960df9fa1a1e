/** `migrations/schema.sql` is what the migrations make: to the letter, and as a database that reads it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Client } from 'pg';
import { schemaFile, schemaSql } from '../../scripts/derive-schema.ts';
import type { TestDatabase } from './database.ts';
import { testDatabase } from './database.ts';
import { asOwner } from './server.ts';

/** Monthly partitions are made by the calendar and are no part of the schema. */
const ours = `relnamespace = 'public'::regnamespace and relname !~ '^audit_event_\\d{6}'`;
const table = (oid: string): string => `(select relname from pg_class where oid = ${oid})`;

/** All the database itself knows of a schema, asked for in another way than the dump asks. */
const catalog: Readonly<Record<string, string>> = {
  relations: `select relname, relkind, relpersistence, relispartition, relrowsecurity, relforcerowsecurity, reloptions, pg_get_expr(relpartbound, oid) as bound, pg_get_partkeydef(oid) as key,
    array(select a::text from unnest(coalesce(relacl, acldefault('r', relowner))) a order by 1) as acl, pg_get_userbyid(relowner) as owner, obj_description(oid) as said from pg_class where ${ours}`,
  columns: `select ${table('attrelid')}, attname, rank() over (partition by attrelid order by attnum) as place, format_type(atttypid, atttypmod) as type, attnotnull, attidentity, attgenerated, attcollation, attacl,
    (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum) as given, col_description(attrelid, attnum) as said
    from pg_attribute where attnum > 0 and not attisdropped and attrelid in (select oid from pg_class where ${ours})`,
  constraints: `select ${table('conrelid')}, conname, contype, condeferrable, condeferred, convalidated, coninhcount, pg_get_constraintdef(oid) as body from pg_constraint where conrelid in (select oid from pg_class where ${ours})`,
  indexes: `select ${table('indexrelid')}, indisunique, indisvalid, indisprimary, pg_get_indexdef(indexrelid) as body from pg_index where indrelid in (select oid from pg_class where ${ours})`,
  functions: `select proname, pg_get_functiondef(oid) as body, proacl from pg_proc where pronamespace = 'public'::regnamespace and prokind in ('f', 'p')`,
  triggers: `select ${table('tgrelid')}, tgname, tgenabled, tgisinternal, pg_get_triggerdef(oid) as body from pg_trigger where not tgisinternal and tgrelid in (select oid from pg_class where ${ours})`,
  policies: `select tablename, policyname, permissive, roles, cmd, qual, with_check from pg_policies where schemaname = 'public'`,
  types: `select typname, typtype, format_type(typbasetype, typtypmod) as base from pg_type where typnamespace = 'public'::regnamespace and typtype <> 'c' and typname !~ '^_'`,
  sequences: `select sequencename, data_type, start_value, increment_by from pg_sequences where schemaname = 'public'`,
  rights: `select array(select a::text from unnest(nspacl) a order by 1) as acl from pg_namespace where nspname = 'public'`,
  extensions: 'select extname from pg_extension',
};

async function told(client: Client): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const [what, query] of Object.entries(catalog)) all[what] = (await client.query(query)).rows.map((row) => JSON.stringify(row)).toSorted();
  return all;
}

/** An empty database that has read a dump. */
async function loaded(sql: string): Promise<TestDatabase> {
  const database = await testDatabase({ migrated: false });
  await asOwner(database.owner, (client) => client.query(sql));
  return database;
}

/** What only one of two databases knows, by catalog. */
async function differences(one: TestDatabase, other: TestDatabase): Promise<string[]> {
  const [first, second] = [await asOwner(one.owner, told), await asOwner(other.owner, told)];
  return Object.keys(catalog).flatMap((what) => [...new Set(first[what]).symmetricDifference(new Set(second[what]))].map((row) => `${what}: ${row}`));
}

const committed = (): string => readFileSync(schemaFile, 'utf8');

describe('schema.sql', () => {
  test('is the dump of the migrations; if not, run `npm run schema` and commit the result', async () => {
    const migrated = await testDatabase();
    assert.equal(committed(), await asOwner(migrated.owner, schemaSql));
  });

  test('makes in an empty database what the migrations make', async () => {
    assert.deepEqual(await differences(await testDatabase(), await loaded(committed())), []);
  });
});

describe('the dump of a schema', () => {
  const everything = `
    create function "odd name"(a integer default 1) returns integer language sql immutable as $$ select a + 1 $$;
    create function touched() returns trigger language plpgsql as $$ begin new.note := 'it''s'; return new; end $$;
    create table "Parent" (id bigint generated always as identity primary key, code text collate "C" not null default 'it''s' unique check (code <> ''), twice integer generated always as (1 + 1) stored);
    create table child (parent bigint not null references "Parent" (id) on delete set null deferrable initially deferred, day date not null, "position" integer, note text, exclude using btree (note with =)) ;
    create unique index child_once on child (parent, lower(note)) include (day) where day > '2026-01-01';
    create table parted (at date not null, kind text not null, primary key (at, kind)) partition by range (at);
    create table parted_old partition of parted for values from ('2026-01-01') to ('2027-01-01');
    create table parted_rest partition of parted default;
    create index parted_kind on parted (kind desc nulls last);
    create trigger touch before insert or update of note on child for each row when (new.note is null) execute function touched();
    create policy mine on child as restrictive for update to sallyport_app, public using (note = current_user) with check (day is not null);
    create policy seen on child for select using (true);
    alter table child enable row level security;
    alter table child force row level security;
    comment on table child is 'it''s said'; comment on column child.note is 'so';
    grant select, update on child to sallyport_app; grant usage on schema public to sallyport_app;`;

  test('read by an empty database makes the same again: functions, triggers, policies, partitions, generated columns', async () => {
    const first = await loaded(everything);
    const dump = await asOwner(first.owner, schemaSql);
    const second = await loaded(dump);
    assert.deepEqual(await differences(first, second), []);
    assert.equal(await asOwner(second.owner, schemaSql), dump);
  });

  test('that lacks a column, a right, a trigger or a policy is told apart', async () => {
    const whole = await loaded(everything);
    for (const change of ['alter table child drop note cascade', 'revoke update on child from sallyport_app', 'drop trigger touch on child', 'drop policy seen on child', 'alter table parted detach partition parted_old', 'drop function "odd name"(integer)']) {
      assert.notDeepEqual(await differences(whole, await loaded(`${everything}; ${change}`)), [], change);
    }
  });

  test('says nothing of the day it was made, and does not depend on the order things were made in', async () => {
    const statements = ['create table b (id integer)', 'create table a (id integer)', 'create index b_id on b (id)', 'create index a_id on a (id)'];
    const dumps = await Promise.all([statements, [statements[1], statements[0], statements[3], statements[2]]].map(async (some) => asOwner((await loaded(some.join(';'))).owner, schemaSql)));
    assert.equal(dumps[0], dumps[1]);
    const migrated = await testDatabase();
    await asOwner(migrated.owner, (client) => client.query(`create table audit_event_209912 partition of audit_event for values from ('2099-12-01') to ('2100-01-01')`));
    assert.equal(await asOwner(migrated.owner, schemaSql), await asOwner((await testDatabase()).owner, schemaSql));
  });
});
