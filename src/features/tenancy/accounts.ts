/** Accounts: made and disabled by the operator on the host, so they are rows and not documents. */
import type { Selectable } from 'kysely';
import { recordByOperator } from '#features/audit/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { violates } from '#platform/database/database.ts';
import type { Tables } from '#platform/database/tables.ts';
import { createRemembered } from '#platform/remembered.ts';

export interface AccountServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

export interface AccountRow {
  readonly id: string;
  readonly identifier: string;
  readonly name: string | null;
  readonly disabled: boolean;
  readonly revision: number;
  readonly createdAt: Date;
}

/** Null when another node made it in the same moment. */
export async function createAccount(services: AccountServices, identifier: string, name: string | null): Promise<string | null> {
  if (!isIdentifier(identifier)) throw refusal('request.invalid', { say: `\`${identifier}\` is not an identifier` });
  const id = services.randomness.uid();
  try {
    await services.database.transaction(async (tx) => {
      await tx.insertInto('account').values({ id, identifier, name, revision: 0, disabled: false, created_at: services.clock.now() }).execute();
      await recordByOperator(tx, services, id, { action: 'account.create', resource: { kind: 'account', uid: id, path: identifier } });
    });
    return id;
  } catch (error) {
    if (violates(error, 'account_identifier_key')) return null;
    throw error;
  }
}

export async function listAccounts(database: Database): Promise<AccountRow[]> {
  const rows = await database.read.selectFrom('account').selectAll().orderBy('identifier').limit(10_000).execute();
  return rows.map(accountOf);
}

export async function findAccount(database: Database, identifier: string): Promise<AccountRow | null> {
  const row = await database.read.selectFrom('account').selectAll().where('identifier', '=', identifier).executeTakeFirst();
  return row === undefined ? null : accountOf(row);
}

function accountOf({ created_at: createdAt, ...row }: Selectable<Tables['account']>): AccountRow {
  return { ...row, createdAt };
}

export async function setAccountDisabled(services: AccountServices, identifier: string, disabled: boolean): Promise<void> {
  const account = await findAccount(services.database, identifier);
  if (account === null) throw refusal('access.not_found', { say: `there is no account \`${identifier}\`` });
  await services.database.transaction(async (tx) => {
    await tx.updateTable('account').set({ disabled }).where('id', '=', account.id).execute();
    const action = disabled ? 'account.disable' : 'account.enable';
    await recordByOperator(tx, services, account.id, { action, resource: { kind: 'account', uid: account.id, path: identifier } });
  });
}

const maxKept = 10_000;

export type AccountDirectory = (identifier: string, admitStranger?: () => Promise<void>) => Promise<{ readonly id: string; readonly identifier: string } | null>;

/** Accounts that are not disabled, by identifier, for the front door; as the database knew them less than a second ago. */
export function accountDirectory({ database, clock }: Pick<AccountServices, 'database' | 'clock'>): AccountDirectory {
  const remembered = createRemembered<{ readonly id: string; readonly identifier: string }>({
    clock, maxKept,
    async ask(identifiers) {
      const rows = await database.read.selectFrom('account').select(['id', 'identifier']).where('identifier', 'in', identifiers).where('disabled', '=', false).execute();
      return new Map(rows.map((row) => [row.identifier, row]));
    },
  });
  return (identifier, admitStranger) => (isIdentifier(identifier) ? remembered.find(identifier, admitStranger) : Promise.resolve(null));
}
