/**
 * Reads the world of an account page by page, in one transaction that sees one revision. No result holds more than a page,
 * however large the account is, and requests of others are answered between pages.
 */
import type { Kinds } from '#kernel/kind.ts';
import { World } from '#kernel/world.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { entryOfRow } from './store.ts';

const rowsPerPage = 5_000;
const entryColumns = ['uid', 'kind', 'scope', 'identifier', 'name', 'tags', 'spec', 'spec_version', 'refs', 'version'] as const;

/** `shelve` is called before the first entry, so that kinds that are many never are objects. */
export async function loadWorld(
  { database, kinds, shelve }: { readonly database: Database; readonly kinds: Kinds; readonly shelve: (world: World) => void },
  accountId: string,
): Promise<World> {
  return database.transaction(async (tx) => {
    const { revision } = await tx.selectFrom('account').select('revision').where('id', '=', accountId).executeTakeFirstOrThrow();
    const world = new World(accountId, revision);
    shelve(world);
    for (let last: string | null = null, isMore = true; isMore;) {
      const rows = await page(tx, accountId, last);
      for (const row of rows) world.load(entryOfRow(kinds, row));
      isMore = rows.length === rowsPerPage;
      last = rows.at(-1)?.uid ?? null;
    }
    return world;
  }, { isolation: 'repeatable read' });
}

function page(tx: Tx, accountId: string, after: string | null) {
  const rows = tx.selectFrom('resource').select(entryColumns).where('account_id', '=', accountId).orderBy('uid').limit(rowsPerPage);
  return (after === null ? rows : rows.where('uid', '>', after)).execute();
}
