import { globSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrate } from '#platform/database/migrate.ts';
import { startEmbedded } from '#platform/database/embedded.ts';
import type { PgLogin } from '#platform/database/embedded.ts';

/** What a test process must know to make databases on the server of the run. */
export interface ServerLogins {
  readonly owner: PgLogin;
  readonly application: PgLogin;
}

/** Names the file with the logins of the server of the run. */
export const loginsVariable = 'SALLYPORT_TEST_DATABASE_FILE';

export interface TestServer extends ServerLogins {
  stop(): Promise<void>;
}

/** Migrated once; every database of a test is a copy of it. Nobody can connect to it, so copying never waits. */
export const templateName = 'template_sallyport';

/** Nothing here survives the run, so nothing is made durable; and nothing works behind the tests' back. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  checkpoint_timeout: '1h',
  max_wal_size: '4GB',
  max_connections: '200',
};

/** Starts an empty PostgreSQL in a directory of its own, with the migrated template. */
export async function startTestServer(): Promise<TestServer> {
  const place = fastestPlace();
  removeLeftovers(place);
  const directory = mkdtempSync(join(place, `${namePrefix}${process.pid}-`));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    const { owner, application, stop } = await startEmbedded({ dataDirectory: join(directory, 'data'), settings });
    const server = { owner, application, stop: () => stop().finally(remove) };
    try {
      await makeTemplate(owner);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  } catch (error) {
    remove();
    throw error;
  }
}

const namePrefix = 'sallyport-pg-';
const leftoverAgeMs = 3_600_000;

/** A run that was killed could not remove its server's directory; it ended with the run. */
function removeLeftovers(place: string): void {
  for (const path of globSync(join(place, `${namePrefix}*`))) {
    const pid = Number(/-(\d+)-[^-/]*$/.exec(path)?.[1]);
    if (!(pid > 1) || isAlive(pid) || Date.now() - statSync(path).mtimeMs < leftoverAgeMs) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const memoryPlace = '/dev/shm';
const roomBytes = 2 ** 31;

/** In memory where there is room: a database is some 700 files, and copying them takes 20 ms there, on a busy disk 600. */
export function fastestPlace(): string {
  try {
    const { bavail, bsize } = statfsSync(memoryPlace);
    return bavail * bsize >= roomBytes ? memoryPlace : tmpdir();
  } catch {
    return tmpdir(); // not Linux
  }
}

async function makeTemplate(owner: PgLogin): Promise<void> {
  await asOwner(owner, (client) => client.query(`create database ${templateName}`));
  await migrate({ ...owner, database: templateName });
  await asOwner(owner, (client) => client.query(`alter database ${templateName} with is_template true allow_connections false`));
}

/** Runs `work` on a connection of its own to the owner's database. */
export async function asOwner<T>(owner: PgLogin, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(owner);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
