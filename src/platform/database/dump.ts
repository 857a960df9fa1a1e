/** Writes a backup: everything the database keeps, as it was at one moment, beside running servers. */
import { link, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { assert, refusal } from '#kernel/errors.ts';
import type { Clock, Randomness } from '../clock.ts';
import type { DataKey } from '../sealing.ts';
import { asRefusal } from './database.ts';
import { syncDirectory } from './data-directory.ts';
import { createDumpSum } from './dump-format.ts';
import type { DumpHeader, DumpSum } from './dump-format.ts';
import { exactText, keptTables, quoted } from './kept-tables.ts';
import type { KeptTable } from './kept-tables.ts';

export interface DumpOptions {
  /** May read every table. */
  readonly login: ClientConfig;
  readonly rootKey: DataKey;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly progress: (line: string) => void;
}

export interface DumpResult {
  readonly rows: number;
  readonly tables: number;
  /** Of the file, compressed. */
  readonly bytes: number;
}

const batchBytes = 4 * 1024 * 1024;
const maxBatchRows = 5_000;
const progressRows = 50_000;

/**
 * Writes a new file of mode 0600 (`dump-format.ts`), which is there as a whole or not at all.
 * Refuses with `host.backup` when the file exists or cannot be written, with `keys.wrong_root` when the key does not fit.
 */
export async function writeDump(path: string, options: DumpOptions): Promise<DumpResult> {
  if (await lstat(path).then(() => true, () => false)) throw exists(path);
  const aside = `${path}.${options.randomness.uid()}.part`;
  const sum = createDumpSum(options.rootKey);
  const client = new Client(options.login);
  client.on('error', () => {}); // the query under way fails with it
  try {
    await client.connect();
    const file = await open(aside, 'wx', 0o600);
    try {
      await pipeline(dumpLines(client, sum, options), createGzip(), (compressed: AsyncIterable<Buffer>) => file.writeFile(compressed));
      await file.sync();
      const { size } = await file.stat();
      await link(aside, path);
      await syncDirectory(dirname(path));
      return { rows: [...sum.rows.values()].reduce((a, b) => a + b, 0), tables: sum.rows.size, bytes: size };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileRefusal(path, error);
  } finally {
    await client.end();
    await rm(aside, { force: true });
  }
}

/** Lines of the file, some at a time, read from one snapshot. */
async function* dumpLines(client: Client, sum: DumpSum, options: DumpOptions): AsyncGenerator<string> {
  await client.query('begin isolation level repeatable read read only');
  await client.query(exactText);
  const tables = await keptTables(client);
  const header: DumpHeader = {
    sallyport: 'backup', format: 1, at: options.clock.now().toISOString(), rootKey: options.rootKey.id,
    migrations: (await client.query<{ name: string; sha256: string }>('select name, sha256 from migration order by name')).rows,
    tables: tables.map(({ name, columns }) => ({ name, columns: columns.map((column) => column.name) })),
  };
  const first = JSON.stringify(header);
  sum.line(first);
  yield `${first}\n`;
  for (const table of tables) yield* rowLines(client, table, sum, options.progress);
  yield `${sum.endLine()}\n`;
  await client.query('commit');
}

async function* rowLines(client: Client, table: KeptTable, sum: DumpSum, progress: (line: string) => void): AsyncGenerator<string> {
  const { name } = table;
  progress(`backing up ${name}`);
  const values = table.columns.map((column) => `${quoted(column.name)}::text as ${quoted(column.name)}`).join(', ');
  await client.query(`declare dump no scroll cursor for select row_to_json(v)::text as row from (select ${values} from public.${quoted(name)}) v`);
  let written = 0;
  // Rows differ in size by a factor of 10,000; the next batch is sized by the one before.
  for (let batchRows = 50; ; ) {
    const { rows } = await client.query<{ row: string }>(`fetch ${batchRows} from dump`);
    const text = rows.map(({ row }) => rowLine(name, row, sum)).join('');
    if (text !== '') yield text;
    if (rows.length < batchRows) break;
    if (Math.floor((written + rows.length) / progressRows) > Math.floor(written / progressRows)) progress(`backing up ${name}: ${written + rows.length} rows`);
    written += rows.length;
    batchRows = Math.max(1, Math.min(maxBatchRows, 2 * batchRows, Math.floor((batchBytes * rows.length) / text.length)));
  }
  await client.query('close dump');
}

function rowLine(table: string, row: string, sum: DumpSum): string {
  assert(!row.includes('\n'), 'row_to_json writes one line');
  const line = `{"table":${JSON.stringify(table)},"row":${row}}`;
  sum.line(line);
  sum.row(table);
  return `${line}\n`;
}

function asFileRefusal(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'syscall' in error && 'path' in error)) return asRefusal(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EEXIST' ? exists(path) : refusal('host.backup', { say: `\`${path}\` cannot be written (${error.message})`, cause: error });
}

function exists(path: string) {
  return refusal('host.backup', { say: `\`${path}\` exists and is not overwritten; name a new file` });
}
