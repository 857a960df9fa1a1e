/** Logins of an embedded database that a server on this host is running now: for host commands beside it. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal } from '#kernel/errors.ts';
import type { PgLogin } from './embedded.ts';
import { applicationRole, databaseName, ownerRole, readLogins } from './logins.ts';
import { socketDirectory, socketPort } from './socket-directory.ts';

export async function runningLogins(dataDirectory: string): Promise<{ readonly owner: PgLogin; readonly application: PgLogin }> {
  const directory = await realpath(dataDirectory);
  const logins = await readLogins(join(directory, 'postgres.json'));
  if (logins === undefined) throw refusal('host.database', { say: `\`${directory}\` holds no database` });
  const place = { host: socketDirectory(directory), port: socketPort, database: databaseName };
  return {
    owner: { ...place, user: ownerRole, password: logins.ownerPassword },
    application: { ...place, user: applicationRole, password: logins.applicationPassword },
  };
}
