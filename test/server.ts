/** The assembled server on a database of its own, with real HTTP on loopback. Nothing inside is replaced. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { createApp } from '../src/app.ts';
import type { App } from '../src/app.ts';
import { makeSetupCode } from '#features/credentials/feature.ts';
import { createAccount } from '#features/tenancy/feature.ts';
import type { Clock } from '#platform/clock.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import type { Config, Settings } from '#platform/config.ts';
import { readConfig } from '#platform/config.ts';
import type { Database } from '#platform/database/database.ts';
import { openDatabase } from '#platform/database/database.ts';
import type { PgLogin } from '#platform/database/embedded.ts';
import type { Keyring } from '#platform/keyring.ts';
import { openKeyring } from '#platform/keyring.ts';
import { createLog } from '#platform/log.ts';
import { createMetrics } from '#platform/metrics.ts';
import { createOutbound } from '#platform/outbound.ts';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import type { DataKey } from '#platform/sealing.ts';
import type { TestDatabase } from './database/database.ts';
import { testDatabase } from './database/database.ts';
import { atEnd } from './endings.ts';

export interface TestAccount {
  readonly id: string;
  readonly identifier: string;
}

export interface TestServer {
  readonly url: string;
  /** Path of the account's API. */
  readonly api: string;
  readonly account: TestAccount;
  /** Personal access token of user `admin`, account admin, made by the real set-up. */
  readonly adminToken: string;
  readonly app: App;
  readonly database: Database;
  readonly keyring: Keyring;
  readonly rows: TestDatabase;
  readonly rootKey: DataKey;
  readonly clock: ShiftedClock;
  /** Calls as the admin unless another token, or null for none, is given. */
  call(request: RemoteRequest & { readonly token?: string | null }): Promise<RemoteAnswer>;
  /** Applies manifests as the admin (or with `token`) and asserts that they are taken. */
  apply(documents: readonly Record<string, unknown>[], token?: string): Promise<RemoteAnswer>;
  /** Another account on this server, which nobody can enter yet. */
  addEmptyAccount(identifier: string): Promise<{ readonly account: TestAccount; readonly api: string }>;
  /** Another account on this server, with an admin of its own. */
  addAccount(identifier: string): Promise<{ readonly account: TestAccount; readonly api: string; readonly adminToken: string }>;
  /** Asks the database behind the server's back, as its owner. */
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Ends the server early; otherwise it ends with the tests. */
  stop(): Promise<void>;
}

/** The system's clock, moved on by hand. */
export interface ShiftedClock extends Clock {
  advance(ms: number): void;
}

export interface TestServerOptions {
  readonly settings?: Partial<Settings>;
  /** Another node on the database, root key and account of this server. */
  readonly beside?: TestServer;
  /** Where the log goes; absent = nowhere. */
  readonly log?: NodeJS.WritableStream;
  /** Where the node finds the database; absent = straight at it. */
  readonly way?: (login: PgLogin) => Promise<PgLogin>;
  /** How long one statement may take; absent = as in production. */
  readonly statementMs?: number;
}

/** Starts a node. It ends after the last test of the process, before its database does. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  const rows = options.beside?.rows ?? (await testDatabase());
  const rootKey = options.beside?.rootKey ?? { id: '00000000-0000-8000-8000-000000000001', bytes: randomBytes(32) };
  const config: Config = readConfig({ flags: { port: 0, data: directory, runner: false, sequencerMs: 50, accessPollMs: 50, maxConnections: 8, ...options.settings } }, {});
  const clock = shifted();
  const randomness = systemRandomness;
  const login = options.way === undefined ? rows.application : await options.way(rows.application);
  const database = await openDatabase({ login: { ...login }, maxConnections: config.maxConnections, onError: () => undefined, ...(options.statementMs === undefined ? {} : { statementMs: options.statementMs }) });
  const keyring = await openKeyring({ database, rootKey, clock, randomness });
  const outbound = createOutbound({ allowPrivateOrigins: config.allowPrivateOrigin });
  const log = options.log === undefined ? createLog('silent') : createLog('debug', options.log);
  let url = '';
  const app = createApp({ config, log, metrics: createMetrics(), clock, randomness, database, keyring, rootKey, outbound, publicUrl: () => config.publicUrl ?? url });
  ({ url } = await app.start());
  const owner = new Pool({ ...rows.owner, max: 2 });
  // The database may be dropped under it.
  owner.on('error', () => undefined);
  const stop = onlyOnce(async () => {
    await app.stop();
    await outbound.close();
    await database.close();
    await owner.end();
    await rm(directory, { recursive: true, force: true });
  });
  atEnd(stop);
  const services = { database, clock, randomness };
  const account = options.beside?.account ?? (await makeAccount(services, 'default'));
  const adminToken = options.beside?.adminToken ?? (await makeAdmin(services, url, account));
  const api = apiOf(account);
  const call: TestServer['call'] = ({ token, ...request }) => callRemote({ url, token: token === undefined ? adminToken : token }, request);
  return {
    url, api, account, adminToken, app, database, keyring, rows, rootKey, clock, call, stop,
    async apply(documents, token) {
      const answer = await call({ method: 'POST', path: `${api}/manifests:apply`, body: { documents }, ...(token === undefined ? {} : { token }) });
      if (answer.status !== 200) throw new Error(`apply was answered ${answer.status}: ${JSON.stringify(answer.body, null, 2)}`);
      return answer;
    },
    async addEmptyAccount(identifier) {
      const other = await makeAccount(services, identifier);
      return { account: other, api: apiOf(other) };
    },
    async addAccount(identifier) {
      const other = await makeAccount(services, identifier);
      return { account: other, api: apiOf(other), adminToken: await makeAdmin(services, url, other) };
    },
    sql: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await owner.query<Row>(text, [...values])).rows,
  };
}

function apiOf(account: TestAccount): string {
  return `/api/v1/accounts/${account.identifier}`;
}

interface Services {
  readonly database: Database;
  readonly clock: Clock;
  readonly randomness: typeof systemRandomness;
}

async function makeAccount(services: Services, identifier: string): Promise<TestAccount> {
  const id = await createAccount(services, identifier, null);
  if (id === null) throw new Error('the account is there already');
  return { id, identifier };
}

async function makeAdmin(services: Services, url: string, account: TestAccount): Promise<string> {
  const code = await makeSetupCode(services, account.id);
  const body = { code, email: 'admin@example.com', password: 'a password for tests only' };
  const answer = await callRemote({ url, token: null }, { method: 'POST', path: `${apiOf(account)}/setup`, body });
  if (answer.status !== 201) throw new Error(`setup was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return (answer.body as { token: string }).token;
}

function shifted(): ShiftedClock {
  let byMs = 0;
  return {
    now: () => new Date(systemClock.now().getTime() + byMs),
    monotonicMs: () => systemClock.monotonicMs(),
    advance: (ms) => void (byMs += ms),
  };
}

function onlyOnce(end: () => Promise<void>): () => Promise<void> {
  let ended: Promise<void> | undefined;
  return () => (ended ??= end());
}
