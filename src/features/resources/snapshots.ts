/**
 * The snapshots of the accounts this node serves: loaded on demand, changed by exactly the entries other nodes wrote, in
 * order, woken by NOTIFY and by polling. A node that could not confirm its revision for `staleAfterMs` refuses.
 */
import { refusal } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World, WorldChange } from '#kernel/world.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { sweepOlder } from '#platform/database/sweep.ts';
import type { Log } from '#platform/log.ts';
import type { Metrics } from '#platform/metrics.ts';
import { loadWorld } from './load-world.ts';
import type { ResourceRow } from './store.ts';
import { entryOfRow } from './store.ts';

export const accessChannel = 'sallyport_access';

/** As stored in `access_change`. */
export type StoredChange = { readonly put: ResourceRow } | { readonly remove: string };

/** How long changes are kept for nodes to follow; one that missed more loads the rows again. */
const changesKeptMs = 86_400_000;

export async function forgetOldChanges(database: Database, clock: Clock, signal: AbortSignal): Promise<void> {
  await sweepOlder(database, { table: 'access_change', column: 'at' }, { before: new Date(clock.now().getTime() - changesKeptMs), signal });
}

export interface Snapshots {
  /** The account's world, confirmed within the bound; catches up to `minRevision` first when asked. */
  world(accountId: string, minRevision?: number | null): Promise<World>;
  /** Called after a commit of this node: enforces the change at once. */
  committed(accountId: string, revision: number, changes: readonly StoredChange[]): Promise<void>;
  /** Confirms all loaded accounts; runs on every poll and NOTIFY. */
  confirm(): Promise<void>;
  start(): Promise<void>;
  stop(): void;
}

interface Held {
  world: World;
  usedMs: number;
  /** Monotonic time at which the question was asked whose answer confirmed the revision. */
  confirmedMs: number;
  catchingUp: Promise<void> | null;
}

export interface SnapshotServices {
  readonly database: Database;
  readonly kinds: Kinds;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly staleAfterMs: number;
  readonly pollMs: number;
  /** Rows of changes read at once. */
  readonly maxReplayedRows?: number;
  /** Called with every world before it is loaded, so that kinds that are many can be given a shelf. */
  readonly shelve?: (world: World) => void;
  /** Size of all snapshots together, in entries of 1 KiB; more evicts the accounts used longest ago. */
  readonly maxEntries: number;
}

