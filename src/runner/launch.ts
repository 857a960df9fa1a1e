import { join } from 'node:path';
import { assert } from '#kernel/errors.ts';
import { parts } from './attempt-directory.ts';
import { bubblewrapArguments, sandboxView } from './bubblewrap.ts';
import type { Isolation, SandboxTools } from './isolation.ts';

/** Where the step sees its directories. */
export interface StepView {
  readonly home: string;
  readonly temporary: string;
  readonly control: string;
  readonly files: string;
}

export function stepView(isolation: Isolation, attemptDirectory: string): StepView {
  const moved = isolation.kind === 'bubblewrap' || (isolation.kind === 'uid' && isolation.namespaces);
  if (moved) return sandboxView;
  return {
    home: join(attemptDirectory, parts.home),
    temporary: join(attemptDirectory, parts.temporary),
    control: join(attemptDirectory, parts.control),
    files: join(attemptDirectory, parts.files),
  };
}

export interface LaunchOptions {
  readonly attemptDirectory: string;
  /** The user claimed for the attempt; null where the isolation has none. */
  readonly uid: number | null;
  /** Processes and threads the step's user may have at once. */
  readonly processes: number;
}

/**
 * The command that ends in the loader's `/bin/sh` inside the sandbox. It is started with an empty environment, from
 * `/`, in a session of its own. Nothing in it is secret: every user of the host may read it in `/proc`.
 */
export function launchCommand(isolation: Isolation, options: LaunchOptions): [string, ...string[]] {
  const { tools } = isolation;
  switch (isolation.kind) {
    case 'bubblewrap':
      return [
        program(tools, 'bwrap'), ...bubblewrapArguments(isolation, options.attemptDirectory),
        '--', '/bin/sh', '-c', initProgram, 'init', ...loader(tools, options),
      ];
    case 'uid':
      if (!isolation.namespaces) return loader(tools, options);
      return [
        // `unshare` goes with the runner, the init with `unshare`, everything with the init
        program(tools, 'setpriv'), '--pdeathsig', 'KILL', '--', program(tools, 'unshare'),
        '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--ipc', '--uts', '--cgroup', '--',
        '/bin/sh', '-c', namespaceProgram, 'init', program(tools, 'mount'), options.attemptDirectory,
        String(isolation.hide.length), ...isolation.hide, ...loader(tools, options),
      ];
    case 'none':
      return [tools.sh];
  }
}

/** The first process of the sandbox: waits for the loader and collects orphans. When it ends, all others are killed. */
const initProgram = '"$@"; exit $?';

/**
 * The same, for root without bubblewrap: builds the view first. `mount -c` keeps the relative source, so that the
 * attempt's directory is still reached once a cover lies over the path to it. Covers are not listable (0711).
 */
const namespaceProgram = `
set -eu
mount=$1; cd "$2"; hidden=$3; shift 3
cover() { if [ -d "$1" ]; then "$mount" -t tmpfs -o mode=0711,size=64k,nosuid,nodev,noexec tmpfs "$1"; fi; }
while [ "$hidden" -gt 0 ]; do cover "$1"; shift; hidden=$((hidden - 1)); done
cover /root
"$mount" -t tmpfs -o mode=0755,size=64k,nosuid,nodev tmpfs /home
mkdir ${sandboxView.home} ${sandboxView.control} ${sandboxView.files}
"$mount" -c --bind ./${parts.home} ${sandboxView.home}
"$mount" -c --bind ./${parts.control} ${sandboxView.control}
"$mount" -c --bind ./${parts.files} ${sandboxView.files}
"$mount" -c --bind ./${parts.control}/passwd /etc/passwd
"$mount" -c --bind ./${parts.control}/group /etc/group
"$mount" -c --bind ./${parts.sharedMemory} /dev/shm
"$mount" -c --bind ./${parts.temporary} /var/tmp
"$mount" -c --bind ./${parts.temporary} ${sandboxView.temporary}
cd /
set +e
"$@"; exit $?`;

/** `/bin/sh` under the limits and, where there is one, the user of the step, without any privilege or way back to one. */
function loader(tools: SandboxTools, { uid, processes }: LaunchOptions): [string, ...string[]] {
  const limits = [program(tools, 'prlimit'), '--core=0:0', `--nproc=${processes}:${processes}`] as const;
  if (uid === null) return [...limits, '/bin/sh'];
  assert(uid > 0, 'a step would run as root');
  return [
    ...limits,
    program(tools, 'setpriv'), `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--no-new-privs',
    '--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all', '--pdeathsig', 'KILL', '--', '/bin/sh',
  ];
}

function program(tools: SandboxTools, name: keyof SandboxTools): string {
  const path = tools[name];
  assert(path !== undefined, `the isolation was chosen without ${name}`);
  return path;
}
