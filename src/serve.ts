/** `sallyport serve`: first start, the running server, and its end. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sql } from 'kysely';
import { keepBootstrapToken, makeSetupCode } from '#features/credentials/feature.ts';
import { createRecorder } from '#features/audit/feature.ts';
import { registerLocal } from '#features/runners/feature.ts';
import { createAccount, findAccount, listAccounts } from '#features/tenancy/feature.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { Config } from '#platform/config.ts';
import { violates } from '#platform/database/database.ts';
import { createJobs } from '#platform/jobs.ts';
import { createLog } from '#platform/log.ts';
import type { Log } from '#platform/log.ts';
import { createMetrics } from '#platform/metrics.ts';
import { createOutbound } from '#platform/outbound.ts';
import { createApp } from './app.ts';
import type { Host } from './host.ts';
import { openHost } from './host.ts';
import type { LocalRunner } from './runner/local.ts';
import { startLocalRunner } from './runner/local.ts';

export interface Terminal {
  /** Lines for the person who started the command. */
  readonly print: (line: string) => void;
  /** Progress; shown only on a terminal. */
  readonly progress: (line: string) => void;
  readonly isTerminal: boolean;
}

const exitDatabaseGone = 4;

/** Runs until a signal; returns the exit code. */
export async function serve(config: Config, terminal: Terminal): Promise<number> {
  const log = createLog(config.logLevel);
  const host = await openHost(config, log, { besideServer: false, progress: terminal.progress });
  const outbound = createOutbound({ allowPrivateOrigins: config.allowPrivateOrigin });
  const heartbeat = createJobs([host.node.heartbeat], log);
  heartbeat.start();
  let code = 0;
  try {
    await firstStart(config, host, terminal);
    const publicUrl = { value: config.publicUrl ?? '' };
    const app = createApp({ ...host, config, log, metrics: createMetrics(), outbound, publicUrl: () => publicUrl.value });
    const stop = stopSignal();
    try {
      const { url } = await app.start().catch((error: unknown) => Promise.reject(listenRefusal(error, config)));
      publicUrl.value ||= url;
      const runner = config.runner ? await localRunner(config, host, { log, terminal, url }) : null;
      terminal.print(`sallyport ready ${url}`);
      const reason = await Promise.race([stop, host.lost]);
      if (reason !== 'signal') {
        log.error({ exitCode: reason.code, signal: reason.signal, lastLines: reason.lastLines }, 'the database went away');
        code = exitDatabaseGone;
      }
      await runner?.stop();
    } finally {
      await app.stop(); // also of a start that failed half-way: its jobs would keep the process alive
    }
  } finally {
    await heartbeat.stop();
    await outbound.close();
    await host.close().catch((error: unknown) => log.warn({ because: String(error) }, 'closing'));
  }
  return code;
}

/** What a person can do about an address nobody can listen on; any other failure as it is. */
function listenRefusal(error: unknown, { host, port }: Config): unknown {
  const { code } = error as { code?: unknown };
  const says: Readonly<Record<string, string>> = {
    EADDRINUSE: `something else listens on port ${port} of \`${host}\`; stop it, or name another port by \`--port\``,
    EACCES: `this user may not listen on port ${port}; name one from 1024 on by \`--port\``,
    EADDRNOTAVAIL: `\`${host}\` is no address of this machine; name one by \`--host\``,
    ENOTFOUND: `\`${host}\` is no address of this machine; name one by \`--host\``,
  };
  const say = typeof code === 'string' && Object.hasOwn(says, code) ? says[code] : undefined;
  return say === undefined ? error : refusal('config.invalid', { say, cause: error });
}

/** Serves the account of the first start; others bring runners of their own. */
async function localRunner(config: Config, host: Host, { log, terminal, url }: { log: Log; terminal: Terminal; url: string }): Promise<LocalRunner | null> {
  const account = await findAccount(host.database, 'default');
  if (account === null) return null;
  const socket = host.ownerLogin.host;
  return startLocalRunner({
    url,
    entry: join(import.meta.dirname, 'main.ts'),
    work: join(config.data, 'runner'),
    hide: [config.data, dirname(config.rootKeyFile), ...(socket?.startsWith('/') === true ? [socket] : [])],
    unsafe: config.unsafeLocalRunner,
    register: () => registerLocal({ ...host, record: createRecorder(host.randomness) }, account),
    log,
    print: terminal.print,
  });
}

function stopSignal(): Promise<'signal'> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve('signal'));
  });
}

const firstStartLock = 0x5a11_f125;

/**
 * Makes account `default` and the way in for its first administrator; goes on where an earlier start was killed or
 * refused. The setup code comes last, so its row says that all is done. The lock makes other nodes wait.
 */
async function firstStart(config: Config, host: Host, terminal: Terminal): Promise<void> {
  await host.database.transaction(async (tx) => {
    await sql`select pg_advisory_xact_lock(${firstStartLock})`.execute(tx);
    const accounts = await listAccounts(host.database);
    const begun = accounts.find(({ identifier }) => identifier === 'default');
    if (begun === undefined ? accounts.length > 0 : await hadSetupCode(host, begun.id)) return;
    const accountId = begun?.id ?? (await createAccount(host, 'default', null));
    assert(accountId !== null, 'nobody else makes the first account');
    const bootstrapToken = config.bootstrapToken();
    if (bootstrapToken !== undefined) await keepBootstrapToken(host, accountId, bootstrapToken).catch(unlessKept);
    await makeSetupCode(host, accountId, announcing(config, terminal));
  });
}

async function hadSetupCode({ database }: Host, accountId: string): Promise<boolean> {
  const row = await database.read.selectFrom('credential').select('id').where('account_id', '=', accountId).where('kind', '=', 'setup').limit(1).executeTakeFirst();
  return row !== undefined;
}

function unlessKept(error: unknown): void {
  if (!violates(error, 'credential_account_id_hash_key')) throw error;
}

/** On a terminal the person reads the code; elsewhere it would end up in a log, so it goes to a file of mode 0600. */
export function announcing(config: Config, terminal: Terminal): (code: string) => Promise<void> {
  return async (code) => {
    if (terminal.isTerminal) return terminal.print(`setup code (one use, 1 hour): ${code}`);
    await mkdir(config.data, { recursive: true, mode: 0o700 }); // with an external database nobody has made it
    const path = join(config.data, 'setup-code');
    await writeFile(path, `${code}\n`, { mode: 0o600 });
    terminal.print(`the setup code (one use, 1 hour) is in ${path}`);
  };
}