export function createSnapshots(services: SnapshotServices): Snapshots {
  const { database, kinds, clock, maxReplayedRows = 50_000, shelve = () => undefined } = services;
  const held = new Map<string, Held>();
  const loading = new Map<string, Promise<Held>>();
  let timer: NodeJS.Timeout | undefined;
  let confirming: Promise<void> | null = null;
  let again = false;

  async function load(accountId: string): Promise<Held> {
    const confirmedMs = clock.monotonicMs();
    const world = await loadWorld({ database, kinds, shelve }, accountId);
    const entry: Held = { world, usedMs: clock.monotonicMs(), confirmedMs, catchingUp: null };
    held.set(accountId, entry);
    evict(accountId);
    return entry;
  }

  /** The accounts that nobody asked about for longest make room for the one just loaded. */
  function evict(loaded: string): void {
    let total = [...held.values()].reduce((sum, entry) => sum + entry.world.size, 0);
    const oldestFirst = [...held].filter(([id]) => id !== loaded).toSorted(([, a], [, b]) => a.usedMs - b.usedMs);
    for (const [id, entry] of oldestFirst) {
      if (total <= services.maxEntries) return;
      held.delete(id);
      total -= entry.world.size;
    }
  }

  function loadOnce(accountId: string): Promise<Held> {
    let promise = loading.get(accountId);
    if (promise === undefined) {
      promise = load(accountId).finally(() => loading.delete(accountId));
      loading.set(accountId, promise);
    }
    return promise;
  }

  function apply(entry: Held, revision: number, changes: readonly StoredChange[]): void {
    if (revision !== entry.world.revision + 1) return;
    entry.world.apply(changes.map((change): WorldChange => ('put' in change ? { put: entryOfRow(kinds, change.put) } : change)), revision);
  }

  async function catchUp(accountId: string, entry: Held): Promise<void> {
    const askedMs = clock.monotonicMs();
    const { revision } = await database.read.selectFrom('account').select('revision').where('id', '=', accountId).executeTakeFirstOrThrow();
    // Confirmed only when all of it is in; one who had to reload has confirmed itself.
    while (revision > entry.world.revision && held.get(accountId) === entry) await replay(accountId, entry);
    entry.confirmedMs = Math.max(entry.confirmedMs, askedMs);
  }

  async function replay(accountId: string, entry: Held): Promise<void> {
    const rows = await database.read.selectFrom('access_change').select(['revision', 'change'])
      .where('account_id', '=', accountId).where('revision', '>', entry.world.revision)
      .orderBy('revision').orderBy('position').limit(maxReplayedRows).execute();
    // A full page may end in the middle of a revision, and half a revision is a world that never was.
    const whole = rows.length < maxReplayedRows ? rows : rows.filter((row) => row.revision !== rows.at(-1)!.revision);
    const byRevision = Map.groupBy(whole, (row) => row.revision);
    for (const [revision, group] of byRevision) {
      if (revision <= entry.world.revision) continue;
      if (revision !== entry.world.revision + 1) return reload(accountId);
      apply(entry, revision, group.map((row) => row.change as StoredChange));
    }
    // Entries older than their retention are gone, or one revision is larger than a page: start from the rows again.
    if (whole.length === 0) await reload(accountId);
  }

  async function reload(accountId: string): Promise<void> {
    held.delete(accountId);
    await loadOnce(accountId);
  }

  /** One at a time per account; a caller that needs a newer revision waits for the one under way and asks again. */
  async function caughtUp(accountId: string, entry: Held): Promise<void> {
    entry.catchingUp ??= catchUp(accountId, entry).finally(() => (entry.catchingUp = null));
    await entry.catchingUp;
  }

  async function confirmAll(): Promise<void> {
    const ids = [...held.keys()];
    if (ids.length === 0) return;
    const askedMs = clock.monotonicMs();
    const rows = await database.read.selectFrom('account').select(['id', 'revision']).where('id', 'in', ids).execute();
    const outcomes = await Promise.allSettled(rows.map(async (row) => {
      const entry = held.get(row.id);
      if (entry === undefined) return;
      if (row.revision > entry.world.revision) await caughtUp(row.id, entry);
      else entry.confirmedMs = Math.max(entry.confirmedMs, askedMs);
    }));
    // One account that cannot be followed makes no other stale.
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  const snapshots: Snapshots = {
    async world(accountId, minRevision = null) {
      let entry = held.get(accountId) ?? (await loadOnce(accountId));
      entry.usedMs = clock.monotonicMs();
      if (minRevision !== null && entry.world.revision < minRevision) {
        for (let tries = 0; tries < 3 && entry.world.revision < minRevision; tries++) {
          await caughtUp(accountId, entry);
          entry = held.get(accountId) ?? entry;
        }
        if (entry.world.revision < minRevision) throw refusal('access.revision_ahead');
      }
      if (clock.monotonicMs() - entry.confirmedMs > services.staleAfterMs) {
        // A database that hangs must not make the refusal hang with it.
        const patience = new Promise<void>((resolve) => setTimeout(resolve, services.pollMs * 2));
        await Promise.race([caughtUp(accountId, entry).catch(() => undefined), patience]);
        entry = held.get(accountId) ?? entry;
        if (clock.monotonicMs() - entry.confirmedMs > services.staleAfterMs) throw refusal('access.stale', { retryAfterSeconds: 1 });
      }
      return entry.world;
    },
    async committed(accountId, revision, changes) {
      // A load under way may have begun before the commit.
      const entry = held.get(accountId) ?? (await loading.get(accountId));
      if (entry === undefined) return;
      if (revision === entry.world.revision + 1) apply(entry, revision, changes);
      else if (revision > entry.world.revision) await snapshots.world(accountId, revision);
    },
    async confirm() {
      if (confirming !== null) {
        again = true;
        return confirming;
      }
      confirming = (async () => {
        do {
          again = false;
          await confirmAll();
        } while (again);
      })().finally(() => (confirming = null));
      return confirming;
    },
    async start() {
      const tick = async (): Promise<void> => {
        await snapshots.confirm().catch((error: unknown) => services.log.warn({ because: String(error) }, 'access facts could not be confirmed'));
        const oldest = Math.min(...[...held.values()].map((entry) => entry.confirmedMs), clock.monotonicMs());
        services.metrics.accessLagSeconds.set((clock.monotonicMs() - oldest) / 1_000);
        if (timer !== undefined) timer = setTimeout(() => void tick(), services.pollMs);
      };
      timer = setTimeout(() => void tick(), services.pollMs);
      await database.listen(accessChannel, () => void snapshots.confirm().catch(() => undefined));
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
  return snapshots;
}
