/** Loads a backup into an empty database: all of it or nothing. */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { assert, refusal } from '#kernel/errors.ts';
import type { DataKey } from '../sealing.ts';
import { asRefusal } from './database.ts';
import { unusable } from './dump-format.ts';
import type { DumpHeader } from './dump-format.ts';
import { exactText, keptTables, quoted } from './kept-tables.ts';
import type { KeptTable } from './kept-tables.ts';
import { migrate, releasedMigrations } from './migrate.ts';
import { checkDump, readDump } from './read-dump.ts';

export interface RestoreOptions {
  /** May change the schema, unless the schema is already that of the backup. */
  readonly login: ClientConfig;
  readonly rootKey: DataKey;
  readonly progress: (line: string) => void;
  /** Where the migrations lie; absent = this release's. */
  readonly migrations?: URL;
}

const batchBytes = 4 * 1024 * 1024;
const maxBatchRows = 2_000;
const progressRows = 50_000;

/** A backup read to its end and found whole, written by a holder of this root key, and of a schema this release knows. */
export interface CheckedDump {
  readonly path: string;
  readonly header: DumpHeader;
  readonly rows: number;
}

/** Touches no database. Refuses with `host.backup` or `keys.wrong_root`. */
export async function checkBeforeRestore(path: string, options: Omit<RestoreOptions, 'login'>): Promise<CheckedDump> {
  options.progress('reading the backup');
  const { header, rows } = await checkDump(path, options.rootKey);
  const released = new Map((await releasedMigrations(options.migrations)).map(({ name, sha256 }) => [name, sha256]));
  for (const { name, sha256 } of header.migrations) {
    if (!released.has(name)) throw unusable(`it was made by a newer release (\`${name}\`): restore it with that release`);
    if (released.get(name) !== sha256) throw unusable(`the migration \`${name}\` of this release is not the one it was made with`);
  }
  return { path, header, rows: [...rows.values()].reduce((a, b) => a + b, 0) };
}

/**
 * Migrates to the schema of the backup, loads it in one transaction, and migrates on to that of this release.
 * Refuses with `host.not_empty` where there is any data. What fails leaves a migrated, empty database.
 */
export async function restoreDump(dump: CheckedDump, options: RestoreOptions): Promise<void> {
  const client = new Client(options.login);
  client.on('error', () => {}); // the query under way fails with it
  try {
    await client.connect();
    await refuseFurther(client, dump.header);
    const folder = options.migrations === undefined ? {} : { folder: options.migrations };
    const { progress } = options;
    await migrate(options.login, { progress, only: dump.header.migrations.map(({ name }) => name), ...folder });
    await load(client, dump, options);
    await migrate(options.login, { progress, ...folder });
  } catch (error) {
    throw asRefusal(error);
  } finally {
    await client.end();
  }
}

/** An older schema can be migrated on to that of the backup; there is no way back from a newer one. */
async function refuseFurther(client: Client, header: DumpHeader): Promise<void> {
  const { rows: [there] } = await client.query<{ is: boolean }>(`select to_regclass('public.migration') is not null as is`);
  if (!there!.is) return;
  const { rows } = await client.query<{ name: string }>('select name from migration');
  const further = rows.find(({ name }) => !header.migrations.some((migration) => migration.name === name));
  if (further === undefined) return;
  throw refusal('host.not_empty', { say: `the schema is further (\`${further.name}\`) than that of the backup: restore into a new data directory, or a new database nobody has migrated` });
}

async function load(client: Client, { path, header }: CheckedDump, { rootKey, progress }: RestoreOptions): Promise<void> {
  await client.query('begin');
  await client.query(exactText);
  const tables = await keptTables(client);
  refuseOtherTables(tables, header);
  await refuseData(client, tables, rootKey);
  const loader = createLoader(client, tables, progress);
  for await (const { table, line } of readDump(path, rootKey, () => {})) await loader.add(table, line);
  await loader.flush();
  await client.query('commit');
}

function refuseOtherTables(tables: readonly KeptTable[], header: DumpHeader): void {
  const described = (all: readonly { name: string; columns: readonly string[] }[]) =>
    new Map(all.map(({ name, columns }) => [name, columns.toSorted().join(', ')]));
  const here = described(tables.map(({ name, columns }) => ({ name, columns: columns.map((column) => column.name) })));
  const there = described(header.tables);
  for (const name of new Set([...here.keys(), ...there.keys()])) {
    if (here.get(name) === there.get(name)) continue;
    throw unusable(`the table \`${name}\` is not the one its migrations make (${there.get(name) ?? 'absent'} in the backup, ${here.get(name) ?? 'absent'} here)`);
  }
}

/** `migrate` leaves the row of the root key behind, which comes again with the backup; anything else is data. */
async function refuseData(client: Client, tables: readonly KeptTable[], rootKey: DataKey): Promise<void> {
  await client.query(`lock table ${tables.map(({ name }) => `public.${quoted(name)}`).join(', ')} in exclusive mode`);
  await client.query('delete from root_key where id = $1 and not exists (select 1 from account)', [rootKey.id]);
  for (const { name } of tables) {
    const { rowCount } = await client.query(`select 1 from public.${quoted(name)} limit 1`);
    if (rowCount !== 0) throw refusal('host.not_empty', { say: `the table \`${name}\` holds data: restore into a new data directory, or a new database` });
  }
}

/** Collects rows of one table and inserts them together. */
function createLoader(client: Client, tables: readonly KeptTable[], progress: (line: string) => void) {
  const statements = new Map(tables.map((table) => [table.name, insertStatement(table)]));
  let current = '';
  let waiting: string[] = [];
  let size = 0;
  let loaded = 0;

  async function flush(): Promise<void> {
    if (waiting.length === 0) return;
    const { rowCount } = await client.query(statements.get(current)!, [waiting]);
    assert(rowCount === waiting.length, `${rowCount} of ${waiting.length} rows of ${current} were inserted`);
    if (Math.floor((loaded + waiting.length) / progressRows) > Math.floor(loaded / progressRows)) progress(`restoring ${current}: ${loaded + waiting.length} rows`);
    loaded += waiting.length;
    waiting = [];
    size = 0;
  }

  async function add(table: string, line: string): Promise<void> {
    if (table !== current) {
      await flush();
      progress(`restoring ${table}`);
      current = table;
      loaded = 0;
    }
    waiting.push(line);
    size += line.length;
    if (size >= batchBytes || waiting.length >= maxBatchRows) await flush();
  }

  return { add, flush };
}

function insertStatement({ name, columns }: KeptTable): string {
  const names = columns.map((column) => quoted(column.name)).join(', ');
  const values = columns.map((column) => `(v.row ->> '${column.name.replaceAll(`'`, `''`)}')::${column.type}`).join(', ');
  return `insert into public.${quoted(name)} (${names}) overriding system value
    select ${values} from unnest($1::text[]) as l (line) cross join lateral (select l.line::jsonb -> 'row' as row offset 0) v`; // `offset 0`: parsed once a row, not once a column
}
