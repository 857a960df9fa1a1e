/** What a backup holds: the tables as the database itself describes them, those referred to before those that refer. */
import type { Client } from 'pg';
import { assert } from '#kernel/errors.ts';

export interface KeptTable {
  readonly name: string;
  /** Columns that hold values of their own, in the order of the table. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/**
 * Worth nothing in another place or time: counters of a minute, servers that run, tokens on their way to a runner, and what
 * `migrate` writes itself.
 */
const leftOut = ['rate_bucket', 'node', 'attempt_delivery', 'migration'];

/** The tables of a backup, in an order in which their rows can be inserted. */
export async function keptTables(client: Client): Promise<KeptTable[]> {
  const { rows } = await client.query<{ name: string; columns: KeptTable['columns'] }>(
    `select c.relname as name,
            json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum) as columns
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and c.relname <> all($1)
     group by c.relname order by c.relname`,
    [leftOut],
  );
  const { rows: keys } = await client.query<{ from: string; to: string }>(
    `select distinct f.relname as from, t.relname as to
     from pg_constraint k join pg_class f on f.oid = k.conrelid join pg_class t on t.oid = k.confrelid
     where k.contype = 'f' and f.relnamespace = 'public'::regnamespace and not f.relispartition`,
  );
  return inOrder(rows, keys);
}

/** By name where foreign keys leave a choice. A cycle could not be loaded row after row. */
export function inOrder<T extends { readonly name: string }>(tables: readonly T[], keys: readonly { from: string; to: string }[]): T[] {
  const ordered: T[] = [];
  let waiting = tables.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  while (waiting.length > 0) {
    const blocked = new Set(keys.filter(({ to }) => waiting.some(({ name }) => name === to)).map(({ from }) => from));
    const free = waiting.filter(({ name }) => !blocked.has(name));
    assert(free.length > 0, `foreign keys form a cycle among ${waiting.map(({ name }) => name).join(', ')}`);
    ordered.push(...free);
    waiting = waiting.filter((table) => blocked.has(table.name));
  }
  return ordered;
}

/** Values become text the same way wherever a backup is made and loaded. */
export const exactText = `set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';
  set local extra_float_digits = 1; set local bytea_output = 'hex'; set local statement_timeout = 0`;

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
