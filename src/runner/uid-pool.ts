import { lstat, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, refusal } from '#kernel/errors.ts';
import { tryLock } from '#platform/database/directory-lock.ts';

export interface UidRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Where nobody else gives out numbers: above people, services, the `subuid` blocks of container users (to 600,100,000)
 * and systemd's containers (to 1,879,048,191); in a container that maps only 16 bits, the gap systemd leaves.
 */
export const defaultUidRanges: readonly UidRange[] = [
  { first: 1_900_000_000, last: 1_900_000_999 },
  { first: 60_706, last: 61_183 },
];

/** A user no other attempt of any runner on this host has until `release`. The group has the same number. */
export interface ClaimedUid {
  readonly uid: number;
  /** `reusable: false` keeps it out of use until this process ends: something of it may still be alive. */
  release(options: { readonly reusable: boolean }): Promise<void>;
}

export interface UidPool {
  readonly range: UidRange;
  /** How many of the range can be used on this host. */
  readonly size: number;
  /** Refuses with `runner.cannot` when all are in use. */
  claim(): Promise<ClaimedUid>;
  /** Claims `uid` itself, or null when somebody has it. */
  claimExactly(uid: number): Promise<ClaimedUid | null>;
}

const maxRangeSize = 65_536;
/** One for all runners of the host. */
const defaultLocks = '/run/sallyport-steps';

/**
 * Makes the pool of users for steps; refuses with `config.invalid` for a range that is none. Numbers that `/etc/passwd`,
 * `/etc/group`, `/etc/subuid` or `/etc/subgid` give to somebody are never handed out: such a step could read that
 * person's, or that person's containers', files.
 *
 * Two runners on one host may have the same range, so a claim is the lock (flock) of a file in a directory of root's: it
 * goes with its process, however that ends. No name that a step could take itself: an abstract socket would be one, and a
 * step that holds all of them would keep every other from starting. Numbers are given out in turn, so that a freed one
 * rests as long as possible.
 */
export async function uidPool(range: UidRange, { locks = defaultLocks }: { readonly locks?: string } = {}): Promise<UidPool> {
  const size = range.last - range.first + 1;
  if (range.first < 1_000 || size < 1 || size > maxRangeSize || range.last > 2 ** 31 - 1) {
    throw refusal('config.invalid', {
      say: `user ids for steps \`${range.first}-${range.last}\`: give at most ${maxRangeSize} of 1000-2147483647`,
    });
  }
  await makeLockDirectory(locks);
  const claimUid = (uid: number): ClaimedUid | null => claimIn(locks, uid);
  const usable = await usableIds();
  const free = Array.from({ length: size }, (_, index) => range.first + index).filter(usable);
  let next = 0;
  return {
    range,
    size: free.length,
    async claim() {
      for (let tried = 0; tried < free.length; tried += 1) {
        const uid = free[next];
        assert(uid !== undefined, 'the next user id lies outside the list');
        next = (next + 1) % free.length;
        const claimed = claimUid(uid);
        if (claimed !== null) return claimed;
      }
      const why =
        free.length === 0 ? 'all belong to others, or are not mapped in this container' : `all ${free.length} are in use`;
      throw refusal('runner.cannot', { say: `no user id for steps in ${range.first}-${range.last}: ${why}` });
    },
    claimExactly: async (uid) => (free.includes(uid) ? claimUid(uid) : null),
  };
}

async function makeLockDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw refusal('config.invalid', { say: `a runner that gives steps users of their own keeps locks in \`${path}\`, which cannot be made: let root write there`, cause });
  });
  const { mode, uid } = await lstat(path);
  if ((mode & 0o077) !== 0 || uid !== process.geteuid?.()) throw refusal('config.unsafe', { say: `the directory \`${path}\` must be the runner's user's alone (0700): others could keep steps from starting` });
}

/** Holds the host-wide claim for `uid`, or null when another process (or attempt) holds it. */
function claimIn(locks: string, uid: number): ClaimedUid | null {
  const lock = tryLock(join(locks, String(uid)));
  if (lock === undefined) return null;
  return {
    uid,
    release: async ({ reusable }) => {
      if (reusable) lock.release();
    },
  };
}

/** Ids this host knows (its user namespace maps them) and nobody has, by name or as a range for containers. */
async function usableIds(): Promise<(id: number) => boolean> {
  const paths = ['/etc/passwd', '/etc/group', '/etc/subuid', '/etc/subgid', '/proc/self/uid_map', '/proc/self/gid_map'];
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => '')));
  const [passwd, group, subuid, subgid, uidMap, gidMap] = texts.map((text) =>
    text.split('\n').map((line) => line.trim().split(/[:\s]+/)));
  const named = new Set([...(passwd ?? []), ...(group ?? [])].map((line) => Number(line[2])));
  const inRange = (lines: string[][] | undefined, { first, count }: { first: number; count: number }) => (id: number) =>
    (lines ?? []).some((line) => id >= Number(line[first]) && id < Number(line[first]) + Number(line[count]));
  const forContainers = [subuid, subgid].map((lines) => inRange(lines, { first: 1, count: 2 }));
  const mapped = [uidMap, gidMap].map((lines) => inRange(lines, { first: 0, count: 2 }));
  return (id) => mapped.every((has) => has(id)) && !named.has(id) && !forContainers.some((has) => has(id));
}
