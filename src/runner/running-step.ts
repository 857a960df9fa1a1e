import { execFile } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { assert } from '#kernel/errors.ts';
import { hasProcessNamespace } from './isolation.ts';
import type { Isolation, SandboxTools } from './isolation.ts';
import { readOutputs } from './outputs.ts';
import type { CapturedOutputs } from './outputs.ts';
import { descendants, onlyChild, processesOfUid, processesWithVariable, signalProcess } from './processes.ts';
import type { PrivateFiles } from './private-files.ts';
import type { OutputChunk, StepOutput } from './step-output.ts';
import type { ClaimedUid } from './uid-pool.ts';

const run = promisify(execFile);

/** Timers of a step, so that tests decide when time passes. `after` returns what takes the timer back. */
export interface StepClock {
  after(delayMs: number, act: () => void): () => void;
}

export interface StepExit {
  /** Null when a signal ended the step. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Those of the listed variables that were set at the end; none when `reason` is given. Untrusted text. */
  readonly outputs: Record<string, string>;
  readonly reason?: 'timeout' | 'cancelled' | 'output_limit' | 'outputs_too_large';
}

export interface StepProcess {
  /** Of the launcher, on the host. */
  readonly pid: number;
  /** One reader. A slow one makes the step wait; see `StepOutput`. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Those of its identities. */
  readonly files: PrivateFiles;
  /** Settles when no process of the step is alive. It does not wait for the reader of `output`. */
  readonly exit: Promise<StepExit>;
  /** TERM to every process of the step, KILL after `graceMs` (0: at once). Resolves with `exit`; may be repeated. */
  cancel(graceMs: number): Promise<void>;
}

/** Killed processes can take a while to go (a disk that does not answer); then their user stays out of use. */
const maxDyingMs = 10_000;
const quietMs = 1_000;
const launcherWordsBytes = 2_000;

export interface RunningStepParts {
  readonly isolation: Isolation;
  readonly child: ChildProcess & { readonly pid: number };
  readonly output: StepOutput;
  readonly outputsFile: FileHandle;
  readonly outputVariables: readonly string[];
  readonly uid: ClaimedUid | null;
  readonly home: string;
  readonly clock: StepClock;
  readonly files: PrivateFiles;
}

/** A launched step until the last of its processes is gone. */
export class RunningStep implements StepProcess {
  readonly pid: number;
  readonly output: StepOutput;
  readonly files: PrivateFiles;
  readonly exit: Promise<StepExit>;
  readonly #parts: RunningStepParts;
  #reason: StepExit['reason'];
  #ended = false;
  #discarded = false;
  #killed = false;
  /** The first process of the PID namespace: its end is everybody's. */
  #init: number | null = null;
  #timers: (() => void)[] = [];

