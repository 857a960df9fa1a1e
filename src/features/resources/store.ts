/** The one table of resources. Stored specs carry a version and are lifted by pure upgraders when read. */
import { refusal } from '#kernel/errors.ts';
import type { AnyKind, Kinds } from '#kernel/kind.ts';
import type { Entry } from '#kernel/world.ts';
import type { Reader, Tx } from '#platform/database/database.ts';
import type { Document, StoredResource } from './schema.ts';

/** A row as JSON; also what `access_change` carries to other nodes. */
export interface ResourceRow {
  readonly account_id: string;
  readonly uid: string;
  readonly kind: string;
  readonly scope_uid: string;
  readonly scope: string;
  readonly identifier: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: object;
  readonly spec: object;
  readonly spec_version: number;
  readonly refs: object;
  readonly version: number;
  readonly applied_set: string | null;
  readonly created_at: Date | string;
  readonly created_by: string;
  readonly updated_at: Date | string;
  readonly updated_by: string;
}

/** The spec as this release has it, whichever release stored it. Refuses what a newer one wrote: half understood is wrong. */
export function readRow(kinds: Kinds, row: ResourceRow): StoredResource {
  const kind = kindOf(kinds, row.kind);
  return {
    accountId: row.account_id,
    uid: row.uid,
    kind: row.kind,
    scope: row.scope,
    identifier: row.identifier,
    name: row.name,
    description: row.description,
    tags: row.tags as Record<string, string>,
    spec: upgraded(kind, row.spec, row.spec_version),
    refs: row.refs as Record<string, string>,
    version: row.version,
    appliedSet: row.applied_set,
    createdAt: new Date(row.created_at),
    createdBy: row.created_by,
    updatedAt: new Date(row.updated_at),
    updatedBy: row.updated_by,
  };
}

function upgraded(kind: AnyKind, spec: unknown, version: number): unknown {
  if (version > kind.version) throw tooNew(`the stored \`${kind.name}\` has version ${version}, and ${kind.version} is the newest known here`);
  return (kind.upgraders ?? []).slice(version - 1).reduce((old, lift) => lift(old), spec);
}

function tooNew(because: string): Error {
  return refusal('access.stale', { say: 'this node is of an older release than the one that wrote this; upgrade it', because });
}

function kindOf(kinds: Kinds, name: string): AnyKind {
  const kind = kinds.kinds.get(name);
  if (kind === undefined) throw tooNew(`no kind \`${name}\` is known here`);
  return kind;
}

/** What of a row an entry is made from. */
type EntryRow = Pick<ResourceRow, 'uid' | 'kind' | 'scope' | 'identifier' | 'name' | 'tags' | 'spec' | 'spec_version' | 'refs' | 'version'>;

export function entryOfRow(kinds: Kinds, row: EntryRow): Entry {
  const spec = upgraded(kindOf(kinds, row.kind), row.spec, row.spec_version);
  return entryOf(kinds, { ...row, spec, tags: row.tags as Record<string, string>, refs: row.refs as Record<string, string> });
}

/** What the snapshot holds of a resource. */
export function entryOf(
  kinds: Kinds,
  resource: Omit<Document, 'description'> & { readonly uid: string; readonly refs: Readonly<Record<string, string>>; readonly version: number },
): Entry {
  const kind = kinds.kinds.get(resource.kind)!;
  const { scope, identifier, tags, spec } = resource;
  return {
    uid: resource.uid,
    kind: resource.kind,
    scope,
    identifier,
    name: resource.name,
    version: resource.version,
    tags,
    attributes: Object.fromEntries(Object.entries(kind.attributes ?? {}).map(([name, read]) => [name, read(spec)])),
    facts: kind.facts?.({ scope, identifier, tags, spec, refs: (pointer) => resource.refs[pointer] }),
  };
}

