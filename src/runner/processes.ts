import { readdirSync, readFileSync } from 'node:fs';
import { assert } from '#kernel/errors.ts';

/** One process as `/proc` of this host shows it. */
export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  /** Real user id. */
  readonly uid: number;
  /** Dead and only waiting for its parent to notice. */
  readonly zombie: boolean;
}

/** All processes this process may see. Empty where there is no `/proc`. One that ends meanwhile is left out. */
export function hostProcesses(): HostProcess[] {
  return numbersIn('/proc').flatMap((pid) => readProcess(pid) ?? []);
}

/** The living processes of one user, whatever session, group or parent they moved to. */
export function processesOfUid(uid: number): number[] {
  return hostProcesses().filter((process) => process.uid === uid && !process.zombie).map(({ pid }) => pid);
}

/** Children of `pid`, direct ones first, then theirs. Orphans inside a PID namespace stay descendants of its init. */
export function descendants(pid: number): HostProcess[] {
  const children = Map.groupBy(hostProcesses(), (process) => process.parent);
  const found: HostProcess[] = [];
  const open = [pid];
  for (let parent = open.shift(); parent !== undefined; parent = open.shift()) {
    const next = children.get(parent) ?? [];
    found.push(...next);
    open.push(...next.map((child) => child.pid));
  }
  return found;
}

/** The only child of a launcher with one thread. By the kernel's list where there is one: a scan costs 40 µs a process. */
export function onlyChild(pid: number): number | null {
  const listed = readText(`/proc/${pid}/task/${pid}/children`);
  if (listed === null) return descendants(pid)[0]?.pid ?? null;
  return /^\d+/.test(listed) ? Number.parseInt(listed, 10) : null;
}

/** Processes of this user that were started with exactly `NAME=value` among their environment. */
export function processesWithVariable(name: string, value: string): number[] {
  const has = (environ: string | null) => environ?.split('\0').includes(`${name}=${value}`) === true;
  return numbersIn('/proc').filter((pid) => has(readText(`/proc/${pid}/environ`)));
}

/** Sends `signal` to a process (a group, when negative); one that has ended or is not ours to signal is passed over. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  assert(Math.abs(pid) > 1, 'a signal would go to the host, to everybody or to the runner itself');
  try {
    process.kill(pid, signal);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/** Descriptors of this process that its children inherit (close-on-exec is off). Empty where there is no `/proc`. */
export function inheritedDescriptors(): number[] {
  const closeOnExec = 0o2_000_000;
  return numbersIn('/proc/self/fdinfo').filter((fd) => {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readText(`/proc/self/fdinfo/${fd}`) ?? '')?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  });
}

function readProcess(pid: number): HostProcess | null {
  const status = readText(`/proc/${pid}/status`);
  if (status === null) return null;
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
  return { pid, parent: Number(field('PPid')), uid: Number(field('Uid')), zombie: field('State') === 'Z' };
}

function numbersIn(directory: string): number[] {
  try {
    return readdirSync(directory).filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return [];
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
