/**
 * Numbered SQL files, applied once, in order, each in its own transaction, under one lock. A file that was applied and
 * has changed since is refused: migrations are append-only.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { refusal } from '#kernel/errors.ts';
import { applicationRole } from './logins.ts';

/** Rows here are evidence: the application may add and read them, and nothing else. */
export const appendOnly = ['audit_event', 'audit_leaf', 'audit_checkpoint'] as const;

const lockNumber = 0x5a11_9047;
const folder = new URL('../../../migrations/', import.meta.url);

export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** Of `sql`, in hexadecimal. */
  readonly sha256: string;
}

export interface MigrationResult {
  readonly applied: readonly string[];
  /** The login may not run DDL and the schema was already current. */
  readonly checkedOnly: boolean;
}

export interface MigrateOptions {
  readonly progress?: (line: string) => void;
  /** Names of the migrations to apply; absent = all of this release. For loading a backup of an older schema. */
  readonly only?: readonly string[];
  /** Where the files lie; absent = this release's. */
  readonly folder?: URL;
}

export async function migrate(login: ClientConfig, options: MigrateOptions = {}): Promise<MigrationResult> {
  const client = new Client(login);
  await client.connect();
  try {
    await refuseOldServer(client);
    const known = await releasedMigrations(options.folder);
    if (!(await mayChangeSchema(client))) return { applied: await checkCurrent(client, known), checkedOnly: true };
    await client.query('select pg_advisory_lock($1)', [lockNumber]);
    await client.query(
      `create table if not exists migration (name text primary key, sha256 text not null, applied_at timestamptz(3) not null default now())`,
    );
    const pending = (await notApplied(client, known)).filter(({ name }) => options.only?.includes(name) ?? true);
    for (const migration of pending) {
      options.progress?.(`migrating ${migration.name}`);
      await applyOne(client, migration);
    }
    await grantApplication(client);
    await makePartitions(client);
    return { applied: pending.map((migration) => migration.name), checkedOnly: false };
  } finally {
    await client.end();
  }
}

async function refuseOldServer(client: Client): Promise<void> {
  const { rows } = await client.query<{ number: number }>(`select current_setting('server_version_num')::int as number`);
  if (rows[0]!.number < 150_000) {
    throw refusal('host.database', { say: 'PostgreSQL 15 or newer is needed; upgrade the server `--database-url` names' });
  }
}

/** The migrations this release brings, in the order they are applied. */
export async function releasedMigrations(from: URL = folder): Promise<Migration[]> {
  const names = (await readdir(from)).filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, from), 'utf8');
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

async function mayChangeSchema(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(`select has_schema_privilege(current_user, 'public', 'create') as may`);
  return rows[0]!.may;
}

async function checkCurrent(client: Client, known: readonly Migration[]): Promise<never[]> {
  const exists = await client.query(`select 1 from pg_tables where schemaname = 'public' and tablename = 'migration'`);
  const pending = exists.rowCount === 0 ? known : await notApplied(client, known);
  if (pending.length > 0) {
    throw refusal('host.database', {
      say: `the schema lacks ${pending.map((migration) => `\`${migration.name}\``).join(', ')} and this login may not change it; run \`sallyport migrate\` with the owner's URL`,
    });
  }
  return [];
}

async function notApplied(client: Client, known: readonly Migration[]): Promise<Migration[]> {
  const { rows } = await client.query<{ name: string; sha256: string }>('select name, sha256 from migration');
  const applied = new Map(rows.map((row) => [row.name, row.sha256]));
  for (const name of applied.keys()) {
    if (!known.some((migration) => migration.name === name)) {
      throw refusal('host.database', { say: `the database was migrated by a newer release (\`${name}\`); start that release` });
    }
  }
  for (const migration of known) {
    const recorded = applied.get(migration.name);
    if (recorded !== undefined && recorded !== migration.sha256) {
      throw refusal('host.database', { say: `the migration \`${migration.name}\` is not the one that was applied; restore the released file` });
    }
  }
  return known.filter((migration) => !applied.has(migration.name));
}

async function applyOne(client: Client, migration: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(migration.sql);
    await client.query('insert into migration (name, sha256) values ($1, $2)', [migration.name, migration.sha256]);
    await client.query('commit');
  } catch (cause) {
    await client.query('rollback');
    throw refusal('host.database', { say: `the migration \`${migration.name}\` failed; nothing of it was kept`, because: String(cause), cause });
  }
}

/** No DDL, no ownership; on the audit only INSERT and SELECT. Idempotent: new tables of new releases get their grants too. */
async function grantApplication(client: Client): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [applicationRole]);
  if (rowCount === 0) await client.query(`create role ${applicationRole} nologin`);
  await client.query(`
    grant usage on schema public to ${applicationRole};
    revoke create on schema public from public, ${applicationRole};
    grant select, insert, update, delete on all tables in schema public to ${applicationRole};
    revoke insert, update, delete on migration from ${applicationRole};
    do $$ declare part regclass; evidence text; begin
      foreach evidence in array array['${appendOnly.join(`', '`)}'] loop
        if to_regclass(evidence) is not null then -- an older schema lacks the later ones
          execute format('revoke update, delete, truncate on %I from ${applicationRole}', evidence);
        end if;
      end loop;
      for part in select inhrelid::regclass from pg_inherits where inhparent = 'audit_event'::regclass loop
        execute format('revoke all on %s from ${applicationRole}', part);
      end loop;
    end $$;
  `);
  const { rows } = await client.query<{ member: boolean }>(`select pg_has_role(current_user, '${applicationRole}', 'member') as member`);
  if (!rows[0]!.member) await client.query(`grant ${applicationRole} to current_user`);
}

/** Two years of monthly audit partitions ahead; what falls outside lands in the default one and is never lost. */
async function makePartitions(client: Client): Promise<void> {
  await client.query(`
    do $$ declare month date; name text; begin
      for month in select generate_series(date_trunc('month', now()), date_trunc('month', now()) + interval '24 months', '1 month')::date loop
        name := 'audit_event_' || to_char(month, 'YYYYMM');
        if to_regclass(name) is null and not exists (
          select 1 from audit_event_rest where at >= month and at < month + interval '1 month' limit 1
        ) then
          execute format('create table %I partition of audit_event for values from (%L) to (%L)', name, month, month + interval '1 month');
        end if;
      end loop;
    end $$;
  `);
}
