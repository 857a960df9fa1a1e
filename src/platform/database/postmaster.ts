import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { assert, refusal } from '#kernel/errors.ts';
import { serverSetting } from './leftover.ts';
import { socketPort } from './socket-directory.ts';
import { bareEnvironment } from './unprivileged.ts';
import type { Way } from './unprivileged.ts';

export interface DatabaseLoss {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines PostgreSQL logged, oldest first. */
  readonly lastLines: readonly string[];
}

export interface Postmaster {
  readonly lost: Promise<DatabaseLoss>;
  stop(): Promise<void>;
}

const keptLines = 20;
const keptLineLength = 2_000;
/** How long sessions get to roll back and the last checkpoint to be written, before recovery at the next start is cheaper. */
const fastShutdownMs = 60_000;
const immediateShutdownMs = 5_000;

/**
 * Starts the database server and waits until it accepts connections, however long recovery after a crash takes, or until
 * it ends, which is refused with `host.database`. Must be called on the main thread: the kernel ends the process with the
 * thread that started it. It runs in a session of its own, so that Ctrl-C in a terminal reaches only us.
 */
export async function startPostmaster(options: {
  readonly postgres: string;
  readonly way: Pick<Way, 'prefix'>;
  readonly cluster: string;
  readonly socketDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly lockFd: number;
  readonly log: (line: string) => void;
}): Promise<Postmaster> {
  const settings = { ...options.settings, ...fixedSettings(options.socketDirectory) };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [file = '', ...args] = [...options.way.prefix, options.postgres, '-D', options.cluster, ...flags];
  const child = spawn(file, args, {
    env: bareEnvironment, cwd: '/', detached: true, stdio: ['ignore', 'ignore', 'pipe', options.lockFd],
  });

  const lastLines: string[] = [];
  const ready = Promise.withResolvers<void>();
  assert(child.stderr !== null, 'a pipe was asked for');
  createInterface({ input: child.stderr }).on('line', (line) => {
    lastLines.push(line.slice(0, keptLineLength));
    if (lastLines.length > keptLines) lastLines.shift();
    options.log(line);
    if (line.includes('database system is ready to accept connections')) ready.resolve();
  });

  let stopping = false;
  const lost = Promise.withResolvers<DatabaseLoss>();
  const ended = Promise.withResolvers<DatabaseLoss>();
  child.once('exit', (code, signal) => {
    const finish = () => ended.resolve({ code, signal, lastLines });
    // The last lines may still be in the pipe, and a process that outlives the postmaster may hold that open.
    child.once('close', finish);
    setTimeout(finish, 1_000).unref();
  });
  child.on('error', (error) => {
    lastLines.push(error.message);
    if (child.pid === undefined) ended.resolve({ code: null, signal: null, lastLines });
  });
  void ended.promise.then((loss) => { if (!stopping) lost.resolve(loss); });

  const failure = await Promise.race([ready.promise, ended.promise]);
  if (failure !== undefined) {
    throw refusal('host.database', {
      say: `PostgreSQL ended while starting (${lastLines.at(-1) ?? `code ${failure.code}, signal ${failure.signal}`}): see the log, or use \`--database-url\``,
      because: lastLines.join('\n'),
    });
  }

  async function stop(): Promise<void> {
    stopping = true;
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
    const harder = [
      setTimeout(() => child.kill('SIGQUIT'), fastShutdownMs),
      setTimeout(() => child.kill('SIGKILL'), fastShutdownMs + immediateShutdownMs),
    ];
    await ended.promise;
    harder.forEach(clearTimeout);
  }
  return { lost: lost.promise, stop };
}

/** What no caller may change: reachable through one socket only, logs where and as we read them. */
function fixedSettings(socketDirectory: string): Record<string, string> {
  return {
    listen_addresses: '',
    unix_socket_directories: socketDirectory,
    unix_socket_permissions: '0600',
    port: String(socketPort),
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '',
    log_min_messages: 'warning',
    timezone: 'UTC',
    [serverSetting]: String(process.pid),
  };
}
