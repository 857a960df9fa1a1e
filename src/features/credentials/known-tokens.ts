/** The credentials of tokens in use, by the hash of the token: a busy caller costs no read of its own. */
import { hash } from 'node:crypto';
import type { Presented } from '#kernel/manifest.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { createRemembered } from '#platform/remembered.ts';
import type { Credential } from './store.ts';
import { accountsWithBootstrap, findUnrevoked } from './store.ts';

const maxKept = 20_000;

export interface KnownTokens {
  /** Null unless there is such a token and it is not revoked; it may have expired. */
  find(presented: Presented): Promise<Credential | null>;
  /** Whether a bootstrap token of the account may live: where none does, text that is no token of ours costs no look. */
  hasBootstrap(presented: Presented): Promise<boolean>;
  /** Asks about every token again: for after a revocation. */
  doubt(): void;
}

export function createKnownTokens({ database, clock }: { readonly database: Database; readonly clock: Clock }): KnownTokens {
  const remembered = createRemembered<Credential>({
    clock, maxKept,
    async ask(keys) {
      const rows = await findUnrevoked(database.read, keys.map(wantedBy));
      return new Map(rows.map((row) => [keyOf(row.credential.accountId, row.hash.toString('base64')), row.credential]));
    },
  });
  const bootstraps = createRemembered<boolean>({
    clock, maxKept,
    async ask(accountIds) {
      const living = new Set(await accountsWithBootstrap(database.read, accountIds, clock.now()));
      return new Map(accountIds.map((id) => [id, living.has(id)]));
    },
  });
  return {
    hasBootstrap: async ({ accountId, admitStranger }) => (await bootstraps.find(accountId, admitStranger)) === true,
    find: ({ accountId, token, admitStranger }) => remembered.find(keyOf(accountId, hash('sha256', token, 'base64')), admitStranger),
    doubt: () => remembered.doubt(),
  };
}

function keyOf(accountId: string, tokenHash: string): string {
  return `${accountId} ${tokenHash}`;
}

function wantedBy(key: string): { accountId: string; hash: Buffer } {
  const [accountId, tokenHash] = key.split(' ');
  return { accountId: accountId!, hash: Buffer.from(tokenHash!, 'base64') };
}
