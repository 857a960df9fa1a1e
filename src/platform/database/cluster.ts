import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal } from '#kernel/errors.ts';
import type { Binaries } from './binaries.ts';
import { syncDirectory } from './data-directory.ts';
import { applicationRole, databaseName, ownerRole, readLogins, writeNewLogins } from './logins.ts';
import type { Logins } from './logins.ts';
import { run } from './unprivileged.ts';
import type { Way } from './unprivileged.ts';

export interface ClusterPlace {
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly way: Way;
  /** Held by everything that works in the cluster. */
  readonly lockFd: number;
  /** False only where losing the data in a power cut does not matter. */
  readonly durable: boolean;
}

/**
 * Makes sure that `DIR/postgres` is a whole cluster that these binaries can open, and returns the passwords of its roles.
 * The caller holds the locks, so no process works in it.
 */
export async function ensureCluster(place: ClusterPlace): Promise<Logins> {
  const cluster = join(place.dataDirectory, 'postgres');
  const loginsPath = join(place.dataDirectory, 'postgres.json');
  const known = await readLogins(loginsPath);
  await rm(`${cluster}.new`, { recursive: true, force: true });

  if (await isAbsent(cluster)) {
    const logins = known ?? (await writeNewLogins(loginsPath));
    await makeCluster(place, cluster, logins);
    return logins;
  }
  await check(cluster, place.way.major);
  if (known === undefined) {
    throw refusal('host.database', {
      say: `\`${loginsPath}\`, which holds the passwords of \`${cluster}\`, is missing: restore it from a backup`,
    });
  }
  await giveTo(place.way, cluster);
  // The lock proves it stale; the process id in it may by now belong to somebody else, and PostgreSQL would believe it.
  await rm(join(cluster, 'postmaster.pid'), { force: true });
  return known;
}

/** Everything is made beside its final place, so that the cluster either is there as a whole or not at all. */
async function makeCluster(place: ClusterPlace, cluster: string, logins: Logins): Promise<void> {
  const unfinished = `${cluster}.new`;
  const { binaries, way, lockFd, durable } = place;
  await mkdir(unfinished, { mode: 0o700 });
  if (way.foreign) await chown(unfinished, way.owner.uid, way.owner.gid);

  const make = async (command: readonly string[], input = ''): Promise<void> => {
    const { status, output } = await run(way, command, { input, lockFd });
    if (status === 0) return;
    throw refusal('host.database', {
      say: `PostgreSQL could not make its files in \`${unfinished}\` (${lastLine(output)}): make the place reachable and writable for it, or use \`--database-url\``,
      because: output,
    });
  };

  await make([
    binaries.initdb, '--pgdata', unfinished, '--username', ownerRole, '--auth', 'reject',
    '--encoding', 'UTF8', '--locale', 'C', '--data-checksums', ...(durable ? [] : ['--no-sync']),
  ]);
  await writeFile(join(unfinished, 'pg_hba.conf'), 'local all all scram-sha-256\n', { flush: true });
  // Passwords travel through standard input of a server without connections: never in a file, an argument or a log.
  await make([
    binaries.postgres, '--single', '-j', '-D', unfinished, '-c', 'exit_on_error=on',
    '-c', 'log_min_error_statement=panic', '-c', `fsync=${durable ? 'on' : 'off'}`, 'template1',
  ], roles(logins));

  await syncDirectory(unfinished);
  await rename(unfinished, cluster);
  await syncDirectory(place.dataDirectory);
}

/** Single-user mode ends a command at a semicolon followed by an empty line. */
function roles(logins: Logins): string {
  return [
    `ALTER ROLE ${ownerRole} PASSWORD '${logins.ownerPassword}'`,
    `CREATE ROLE ${applicationRole} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS` +
      ` PASSWORD '${logins.applicationPassword}'`,
    'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    `CREATE DATABASE ${databaseName}`,
    `REVOKE ALL ON DATABASE ${databaseName}, postgres, template1 FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${databaseName} TO ${applicationRole}`,
  ].map((command) => `${command};\n\n`).join('');
}

async function check(cluster: string, major: number): Promise<void> {
  let version: string;
  try {
    version = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).slice(0, 20).trim();
    await stat(join(cluster, 'global', 'pg_control'));
  } catch (cause) {
    throw refusal('host.database', {
      say: `\`${cluster}\` is not a whole PostgreSQL cluster: move it away to start empty, or restore it from a backup`,
      cause,
    });
  }
  if (version !== String(major)) {
    throw refusal('host.database', {
      say: `\`${cluster}\` was made by PostgreSQL ${version}, and this release brings ${major}: dump it with the release that made it (\`sallyport backup\`) and restore the dump into a new data directory with this one (\`sallyport restore\`)`,
    });
  }
}

/** An empty directory counts as absent: a volume may have been prepared, and `rename` replaces it. */
async function isAbsent(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return true;
    throw refusal('host.database', { say: `\`${path}\` cannot be read: make it a directory readable for this user`, cause });
  }
}

/** The way may have changed since the last start. `chown` follows no link and changes the topmost directory last. */
async function giveTo(way: Way, cluster: string): Promise<void> {
  const { uid } = await stat(cluster);
  if (uid === way.owner.uid || process.getuid?.() !== 0) return;
  const { status, output } = await run({ prefix: [] }, ['chown', '-RhP', `${way.owner.uid}:${way.owner.gid}`, cluster]);
  if (status !== 0) {
    throw refusal('host.database', {
      say: `\`${cluster}\` cannot be given to the user PostgreSQL runs as (${lastLine(output)}): run as an ordinary user, or use \`--database-url\``,
      because: output,
    });
  }
}

function lastLine(output: string): string {
  return output.trim().split('\n').filter((line) => line !== '').at(-1) ?? 'no message';
}
