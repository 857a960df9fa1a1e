import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { refusal } from '#kernel/errors.ts';
import type { Binaries } from './binaries.ts';

/** All that programs of the cluster get to know of our environment. C keeps their messages and sort order fixed. */
export const bareEnvironment = { LC_ALL: 'C', PATH: '/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin' };

/** A way to run PostgreSQL, which refuses to be root: the words before its own command line, and whom its files belong to. */
export interface Way {
  readonly prefix: readonly string[];
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Whether processes are of another user than ours for the kernel. */
  readonly foreign: boolean;
  /** Major version of the binaries. */
  readonly major: number;
}

type Candidate = Omit<Way, 'major'>;

/**
 * Finds the first way in which the PostgreSQL binary starts here.
 *
 * - Not root: as we are. A user without an entry in the user database (a container with an arbitrary uid) goes through a
 *   user namespace first, since `initdb` looks its user up.
 * - Root: in a user namespace, where our uid is called that of an ordinary user. It is still ours for the file system, so
 *   nothing has to be given away. Where namespaces are forbidden (the default profile of Docker): as a user of the host.
 */
export async function findWay(binaries: Binaries, allowUserNamespaces: boolean): Promise<Way> {
  const reasons: string[] = [];
  for (const candidate of candidates(allowUserNamespaces)) {
    const { status, output } = await run(candidate, [binaries.postgres, '--version']);
    const major = /PostgreSQL\) (\d+)/.exec(output)?.[1];
    if (status === 0 && major !== undefined) return { ...candidate, major: Number(major) };
    reasons.push(`${candidate.prefix.join(' ') || 'directly'}: ${output.trim() || `status ${status}`}`);
  }
  throw refusal('host.database', {
    say: `the embedded PostgreSQL cannot be started here (${reasons.at(-1) ?? 'it does not run as root'}): run as an ordinary user, or use \`--database-url\``,
    because: reasons.join('\n'),
  });
}

/** `setpriv --pdeathsig` has the kernel send SIGINT, a fast shutdown, when the thread that started the process ends. */
function candidates(allowUserNamespaces: boolean): Candidate[] {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  // Darwin has none of these programs; there a leftover is ended by the next start (leftover.ts). Not tested.
  if (process.platform === 'darwin') return uid === 0 ? [] : [{ prefix: [], owner: { uid, gid }, foreign: false }];

  const endWithUs = ['setpriv', '--pdeathsig', 'INT'];
  const direct: Candidate = { prefix: [...endWithUs, '--'], owner: { uid, gid }, foreign: false };
  if (uid !== 0 && isKnownUser()) return [direct];

  const other = serviceUser();
  if (other === undefined) return uid === 0 ? [] : [direct];
  const namespace: Candidate = {
    prefix: ['unshare', '--user', `--map-user=${other.uid}`, `--map-group=${other.gid}`, '--', ...endWithUs, '--'],
    owner: { uid, gid },
    foreign: false,
  };
  const otherUser: Candidate = {
    prefix: [...endWithUs, `--reuid=${other.uid}`, `--regid=${other.gid}`, '--clear-groups', '--'],
    owner: other,
    foreign: true,
  };
  return [...(allowUserNamespaces ? [namespace] : []), uid === 0 ? otherUser : direct];
}

function isKnownUser(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

/** An operator may make a user `sallyport` for this; `nobody` is there nearly everywhere. */
function serviceUser(): { uid: number; gid: number } | undefined {
  const users = new Map(readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => [line.split(':')[0], line.split(':')]));
  for (const name of ['sallyport', 'nobody']) {
    const [uid, gid] = (users.get(name) ?? []).slice(2, 4).map(Number);
    if (uid !== undefined && gid !== undefined && uid > 0 && gid > 0) return { uid, gid };
  }
  return undefined;
}

export interface Outcome {
  readonly status: number | null;
  /** Standard output and error, at most 64 KiB. */
  readonly output: string;
}

/** Runs one program of the cluster to its end. `lockFd` is inherited, so that whatever outlives us keeps the lock. */
export function run(
  way: Pick<Way, 'prefix'>,
  command: readonly string[],
  options: { readonly input?: string; readonly lockFd?: number } = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const [file = '', ...args] = [...way.prefix, ...command];
  const stdio = ['pipe', 'pipe', 'pipe', options.lockFd ?? 'ignore'] as const;
  const child = spawn(file, args, { env: bareEnvironment, cwd: '/', detached: true, stdio: [...stdio] });
  let output = '';
  const keep = (chunk: Buffer) => (output = (output + chunk.toString('utf8')).slice(-65_536));
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => resolve({ status: null, output: error.message }));
  child.on('close', (status) => resolve({ status, output }));
  child.stdin?.on('error', () => {}); // it ended without reading; its status says why
  child.stdin?.end(options.input ?? '');
  return promise;
}
