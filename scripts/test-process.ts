import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readJournal } from './test-journal.ts';
import type { Journal } from './test-journal.ts';

export interface TestProcessOptions {
  readonly root: string;
  readonly files: readonly string[];
  /** The whole environment of the process. */
  readonly environment: NodeJS.ProcessEnv;
  readonly testTimeoutMs: number;
  /** How much longer than a test may take nothing has to end before the process is killed. */
  readonly graceMs?: number;
  /** Only tests whose name fits this pattern. */
  readonly grep?: string | undefined;
  /** A module to load first. */
  readonly preload?: string | undefined;
  /** Where this process may write, alone; exists. */
  readonly directory: string;
  /** Ends the process and what it started. */
  readonly signal: AbortSignal;
}

export interface TestProcessResult extends Journal {
  /** What it printed, the end of it if it was much. */
  readonly output: string;
  /** Why the process as a whole failed. */
  readonly fault?: string;
}

const maxOutputBytes = 100_000;
const lookMs = 250;

/**
 * Runs test files in one process. A test that blocks the process cannot be stopped from inside, and a server left open
 * keeps it from ending, so it is killed, with all it started, when no test ended for longer than a test may take.
 */
export async function runTestProcess(options: TestProcessOptions): Promise<TestProcessResult> {
  const journalPath = join(options.directory, 'journal');
  closeSync(openSync(journalPath, 'w', 0o600));
  const child = spawn(process.execPath, argumentsFor(options, journalPath), {
    cwd: options.root,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // leads a process group, so that what it started can be ended with it
  });
  const kill = (): void => killGroup(child.pid);
  options.signal.addEventListener('abort', kill, { once: true });
  const watch = watchProgress(journalPath, options.testTimeoutMs + (options.graceMs ?? 5_000), kill);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-maxOutputBytes)));
  }
  const ending = await new Promise<string | undefined>((done) => {
    child.on('error', (error) => done(error.message));
    child.on('close', (code, signal) => done(signal === null ? (code === 0 ? undefined : `exit code ${code}`) : `ended by ${signal}`));
  });
  watch.stop();
  options.signal.removeEventListener('abort', kill);
  const journal = readJournal(readFileSync(journalPath, 'utf8'));
  const fault = watch.silent() ?? faultOf(journal, ending);
  return { ...journal, output, ...(fault === undefined ? {} : { fault }) };
}

function argumentsFor({ files, testTimeoutMs, grep, preload }: TestProcessOptions, journalPath: string): string[] {
  return [
    '--test',
    '--test-isolation=none', // this process is the isolation
    `--test-timeout=${testTimeoutMs}`,
    `--test-reporter=${join(import.meta.dirname, 'test-journal.ts')}`,
    `--test-reporter-destination=${journalPath}`,
    ...(grep === undefined ? [] : [`--test-name-pattern=${grep}`]),
    ...(preload === undefined ? [] : [`--import=${preload}`]),
    ...files,
  ];
}

function faultOf(journal: Journal, ending: string | undefined): string | undefined {
  if (!journal.complete) return `the process ended before its tests did (${ending ?? 'exit code 0'})`;
  const explained = journal.ended.some((one) => one.outcome === 'failed');
  return ending === undefined || explained ? undefined : `the process failed although no test did (${ending})`;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended already
  }
}

function watchProgress(path: string, patienceMs: number, kill: () => void): { stop(): void; silent(): string | undefined } {
  let size = 0;
  let changedAt = performance.now();
  let silent: string | undefined;
  const timer = setInterval(() => {
    const now = statSync(path).size;
    if (now !== size) changedAt = performance.now();
    size = now;
    if (performance.now() - changedAt < patienceMs) return;
    silent ??= `killed: nothing ended for ${patienceMs / 1_000} s; a loop without end, or a server, timer or process left open`;
    kill();
  }, lookMs);
  return { stop: () => clearInterval(timer), silent: () => silent };
}
