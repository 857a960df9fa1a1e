/**
 * `npm run schema` writes `migrations/schema.sql`: what all migrations together make, as statements that make it again in
 * an empty database. It needs a database, so `npm run check` leaves it to `test/database/schema.test.ts`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { startEmbedded } from '#platform/database/embedded.ts';
import { migrate } from '#platform/database/migrate.ts';
import { asOwner } from '../test/database/server.ts';

export const schemaFile = join(fileURLToPath(new URL('..', import.meta.url)), 'migrations/schema.sql');

const head = `-- What the migrations make, all together: derived by \`npm run schema\`, for reading, and never applied.
-- The monthly partitions of audit_event are not here: \`migrate\` makes them, two years ahead.
`;

/** Partitions that depend on the day they are made. */
const monthly = `c.relname ~ '^audit_event_\\d{6}$'`;
const here = `c.relnamespace = 'public'::regnamespace and not ${monthly}`;

/** The schema \`public\` as SQL: one statement a thing, by name. The same for the same schema, whenever it is asked. */
export async function schemaSql(client: Client): Promise<string> {
  const lines = async (query: string): Promise<string[]> => (await client.query<{ line: string }>(query)).rows.map(({ line }) => line);
  await client.query(`set search_path = public, pg_catalog`);
  const sections: readonly (readonly [title: string, statements: readonly string[]])[] = [
    ['Roles', await lines(roles)],
    ['Tables', await tables(client)],
    ['Indexes', await lines(indexes)],
    ['Foreign keys', await lines(foreignKeys)],
    ['Functions', await lines(functions)],
    ['Triggers', await lines(triggers)],
    ['Row policies', [...await lines(rowSecurity), ...await lines(policies)]],
    ['Comments', await lines(comments)],
    ['Grants', [...await lines(schemaGrants), ...await lines(tableGrants)]],
  ];
  const parts = sections.filter(([, statements]) => statements.length > 0).map(([title, statements]) => `-- ${title}\n${statements.join('\n')}\n`);
  return [head, ...parts].join('\n');
}

/** Everybody but the owner who was granted something. */
const roles = `
  select format(e'do $$ begin\\n  if not exists (select from pg_roles where rolname = %L) then create role %I nologin; end if;\\nend $$;', r.rolname, r.rolname) as line
  from pg_roles r where exists (
    select from pg_class c, aclexplode(c.relacl) a where ${here} and a.grantee = r.oid and a.grantee <> c.relowner
  ) order by r.rolname`;

/** Keys and checks stand in the table; partitions follow what they are parts of. */
async function tables(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; constraints: string[]; partitioned: string | null; parent: string | null; bound: string | null }>(`
    select quote_ident(c.relname) as name, pg_get_partkeydef(c.oid) as partitioned, pg_get_expr(c.relpartbound, c.oid) as bound,
      (select quote_ident(p.relname) from pg_inherits i join pg_class p on p.oid = i.inhparent where i.inhrelid = c.oid) as parent,
      array(select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
        || coalesce((select ' collate ' || quote_ident(l.collname) from pg_collation l join pg_type t on t.oid = a.atttypid where l.oid = a.attcollation and a.attcollation <> t.typcollation), '')
        || case when a.attidentity <> '' then ' generated ' || case a.attidentity when 'a' then 'always' else 'by default' end || ' as identity'
                when a.attgenerated <> '' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ')' || case a.attgenerated when 's' then ' stored' else ' virtual' end
                when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid) else '' end
        || case when a.attnotnull then ' not null' else '' end
        from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
      array(select format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)) from pg_constraint k
        where k.conrelid = c.oid and k.contype in ('p', 'u', 'x', 'c') and k.coninhcount = 0 order by k.contype = 'c', k.contype, k.conname) as constraints
    from pg_class c where ${here} and c.relkind in ('r', 'p') order by c.relispartition, c.relname`);
  return rows.map(({ name, columns, constraints, partitioned, parent, bound }) => {
    if (parent !== null) return `create table ${name} partition of ${parent} ${bound};`;
    return `create table ${name} (\n  ${[...columns, ...constraints].join(',\n  ')}\n)${partitioned === null ? '' : ` partition by ${partitioned}`};`;
  });
}

/** Those that no constraint and no partitioned index makes. */
const indexes = `
  select replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') || ';' as line
  from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
  where ${here} and not x.relispartition and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  order by c.relname, x.relname`;

const foreignKeys = `
  select format('alter table %I add constraint %I %s;', c.relname, k.conname, pg_get_constraintdef(k.oid)) as line
  from pg_constraint k join pg_class c on c.oid = k.conrelid
  where ${here} and k.contype = 'f' and k.conparentid = 0 order by c.relname, k.conname`;

const functions = `
  select trim(e'\\n ' from pg_get_functiondef(p.oid)) || ';' as line
  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p') order by p.oid::regprocedure::text`;

const triggers = `
  select pg_get_triggerdef(t.oid) || ';' as line from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where ${here} and not t.tgisinternal and t.tgparentid = 0 order by c.relname, t.tgname`;

const rowSecurity = `
  select format('alter table %I %s row level security;', c.relname, word) as line
  from pg_class c, lateral (values ('enable', c.relrowsecurity), ('force', c.relforcerowsecurity)) as v(word, is_so)
  where ${here} and is_so order by c.relname, word`;

const policies = `
  select format('create policy %I on %I as %s for %s to %s', p.polname, c.relname, case when p.polpermissive then 'permissive' else 'restrictive' end,
      case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
      (select string_agg(case when r = 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ' order by pg_get_userbyid(r)) from unnest(p.polroles) r))
    || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '') || ';' as line
  from pg_policy p join pg_class c on c.oid = p.polrelid where ${here} order by c.relname, p.polname`;

const comments = `
  select format('comment on %s %s is %L;', case when d.objsubid > 0 then 'column' else 'table' end,
      quote_ident(c.relname) || coalesce('.' || (select quote_ident(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0), ''), d.description) as line
  from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
  where ${here} and c.relkind in ('r', 'p') order by c.relname, d.objsubid`;

const schemaGrants = `
  select format('grant %s on schema public to %I;', string_agg(lower(a.privilege_type), ', ' order by a.privilege_type), r.rolname) as line
  from pg_namespace n, aclexplode(n.nspacl) a join pg_roles r on r.oid = a.grantee
  where n.nspname = 'public' and a.grantee <> n.nspowner group by r.rolname order by r.rolname`;

/** One statement for all tables with the same rights. */
const tableGrants = `
  select format(e'grant %s on\\n  %s\\n  to %I;', rights, string_agg(quote_ident(relname), e',\\n  ' order by relname), rolname) as line
  from (
    select c.relname, r.rolname, string_agg(lower(a.privilege_type), ', ' order by a.privilege_type) as rights
    from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
    where ${here} and c.relkind in ('r', 'p') and a.grantee <> c.relowner group by c.relname, r.rolname
  ) as granted group by rolname, rights order by rolname, rights`;

if (import.meta.main) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-schema-'));
  const server = await startEmbedded({ dataDirectory: join(directory, 'data') });
  try {
    await migrate(server.owner);
    writeFileSync(schemaFile, await asOwner(server.owner, schemaSql));
    console.log('derived migrations/schema.sql');
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
