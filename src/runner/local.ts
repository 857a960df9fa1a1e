/**
 * The runner `serve` starts for itself: a child process with an environment of its own that is empty, so that no step
 * ever runs in, or as, the process that has the keys. Where steps cannot be isolated from the server there is none.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import type { Log } from '#platform/log.ts';
import { detectIsolation } from './detect-isolation.ts';
import type { DetectOptions, IsolationCandidate } from './detect-isolation.ts';
import { identityPath } from './enrol.ts';
import { readIdentity } from './identity.ts';
import { makeWorkDirectory, stepsDirectory } from './program.ts';
import { writeWhole } from './whole-file.ts';

export interface LocalRunnerOptions {
  /** Of this server, as the host reaches it. */
  readonly url: string;
  /** The CLI's entry, run by the same Node: `src/main.ts`. */
  readonly entry: string;
  /** Directory of the runner alone; made when absent. */
  readonly work: string;
  /** What no step may see: the data directory, the directories of the database socket and of the root key. */
  readonly hide: readonly string[];
  /** `--unsafe-local-runner`. */
  readonly unsafe: boolean;
  readonly concurrency?: number;
  /** Isolations to try; absent = all. */
  readonly candidates?: readonly IsolationCandidate[];
  /** Makes a registration (`registerLocal`); asked only while the runner has no identity. */
  readonly register: () => Promise<object>;
  readonly log: Log;
  /** For the person who started the server. */
  readonly print: (line: string) => void;
}

export interface LocalRunner {
  /** Tells it to stop, waits for what runs, and ends it. */
  stop(): Promise<void>;
}

const firstRestartMs = 1_000;
const maxRestartMs = 60_000;
const stopGraceSeconds = 20;
const cancelGraceSeconds = 5;
/** Longer than the runner itself needs at most. */
const killAfterMs = (stopGraceSeconds + cancelGraceSeconds + 15) * 1_000;
const noEnvironment = {} as const;

/** Null when steps cannot be isolated here and nobody accepted that; why is printed. */
export async function startLocalRunner(options: LocalRunnerOptions): Promise<LocalRunner | null> {
  const { work, hide, unsafe, log, print } = options;
  await makeWorkDirectory(work);
  const wanted: DetectOptions = { workRoot: stepsDirectory(work), hide: [work, ...hide], acceptNone: unsafe };
  const { isolation, explained } = await detectIsolation(options.candidates === undefined ? wanted : { ...wanted, candidates: options.candidates });
  if (isolation.kind === 'none' && !isolation.accepted) {
    log.warn({ tried: explained.split('\n') }, 'no local runner: steps cannot be isolated from this server');
    print('no local runner is started: steps cannot be isolated from this server.');
    for (const line of explained.split('\n')) print(`  ${line}`);
    print('install bubblewrap, start a runner elsewhere (`sallyport runner`), or accept the risk with `--unsafe-local-runner`');
    return null;
  }
  if (isolation.kind === 'none') print('WARNING: the local runner runs steps without isolation; a step can read all this server can');
  return supervise(options);
}

/** Starts it again when it ends by itself. */
function supervise(options: LocalRunnerOptions): LocalRunner {
  const stopping = new AbortController();
  const { signal } = stopping;
  const living = (async () => {
    for (let failures = 0; !signal.aborted; failures += 1) {
      const wasReady = await live(options, signal).catch((error: unknown) => {
        options.log.error({ because: String(error) }, 'the local runner could not be started');
        return false;
      });
      if (signal.aborted) return;
      if (wasReady) failures = 0;
      const delayMs = Math.min(maxRestartMs, firstRestartMs * 2 ** failures);
      options.log.warn({ delayMs }, 'the local runner ended and will be started again');
      await wait(delayMs, undefined, { signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await living;
    },
  };
}

/** One life of the child. True when it came to be ready. */
async function live(options: LocalRunnerOptions, signal: AbortSignal): Promise<boolean> {
  const registrationFile = join(options.work, 'registration.json');
  const known = await readIdentity(identityPath(options.work));
  if (known === null || known.registration === null) await writeWhole(registrationFile, JSON.stringify(await options.register()));
  if (signal.aborted) return false;
  const child = start(options, registrationFile);
  let ready = false;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    options.log.info({ line }, 'local runner');
    if (!ready) void rm(registrationFile, { force: true });
    ready = true;
  });
  let kill: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    kill = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const how = await ended(child);
    options.log.info(how, 'the local runner has ended');
    return ready;
  } finally {
    clearTimeout(kill);
    signal.removeEventListener('abort', stop);
  }
}

/** Its standard input is a pipe nobody writes to: it ends with this process, however that ends, and the runner with it. */
function start({ entry, url, work, hide, unsafe, concurrency }: LocalRunnerOptions, registrationFile: string): ChildProcess {
  const args = [
    entry, 'runner', '--url', url, '--registration-file', registrationFile, '--work', work, '--same-host', '--until-stdin-ends',
    '--stop-grace', String(stopGraceSeconds), '--cancel-grace', String(cancelGraceSeconds),
    ...hide.flatMap((directory) => ['--hide', directory]),
    ...(unsafe ? ['--unsafe'] : []),
    ...(concurrency === undefined ? [] : ['--concurrency', String(concurrency)]),
  ];
  return spawn(process.execPath, args, { env: noEnvironment, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
}

function ended(child: ChildProcess): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}