  constructor(parts: RunningStepParts) {
    this.#parts = parts;
    this.pid = parts.child.pid;
    this.output = parts.output;
    this.files = parts.files;
    this.exit = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      parts.child.once('exit', (code, signal) => resolve([code, signal]));
      parts.child.on('error', () => {}); // a signal that could not be sent
    }).then(([code, signal]) => this.#finish(code, signal));
  }

  /** The sandbox stands, the script begins now. */
  started(options: { readonly timeoutMs: number; readonly timeoutGraceMs: number }): void {
    if (hasProcessNamespace(this.#parts.isolation)) this.#init = onlyChild(this.pid);
    this.#after(options.timeoutMs, () => this.end('timeout', options.timeoutGraceMs));
  }

  async cancel(graceMs: number): Promise<void> {
    this.end('cancelled', graceMs);
    await this.exit;
  }

  /** The step must stop. The first reason is the one reported; a later call can only make it sooner. */
  end(reason: NonNullable<StepExit['reason']>, graceMs: number): void {
    if (this.#ended) return;
    this.#reason ??= reason;
    if (graceMs > 0) {
      for (const pid of this.#stepProcesses()) {
        signalProcess(pid, 'SIGTERM');
        signalProcess(pid, 'SIGCONT'); // or a stopped one would not notice
      }
      this.#after(graceMs, () => this.#kill());
    } else {
      this.#kill();
    }
  }

  /** The sandbox did not come to stand, nothing of the user's has run: ends the launcher, returns what it said. */
  async discard(): Promise<string> {
    this.#discarded = true;
    this.#kill();
    await this.exit;
    return this.output.launcherWords(launcherWordsBytes);
  }

  #after(delayMs: number, act: () => void): void {
    this.#timers.push(this.#parts.clock.after(delayMs, act));
  }

  #kill(): void {
    const { exitCode, signalCode } = this.#parts.child;
    if (exitCode !== null || signalCode !== null) return; // its number may be somebody else's by now
    this.#killed = true;
    const pids = this.#init === null ? [...this.#stepProcesses(), this.pid] : [this.#init];
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
  }

  /** The processes that belong to the user's script, launchers and init left out. */
  #stepProcesses(): number[] {
    const { isolation, uid, home } = this.#parts;
    if (hasProcessNamespace(isolation)) {
      return descendants(this.pid).map(({ pid }) => pid).filter((pid) => pid !== this.#init);
    }
    if (uid !== null) return processesOfUid(uid.uid);
    const family = descendants(this.pid).map(({ pid }) => pid);
    return [...new Set([this.pid, ...family, ...processesWithVariable('HOME', home)])];
  }

  async #finish(code: number | null, signal: NodeJS.Signals | null): Promise<StepExit> {
    this.#ended = true;
    for (const stop of this.#timers) stop();
    this.output.lift();
    const allGone = await this.#sweep();
    const captured = await readOutputs(this.#parts.outputsFile, this.#parts.outputVariables);
    await this.#parts.outputsFile.close();
    // A launch that failed leaves the user to `startStep`
    if (!this.#discarded) await this.#parts.uid?.release({ reusable: allGone });
    // `unshare` reports a killed init as failure
    const ended = this.#killed ? ({ code: null, signal: 'SIGKILL' } as const) : { code, signal };
    return describeExit({ ...ended, captured, reason: this.#reason });
  }

  /** Kills what the step left in the background. True when nothing of it is alive. */
  async #sweep(): Promise<boolean> {
    const { isolation, uid } = this.#parts;
    if (hasProcessNamespace(isolation)) return true; // the launcher ends when the kernel has emptied the namespace
    if (uid !== null) return killUser(uid.uid, isolation.tools);
    if (isolation.kind === 'none') {
      await killFamily(this.pid, this.#parts.home);
      this.output.closeWhenQuiet(quietMs);
    }
    return true;
  }
}

/**
 * Ends every process of a step's user; true when none is left. `kill -1` as that user reaches all of them in one system
 * call, so nothing can fork away from it.
 */
export async function killUser(uid: number, tools: SandboxTools): Promise<boolean> {
  assert(uid >= 1_000, 'processes of a user of the system would be killed');
  for (let waitedMs = 0; waitedMs < maxDyingMs; waitedMs += 5) {
    if (processesOfUid(uid).length === 0) return true;
    if (waitedMs > 0) await wait(5);
    const asUser = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', '/bin/sh', '-c', 'kill -KILL -1'];
    if (tools.setpriv !== undefined) await run(tools.setpriv, asUser, { env: {}, cwd: '/' }).catch(() => {});
  }
  return false;
}

/**
 * The same without isolation, as far as it goes: the process group of the step, and who still has its home directory in
 * the environment. A process that left both survives.
 */
async function killFamily(group: number, home: string): Promise<void> {
  signalProcess(-group, 'SIGKILL');
  for (let waitedMs = 0; waitedMs < maxDyingMs; waitedMs += 5) {
    const left = processesWithVariable('HOME', home);
    if (left.length === 0) return;
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    await wait(5);
  }
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly captured: CapturedOutputs;
  readonly reason: StepExit['reason'];
}

/**
 * Through the launchers a signal arrives as exit code 128 + n, like `exit 137` would; the script's own record of its
 * status tells them apart.
 */
function describeExit({ code, signal, captured, reason }: Ending): StepExit {
  const said = captured.outcome === 'captured' ? captured.status : null;
  const byCode = code !== null && code > 128 && code !== said ? signalName(code - 128) : null;
  const ended = byCode === null ? { code, signal } : { code: null, signal: byCode };
  if (reason !== undefined) return { ...ended, outputs: {}, reason };
  if (captured.outcome === 'too_large') return { ...ended, outputs: {}, reason: 'outputs_too_large' };
  return { ...ended, outputs: captured.outcome === 'captured' ? captured.outputs : {} };
}

function signalName(number: number): string | null {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
}
