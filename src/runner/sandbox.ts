import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { assert, refusal } from '#kernel/errors.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { controlFiles, createAttemptDirectory, parts, removeAttemptDirectory } from './attempt-directory.ts';
import type { AttemptDirectory } from './attempt-directory.ts';
import { filterDescriptor } from './bubblewrap.ts';
import { RunningStep, killUser } from './running-step.ts';
import type { StepClock, StepProcess } from './running-step.ts';

export type { StepClock, StepExit, StepProcess } from './running-step.ts';
export { removeAttemptDirectory };
import { hasProcessNamespace, uidsOf } from './isolation.ts';
import type { Isolation } from './isolation.ts';
import { inheritedDescriptors } from './processes.ts';
import { launchCommand, stepView } from './launch.ts';
import type { LaunchOptions } from './launch.ts';
import { StepOutput } from './step-output.ts';
import { checkStepText, loaderGreeting, loaderProgram, mainProgram, readyByte } from './step-script.ts';
import type { StepShell, StepText } from './step-script.ts';
import type { ClaimedUid } from './uid-pool.ts';

export interface StepLimits {
  /** Bytes of standard output and error together; more ends the step with reason `output_limit`. */
  readonly outputBytes: number;
  /** Processes and threads at once. Not enforced without isolation. */
  readonly processes: number;
}

export const defaultStepLimits: StepLimits = { outputBytes: 256 * 1024 * 1024, processes: 4_096 };

/** How long a step that ran into its timeout has between TERM and KILL. */
export const timeoutGraceMs = 5_000;

export interface StepSpec extends StepText {
  readonly isolation: Isolation;
  /** Absolute path of the runner's directory, made by `detectIsolation`; each attempt gets a private one inside. */
  readonly workRoot: string;
  readonly attemptId: string;
  readonly shell: StepShell;
  readonly timeoutMs: number;
  readonly limits?: Partial<StepLimits>;
  /** To lie in `filesOfStep`, by name; the step alone may read them. */
  readonly files?: ReadonlyMap<string, string>;
  readonly clock?: StepClock;
}

/** How long a sandbox may take to be set up, which is some 20 ms. */
export const launchTimeoutMs = 60_000;

/** Longest delay a timer of Node can have; one for more fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Starts a step in a directory of its own under `isolation` and returns once the sandbox stands and the script is about
 * to run. The environment of the script is exactly `environment`, `PATH`, `HOME` (private, empty, the working
 * directory), `LANG` and `TMPDIR` unless given, and what the shell itself adds. Neither script nor environment is ever an
 * argument of a program. Call `removeAttemptDirectory` after `exit`.
 *
 * Refuses with `config.unsafe` without isolation nobody asked for, with `runner.cannot` when the step cannot be run here
 * (no such shell, a variable no program could be given, the sandbox failed); nothing is left behind then.
 */
export async function startStep(spec: StepSpec): Promise<StepProcess> {
  checkStepText(spec);
  assert(spec.timeoutMs >= 1 && spec.timeoutMs <= protocolLimits.timeoutMs, 'a timeout lies outside 1 ms and 30 days');
  if (spec.isolation.kind === 'none' && !spec.isolation.accepted) {
    throw refusal('config.unsafe', { say: 'no sandbox works here; `--unsafe-local-runner` runs steps without one' });
  }
  const shellPath = findShell(spec.isolation, spec.shell);
  const uid = await claimUser(spec.isolation);
  try {
    const directory = await prepareDirectory(spec, uid);
    try {
      return await startIn(directory, { spec, shellPath, uid });
    } catch (error) {
      await removeAttemptDirectory({ ...spec, tools: spec.isolation.tools });
      throw error;
    }
  } catch (error) {
    await uid?.release({ reusable: true }); // nothing of the user's has run
    throw error;
  }
}

/** A user for the step. Outside PID namespaces a runner that died may have left processes of it. */
async function claimUser(isolation: Isolation): Promise<ClaimedUid | null> {
  const uid = (await uidsOf(isolation)?.claim()) ?? null;
  if (uid === null || hasProcessNamespace(isolation) || (await killUser(uid.uid, isolation.tools))) return uid;
  await uid.release({ reusable: false });
  throw refusal('runner.cannot', { say: `processes of the user id ${uid.uid} for steps cannot be ended` });
}

/** Where the step will see the files of its identities. */
export function filesOfStep({ isolation, workRoot, attemptId }: Pick<StepSpec, 'isolation' | 'workRoot' | 'attemptId'>): string {
  return stepView(isolation, join(workRoot, attemptId)).files;
}

interface Start {
  readonly spec: StepSpec;
  readonly shellPath: string;
  readonly uid: ClaimedUid | null;
}

async function startIn(directory: AttemptDirectory, { spec, shellPath, uid }: Start): Promise<StepProcess> {
  const { child, output, onLimit } = await launch(directory, {
    isolation: spec.isolation, uid: uid?.uid ?? null, limits: { ...defaultStepLimits, ...spec.limits },
  });
  const clock = spec.clock ?? realClock;
  const step = new RunningStep({
    isolation: spec.isolation, child, output, outputsFile: directory.outputs, outputVariables: spec.outputVariables,
    uid, home: stepView(spec.isolation, directory.path).home, clock, files: directory.files,
  });
  onLimit(() => step.end('output_limit', 0));
  const stopWaiting = clock.after(launchTimeoutMs, () => child.kill('SIGKILL'));
  try {
    await sandboxReady(child);
    stopWaiting();
  } catch (error) {
    stopWaiting();
    const words = await step.discard();
    throw refusal('runner.cannot', { say: `the sandbox of the step could not be set up: ${words}`, cause: error });
  }
  step.started({ timeoutMs: spec.timeoutMs, timeoutGraceMs });
  child.stdin?.end(loaderText(directory, spec, shellPath));
  return step;
}

