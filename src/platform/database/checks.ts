/** What `doctor` asks the database. Reads only. */
import type { Client } from 'pg';
import { Refusal } from '#kernel/errors.ts';
import type { Clock } from '../clock.ts';
import type { Finding } from '../host-checks.ts';
import { finding } from '../host-checks.ts';
import { checkRootKey } from '../keyring.ts';
import { nodeGoneMs } from '../nodes.ts';
import type { DataKey } from '../sealing.ts';
import { applicationRole } from './logins.ts';
import { appendOnly, releasedMigrations } from './migrate.ts';

export interface DatabaseChecks {
  readonly client: Client;
  readonly clock: Clock;
  readonly external: boolean;
  /** Null when its file could not be read, which is a finding of its own. */
  readonly rootKey: DataKey | null;
}

const skewWarnMs = 1_000;
const skewFailMs = 30_000;

export async function databaseFindings(checks: DatabaseChecks): Promise<Finding[]> {
  const findings = [await versionFinding(checks), await clockFinding(checks)];
  if (checks.external) findings.push(await transportFinding(checks), await loginFinding(checks));
  const schema = await schemaFinding(checks);
  findings.push(schema.finding);
  if (!schema.usable) return findings;
  if (checks.rootKey !== null) findings.push(await rootKeyFinding(checks.client, checks.rootKey));
  findings.push(...(await roleFindings(checks)), await nodesFinding(checks));
  return findings;
}

async function one<T extends object>({ client }: Pick<DatabaseChecks, 'client'>, text: string, values: unknown[] = []): Promise<T> {
  return (await client.query<T>(text, values)).rows[0]!;
}

async function versionFinding(checks: DatabaseChecks): Promise<Finding> {
  const { version, number } = await one<{ version: string; number: number }>(
    checks, `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
  );
  const says = `PostgreSQL ${version}, ${checks.external ? 'external' : 'embedded'}`;
  return number < 150_000 ? finding('database', 'fail', `${says}; version 15 or newer is needed`) : finding('database', 'ok', says);
}

async function clockFinding(checks: DatabaseChecks): Promise<Finding> {
  const before = checks.clock.now().getTime();
  const { ms } = await one<{ ms: number }>(checks, 'select (extract(epoch from clock_timestamp()) * 1000)::float as ms');
  const after = checks.clock.now().getTime();
  // The answer is from some moment between; what that leaves open is no skew.
  const skewMs = Math.round(ms < before ? before - ms : Math.max(0, ms - after));
  const says = `${skewMs} ms apart from the database's`;
  if (skewMs > skewFailMs) return finding('clock', 'fail', `${says}; synchronise both, or tokens are refused`);
  return skewMs > skewWarnMs ? finding('clock', 'warn', `${says}; synchronise both`) : finding('clock', 'ok', says);
}

async function transportFinding(checks: DatabaseChecks): Promise<Finding> {
  const { encrypted, near } = await one<{ encrypted: boolean; near: boolean }>(
    checks, `select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
      coalesce(inet_server_addr() <<= '127.0.0.0/8' or inet_server_addr() = '::1', true) as near`,
  );
  if (encrypted) return finding('database transport', 'ok', 'TLS');
  return near
    ? finding('database transport', 'ok', 'on this machine')
    : finding('database transport', 'warn', 'the connection is not encrypted; add `sslmode=verify-full` to the URL');
}

/** The server gives its rights up for those of the application role, but a superuser could take them back. */
async function loginFinding(checks: DatabaseChecks): Promise<Finding> {
  const { user, superuser, ddl } = await one<{ user: string; superuser: boolean; ddl: boolean }>(
    checks, `select session_user as user, (select rolsuper from pg_roles where rolname = session_user) as superuser,
      has_schema_privilege(session_user, 'public', 'create') as ddl`,
  );
  if (superuser) return finding('database login', 'warn', `\`${user}\` is a superuser; serve with a login that is only a member of \`${applicationRole}\``);
  if (ddl) return finding('database login', 'warn', `\`${user}\` may change the schema; keep it for \`sallyport migrate\` and serve with a member of \`${applicationRole}\``);
  return finding('database login', 'ok', `\`${user}\` is no superuser and may not change the schema`);
}

async function schemaFinding(checks: DatabaseChecks): Promise<{ finding: Finding; usable: boolean }> {
  const check = 'migrations';
  const { is } = await one<{ is: boolean }>(checks, `select to_regclass('public.migration') is not null as is`);
  if (!is) return { finding: finding(check, 'warn', 'none applied; the first `serve` or `sallyport migrate` does'), usable: false };
  const { rows } = await checks.client.query<{ name: string; sha256: string }>('select name, sha256 from migration order by name');
  const released = await releasedMigrations();
  const unknown = rows.find(({ name }) => !released.some((migration) => migration.name === name));
  if (unknown !== undefined) return { finding: finding(check, 'fail', `the database is of a newer release (\`${unknown.name}\`); use that release`), usable: true };
  const altered = released.find(({ name, sha256 }) => rows.some((row) => row.name === name && row.sha256 !== sha256));
  if (altered !== undefined) return { finding: finding(check, 'fail', `\`${altered.name}\` is not the file that was applied; restore the released one`), usable: true };
  const pending = released.filter(({ name }) => !rows.some((row) => row.name === name));
  if (pending.length === 0) return { finding: finding(check, 'ok', `${rows.length} applied, none pending`), usable: true };
  return { finding: finding(check, 'warn', `${pending.map(({ name }) => `\`${name}\``).join(', ')} pending; \`sallyport migrate\` applies them`), usable: true };
}

