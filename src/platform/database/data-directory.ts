import { chmod, chown, open, readdir, realpath, stat } from 'node:fs/promises';
import { refusal } from '#kernel/errors.ts';
import { makeDirectory } from '#platform/make-directory.ts';

/** PostgreSQL cuts paths at 1023 bytes (MAXPGPATH); this leaves room for its longest file name below the directory. */
const maxPathBytes = 800;

/**
 * Makes the data directory, or takes an existing one, and returns its real path.
 * Only an empty directory, or one that is ours already, is closed to others: `--data /tmp` must not break the host.
 * Root takes an empty one from another user (a fresh volume), but not a used one, which that user could not open again.
 */
export async function takeDataDirectory(directory: string): Promise<string> {
  try {
    await makeDirectory(directory);
    const path = await realpath(directory);
    if (Buffer.byteLength(path) > maxPathBytes) throw unusable(directory, `its path is longer than ${maxPathBytes} bytes`);
    const { mode, uid } = await stat(path);
    const names = (await readdir(path)).filter((name) => name !== 'lost+found'); // the root of a fresh volume
    const ownUid = process.getuid?.() ?? uid;
    if (uid !== ownUid) {
      if (names.length > 0 || ownUid !== 0) throw unusable(directory, `it belongs to the user with uid ${uid}; start as that user`);
      await chown(path, 0, -1);
    }
    if ((mode & 0o067) !== 0) {
      if (names.length > 0 && !names.includes('lock')) {
        throw unusable(directory, 'it holds other files and is open to other users; name a directory of its own');
      }
      await chmod(path, 0o700);
    }
    return path;
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw unusable(directory, cause.message, cause);
  }
}

/** Closes the directory to everybody but us, and lets one other group pass through it if PostgreSQL needs that. */
export async function closeDataDirectory(path: string, passage: { readonly gid: number } | undefined): Promise<void> {
  if (passage !== undefined) await chown(path, -1, passage.gid);
  await chmod(path, passage === undefined ? 0o700 : 0o710);
}

/** Makes names in the directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unusable(directory: string, why: string, cause?: unknown) {
  return refusal('host.database', { say: `the data directory \`${directory}\` cannot be used: ${why}`, cause });
}
