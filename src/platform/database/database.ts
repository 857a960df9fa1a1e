/** The one handle on PostgreSQL: reads, transactions that run again after a serialization failure, and notifications. */
import { Kysely, PostgresDialect } from 'kysely';
import type { PostgresPool, PostgresPoolClient, Transaction } from 'kysely';
import { Client, Pool, types } from 'pg';
import type { ClientConfig } from 'pg';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Tables } from './tables.ts';
import { applicationRole } from './logins.ts';

export type Tx = Transaction<Tables>;
/** What reads may use: the pool, or a transaction. */
export type Reader = Kysely<Tables>;

export interface Database {
  readonly read: Reader;
  /** Runs `work` in one transaction; it may run again, so it does nothing but SQL. */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: { readonly isolation?: 'read committed' | 'repeatable read' }): Promise<T>;
  /** Calls `wake` on every NOTIFY of the channel; reconnects by itself. Only a hint: polling carries the guarantee. */
  listen(channel: string, wake: (payload: string) => void): Promise<void>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly login: ClientConfig;
  readonly maxConnections: number;
  readonly onError: (error: Error) => void;
  /** One statement may take this long; a sixth later a database that has not said so either is given up. */
  readonly statementMs?: number;
}

const retriedStates = new Set(['40001', '40P01']);
const lostStates = new Set(['57P01', '57P02', '57P03', '53300', '08000', '08001', '08003', '08006']);
const lostCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT']);
const lostTexts = /Connection terminated|not queryable|timeout exceeded when trying to connect|Query read timeout/;
/** It is there, but a statement or a transaction took longer than it may. */
const slowStates = new Set(['57014', '25P03']);
const maxAttempts = 5;
const listenAgainMs = 500;

const int8 = 20;
types.setTypeParser(int8, Number);

export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { statementMs = 30_000 } = options;
  const login: ClientConfig = {
    ...options.login, options: `-c role=${applicationRole} -c timezone=UTC`, connectionTimeoutMillis: 5_000,
    // A host that vanishes tells nobody: an idle connection to it is found out by these, a busy one by `query_timeout`.
    keepAlive: true, keepAliveInitialDelayMillis: 10_000,
  };
  const pool = new Pool({
    ...login, max: options.maxConnections, statement_timeout: statementMs, query_timeout: Math.ceil((statementMs * 7) / 6), idle_in_transaction_session_timeout: 60_000,
  });
  pool.on('error', options.onError);
  // The pool listens to idle connections only. One lost between two statements of a transaction would end the process;
  // here its next statement fails instead.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const read = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: withoutSilent(pool) }) });
  const listeners: Client[] = [];
  let closed = false;

  async function transaction<T>(work: (tx: Tx) => Promise<T>, { isolation = 'read committed' as 'read committed' | 'repeatable read' } = {}): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await read.transaction().setIsolationLevel(isolation).execute(work);
      } catch (error) {
        if (attempt < maxAttempts && retriedStates.has(stateOf(error))) continue;
        throw asRefusal(error);
      }
    }
  }

  async function listen(channel: string, wake: (payload: string) => void): Promise<void> {
    const client = new Client(login);
    client.on('notification', (message) => wake(message.payload ?? ''));
    client.on('error', (error) => {
      options.onError(error);
      const at = listeners.indexOf(client);
      // One connection may tell of its end twice; one that never listened fails by its promise.
      if (at === -1) return;
      listeners.splice(at, 1);
      listenAgain(channel, wake);
    });
    await client.connect();
    await client.query(`listen ${channel}`);
    listeners.push(client);
  }

  /** Until it works: a database may be away for longer than one try. */
  function listenAgain(channel: string, wake: (payload: string) => void): void {
    if (closed) return;
    const again = (): void => void listen(channel, wake).catch((error: unknown) => {
      options.onError(error as Error);
      listenAgain(channel, wake);
    });
    setTimeout(again, listenAgainMs).unref();
  }

  return {
    read,
    transaction,
    listen,
    async close() {
      closed = true;
      await Promise.all(listeners.map((client) => client.end()));
      await read.destroy();
    },
  };
}

/** pg gives up a query that nobody answers and keeps its connection: whoever got that next would wait as long. */
function withoutSilent(pool: Pool): PostgresPool {
  return {
    async connect() {
      const client = await pool.connect();
      let silence: unknown = null;
      const query = async (text: string, parameters: unknown[]) => {
        if (silence !== null) throw silence;
        try {
          return await client.query(text, parameters);
        } catch (error) {
          if (isSilence(error)) silence = error;
          throw error;
        }
      };
      // The other form of `query` takes a cursor, and there are none here.
      return { query: query as unknown as PostgresPoolClient['query'], release: (discard) => client.release(silence !== null || discard === true) };
    },
    options: pool.options,
    end: () => pool.end(),
  };
}

function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

function stateOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** A lost database is an expected failure with a code of its own; everything else stays what it is. */
export function asRefusal(error: unknown): unknown {
  if (error instanceof Refusal) return error;
  const state = stateOf(error);
  const text = error instanceof Error ? error.message : '';
  if (lostStates.has(state) || lostCodes.has(state) || lostTexts.test(text)) return refusal('database.unavailable', { because: text, cause: error, retryAfterSeconds: 1 });
  if (slowStates.has(state)) {
    return refusal('database.unavailable', { say: 'the database took too long; ask for less at once, or send it again', because: text, cause: error, retryAfterSeconds: 5 });
  }
  return error;
}

/** True when the error is the violation of this unique constraint. */
export function violates(error: unknown, constraint: string): boolean {
  return stateOf(error) === '23505' && (error as { constraint?: string }).constraint === constraint;
}
