import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join, sep } from 'node:path';
import { controlFiles, parts } from './attempt-directory.ts';
import type { Isolation } from './isolation.ts';

type Bubblewrap = Extract<Isolation, { kind: 'bubblewrap' }>;

/** Where a step sees its own directory in isolations that put files in other places. */
export const sandboxView = { home: '/home/step', temporary: '/tmp', control: '/home/.step', files: '/home/.identities' } as const;

/** Where bubblewrap finds the system call filter; every launcher gets the descriptor, see `startStep`. */
export const filterDescriptor = 4;

/** Directories at the root that hold programs and libraries; on many systems links into `/usr`. */
const programDirectories = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** What programs need of `/etc` to start, resolve names, verify certificates and tell the time. Nothing else is there. */
const neededOfEtc = [
  'alternatives', 'ca-certificates', 'ca-certificates.conf', 'crypto-policies', 'gai.conf', 'host.conf', 'hosts',
  'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'localtime', 'mime.types', 'nsswitch.conf', 'os-release', 'pki',
  'protocols', 'resolv.conf', 'services', 'ssl', 'terminfo', 'timezone',
];
const privateInEtc = ['/etc/ssl/private', '/etc/pki/tls/private'];

/**
 * The arguments of `bwrap` before the program it runs. Only paths and numbers: they are readable by the whole host.
 *
 * As root no user namespace is made: bubblewrap builds the file system with root's rights and keeps only what
 * `setpriv` needs to become the step's user and drop the rest. Otherwise a user namespace maps the runner's user alone.
 * `--as-pid-1`: our own init, so that bubblewrap ends when the last process of the step has ended and not before.
 * The network is shared (no `--unshare-net`), see `Isolation`.
 */
export function bubblewrapArguments(isolation: Bubblewrap, attemptDirectory: string): string[] {
  const own = (part: string) => join(attemptDirectory, part);
  return [
    ...(isolation.uids === null ? ['--unshare-user'] : []),
    ...(isolation.uids === null && isolation.forbidsUserNamespaces ? ['--disable-userns'] : []),
    '--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try',
    '--die-with-parent', '--new-session', '--as-pid-1',
    ...(isolation.systemCallFilter === null ? [] : ['--seccomp', String(filterDescriptor)]),
    '--cap-drop', 'ALL',
    ...(isolation.uids === null ? [] : ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((name) => ['--cap-add', name])),
    '--ro-bind', '/usr', '/usr',
    ...programDirectories.flatMap(programDirectory),
    '--dir', '/etc',
    ...neededOfEtc.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
    ...privateInEtc.filter((path) => entry(path)?.isDirectory()).flatMap((path) => ['--tmpfs', path]),
    '--ro-bind', own(join(parts.control, controlFiles.passwd)), '/etc/passwd',
    '--ro-bind', own(join(parts.control, controlFiles.group)), '/etc/group',
    ...isolation.expose.flatMap((path) => ['--ro-bind', path, path]),
    ...hiddenBelow(['/usr', ...isolation.expose], isolation.hide).flatMap((path) => ['--tmpfs', path]),
    '--proc', '/proc', '--dev', '/dev', '--bind', own(parts.sharedMemory), '/dev/shm',
    '--dir', '/home', '--dir', '/var', '--dir', '/run',
    '--bind', own(parts.temporary), '/tmp', '--bind', own(parts.temporary), '/var/tmp',
    '--bind', own(parts.home), sandboxView.home,
    '--bind', own(parts.control), sandboxView.control,
    '--ro-bind', own(parts.files), sandboxView.files,
    '--remount-ro', '/',
    '--chdir', '/',
  ];
}

function programDirectory(name: string): string[] {
  const path = `/${name}`;
  const found = entry(path);
  if (found === null) return [];
  return found.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
}

/** The directories of `hide` that would be seen through an exposed one. */
function hiddenBelow(exposed: readonly string[], hide: readonly string[]): string[] {
  const real = exposed.map((path) => realpathSync(path));
  const below = (path: string) => real.some((root) => path === root || path.startsWith(root + sep));
  return hide.filter((path) => below(path) && entry(path)?.isDirectory());
}

function entry(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
