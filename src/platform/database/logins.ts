import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';

const password = z.string().regex(/^[A-Za-z0-9_-]{32,64}$/);

/** What `postgres.json` holds: the passwords of the two roles of the embedded cluster. */
const Logins = z.strictObject({ version: z.literal(1), ownerPassword: password, applicationPassword: password });

export type Logins = z.infer<typeof Logins>;

export const ownerRole = 'sallyport';
export const applicationRole = 'sallyport_app';
export const databaseName = 'sallyport';

/** Reads the passwords, or undefined if there is no such file. */
export async function readLogins(path: string): Promise<Logins | undefined> {
  let text: string;
  try {
    await chmod(path, 0o600); // a restored backup may have forgotten it
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw refusal('host.database', { say: `\`${path}\` cannot be read: make it readable for this user`, cause });
  }
  try {
    return Logins.parse(JSON.parse(text));
  } catch {
    // No cause: a JSON error quotes what it could not read.
    throw refusal('host.database', { say: `\`${path}\` does not hold the database passwords: restore it from a backup` });
  }
}

/** Draws new passwords and writes them before any cluster knows them, so that a cluster never has unknown ones. */
export async function writeNewLogins(path: string): Promise<Logins> {
  const draw = () => randomBytes(24).toString('base64url');
  const logins: Logins = { version: 1, ownerPassword: draw(), applicationPassword: draw() };
  await writeFile(`${path}.new`, `${JSON.stringify(logins, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  return logins;
}
