/** The host around the steps of the sandbox tests: things worth stealing, and steps run one by one to their end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { detectIsolation, isolationCandidates } from './detect-isolation.ts';
import type { IsolationCandidate } from './detect-isolation.ts';
import type { Isolation } from './isolation.ts';
import { removeAttemptDirectory, startStep } from './sandbox.ts';
import type { StepClock, StepExit, StepProcess, StepSpec } from './sandbox.ts';

export const runsAsRoot = process.getuid?.() === 0;

/** A host whose data directory anybody may pass through, as it may be in production; what lies in it is private. */
export class SandboxWorld {
  readonly root = mkdtempSync(join(tmpdir(), 'sp-'));
  readonly data = join(this.root, 'data');
  readonly workRoot = join(this.data, 'work');
  readonly rootKey = join(this.data, 'keys', 'root.key');
  readonly runnerKey = join(this.data, 'runner', 'runner.key');
  readonly socket = join(this.data, 'db', 's');
  readonly #database: Server;
  #attempts = 0;

  constructor() {
    chmodSync(this.root, 0o711);
    mkdirSync(this.data);
    chmodSync(this.data, 0o711);
    for (const path of [this.rootKey, this.runnerKey, this.socket]) mkdirSync(join(path, '..'), { mode: 0o700 });
    writeFileSync(this.rootKey, 'THE-ROOT-KEY', { mode: 0o600 });
    writeFileSync(this.runnerKey, 'THE-RUNNER-KEY', { mode: 0o600 });
    this.#database = createServer((socket) => socket.end('THE-DATABASE')).listen(this.socket);
    this.#database.unref();
  }

  close(): void {
    this.#database.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  /** The isolations asked for, each alone; `none` with `accepted` for the bare run that shows an attack is one. */
  async isolation(candidate: IsolationCandidate | 'none'): Promise<{ isolation: Isolation; explained: string }> {
    return detectIsolation({
      workRoot: this.workRoot,
      hide: [this.data],
      candidates: candidate === 'none' ? [] : [candidate],
      acceptNone: candidate === 'none',
    });
  }

  async start(spec: Partial<StepSpec> & Pick<StepSpec, 'isolation' | 'script'>): Promise<StartedStep> {
    const attemptId = spec.attemptId ?? `attempt-${(this.#attempts += 1)}`;
    const whole = {
      workRoot: this.workRoot, shell: 'sh', environment: {}, outputVariables: [], timeoutMs: 50_000, ...spec, attemptId,
    } as const;
    return new StartedStep(await startStep(whole), whole);
  }

  async run(spec: Partial<StepSpec> & Pick<StepSpec, 'isolation' | 'script'>): Promise<FinishedStep> {
    const step = await this.start(spec);
    return step.finish();
  }
}

export interface FinishedStep extends StepExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** A running step whose output is being read. */
export class StartedStep {
  readonly process: StepProcess;
  readonly #spec: Pick<StepSpec, 'workRoot' | 'attemptId' | 'isolation'>;
  readonly #text: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  readonly #read: Promise<void>;
  #waiting: (() => void)[] = [];

  constructor(step: StepProcess, spec: Pick<StepSpec, 'workRoot' | 'attemptId' | 'isolation'>) {
    this.process = step;
    this.#spec = spec;
    this.#read = this.#collect();
  }

  get directory(): string {
    return join(this.#spec.workRoot, this.#spec.attemptId);
  }

  get stdout(): string {
    return Buffer.concat(this.#text.stdout).toString('utf8');
  }

  /** Waits until the step has printed `word`; fails when it ends without. */
  async printed(word: string): Promise<void> {
    let over = false;
    void this.#read.then(() => {
      over = true;
      this.#changed();
    });
    while (!this.stdout.includes(word)) {
      if (over) throw new Error(`the step ended without \`${word}\`: ${this.stdout}${Buffer.concat(this.#text.stderr)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async finish(): Promise<FinishedStep> {
    const exit = await this.process.exit;
    await this.#read;
    await removeAttemptDirectory({ ...this.#spec, tools: this.#spec.isolation.tools });
    return { ...exit, stdout: this.stdout, stderr: Buffer.concat(this.#text.stderr).toString('utf8') };
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #collect(): Promise<void> {
    for await (const { stream, bytes } of this.process.output) {
      this.#text[stream].push(Buffer.from(bytes));
      this.#changed();
    }
  }
}

/** Time that passes when the test says so. */
export class ManualClock implements StepClock {
  readonly #pending = new Map<number, () => void>();

  after(delayMs: number, act: () => void): () => void {
    this.#pending.set(delayMs, act);
    return () => this.#pending.delete(delayMs);
  }

  /** Resolves when something waits for `delayMs`. */
  async waitedFor(delayMs: number): Promise<void> {
    await until(() => this.#pending.has(delayMs));
  }

  /** What is due after `delayMs` happens now. */
  pass(delayMs: number): void {
    const act = this.#pending.get(delayMs);
    if (act === undefined) throw new Error(`nothing waits for ${delayMs} ms`);
    act();
  }
}

/** Host processes whose arguments contain `word`. */
export function processesNaming(word: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => readProc(pid, 'cmdline').includes(word));
}

export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Runs a test file once more as the user `nobody`, with an environment and a temporary directory of its own. */
export async function runUnprivileged(file: string, options: readonly string[]): Promise<{ code: unknown; report: string }> {
  const temporary = mkdtempSync(join(tmpdir(), 'sp-'));
  chownSync(temporary, 65_534, 65_534);
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const child = spawn('setpriv', [...nobody, process.execPath, '--test-timeout=60000', ...options, file], {
    env: { TMPDIR: temporary, SERVER_VARIABLE: 'longer than all else in the environment of this process' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let report = '';
  for await (const bytes of child.stdout ?? []) report += String(bytes);
  const [code] = await ended;
  rmSync(temporary, { recursive: true });
  return { code, report };
}

/** Gives way until `holds`; the test's time limit ends a condition that never comes. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** Every isolation with what it is here, or why it cannot be exercised here. */
export async function exercisable(world: SandboxWorld) {
  return Promise.all(
    isolationCandidates.map(async (candidate) => {
      const { isolation, explained } = await world.isolation(candidate);
      return { name: candidate, isolation, skip: isolation.kind === 'none' ? `needs: ${explained.split('\n')[0]}` : false };
    }),
  );
}
