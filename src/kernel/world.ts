/**
 * The private in-memory index of one account's resources as the engine needs them: the body of the snapshot. Changed by
 * one synchronous `apply`, so a reader sees old or new. An overlay answers as if some changes were in; making one costs
 * what its changes cost, whatever the size of the world.
 */
import { assert } from './errors.ts';
import type { Follower } from './follower.ts';
import type { Scalar } from './matcher.ts';
import type { ScopePath } from './scope.ts';
import { accountScope, childScope, contains, levelOf, resourcePath } from './scope.ts';
import type { Shelf } from './shelf.ts';
import { EntriesByPlace } from './shelf.ts';

export interface Entry {
  readonly uid: string;
  readonly kind: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly name: string | null;
  readonly version: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, Scalar | undefined>>;
  /** What the kind's `facts` compiled; its type is the kind's own business. */
  readonly facts: unknown;
}

export type WorldChange = { readonly put: Entry } | { readonly remove: string };

interface Derived {
  readonly kinds: readonly string[];
  readonly value: unknown;
}

export class World {
  readonly accountId: string;
  readonly base: World | null;
  /** Entries that are on no shelf. Null = taken away by this overlay. */
  readonly #byUid = new Map<string, Entry | null>();
  readonly #byKind = new Map<string, EntriesByPlace>();
  readonly #shelves = new Map<string, Shelf>();
  /** Uid of whatever opens a scope. */
  readonly #scopes = new Map<ScopePath, string | null>();
  /** Of an overlay: what it changes, by kind and uid. */
  readonly #changed = new Map<string, Map<string, Entry | null>>();
  readonly #derived = new Map<unknown, Derived>();
  readonly #followers = new Map<unknown, Follower>();
  #revision: number;

  constructor(accountId: string, revision: number, entries: Iterable<Entry> = [], base: World | null = null) {
    this.accountId = accountId;
    this.base = base;
    this.#revision = revision;
    for (const entry of entries) this.load(entry);
  }

  get revision(): number {
    return this.#revision;
  }

  get(uid: string): Entry | undefined {
    const own = this.#byUid.get(uid);
    if (own !== undefined) return own ?? undefined;
    for (const shelf of this.#shelves.values()) {
      const entry = shelf.get(uid);
      if (entry !== undefined) return entry;
    }
    return this.base?.get(uid);
  }

  find(kind: string, scope: ScopePath, identifier: string): Entry | undefined {
    const own = this.#byKind.get(kind)?.find(scope, identifier);
    if (own !== undefined) return own ?? undefined;
    return this.#shelves.get(kind)?.find(scope, identifier) ?? this.base?.find(kind, scope, identifier);
  }