async function prepareDirectory(spec: StepSpec, uid: ClaimedUid | null): Promise<AttemptDirectory> {
  const { workRoot, attemptId, script, outputVariables, isolation } = spec;
  const view = stepView(isolation, join(workRoot, attemptId));
  const main = mainProgram({
    scriptPath: join(view.control, controlFiles.script),
    outputsPath: join(view.control, controlFiles.outputs),
    outputVariables,
  });
  return createAttemptDirectory({
    workRoot, attemptId, script, main, tools: isolation.tools, uid: uid?.uid ?? null, filter: filterOf(isolation), files: spec.files ?? new Map(),
  });
}

function loaderText(directory: AttemptDirectory, spec: StepSpec, shellPath: string): string {
  const view = stepView(spec.isolation, directory.path);
  return loaderProgram({
    shellPath,
    mainPath: join(view.control, controlFiles.main),
    home: view.home,
    environment: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: view.home,
      LANG: 'C.UTF-8',
      TMPDIR: view.temporary,
      ...spec.environment,
    },
  });
}

interface Launched {
  readonly child: ChildProcess & { readonly pid: number };
  readonly output: StepOutput;
  /** What is to happen when the output passes its limit. */
  onLimit(act: () => void): void;
}

interface Launch {
  readonly isolation: Isolation;
  readonly uid: number | null;
  readonly limits: StepLimits;
}

async function launch(directory: AttemptDirectory, { isolation, uid, limits }: Launch): Promise<Launched> {
  const { path, outputs, stdout, stderr } = directory;
  let atLimit = () => {};
  const output = new StepOutput({
    stdoutFd: stdout.readFd, stderrFd: stderr.readFd, limitBytes: limits.outputBytes, onLimit: () => atLimit(),
  });
  try {
    const child = spawnLauncher(directory, isolation, { attemptDirectory: path, uid, processes: limits.processes });
    if (!hasPid(child)) {
      const [cause] = await once(child, 'error').catch((error: unknown) => [error]);
      throw refusal('runner.cannot', { say: `the program \`${child.spawnfile}\` cannot be started`, cause });
    }
    return { child, output, onLimit: (act) => (atLimit = act) };
  } catch (error) {
    output.close();
    await outputs.close();
    throw error;
  } finally {
    for (const { writeFd } of [stdout, stderr]) closeSync(writeFd);
  }
}

function spawnLauncher(directory: AttemptDirectory, isolation: Isolation, options: LaunchOptions): ChildProcess {
  const { path, stdout, stderr } = directory;
  const [file, ...args] = launchCommand(isolation, options);
  const nothing = openSync('/dev/null', 'r');
  const filter = openSync(filterOf(isolation) === null ? '/dev/null' : join(path, parts.control, controlFiles.filter), 'r');
  try {
    return spawn(file, args, {
      env: {},
      cwd: '/',
      detached: true,
      stdio: ['pipe', stdout.writeFd, stderr.writeFd, 'pipe', filter, ...coverInherited(nothing)],
    });
  } finally {
    for (const fd of [nothing, filter]) closeSync(fd);
  }
}

function hasPid(child: ChildProcess): child is ChildProcess & { readonly pid: number } {
  return child.pid !== undefined;
}

function filterOf(isolation: Isolation): Uint8Array | null {
  return isolation.kind === 'bubblewrap' ? isolation.systemCallFilter : null;
}

/**
 * `stdio` after `filterDescriptor`, which puts `harmless` over every descriptor the runner itself inherited and the step
 * would get: our own are all close-on-exec, those of a careless parent are not.
 */
function coverInherited(harmless: number): (number | 'ignore')[] {
  const inherited = new Set(inheritedDescriptors());
  const first = filterDescriptor + 1;
  const length = Math.max(filterDescriptor, ...inherited) - filterDescriptor;
  return Array.from({ length }, (_, index) => (inherited.has(first + index) ? harmless : 'ignore'));
}

/** Resolves when the loader runs inside the finished sandbox; rejects when the launcher ended before. */
function sandboxReady(child: ChildProcess): Promise<void> {
  const ready = child.stdio[3] as Duplex;
  child.stdin?.on('error', () => {}); // a step that is gone reads no more
  ready.on('error', () => {});
  return new Promise<void>((resolve, reject) => {
    ready.once('data', (bytes: Buffer) => {
      ready.destroy();
      if (bytes.toString() === readyByte) resolve();
      else reject(new Error('the loader did not answer as expected'));
    });
    child.once('exit', (code, signal) => reject(new Error(`the launcher ended with ${signal ?? code}`)));
    child.stdin?.write(loaderGreeting);
  });
}

function findShell({ tools }: Isolation, shell: StepShell): string {
  const path = tools[shell];
  if (path !== undefined) return path;
  throw refusal('runner.cannot', { say: `this runner has no \`${shell}\`; install it, or use shell \`sh\`` });
}

const realClock: StepClock = {
  after(delayMs, act) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      timer = setTimeout(() => (leftMs > longestTimerMs ? wait(leftMs - longestTimerMs) : act()), Math.min(leftMs, longestTimerMs));
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};
