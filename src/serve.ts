/** `sallyport serve`: first start, the running server, and its end. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keepBootstrapToken, makeSetupCode } from '#features/credentials/feature.ts';
import { createRecorder } from '#features/audit/feature.ts';
import { registerLocal } from '#features/runners/feature.ts';
import { createAccount, findAccount, listAccounts } from '#features/tenancy/feature.ts';
import type { Config } from '#platform/config.ts';
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
    const { url } = await app.start();
    publicUrl.value ||= url;
    const runner = config.runner ? await localRunner(config, host, { log, terminal, url }) : null;
    terminal.print(`sallyport ready ${url}`);
    const reason = await Promise.race([stop, host.lost]);
    if (reason !== 'signal') {
      log.error({ code: reason.code, signal: reason.signal, lastLines: reason.lastLines }, 'the database went away');
      code = exitDatabaseGone;
    }
    await runner?.stop();
    await app.stop();
  } finally {
    await heartbeat.stop();
    await outbound.close();
    await host.close().catch((error: unknown) => log.warn({ because: String(error) }, 'closing'));
  }
  return code;
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

/** Makes account `default` and the way in for its first administrator. */
async function firstStart(config: Config, host: Host, terminal: Terminal): Promise<void> {
  if ((await listAccounts(host.database)).length > 0) return;
  const accountId = await createAccount({ ...host, record: createRecorder(host.randomness) }, 'default', null);
  if (accountId === null) return;
  if (config.bootstrapToken !== undefined) await keepBootstrapToken(host, accountId, config.bootstrapToken);
  await announceSetupCode(config, terminal, await makeSetupCode(host, accountId));
}

/** On a terminal the person reads it; elsewhere it would end up in a log, so it goes to a file of mode 0600. */
export async function announceSetupCode(config: Config, terminal: Terminal, code: string): Promise<void> {
  if (terminal.isTerminal) {
    terminal.print(`setup code (one use, 1 hour): ${code}`);
    return;
  }
  await mkdir(config.data, { recursive: true, mode: 0o700 }); // with an external database nobody has made it
  const path = join(config.data, 'setup-code');
  await writeFile(path, `${code}\n`, { mode: 0o600 });
  terminal.print(`the setup code (one use, 1 hour) is in ${path}`);
}

