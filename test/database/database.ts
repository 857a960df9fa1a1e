import { readFileSync } from 'node:fs';
import type { PgLogin } from '#platform/database/embedded.ts';
import { atEnd } from '../endings.ts';
import { makeBlank, takeCopy } from './ready-copies.ts';
import { asOwner, loginsVariable, startTestServer } from './server.ts';
import type { ServerLogins, TestServer } from './server.ts';

/** A migrated, empty database that nobody else uses. */
export interface TestDatabase {
  /** Its name. */
  readonly database: string;
  readonly owner: PgLogin;
  readonly application: PgLogin;
  /** The same as URLs, as `--database-url` takes them. */
  readonly ownerUrl: string;
  readonly applicationUrl: string;
  /** Ends its connections and removes it. Without it, it stays until the end of the run. */
  drop(): Promise<void>;
}

let ownServer: Promise<TestServer> | undefined;

/** A database of its own for the caller, on the one server of the run; `migrated: false` gives one without any table. */
export async function testDatabase({ migrated = true }: { readonly migrated?: boolean } = {}): Promise<TestDatabase> {
  const server = await serverLogins();
  const database = await asOwner(server.owner, migrated ? takeCopy : makeBlank);
  const owner = { ...server.owner, database };
  const application = { ...server.application, database };
  return {
    database,
    owner,
    application,
    ownerUrl: urlOf(owner),
    applicationUrl: urlOf(application),
    drop: () => asOwner(server.owner, async (client) => void (await client.query(`drop database if exists ${database} with (force)`))),
  };
}

async function serverLogins(): Promise<ServerLogins> {
  const path = process.env[loginsVariable];
  if (path !== undefined) return JSON.parse(readFileSync(path, 'utf8')) as ServerLogins;
  return (ownServer ??= startOwnServer());
}

/** Outside a run, as in `node --test file`, the first database starts a server for this process alone. */
async function startOwnServer(): Promise<TestServer> {
  const server = await startTestServer();
  atEnd(() => server.stop());
  return server;
}

function urlOf({ host, port, user, password, database }: PgLogin): string {
  const query = new URLSearchParams({ host, port: String(port) });
  return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@/${database}?${query}`;
}
