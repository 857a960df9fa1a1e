/** Opens the host's part of the product: database, migrations, root key, keyring. Used by `serve` and the host commands. */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { dirname, join } from 'node:path';
import { mkdir, stat } from 'node:fs/promises';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import type { Database } from '#platform/database/database.ts';
import { asRefusal, openDatabase } from '#platform/database/database.ts';
import type { DatabaseLoss } from '#platform/database/embedded.ts';
import { startEmbedded } from '#platform/database/embedded.ts';
import { migrate } from '#platform/database/migrate.ts';
import { runningLogins } from '#platform/database/running.ts';
import type { Keyring } from '#platform/keyring.ts';
import { loadRootKey, openKeyring } from '#platform/keyring.ts';
import type { Log } from '#platform/log.ts';
import { describeError } from '#platform/log.ts';
import type { Node } from '#platform/nodes.ts';
import { joinNodes } from '#platform/nodes.ts';
import type { DataKey } from '#platform/sealing.ts';

export interface Host {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly rootKey: DataKey;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** For what needs the owner: migrations, backup, restore. */
  readonly ownerLogin: ClientConfig;
  /** This process among those that work on the database. Its heartbeat is for `serve`. */
  readonly node: Node;
  /** Resolves when an embedded database ended without being asked to. */
  readonly lost: Promise<DatabaseLoss>;
  close(): Promise<void>;
}

export interface HostOptions {
  /** A host command may work beside a running server; a server may not. */
  readonly besideServer: boolean;
  readonly progress: (line: string) => void;
  readonly clock?: Clock;
  readonly randomness?: Randomness;
}

export interface Logins {
  readonly owner: ClientConfig;
  readonly application: ClientConfig;
  /** An embedded database started by us: nobody else can be at work in it. */
  readonly alone: boolean;
  readonly lost: Promise<DatabaseLoss>;
  readonly stop: () => Promise<void>;
}

const never = new Promise<never>(() => undefined);

export async function openHost(config: Config, log: Log, options: HostOptions): Promise<Host> {
  const clock = options.clock ?? systemClock;
  const randomness = options.randomness ?? systemRandomness;
  const logins = await openLogins(config, log, options);
  let database: Database | undefined;
  let closing = false;
  try {
    await migrate(logins.owner, { progress: options.progress }).catch((error: unknown) => {
      throw asRefusal(error);
    });
    database = await openDatabase({
      login: logins.application,
      maxConnections: config.maxConnections,
      // At the end the embedded database may be gone before a connection that was given up is closed.
      onError: (error) => closing || log.warn({ error: describeError(error) }, 'a database connection was lost'),
    });
    const rootKey = await openRootKey(config, logins.owner, randomness);
    const node = await joinNodes(database, { randomness, alone: logins.alone });
    const keyring = await openKeyring({ database, rootKey, clock, randomness });
    const opened = database;
    return {
      database, keyring, rootKey, clock, randomness, node, ownerLogin: logins.owner, lost: logins.lost,
      async close() {
        closing = true;
        await node.leave().catch(() => {}); // the database may be gone; then the row says so by its age
        await opened.close();
        await logins.stop();
      },
    };
  } catch (error) {
    closing = true;
    await database?.close();
    await logins.stop();
    throw error;
  }
}

/** Starts the embedded database, or finds the running one of a server beside us, or names the external one. */
export async function openLogins(config: Config, log: Log, options: Pick<HostOptions, 'besideServer' | 'progress'>): Promise<Logins> {
  if (config.databaseUrl !== undefined) {
    const login = { connectionString: config.databaseUrl };
    return { owner: login, application: login, alone: false, lost: never, stop: async () => undefined };
  }
  try {
    options.progress('starting the embedded database');
    const embedded = await startEmbedded({ dataDirectory: config.data, log: (line) => log.debug({ line }, 'postgres') });
    return { owner: { ...embedded.owner }, application: { ...embedded.application }, alone: true, lost: embedded.lost, stop: () => embedded.stop() };
  } catch (error) {
    if (!options.besideServer || !(error instanceof Refusal) || error.code !== 'host.in_use') throw error;
    const running = await runningLogins(config.data);
    return { owner: { ...running.owner }, application: { ...running.application }, alone: false, lost: never, stop: async () => undefined };
  }
}

/** Made only where no data was ever sealed: otherwise a missing key is a missing key. */
async function openRootKey(config: Config, login: ClientConfig, randomness: Randomness): Promise<DataKey> {
  const client = new Client(login);
  await client.connect();
  try {
    const { rows } = await client.query<{ fresh: boolean }>('select not exists (select 1 from root_key) as fresh');
    await mkdir(dirname(config.rootKeyFile), { recursive: true, mode: 0o700 });
    return await loadRootKey(config.rootKeyFile, { create: rows[0]!.fresh, randomness });
  } finally {
    await client.end();
  }
}

/** For commands on data that exists: a mistyped `--data` must not become a new, empty database. */
export async function refuseNothingThere(config: Config): Promise<void> {
  if (config.databaseUrl !== undefined || (await isThere(join(config.data, 'postgres')))) return;
  throw refusal('config.invalid', { say: `\`${config.data}\` holds no data; name the data directory by \`--data\`` });
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}
