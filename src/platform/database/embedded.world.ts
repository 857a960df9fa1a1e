import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import type { TestContext } from 'node:test';
import pg from 'pg';
import { Refusal } from '#kernel/errors.ts';
import { lockForProcesses } from './directory-lock.ts';
import { startEmbedded } from './embedded.ts';
import type { EmbeddedDatabase, EmbeddedOptions, PgLogin } from './embedded.ts';
import { socketDirectory } from './socket-directory.ts';

export const quick = { settings: { fsync: 'off' } };
const isRoot = process.getuid?.() === 0;
export const rootOnly = { skip: isRoot ? false : 'needs: root, to become another user' };
export const linuxOnly = { skip: process.platform === 'linux' ? false : 'needs: Linux, for /proc' };

/** Everything these tests make is below here. Open, so that another user is not refused for a reason of ours. */
export const base = mkdtempSync(join(tmpdir(), 'embedded-'));
chmodSync(base, 0o755);
/** A stopped cluster that holds the table `kept` with the row `first`, for tests that leave it so. */
export const steady = join(base, 'steady');
let places = 0;
/** Data directories of servers that were not stopped and so could not clean up. */
const killedServers: string[] = [];

before(async () => {
  const db = await startEmbedded({ dataDirectory: steady, ...quick });
  await query(db.owner, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('first')").finally(() => db.stop());
});
after(async () => {
  for (const dataDirectory of killedServers) {
    const lock = await lockForProcesses(dataDirectory, { onBusy: () => {}, patienceMs: 20_000 });
    lock.release();
    rmSync(socketDirectory(dataDirectory), { recursive: true, force: true });
  }
  rmSync(base, { recursive: true, force: true });
});

/** A data directory of its own for a test: a stopped cluster like `steady`, what looks like one, or nothing. */
export function place(kind: 'cluster' | 'mere files' | 'nothing' = 'cluster'): string {
  const path = join(base, String(++places));
  if (kind === 'cluster') assert.equal(spawnSync('cp', ['-a', steady, path]).status, 0);
  if (kind === 'mere files') {
    mkdirSync(join(path, 'postgres', 'global'), { recursive: true, mode: 0o700 });
    const files = ['lock', 'postgres.lock', 'postgres.json', 'postgres/PG_VERSION', 'postgres/global/pg_control'];
    for (const file of files) copyFileSync(join(steady, file), join(path, file));
  }
  return path;
}

export async function start(t: TestContext, dataDirectory: string, options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedDatabase> {
  const db = await startEmbedded({ dataDirectory, ...quick, ...options });
  t.after(() => db.stop());
  return db;
}

export async function query(login: PgLogin, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...login });
  client.on('error', () => {}); // some tests kill the server under it
  await client.connect();
  try {
    const results = [await client.query(text)].flat() as pg.QueryResult[]; // several statements give an array
    return results.at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}

export const words = async (db: EmbeddedDatabase) => (await query(db.owner, 'SELECT word FROM kept ORDER BY word')).map((row) => row['word']);

export const postmasterPid = (dataDirectory: string) =>
  Number.parseInt(readFileSync(join(dataDirectory, 'postgres', 'postmaster.pid'), 'utf8'), 10);

export async function refused(action: Promise<unknown>, code: string, ...texts: string[]): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.equal(error.code, code, String(error.say));
    for (const text of texts) assert.ok(error.say?.includes(text), `\`${error.say}\` says \`${text}\``);
    return true;
  });
}

interface Answer {
  readonly owner?: PgLogin;
  readonly code?: string;
}

/** A server in a process of its own that only starts the database and says how that went. */
export function serverProcess(t: TestContext, options: EmbeddedOptions, wrapper: readonly string[] = []) {
  const script = `
    import { startEmbedded } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))};
    const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\\n');
    try { say(await startEmbedded(JSON.parse(process.argv[1]))); } catch (error) { say({ code: error.code ?? String(error) }); }`;
  const command = [...wrapper, process.execPath, '--input-type=module', '-e', script, JSON.stringify(options)];
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  killedServers.push(options.dataDirectory);
  t.after(async () => {
    if (!hasEnded(child)) await Promise.all([once(child, 'exit'), child.kill('SIGKILL')]);
  });
  const answer = once(createInterface({ input: child.stdout }), 'line').then(([line]) => JSON.parse(line) as Answer);
  return { child, answer };
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

export async function killed(server: ReturnType<typeof serverProcess>): Promise<void> {
  server.child.kill('SIGKILL');
  await once(server.child, 'exit');
}

export const isGone = (pid: number) => !existsSync(`/proc/${pid}`) || /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