export async function loadByUid(reader: Reader, kinds: Kinds, accountId: string, uids: readonly string[]): Promise<Map<string, StoredResource>> {
  const found = new Map<string, StoredResource>();
  for (let from = 0; from < uids.length; from += 1_000) {
    const rows = await reader.selectFrom('resource').selectAll()
      .where('account_id', '=', accountId).where('uid', 'in', uids.slice(from, from + 1_000)).execute();
    for (const row of rows) found.set(row.uid, readRow(kinds, row));
  }
  return found;
}

export async function findResource(services: { readonly database: { readonly read: Reader }; readonly kinds: Kinds }, accountId: string, uid: string): Promise<StoredResource | null> {
  return (await loadByUid(services.database.read, services.kinds, accountId, [uid])).get(uid) ?? null;
}

export async function referrers(reader: Reader, accountId: string, uids: readonly string[]): Promise<{ fromUid: string; toUid: string }[]> {
  const found: { fromUid: string; toUid: string }[] = [];
  for (let from = 0; from < uids.length; from += 1_000) {
    const rows = await reader.selectFrom('resource_ref').select(['from_uid', 'to_uid'])
      .where('account_id', '=', accountId).where('to_uid', 'in', uids.slice(from, from + 1_000)).execute();
    for (const row of rows) found.push({ fromUid: row.from_uid, toUid: row.to_uid });
  }
  return found;
}

export async function retiredIdentifiers(reader: Reader, accountId: string, wanted: readonly Document[]): Promise<Set<string>> {
  if (wanted.length === 0) return new Set();
  const rows = await reader.selectFrom('retired_identifier').select(['kind', 'scope', 'identifier'])
    .where('account_id', '=', accountId).where('identifier', 'in', wanted.map((document) => document.identifier)).execute();
  return new Set(rows.map((row) => `${row.kind} ${row.scope} ${row.identifier}`));
}

export async function uidsOfSet(reader: Reader, accountId: string, set: string): Promise<string[]> {
  const rows = await reader.selectFrom('resource').select('uid').where('account_id', '=', accountId).where('applied_set', '=', set).execute();
  return rows.map((row) => row.uid);
}

export async function saveRows(tx: Tx, rows: readonly ResourceRow[]): Promise<void> {
  for (let from = 0; from < rows.length; from += 200) {
    const some = rows.slice(from, from + 200);
    await tx.insertInto('resource')
      .values(some.map((row) => ({
        ...row,
        created_at: new Date(row.created_at), updated_at: new Date(row.updated_at),
        tags: JSON.stringify(row.tags), spec: JSON.stringify(row.spec), refs: JSON.stringify(row.refs),
      })))
      .onConflict((conflict) => conflict.columns(['account_id', 'uid']).doUpdateSet((e) => ({
        name: e.ref('excluded.name'), description: e.ref('excluded.description'), tags: e.ref('excluded.tags'),
        spec: e.ref('excluded.spec'), spec_version: e.ref('excluded.spec_version'), refs: e.ref('excluded.refs'),
        version: e.ref('excluded.version'), applied_set: e.ref('excluded.applied_set'),
        updated_at: e.ref('excluded.updated_at'), updated_by: e.ref('excluded.updated_by'),
      })))
      .execute();
    await tx.deleteFrom('resource_ref').where('account_id', '=', some[0]!.account_id).where('from_uid', 'in', some.map((row) => row.uid)).execute();
    const refs = some.flatMap((row) =>
      Object.entries(row.refs as Record<string, string>)
        .filter(([, to]) => isUuid(to))
        .map(([pointer, to]) => ({ account_id: row.account_id, from_uid: row.uid, pointer, to_uid: to })),
    );
    for (let at = 0; at < refs.length; at += 1_000) await tx.insertInto('resource_ref').values(refs.slice(at, at + 1_000)).execute();
  }
}

export async function deleteRows(tx: Tx, accountId: string, uids: readonly string[]): Promise<void> {
  for (let from = 0; from < uids.length; from += 1_000) {
    await tx.deleteFrom('resource').where('account_id', '=', accountId).where('uid', 'in', uids.slice(from, from + 1_000)).execute();
  }
}

/** Built-ins have words for uids and need no protection. */
function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-/.test(text);
}
