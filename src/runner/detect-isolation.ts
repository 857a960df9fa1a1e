import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Refusal, assert, refusal } from '#kernel/errors.ts';
import { hasProcessNamespace, uidsOf } from './isolation.ts';
import type { Isolation, SandboxTools } from './isolation.ts';
import { killUser } from './running-step.ts';
import { hostProcesses } from './processes.ts';
import { removeAttemptDirectory, startStep } from './sandbox.ts';
import type { StepSpec } from './sandbox.ts';
import { shellQuote } from './step-script.ts';
import { stepSystemCallFilter } from './system-calls.ts';
import { defaultUidRanges, uidPool } from './uid-pool.ts';
import type { UidPool, UidRange } from './uid-pool.ts';

/** In the order of preference. The first needs `bwrap`, the others root; see `Isolation`. */
export const isolationCandidates = ['bubblewrap', 'uid_namespaces', 'uid'] as const;
export type IsolationCandidate = (typeof isolationCandidates)[number];

export interface DetectOptions {
  /** Absolute path; made when absent. The runner alone writes here; no step can list it. */
  readonly workRoot: string;
  /** Absolute paths of directories no step may see into: data directory, database socket, the runner's key. */
  readonly hide: readonly string[];
  /** Host directories besides `/usr` that steps need under bubblewrap, for example `/opt`. */
  readonly expose?: readonly string[];
  readonly uidRange?: UidRange;
  /** `--unsafe-local-runner`: run steps bare when nothing else works. */
  readonly acceptNone?: boolean;
  readonly candidates?: readonly IsolationCandidate[];
}

export interface DetectedIsolation {
  readonly isolation: Isolation;
  /** One line per isolation tried, for the log and `doctor`. */
  readonly explained: string;
}

const run = promisify(execFile);

const programDirectories = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];
const trialTimeoutMs = 20_000;
/** What the trial step must print: it ran, and it could not see what is hidden. */
const trialWord = 'sandboxed';
const namespacesHint =
  ' (bubblewrap needs user namespaces for everybody: see kernel.unprivileged_userns_clone, user.max_user_namespaces and' +
  ' kernel.apparmor_restrict_unprivileged_userns)';
let trials = 0;

/**
 * Finds the best isolation that works here, by running a step in it that tries to see the hidden directories, the work
 * root and (where it should not) the runner's user. Without one the answer is `none`, under which no step starts unless
 * `acceptNone`. Refuses with `config.invalid` for a bad uid range or when programs every system has are missing.
 */
export async function detectIsolation(options: DetectOptions): Promise<DetectedIsolation> {
  const root = process.getuid?.() === 0;
  const workRoot = await prepareWorkRoot(options.workRoot, root);
  const tools = findTools();
  const hide = await realDirectories([...options.hide, workRoot]);
  const expose = await realDirectories(options.expose ?? []);
  const host = { tools, hide };
  const uids = root ? await stepUids(options.uidRange) : null;
  if (uids !== null) await endLeftovers(tools, uids);
  const explained: string[] = [];
  for (const candidate of options.candidates ?? isolationCandidates) {
    const lacking = whatLacks(candidate, tools, uids);
    if (lacking !== null) {
      explained.push(`${candidate}: ${lacking}`);
      continue;
    }
    const isolation = await candidateIsolation(candidate, { host, uids, expose });
    const fault = (await impassableParent(isolation, workRoot)) ?? (await tryIsolation(isolation, workRoot));
    const hint = candidate === 'bubblewrap' && !root ? namespacesHint : '';
    explained.push(`${candidate}: ${fault === null ? 'works' : fault + hint}`);
    if (fault === null) return { isolation, explained: explained.join('\n') };
  }
  const accepted = options.acceptNone === true;
  explained.push(accepted ? 'none: accepted, steps run with the rights of the runner' : 'none: no step will start');
  return { isolation: { kind: 'none', accepted, ...host }, explained: explained.join('\n') };
}

function whatLacks(candidate: IsolationCandidate, tools: SandboxTools, uids: UidPool | null): string | null {
  const lacks = (...names: (keyof SandboxTools)[]) => {
    const absent = names.filter((name) => tools[name] === undefined);
    return absent.length === 0 ? null : `${absent.join(', ')} not installed`;
  };
  if (candidate === 'bubblewrap') return uids === null ? lacks('bwrap', 'prlimit') : lacks('bwrap', 'prlimit', 'setpriv');
  if (uids === null) return 'needs root';
  return candidate === 'uid' ? lacks('prlimit', 'setpriv') : lacks('prlimit', 'setpriv', 'unshare', 'mount');
}

interface CandidateParts {
  readonly host: { readonly tools: SandboxTools; readonly hide: readonly string[] };
  readonly uids: UidPool | null;
  readonly expose: readonly string[];
}

async function candidateIsolation(name: IsolationCandidate, { host, uids, expose }: CandidateParts): Promise<Isolation> {
  if (name === 'bubblewrap') {
    const { stdout: help } = await run(host.tools.bwrap ?? 'bwrap', ['--help'], { env: {}, cwd: '/' });
    const forbidsUserNamespaces = help.includes('--disable-userns');
    const systemCallFilter = stepSystemCallFilter(process.arch);
    return { kind: 'bubblewrap', ...host, uids, expose, forbidsUserNamespaces, systemCallFilter };
  }
  assert(uids !== null, 'an isolation by user was chosen without being root');
  return { kind: 'uid', ...host, uids, namespaces: name === 'uid_namespaces' };
}

