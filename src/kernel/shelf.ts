/**
 * Where a world keeps the entries of one kind. Ordinary kinds are kept as the objects they are, by place. A kind that
 * numbers in the millions is kept on a shelf of whoever knows its facts (`World.shelf`), which holds them in fewer bytes
 * and makes an entry when one is asked for.
 */
import type { ScopePath } from './scope.ts';
import type { Entry } from './world.ts';

export interface Shelf {
  readonly size: number;
  /** Held in memory, about. */
  readonly bytes: number;
  get(uid: string): Entry | undefined;
  find(scope: ScopePath, identifier: string): Entry | undefined;
  /** In no order; of one scope, or of all. */
  list(scope?: ScopePath): Iterable<Entry>;
  /** Scopes that have entries, perhaps some that had. */
  scopes(): Iterable<ScopePath>;
  /** Replaces the one with its uid. */
  put(entry: Entry): void;
  remove(uid: string): void;
}

/** Entries of one kind by place. Null = one that an overlay takes away. */
export class EntriesByPlace {
  readonly #scopes = new Map<ScopePath, Map<string, Entry | null>>();

  find(scope: ScopePath, identifier: string): Entry | null | undefined {
    return this.#scopes.get(scope)?.get(identifier);
  }

  set(scope: ScopePath, identifier: string, entry: Entry | null): void {
    const there = this.#scopes.get(scope);
    if (there === undefined) this.#scopes.set(scope, new Map([[identifier, entry]]));
    else there.set(identifier, entry);
  }

  /** Does nothing when another entry has taken the place. */
  remove({ scope, identifier, uid }: Entry): void {
    const there = this.#scopes.get(scope);
    if (there?.get(identifier)?.uid !== uid) return;
    there.delete(identifier);
    if (there.size === 0) this.#scopes.delete(scope);
  }

  *list(scope?: ScopePath): Generator<Entry> {
    const scopes = scope === undefined ? this.#scopes.values() : [this.#scopes.get(scope) ?? []];
    for (const there of scopes) for (const entry of there.values()) if (entry !== null) yield entry;
  }

  scopes(): Iterable<ScopePath> {
    return this.#scopes.keys();
  }
}
