import { join } from 'node:path';
import { findBinaries } from './binaries.ts';
import { ensureCluster } from './cluster.ts';
import { closeDataDirectory, takeDataDirectory } from './data-directory.ts';
import { lockForProcesses, lockForServer } from './directory-lock.ts';
import { endOrphan, refuseUnlockedPostmaster } from './leftover.ts';
import { applicationRole, databaseName, ownerRole } from './logins.ts';
import { startPostmaster } from './postmaster.ts';
import type { DatabaseLoss } from './postmaster.ts';
import { makeSocketDirectory, removeSocketDirectory, socketDirectory, socketPort } from './socket-directory.ts';
import { findWay } from './unprivileged.ts';

export type { DatabaseLoss } from './postmaster.ts';

/** What a `pg` client needs; `host` is the directory of a unix socket. */
export interface PgLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface EmbeddedDatabase {
  /** Superuser of the cluster, for migrations. */
  readonly owner: PgLogin;
  /** No superuser, no databases, roles, replication or DDL. Its rights on tables are granted by the migrations. */
  readonly application: PgLogin;
  /** Resolves when the database server ended without `stop()`. */
  readonly lost: Promise<DatabaseLoss>;
  /** Shuts down fast (open transactions are rolled back) and gives the directory free. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Holds `lock`, `postgres.lock`, `postgres.json` (passwords, 0600) and `postgres` (the cluster); made if absent. */
  readonly dataDirectory: string;
  /** Gets every line PostgreSQL logs. */
  readonly log?: (line: string) => void;
  /** More PostgreSQL settings. Those that keep the server closed cannot be changed. */
  readonly settings?: Readonly<Record<string, string>>;
  /** False never tries a user namespace, even where the host allows them. */
  readonly allowUserNamespaces?: boolean;
  /** How long to wait for PostgreSQL processes that a killed server left behind. */
  readonly leftoverPatienceMs?: number;
}

/**
 * Starts PostgreSQL on a data directory, as a child that ends with this process; makes the cluster if there is none.
 * Call it on the main thread. Refuses with `host.in_use` or `host.database`.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { settings = {}, log = () => {}, allowUserNamespaces = true, leftoverPatienceMs = 60_000 } = options;
  const binaries = findBinaries();
  const dataDirectory = await takeDataDirectory(options.dataDirectory);
  const socket = socketDirectory(dataDirectory);
  const serverLock = lockForServer(dataDirectory);
  try {
    const way = await findWay(binaries, allowUserNamespaces);
    const processLock = await lockForProcesses(dataDirectory, {
      onBusy: () => endOrphan(dataDirectory),
      patienceMs: leftoverPatienceMs,
    });
    try {
      refuseUnlockedPostmaster(dataDirectory);
      await closeDataDirectory(dataDirectory, way.foreign ? way.owner : undefined);
      const lockFd = processLock.fd;
      const durable = settings['fsync'] !== 'off';
      const logins = await ensureCluster({ dataDirectory, binaries, way, lockFd, durable });
      await makeSocketDirectory(socket, way);
      const cluster = join(dataDirectory, 'postgres');
      const { postgres } = binaries;
      const postmaster = await startPostmaster({ postgres, way, cluster, socketDirectory: socket, settings, lockFd, log });
      const place = { host: socket, port: socketPort, database: databaseName };
      return {
        owner: { ...place, user: ownerRole, password: logins.ownerPassword },
        application: { ...place, user: applicationRole, password: logins.applicationPassword },
        lost: postmaster.lost,
        stop: once(async () => {
          await postmaster.stop();
          await removeSocketDirectory(socket).finally(() => serverLock.release());
        }),
      };
    } finally {
      processLock.release(); // from here on only the processes hold it
    }
  } catch (error) {
    serverLock.release();
    throw error;
  }
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= action());
}