async function rootKeyFinding(client: Client, rootKey: DataKey): Promise<Finding> {
  const { rows } = await client.query<{ id: string; check_value: Buffer }>('select id, check_value from root_key where retired_at is null');
  if (rows.length === 0) return finding('root key', 'ok', 'nothing is sealed yet');
  try {
    checkRootKey(rootKey, rows);
    return finding('root key', 'ok', `\`${rootKey.id}\` is the one the data is sealed with`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return finding('root key', 'fail', error.say ?? error.message);
  }
}

async function roleFindings(checks: DatabaseChecks): Promise<Finding[]> {
  const check = 'application role';
  const { rows } = await checks.client.query<Record<string, boolean>>(
    `select r.rolsuper as "is a superuser", r.rolcreaterole as "may make roles", r.rolcreatedb as "may make databases",
       r.rolreplication as "may replicate", r.rolbypassrls as "bypasses row security",
       has_schema_privilege(r.oid, 'public', 'create') as "may make tables",
       has_database_privilege(r.oid, current_database(), 'create') as "may make schemas",
       exists (select 1 from pg_class c where c.relowner = r.oid) as "owns tables",
       exists (select 1 from pg_roles s where s.rolsuper and not r.rolsuper and pg_has_role(r.oid, s.oid, 'member')) as "is a member of a superuser"
     from pg_roles r where r.rolname = $1`,
    [applicationRole],
  );
  const [row] = rows;
  if (row === undefined) return [finding(check, 'fail', `there is no role \`${applicationRole}\`; run \`sallyport migrate\``)];
  const faults = Object.entries(row).filter(([, is]) => is).map(([fault]) => fault);
  const rights = faults.length === 0
    ? finding(check, 'ok', `\`${applicationRole}\` may change no schema`)
    : finding(check, 'fail', `\`${applicationRole}\` ${faults.join(', ')}; take that from it`);
  return [rights, await auditFinding(checks)];
}

async function auditFinding(checks: DatabaseChecks): Promise<Finding> {
  const { rows } = await checks.client.query<{ name: string }>(
    `select c.relname as name from pg_class c
     where c.relnamespace = 'public'::regnamespace
       and (c.relname = any($1) or exists (select 1 from pg_inherits i where i.inhrelid = c.oid and i.inhparent::regclass::text = any($1)))
       and c.relkind in ('r', 'p') and has_table_privilege($2, c.oid, 'update, delete, truncate')
     order by c.relname`,
    [appendOnly, applicationRole],
  );
  if (rows.length === 0) return finding('audit', 'ok', `\`${applicationRole}\` may add and read, and nothing else`);
  return finding('audit', 'fail', `\`${applicationRole}\` may change ${rows.map(({ name }) => `\`${name}\``).join(', ')}; \`sallyport migrate\` takes that away`);
}

async function nodesFinding(checks: DatabaseChecks): Promise<Finding> {
  const { count } = await one<{ count: number }>(checks, `select count(*)::int as count from node where seen_at > now() - $1 * interval '1 millisecond'`, [nodeGoneMs]);
  return finding('nodes', 'ok', count === 1 ? '1 server works on this database' : `${count} servers work on this database`);
}
