import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal } from '#kernel/errors.ts';
import type { Way } from './unprivileged.ts';

export const socketPort = 5432;

/**
 * Where the socket of a data directory lies. The path of a unix socket ends at 107 bytes (103 on Darwin), so it cannot
 * lie in the data directory itself, whose real path gives only the name.
 */
export function socketDirectory(dataDirectory: string): string {
  return `/tmp/sallyport-${createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16)}`;
}

/** Makes the directory for us alone. One that somebody else put there is refused, since its owner could swap the socket. */
export async function makeSocketDirectory(path: string, way: Way): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (cause) {
    const owners = [process.getuid?.(), way.owner.uid];
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined || !found.isDirectory() || !owners.includes(found.uid) || (found.mode & 0o077) !== 0) {
      throw refusal('host.database', {
        say: `\`${path}\` is needed for the socket of the database and cannot be made, or belongs to somebody else: remove it`,
        cause,
      });
    }
    await removeSocket(path);
  }
  if (way.foreign) await chown(path, way.owner.uid, way.owner.gid);
}

export async function removeSocketDirectory(path: string): Promise<void> {
  await removeSocket(path);
  await rmdir(path).catch(() => {}); // an empty directory left behind does no harm
}

/** The socket's lock file names a process id; after a crash that may belong to somebody else by now. */
async function removeSocket(path: string): Promise<void> {
  await rm(join(path, `.s.PGSQL.${socketPort}`), { force: true });
  await rm(join(path, `.s.PGSQL.${socketPort}.lock`), { force: true });
}
