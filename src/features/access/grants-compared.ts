/**
 * Where the rights of somebody differ between two worlds. A decision is allowed by one grant alone (CONTRACTS §4 rule 1),
 * so a grant that says the same in both decides the same about a resource that is the same in both: only what the others
 * reach has to be asked about.
 */
import type { Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { WorldChanged } from './change-reach.ts';
import type { Grant } from './grants.ts';
import { isLive } from './grants.ts';
import { roleHas } from './roles.ts';
import type { Range, RoleFacts } from './schema.ts';
import type { Resources } from './selector.ts';
import { conditionalSelectors, selectsKind, sourceOf } from './selector.ts';
import { waysOf } from './ways.ts';

/** A part of the tree in which rights may differ, and about which kinds. */
export interface DifferingRange extends Range {
  readonly isAbout: (kind: string) => boolean;
}

export interface Compared {
  /** Live grants on both sides together: what asking costs. */
  readonly grants: number;
  readonly ranges: readonly DifferingRange[];
}

export interface TwoEntries {
  /** Null = not there. */
  readonly before: Entry | null;
  readonly after: Entry | null;
}

/** Compares what principals and mappings have; made anew for each pair of worlds. */
export class GrantsCompared {
  readonly #change: WorldChanged;
  readonly #words: Kinds;
  readonly #roles = new Numbered<RoleFacts>((role) => `${role.level} ${typeof role.permissions === 'string' ? role.permissions : [...role.permissions].toSorted().join()}`);
  readonly #resources = new Numbered<Resources & object>((resources) => JSON.stringify(sourceOf(resources)));
  readonly #kindsOf = new WeakMap<RoleFacts, ReadonlySet<string>>();

  constructor(change: WorldChanged) {
    this.#change = change;
    this.#words = change.kinds.of(change.before);
  }

  person(type: 'user' | 'service_account', { before, after }: TwoEntries): Compared {
    const had = this.#grantsOfPerson(type, this.#change.before, before);
    const has = this.#grantsOfPerson(type, this.#change.after, after);
    // Conditions may read what has changed of the person, whatever else stays.
    const isAnother = before !== null && after !== null && before !== after;
    const conditional = isAnother ? [...had, ...has].filter(({ resources }) => conditionalSelectors(resources).length > 0) : [];
    return this.#compared(had, has, conditional);
  }

  mapping(had: readonly Grant[], has: readonly Grant[]): Compared {
    return this.#compared(had, has, []);
  }

  #grantsOfPerson(type: 'user' | 'service_account', world: World, entry: Entry | null): readonly Grant[] {
    if (entry === null) return [];
    const asker = { accountId: world.accountId, principal: { type, uid: entry.uid, path: entryPath(entry) }, bounds: 'principal' as const };
    const nowMs = this.#change.now.getTime();
    return (waysOf(world, asker) ?? []).flatMap(({ lists }) => lists[0] ?? []).filter((grant) => isLive(grant, nowMs));
  }

  #compared(had: readonly Grant[], has: readonly Grant[], others: readonly Grant[]): Compared {
    const [before, after] = [this.#byKey(had), this.#byKey(has)];
    const gone = [...before].flatMap(([key, grant]) => (after.has(key) ? [] : [grant]));
    const come = [...after].flatMap(([key, grant]) => (before.has(key) ? [] : [grant]));
    const differing = [...gone, ...come, ...others];
    return { grants: had.length + has.length, ranges: differing.flatMap((grant) => this.#rangesOf(grant)) };
  }

  #byKey(grants: readonly Grant[]): ReadonlyMap<string, Grant> {
    return new Map(grants.map((grant) => [this.#keyOf(grant), grant]));
  }

  /** The same for grants that say the same. */
  #keyOf({ role, scope, ranges, resources }: Grant): string {
    const within = ranges.map((range) => `${range.scope}${range.includeChildScopes ? '/**' : ''}`).join();
    return `${this.#roles.of(role)} ${resources === 'all' ? resources : this.#resources.of(resources)} ${scope} ${within}`;
  }

  #rangesOf({ role, extents }: Grant): readonly DifferingRange[] {
    const kinds = this.#kindsIn(role);
    return extents.map(({ scope, includeChildScopes, resources }) => ({ scope, includeChildScopes, isAbout: (kind) => kinds.has(kind) && selectsKind(resources, kind) }));
  }

  #kindsIn(role: RoleFacts): ReadonlySet<string> {
    let kinds = this.#kindsOf.get(role);
    if (kinds === undefined) {
      const nouns = [...this.#words.nouns.values()].filter((noun) => noun.verbs.some((verb) => roleHas(role, `${noun.name}.${verb}`, noun)));
      this.#kindsOf.set(role, (kinds = new Set(nouns.map(({ name }) => name))));
    }
    return kinds;
  }
}

/** Numbers for values: the same number for those of one text, which is written once for each value. */
class Numbered<T extends object> {
  readonly #textOf: (value: T) => string;
  readonly #byValue = new WeakMap<T, number>();
  readonly #byText = new Map<string, number>();

  constructor(textOf: (value: T) => string) {
    this.#textOf = textOf;
  }

  of(value: T): number {
    let number = this.#byValue.get(value);
    if (number === undefined) {
      const text = this.#textOf(value);
      number = this.#byText.get(text) ?? this.#byText.size;
      this.#byText.set(text, number);
      this.#byValue.set(value, number);
    }
    return number;
  }
}
