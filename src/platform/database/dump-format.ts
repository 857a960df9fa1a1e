/**
 * The file a backup is: gzip of JSON lines, format 1.
 *
 *     {"sallyport":"backup","format":1,"at":…,"rootKey":…,"migrations":[…],"tables":[…]}
 *     {"table":"account","row":{"id":"…",…}}            every value as PostgreSQL's text of it, or null
 *     …
 *     {"end":1,"rows":{"account":1,…},"sha256":"…","mac":"…"}
 *
 * The digest is over every byte before the last line, so a cut or altered file is found. The MAC over the digest is keyed
 * with the root key, so a file written by somebody without it is found too. Values are text, because JSON would lose the
 * difference between an SQL null and a JSON null, and numbers beyond 2^53.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { DataKey } from '../sealing.ts';

const name = z.string().min(1).max(200);
const hash = z.string().regex(/^[0-9a-f]{64}$/);

const dumpHeader = z.strictObject({
  sallyport: z.literal('backup'),
  format: z.literal(1),
  at: z.iso.datetime(),
  /** Id of the root key the data was sealed with; the key itself is never in a backup. */
  rootKey: z.uuid(),
  migrations: z.array(z.strictObject({ name, sha256: hash })).min(1).max(10_000),
  tables: z.array(z.strictObject({ name, columns: z.array(name).max(1_600) })).max(10_000),
});
export type DumpHeader = z.infer<typeof dumpHeader>;

const dumpEnd = z.strictObject({ end: z.literal(1), rows: z.record(name, z.number().int().min(0)), sha256: hash, mac: hash });

/** Adds up a dump while it is written or read. */
export interface DumpSum {
  /** A line before the last, without its line feed. */
  line(bytes: string | Uint8Array): void;
  row(table: string): void;
  readonly rows: ReadonlyMap<string, number>;
  endLine(): string;
  /** Refuses unless this is the last line that belongs to what was added. */
  check(endLine: string): void;
}

export function createDumpSum(rootKey: DataKey): DumpSum {
  const sum = createHash('sha256');
  const rows = new Map<string, number>();
  const macKey = createHmac('sha256', rootKey.bytes).update('sallyport backup').digest();
  const seal = () => {
    const sha256 = sum.copy().digest('hex');
    return { sha256, mac: createHmac('sha256', macKey).update(sha256).digest('hex') };
  };
  return {
    rows,
    line: (bytes) => void sum.update(bytes).update('\n'),
    row: (table) => void rows.set(table, (rows.get(table) ?? 0) + 1),
    endLine: () => JSON.stringify({ end: 1, rows: Object.fromEntries(rows), ...seal() }),
    check(endLine) {
      const end = parseWith(dumpEnd, endLine, 'it was cut off or altered');
      const fresh = seal();
      const counted = Object.entries(end.rows).every(([table, count]) => rows.get(table) === count) && Object.keys(end.rows).length === rows.size;
      if (end.sha256 !== fresh.sha256 || !counted) throw unusable('it was altered, or not read as it was written');
      if (!timingSafeEqual(Buffer.from(end.mac), Buffer.from(fresh.mac))) throw unusable('it was not written by a holder of the root key');
    },
  };
}

export function readHeader(line: string): DumpHeader {
  const any = parseWith(z.looseObject({ sallyport: z.literal('backup'), format: z.number() }), line, 'it is not a backup of sallyport');
  if (any.format !== 1) throw unusable(`its format is ${any.format}, and this release reads format 1: restore it with the release that made it`);
  return parseWith(dumpHeader, line, 'its first line is not as it should be');
}

/** The table of a row's line, or undefined for the last line. */
export function tableOf(line: string): string | undefined {
  return /^\{"table":"([^"\\]{1,200})","row":\{/.exec(line)?.[1];
}

export function unusable(why: string, cause?: unknown) {
  return refusal('host.backup', { say: `the backup cannot be used: ${why}`, cause });
}

function parseWith<T>(schema: z.ZodType<T>, line: string, otherwise: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw unusable(otherwise, cause);
  }
}
