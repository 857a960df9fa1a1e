/**
 * The private in-memory index of one account's resources as the engine needs them: the body of the snapshot. Changed by
 * one synchronous `apply`, so a reader sees old or new. An overlay answers as if some changes were in.
 */
import type { Scalar } from './matcher.ts';
import type { ScopePath } from './scope.ts';
import { accountScope, childScope, resourcePath } from './scope.ts';
import { assert } from './errors.ts';

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

export class World {
  readonly accountId: string;
  readonly #base: World | null;
  readonly #byUid = new Map<string, Entry | null>();
  readonly #byPath = new Map<string, string | null>();
  readonly #byKind = new Map<string, Set<string>>();
  #revision: number;
  /** What others computed from this world; emptied by every change. */
  #derived = new Map<unknown, unknown>();

  constructor(accountId: string, revision: number, entries: Iterable<Entry> = [], base: World | null = null) {
    this.accountId = accountId;
    this.#revision = revision;
    this.#base = base;
    for (const entry of entries) this.#put(entry);
  }

  get revision(): number {
    return this.#revision;
  }

  get(uid: string): Entry | undefined {
    const own = this.#byUid.get(uid);
    return own === undefined ? this.#base?.get(uid) : (own ?? undefined);
  }

  find(kind: string, scope: ScopePath, identifier: string): Entry | undefined {
    const key = pathKey(kind, scope, identifier);
    const own = this.#byPath.get(key);
    if (own === undefined) return this.#base?.find(kind, scope, identifier);
    return own === null ? undefined : this.get(own);
  }

  /** All entries of a kind, in no order. */
  *list(kind: string): Generator<Entry> {
    for (const uid of this.#byKind.get(kind) ?? []) yield this.#byUid.get(uid)!;
    if (this.#base !== null) for (const entry of this.#base.list(kind)) if (!this.#byUid.has(entry.uid)) yield entry;
  }

  *all(): Generator<Entry> {
    for (const entry of this.#byUid.values()) if (entry !== null) yield entry;
    if (this.#base !== null) for (const entry of this.#base.all()) if (!this.#byUid.has(entry.uid)) yield entry;
  }

  /** How many entries it holds itself: what its memory grows with. */
  get size(): number {
    return this.#byUid.size;
  }

  hasScope(scope: ScopePath): boolean {
    return this.scopeUid(scope) !== undefined;
  }

  /** Uid of the account, org or project a path names. */
  scopeUid(scope: ScopePath): string | undefined {
    if (scope === accountScope) return this.accountId;
    const slash = scope.indexOf('/');
    if (slash === -1) return this.find('organization', accountScope, scope)?.uid;
    return this.find('project', scope.slice(0, slash), scope.slice(slash + 1))?.uid;
  }

  /** Keeps something computed from this world until it changes. */
  derive<T>(key: unknown, make: (world: World) => T): T {
    let value = this.#derived.get(key) as T | undefined;
    if (value === undefined) this.#derived.set(key, (value = make(this)));
    return value;
  }

  overlay(changes: readonly WorldChange[]): World {
    const over = new World(this.accountId, this.#revision, [], this);
    over.#change(changes);
    return over;
  }

  apply(changes: readonly WorldChange[], revision: number): void {
    assert(this.#base === null, 'an overlay is never applied to');
    assert(revision > this.#revision, 'revisions only grow');
    this.#change(changes);
    this.#revision = revision;
    this.#derived = new Map();
  }

  #change(changes: readonly WorldChange[]): void {
    for (const change of changes) {
      if ('put' in change) this.#put(change.put);
      else this.#remove(change.remove);
    }
  }

  #put(entry: Entry): void {
    this.#byUid.set(entry.uid, entry);
    this.#byPath.set(pathKey(entry.kind, entry.scope, entry.identifier), entry.uid);
    let ofKind = this.#byKind.get(entry.kind);
    if (ofKind === undefined) this.#byKind.set(entry.kind, (ofKind = new Set()));
    ofKind.add(entry.uid);
  }

  #remove(uid: string): void {
    const entry = this.get(uid);
    if (entry === undefined) return;
    const key = pathKey(entry.kind, entry.scope, entry.identifier);
    this.#byKind.get(entry.kind)?.delete(uid);
    if (this.#base === null) {
      this.#byUid.delete(uid);
      this.#byPath.delete(key);
    } else {
      this.#byUid.set(uid, null);
      this.#byPath.set(key, null);
    }
  }
}

/** The scope an organization or project entry opens; undefined for other kinds. */
export function openedScope(entry: { kind: string; scope: ScopePath; identifier: string }): ScopePath | undefined {
  return entry.kind === 'organization' || entry.kind === 'project' ? childScope(entry.scope, entry.identifier) : undefined;
}

export function entryPath(entry: { scope: ScopePath; identifier: string }): string {
  return resourcePath(entry.scope, entry.identifier);
}

function pathKey(kind: string, scope: ScopePath, identifier: string): string {
  return `${kind}\n${scope}\n${identifier}`;
}
