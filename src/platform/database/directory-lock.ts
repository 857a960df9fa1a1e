import { spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { refusal } from '#kernel/errors.ts';
import { bareEnvironment } from './unprivileged.ts';

/**
 * Two kernel locks (flock) keep a data directory to one server:
 *
 * - `lock` is held by the server alone. Whoever finds it taken is refused at once.
 * - `postgres.lock` is held by the PostgreSQL processes, which inherit its open file. After `kill -9` of a server they
 *   need a moment to end; the next server waits for exactly that.
 *
 * A lock of the kernel ends with its last holder, so nothing can be stale: no heartbeat, no comparison of process ids,
 * which mean nothing in another container. It belongs to the file, so it holds between containers that share a volume
 * (and between hosts on NFS), and no other user of the host can take it, because the directory is closed to them: that
 * is why there is no lock on an abstract socket, whose name anybody may occupy. The files are never removed.
 */
export interface FileLock {
  /** An open file; a child that inherits it holds the lock too. */
  readonly fd: number;
  release(): void;
}

/** Takes the directory for this process, or refuses with `host.in_use`. */
export function lockForServer(directory: string): FileLock {
  const path = join(directory, 'lock');
  const lock = tryLock(path);
  if (lock === undefined) {
    const holder = readFileSync(path, 'utf8').slice(0, 300).trim();
    throw refusal('host.in_use', {
      say: `the data directory \`${directory}\` is in use by ${holder || 'another server'}: stop that server first`,
    });
  }
  ftruncateSync(lock.fd);
  writeSync(lock.fd, `process ${process.pid} on host \`${hostname()}\`\n`, 0);
  return lock;
}

/**
 * Takes the lock for the PostgreSQL processes to be started, after those of an earlier server have ended.
 * `onBusy` is called once if there are any.
 */
export async function lockForProcesses(
  directory: string,
  options: { readonly onBusy: () => void; readonly patienceMs: number },
): Promise<FileLock> {
  const intervalMs = 50;
  for (let waitedMs = 0; waitedMs <= options.patienceMs; waitedMs += intervalMs) {
    const lock = tryLock(join(directory, 'postgres.lock'));
    if (lock !== undefined) return lock;
    if (waitedMs === 0) options.onBusy();
    await delay(intervalMs);
  }
  throw refusal('host.in_use', {
    say: `PostgreSQL processes of an earlier server still work in \`${directory}\`: wait until they end, or end them`,
  });
}

/** Undefined when somebody holds it. Of this process, too: each lock is one open file. */
export function tryLock(path: string): FileLock | undefined {
  const fd = process.platform === 'darwin' ? openLockedOnDarwin(path) : openLockedOnLinux(path);
  return fd === undefined ? undefined : { fd, release: () => closeSync(fd) };
}

/** `flock` of util-linux locks the open file it inherits; the lock stays with our descriptor when that process ends. */
function openLockedOnLinux(path: string): number | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const flock = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd], env: bareEnvironment, cwd: '/' });
  if (flock.status === 0) return fd;
  closeSync(fd);
  if (flock.status === 1) return undefined;
  throw refusal('host.database', {
    say: `\`${path}\` cannot be locked: the embedded database needs \`flock\` of util-linux and a file system that can lock; or use \`--database-url\``,
    because: String(flock.error ?? flock.stderr),
  });
}

/** open(2) on Darwin takes the same lock by flags; Node has no names for them (sys/fcntl.h: O_EXLOCK). Not tested. */
function openLockedOnDarwin(path: string): number | undefined {
  const exclusiveLock = 0x20;
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | exclusiveLock, 0o600);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') return undefined;
    throw cause;
  }
}