  /** All entries of a kind, or those of one scope, in no order. */
  *list(kind: string, scope?: ScopePath): Generator<Entry> {
    yield* this.#byKind.get(kind)?.list(scope) ?? [];
    yield* this.#shelves.get(kind)?.list(scope) ?? [];
    if (this.base !== null) for (const entry of this.base.list(kind, scope)) if (!this.#byUid.has(entry.uid)) yield entry;
  }

  /** Everything in a scope and below it, in no order. */
  *within(outer: ScopePath): Generator<Entry> {
    for (const places of [...this.#byKind.values(), ...this.#shelves.values()]) {
      if (outer === accountScope) yield* places.list();
      else for (const scope of places.scopes()) if (contains(outer, scope)) yield* places.list(scope);
    }
    if (this.base !== null) for (const entry of this.base.within(outer)) if (!this.#byUid.has(entry.uid)) yield entry;
  }

  all(): Generator<Entry> {
    return this.within(accountScope);
  }

  /** Held in memory with all that follows it, about, counted in entries of 1 KiB as ordinary ones are. */
  get size(): number {
    const aside = [...this.#shelves.values(), ...this.#followers.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return this.#byUid.size + Math.ceil(aside / 1_024);
  }

  hasScope(scope: ScopePath): boolean {
    return this.scopeUid(scope) !== undefined;
  }

  /** Uid of the account, org or project a path names. */
  scopeUid(scope: ScopePath): string | undefined {
    if (scope === accountScope) return this.accountId;
    const own = this.#scopes.get(scope);
    return own === undefined ? this.base?.scopeUid(scope) : (own ?? undefined);
  }

  /**
   * Keeps something computed from the entries of these kinds, and of no others, until one of them changes. An overlay
   * that changes none of them has what its base has.
   */
  derive<T>(key: unknown, kinds: readonly string[], make: (world: World) => T): T {
    if (this.base !== null && !kinds.some((kind) => this.#changed.has(kind))) return this.base.derive(key, kinds, make);
    const known = this.#derived.get(key);
    if (known !== undefined) return known.value as T;
    const value = make(this);
    this.#derived.set(key, { kinds, value });
    return value;
  }

  /** Keeps something that is told of every change. Not of an overlay, which asks its base for it. */
  follow<T extends Follower>(key: unknown, make: (world: World) => T): T {
    let follower = this.#followers.get(key) as T | undefined;
    if (follower === undefined) {
      assert(this.base === null, 'an overlay has no followers');
      this.#followers.set(key, (follower = make(this)));
    }
    return follower;
  }

  /** The shelf of a kind. The first time it is asked for, the entries of the kind move onto it. Not of an overlay. */
  shelf<T extends Shelf>(kind: string, make: () => T): T {
    let shelf = this.#shelves.get(kind) as T | undefined;
    if (shelf === undefined) {
      assert(this.base === null, 'an overlay has no shelves');
      shelf = make();
      for (const entry of this.list(kind)) {
        shelf.put(entry);
        this.#byUid.delete(entry.uid);
      }
      this.#byKind.delete(kind);
      this.#shelves.set(kind, shelf);
    }
    return shelf;
  }

  overlay(changes: readonly WorldChange[]): World {
    const over = new World(this.accountId, this.#revision, [], this);
    for (const change of changes) {
      if ('put' in change) over.#layOver(change.put, change.put);
      else over.#takeAway(change.remove);
    }
    return over;
  }

  /** What an overlay changes of a kind: uid → its entry, or null for one that it takes away. */
  changesOf(kind: string): ReadonlyMap<string, Entry | null> {
    return this.#changed.get(kind) ?? new Map();
  }

  /** True when the overlay, or one below it, changes an entry of one of these kinds. */
  changesAny(kinds: readonly string[]): boolean {
    return kinds.some((kind) => this.#changed.has(kind)) || (this.base?.changesAny(kinds) ?? false);
  }

  /** Puts an entry in before anybody has asked the world anything. */
  load(entry: Entry): void {
    assert(this.#followers.size === 0 && this.#derived.size === 0, 'a world that answers already is changed by `apply`');
    this.#put(entry);
  }

  apply(changes: readonly WorldChange[], revision: number): void {
    assert(this.base === null, 'an overlay is never applied to');
    assert(revision > this.#revision, 'revisions only grow');
    const touched = new Set<string>();
    for (const change of changes) {
      const before = this.get('put' in change ? change.put.uid : change.remove);
      const after = 'put' in change ? change.put : undefined;
      if (after !== undefined) this.#put(after);
      else if (before !== undefined) this.#remove(before);
      else continue;
      touched.add((after ?? before)!.kind);
      for (const follower of this.#followers.values()) follower.changed({ before, after });
    }
    this.#revision = revision;
    for (const [key, { kinds }] of this.#derived) if (kinds.some((kind) => touched.has(kind))) this.#derived.delete(key);
  }

  #put(entry: Entry): void {
    const shelf = this.#shelves.get(entry.kind);
    if (shelf !== undefined) {
      shelf.put(entry);
      return;
    }
    this.#byUid.set(entry.uid, entry);
    this.#places(entry.kind).set(entry.scope, entry.identifier, entry);
    const opened = openedScope(entry);
    if (opened !== undefined) this.#scopes.set(opened, entry.uid);
  }

  #remove(entry: Entry): void {
    this.#shelves.get(entry.kind)?.remove(entry.uid);
    this.#byUid.delete(entry.uid);
    this.#byKind.get(entry.kind)?.remove(entry);
    const opened = openedScope(entry);
    if (opened !== undefined && this.#scopes.get(opened) === entry.uid) this.#scopes.delete(opened);
  }

  #takeAway(uid: string): void {
    const entry = this.get(uid);
    if (entry !== undefined) this.#layOver(entry, null);
  }

  /** Hides what the base has of it. */
  #layOver(place: Entry, entry: Entry | null): void {
    this.#byUid.set(place.uid, entry);
    const places = this.#places(place.kind);
    const isTaken = entry === null && (places.find(place.scope, place.identifier)?.uid ?? place.uid) !== place.uid;
    const opened = openedScope(place);
    if (!isTaken) {
      places.set(place.scope, place.identifier, entry);
      if (opened !== undefined) this.#scopes.set(opened, entry?.uid ?? null);
    }
    let changed = this.#changed.get(place.kind);
    if (changed === undefined) this.#changed.set(place.kind, (changed = new Map()));
    changed.set(place.uid, entry);
  }

  #places(kind: string): EntriesByPlace {
    let places = this.#byKind.get(kind);
    if (places === undefined) this.#byKind.set(kind, (places = new EntriesByPlace()));
    return places;
  }
}

/** The scope an organization or project entry opens; undefined for other kinds. */
export function openedScope(entry: { kind: string; scope: ScopePath; identifier: string }): ScopePath | undefined {
  const opens = entry.kind === 'organization' ? entry.scope === accountScope : entry.kind === 'project' && levelOf(entry.scope) === 'org';
  return opens ? childScope(entry.scope, entry.identifier) : undefined;
}

export function opensScopes(kind: string): boolean {
  return kind === 'organization' || kind === 'project';
}

export function entryPath(entry: { scope: ScopePath; identifier: string }): string {
  return resourcePath(entry.scope, entry.identifier);
}
