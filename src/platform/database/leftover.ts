import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusal } from '#kernel/errors.ts';
import { bareEnvironment } from './unprivileged.ts';

/** A setting PostgreSQL keeps without knowing it: the process id of the server it was started by. */
export const serverSetting = 'sallyport.server_process';

/**
 * Called while processes hold the cluster but no server holds the directory: asks a postmaster whose server has died to
 * shut down fast. On Linux the kernel has told it already, unless the server died in the instant between starting it and
 * arming that; on Darwin this is the only way. A postmaster whose server lives is left alone.
 */
export function endOrphan(dataDirectory: string): void {
  const found = findPostmaster(dataDirectory);
  if (found === undefined) return;
  if (!found.orphaned) throw lockRemoved(dataDirectory);
  try {
    process.kill(found.pid, 'SIGINT');
  } catch {
    // It has ended by itself, or is not ours to end; whether the lock comes free decides.
  }
}

/** Called with both locks held: a postmaster that lives nevertheless means that their files were removed under it. */
export function refuseUnlockedPostmaster(dataDirectory: string): void {
  if (findPostmaster(dataDirectory) !== undefined) throw lockRemoved(dataDirectory);
}

function lockRemoved(dataDirectory: string) {
  return refusal('host.in_use', {
    say: `a database server runs on \`${dataDirectory}\`, whose lock file was removed: stop the server it belongs to`,
  });
}

/**
 * The living postmaster of the cluster as far as this pid namespace shows it. The number in `postmaster.pid` counts only
 * if the command line of that process names the cluster: after a crash, or in another container, it is anybody's.
 */
function findPostmaster(dataDirectory: string): { pid: number; orphaned: boolean } | undefined {
  const cluster = join(dataDirectory, 'postgres');
  try {
    const pid = Number.parseInt(readFileSync(join(cluster, 'postmaster.pid'), 'utf8'), 10);
    if (!(pid > 1)) return undefined;
    const { commandLine, parent } = describeProcess(pid);
    if (!commandLine.includes(cluster)) return undefined;
    const startedBy = new RegExp(`${RegExp.escape(serverSetting)}=(\\d+)`).exec(commandLine)?.[1];
    return { pid, orphaned: startedBy !== parent };
  } catch {
    return undefined; // no such file or process
  }
}

function describeProcess(pid: number): { commandLine: string; parent: string | undefined } {
  if (process.platform === 'linux') {
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return { commandLine: readFileSync(`/proc/${pid}/cmdline`, 'utf8'), parent };
  }
  const ps = (column: string) =>
    spawnSync('ps', ['-ww', '-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', env: bareEnvironment }).stdout.trim();
  return { commandLine: ps('command'), parent: ps('ppid') };
}