/** Runs the trial step. Null when it did what it should, else what went wrong. */
async function tryIsolation(isolation: Isolation, workRoot: string): Promise<string | null> {
  const attemptId = `trial-${process.pid}-${(trials += 1)}`;
  const spec: StepSpec = {
    isolation, workRoot, attemptId, shell: 'sh', environment: {}, outputVariables: ['seen'], timeoutMs: trialTimeoutMs,
    script: trialScript(isolation),
  };
  const directory = { workRoot, attemptId, tools: isolation.tools };
  await removeAttemptDirectory(directory); // of a runner that died in its trial and had our number
  try {
    const step = await startStep(spec);
    const words: Uint8Array[] = [];
    for await (const { bytes } of step.output) words.push(bytes);
    const { code, signal, outputs, reason } = await step.exit;
    if (code === 0 && outputs['seen'] === trialWord) return null;
    return `a trial ended with ${reason ?? signal ?? code}: ${Buffer.concat(words).toString('utf8').trim().slice(0, 500)}`;
  } catch (error) {
    return error instanceof Refusal ? (error.say ?? error.message) : `a trial failed: ${String(error)}`;
  } finally {
    await removeAttemptDirectory(directory);
  }
}

/** Without a view of its own a step's user walks to its directory from the root. */
async function impassableParent(isolation: Isolation, workRoot: string): Promise<string | null> {
  if (uidsOf(isolation) === null || hasProcessNamespace(isolation)) return null;
  for (let path = workRoot; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) {
      return `a step cannot pass \`${path}\` on the way to its directory; make it 0711, or put the work root elsewhere`;
    }
  }
  return null;
}

function trialScript(isolation: Isolation): string {
  const fail = (text: string) => `{ echo ${shellQuote(text)} >&2; exit 1; }`;
  // Without a view of its own the step depends on the permissions, also of what will be put there later
  const hidden = (path: string) =>
    hasProcessNamespace(isolation) ? `[ -z "$(ls -A ${shellQuote(path)} 2>/dev/null)" ]` : `[ ! -r ${shellQuote(path)} ]`;
  return [
    ...isolation.hide.map((path) => `${hidden(path)} || ${fail(`a step can list \`${path}\`; make it 0700`)}`),
    ...(uidsOf(isolation) === null ? [] : [`[ "$(id -u)" != 0 ] || ${fail('the step is root')}`]),
    `touch "$HOME/a" "$TMPDIR/b" || ${fail('a step cannot write its own directory')}`,
    `seen=${trialWord}`,
  ].join('\n');
}

/** The range asked for, else the first of ours that can be used here. */
async function stepUids(range: UidRange | undefined): Promise<UidPool> {
  if (range !== undefined) return uidPool(range);
  const pools = await Promise.all(defaultUidRanges.map((one) => uidPool(one)));
  const pool = pools.find(({ size }) => size > 0) ?? pools[0];
  assert(pool !== undefined, 'there is no default range of user ids');
  return pool;
}

/** Steps of a runner that died outside any PID namespace: nobody else holds their user, so they end now. */
async function endLeftovers(tools: SandboxTools, uids: UidPool): Promise<void> {
  const { first, last } = uids.range;
  for (const uid of new Set(hostProcesses().map((process) => process.uid))) {
    if (uid < first || uid > last) continue;
    const claimed = await uids.claimExactly(uid);
    if (claimed !== null) await claimed.release({ reusable: await killUser(uid, tools) });
  }
}

/** As root passable but not listable (0711), so that a step's user reaches its own directory and sees no other. */
async function prepareWorkRoot(workRoot: string, root: boolean): Promise<string> {
  await mkdir(workRoot, { recursive: true, mode: 0o700 });
  await chmod(workRoot, root ? 0o711 : 0o700);
  return realpath(workRoot);
}

/** By their real names, the outer before the inner. */
async function realDirectories(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map(async (path) => {
    const real = await realpath(path).catch(() => null);
    if (real !== null && (await stat(real)).isDirectory()) return real;
    throw refusal('config.invalid', { say: `\`${path}\` is to be hidden from steps or shown to them but is no directory` });
  }));
  return [...new Set(found)].toSorted();
}

function findTools(): SandboxTools {
  const find = (name: string) => programDirectories.map((directory) => join(directory, name)).find(executable);
  const need = (name: string) => {
    const path = find(name);
    if (path === undefined) throw refusal('config.invalid', { say: `a runner needs the program \`${name}\`; install it` });
    return path;
  };
  const optional = ['bash', 'bwrap', 'setpriv', 'prlimit', 'unshare', 'mount'].map((name) => [name, find(name)]);
  return {
    sh: need('sh'), mkfifo: need('mkfifo'), rm: need('rm'), chmod: need('chmod'),
    ...Object.fromEntries(optional.filter(([, path]) => path !== undefined)),
  };
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
