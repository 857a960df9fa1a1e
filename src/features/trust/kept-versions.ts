/** What mappings said when sessions met them. */
import type { Reader } from '#platform/database/database.ts';

interface Version {
  readonly uid: string;
  readonly version: number;
}

/** Documents by `uid version`; of versions no session met there is none. */
export async function findVersions(reader: Reader, accountId: string, wanted: readonly Version[]): Promise<Map<string, unknown>> {
  if (wanted.length === 0) return new Map();
  const rows = await reader.selectFrom('mapping_version').select(['mapping_uid', 'version', 'spec']).where('account_id', '=', accountId)
    .where('mapping_uid', 'in', distinct(wanted.map(({ uid }) => uid))).where('version', 'in', distinct(wanted.map(({ version }) => version))).execute();
  return new Map(rows.map((row) => [`${row.mapping_uid} ${row.version}`, row.spec]));
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
