/** Reads a backup line by line and refuses it with `host.backup` at the first thing that is not as it was written. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { refusal } from '#kernel/errors.ts';
import type { DataKey } from '../sealing.ts';
import { createDumpSum, readHeader, tableOf, unusable } from './dump-format.ts';
import type { DumpHeader } from './dump-format.ts';

export interface DumpRow {
  readonly table: string;
  /** The whole line: `{"table":…,"row":…}`. */
  readonly line: string;
}

const maxLineBytes = 256 * 1024 * 1024;

/**
 * Yields the rows in the order of the file; they count only once the generator has ended without a refusal.
 * `onHeader` is called before the first row and may refuse.
 */
export async function* readDump(path: string, rootKey: DataKey, onHeader: (header: DumpHeader) => void): AsyncGenerator<DumpRow> {
  const sum = createDumpSum(rootKey);
  let header: DumpHeader | undefined;
  let ended = false;
  for await (const bytes of lines(path)) {
    if (ended) throw unusable('there is something after its last line');
    const line = bytes.toString('utf8');
    if (header === undefined) {
      header = readHeader(line);
      if (header.rootKey !== rootKey.id) throw otherKey(header, rootKey);
      onHeader(header);
      sum.line(bytes);
      continue;
    }
    const table = tableOf(line);
    if (table === undefined) {
      sum.check(line);
      ended = true;
    } else {
      if (!header.tables.some(({ name }) => name === table)) throw unusable(`its first line does not name the table \`${table}\``);
      sum.line(bytes);
      sum.row(table);
      yield { table, line };
    }
  }
  if (!ended) throw unusable('its last line is missing: it was cut off');
}

/** Reads the whole file without using it. Returns its first line and how many rows each table has. */
export async function checkDump(path: string, rootKey: DataKey): Promise<{ header: DumpHeader; rows: ReadonlyMap<string, number> }> {
  const seen: DumpHeader[] = [];
  const rows = new Map<string, number>();
  for await (const { table } of readDump(path, rootKey, (header) => void seen.push(header))) rows.set(table, (rows.get(table) ?? 0) + 1);
  return { header: seen[0]!, rows };
}

/** Split at line feeds only: JSON text may hold other characters that some call the end of a line. */
async function* lines(path: string): AsyncGenerator<Buffer> {
  const stream = pipeline(createReadStream(path), createGunzip(), () => {}); // an error also ends the iteration below
  let parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        yield Buffer.concat([...parts, chunk.subarray(from, at)]);
        parts = [];
        size = 0;
        from = at + 1;
      }
      parts.push(chunk.subarray(from));
      size += chunk.length - from;
      if (size > maxLineBytes) throw unusable(`a line has more than ${maxLineBytes} bytes`);
    }
  } catch (error) {
    throw readFault(path, error);
  }
  if (size > 0) throw unusable('its last line is missing: it was cut off');
}

function readFault(path: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall !== undefined) return refusal('host.backup', { say: `\`${path}\` cannot be read (${(error as Error).message})`, cause: error });
  if (code === 'Z_BUF_ERROR') return unusable('it was cut off', error);
  return code?.startsWith('Z_') ? unusable('it was altered, or is no backup', error) : error;
}

function otherKey(header: DumpHeader, rootKey: DataKey) {
  return refusal('keys.wrong_root', {
    say: `the data of this backup was sealed with the root key \`${header.rootKey}\`, not with \`${rootKey.id}\`; a backup never holds the key: name the file of the right one by \`--root-key-file\``,
  });
}
