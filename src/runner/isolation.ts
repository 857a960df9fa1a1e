import type { UidPool } from './uid-pool.ts';

/** Absolute paths of the host programs a sandbox is built from. Never looked up through a `PATH` of a caller. */
export interface SandboxTools {
  readonly sh: string;
  readonly bash?: string;
  readonly mkfifo: string;
  readonly rm: string;
  readonly chmod: string;
  readonly bwrap?: string;
  readonly setpriv?: string;
  readonly prlimit?: string;
  readonly unshare?: string;
  readonly mount?: string;
}

/** What every isolation knows about its host. */
interface Host {
  readonly tools: SandboxTools;
  /** Real paths no step may see: the data directory, the directory of the database socket, the runner's work root. */
  readonly hide: readonly string[];
}

/**
 * How the processes of a step are kept away from the server and from each other.
 *
 * | | `bubblewrap` | `uid` with namespaces | `uid` without | `none` |
 * |---|---|---|---|---|
 * | files | only `/usr`, a handful of `/etc`, `expose`, its own directory | what any user of the host may read, minus `hide`, `/home`, `/root`, `/tmp` | what any user of the host may read | all the runner may |
 * | what a step leaves elsewhere | nowhere it could | in directories open to everybody, such as `/run/lock`; a later step with its user can read it | the same with `/tmp`, and System V shared memory | anywhere the runner may |
 * | user | as root one of its own per attempt; else the runner's, in a user namespace | one of its own per attempt | one of its own per attempt | the runner's |
 * | other processes | invisible (PID namespace) | invisible | visible (`/proc` is mounted without `hidepid`), not readable, not signallable | readable and signallable |
 * | when the runner dies | everything dies | everything dies | the shell dies, the rest at the next start of a runner | everything stays |
 * | privileges | none, no setuid gain | none, no setuid gain | none, no setuid gain | those of the runner |
 * | kernel | the calls `stepSystemCallFilter` names are refused, user namespaces too | all of it, as for any user | all of it | all of it |
 *
 * Not protected in any of them: the network (a step fetches sources, calls the server's token endpoint and clouds, so
 * it shares the host's network, loopback, abstract unix sockets and cloud metadata addresses included), the amount of
 * disk, memory and CPU it uses (only processes, output and time are limited; use a cgroup around the runner), and the
 * kernel itself: whoever breaks the kernel breaks out.
 */
export type Isolation =
  | (Host & {
      readonly kind: 'bubblewrap';
      /** One user per attempt when the runner is root; `null`: the runner's own user in a user namespace. */
      readonly uids: UidPool | null;
      /** False on bubblewrap before 0.8, where a step without a uid of its own may still nest user namespaces. */
      readonly forbidsUserNamespaces: boolean;
      /** What `stepSystemCallFilter` has for this machine; null on an architecture it does not know. */
      readonly systemCallFilter: Uint8Array | null;
      /** Host directories every step sees read-only besides `/usr` and the needed parts of `/etc`. */
      readonly expose: readonly string[];
    })
  | (Host & {
      readonly kind: 'uid';
      readonly uids: UidPool;
      /** Whether mount, PID, IPC and UTS namespaces are put around the step as well. */
      readonly namespaces: boolean;
    })
  | (Host & {
      readonly kind: 'none';
      /** True only when the operator asked for it by `--unsafe-local-runner`; without it no step starts. */
      readonly accepted: boolean;
    });

/** True when the step runs in a PID namespace of its own, whose end is the end of every process in it. */
export function hasProcessNamespace(isolation: Isolation): boolean {
  return isolation.kind === 'bubblewrap' || (isolation.kind === 'uid' && isolation.namespaces);
}

/** The pool a step's own user comes from, or null where steps run as the user of the runner. */
export function uidsOf(isolation: Isolation): UidPool | null {
  return isolation.kind === 'none' ? null : isolation.uids;
}
