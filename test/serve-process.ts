/** `sallyport serve` as its users run it: a process of its own with a data directory, set up for its first administrator. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { callRemote } from '#platform/remote.ts';

const program = fileURLToPath(new URL('../bin/sallyport', import.meta.url));

export interface ServeProcess {
  readonly url: string;
  readonly pid: number;
  /** The code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  /** What it wrote to standard error so far: its log. */
  log(): string;
  /** Ends it as an operator would. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export interface ServeOptions {
  /** Data directory; made if it is not there. */
  readonly data: string;
  readonly flags?: readonly string[];
  /** Variables of its environment besides ours. */
  readonly environment?: Readonly<Record<string, string>>;
}

const stopPatienceMs = 20_000;

/** Starts a server and returns when it is ready. Rejects with what it said when it ends before. */
export async function startServe({ data, flags = [], environment = {} }: ServeOptions): Promise<ServeProcess> {
  const child = spawn(program, ['serve', '--data', data, ...flags], { env: plainEnvironment(environment), stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exit = exitOf(child);
  const url = await Promise.race([readyUrl(child), exit.then(() => null)]);
  if (url === null) throw new Error(`the server ended before it was ready: ${log}`);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
    await exit;
    clearTimeout(timer);
  };
  return { url, pid: child.pid!, exit, log: () => log, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

/** The environment without settings that belong to somebody else's server. */
export function plainEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SALLYPORT|NODE_TEST)_/.test(name))), ...more };
}

/** Uses the setup code of the first start; the answer is the administrator's token. */
export async function setUpAdmin({ url }: Pick<ServeProcess, 'url'>, data: string): Promise<string> {
  const code = readFileSync(join(data, 'setup-code'), 'utf8').trim();
  const body = { code, email: 'admin@example.com', password: 'a password for tests only' };
  const answer = await callRemote({ url, token: null }, { method: 'POST', path: '/api/v1/accounts/default/setup', body });
  if (answer.status !== 201) throw new Error(`setup was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return (answer.body as { token: string }).token;
}

/** Process id of the embedded database of a data directory, from the file PostgreSQL writes; null when there is none. */
export function databasePid(data: string): number | null {
  const path = join(data, 'postgres', 'postmaster.pid');
  return existsSync(path) ? Number(readFileSync(path, 'utf8').split('\n')[0]) : null;
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal ?? code ?? 0;
}

function readyUrl(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const [, url] = /^sallyport ready (\S+)$/.exec(line) ?? [];
    if (url !== undefined) resolve(url);
  });
  return promise;
}
