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
import type { PossibleGrant } from './mapping-reach.ts';
import { permissionsOf } from './roles.ts';
import type { Range, RoleFacts } from './schema.ts';
import type { Resources } from './selector.ts';
import { conditionalSelectors, selectsKind, sourceOf } from './selector.ts';
import { waysOf } from './ways.ts';

/** A part of the tree in which rights may differ, and which ones. */
export interface DifferingRange extends Range {
  readonly permissions: ReadonlySet<string>;
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
  readonly #permissionsOf = new WeakMap<RoleFacts, ReadonlySet<string>>();

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

  /** Those that only some claims lead to are compared among themselves. */
  mapping(had: readonly PossibleGrant[], has: readonly PossibleGrant[]): Compared {
    const [fixed, claimed] = [false, true].map((wanted) => {
      const those = (all: readonly PossibleGrant[]): readonly Grant[] => all.filter(({ byClaim }) => byClaim === wanted).map(({ grant }) => grant);
      return this.#compared(those(had), those(has), []);
    }) as [Compared, Compared];
    return { grants: fixed.grants + claimed.grants, ranges: [...fixed.ranges, ...claimed.ranges] };
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
    const places = Map.groupBy([...gone.map((grant) => ({ grant, side: 0 })), ...come.map((grant) => ({ grant, side: 1 }))], ({ grant }) => this.#placeOf(grant));
    const ranges = [...places.values()].flatMap((all) => {
      // What is given over the same extents on both sides is given on both.
      const [lost, gained] = [0, 1].map((wanted) => this.#given(all.filter(({ side }) => side === wanted).map(({ grant }) => grant))) as [ReadonlySet<string>, ReadonlySet<string>];
      return rangesOf(all[0]!.grant, lost.symmetricDifference(gained));
    });
    return { grants: had.length + has.length, ranges: [...ranges, ...others.flatMap((grant) => rangesOf(grant, this.#given([grant])))] };
  }

  #byKey(grants: readonly Grant[]): ReadonlyMap<string, Grant> {
    return new Map(grants.map((grant) => [`${this.#roles.of(grant.role)} ${this.#placeOf(grant)}`, grant]));
  }

  /** The same for grants over the same extents. */
  #placeOf({ scope, ranges, resources }: Grant): string {
    const within = ranges.map((range) => `${range.scope}${range.includeChildScopes ? '/**' : ''}`).join();
    return `${resources === 'all' ? resources : this.#resources.of(resources)} ${scope} ${within}`;
  }

  #given(grants: readonly Grant[]): ReadonlySet<string> {
    if (grants.length === 1) return this.#permissionsIn(grants[0]!.role);
    return new Set(grants.flatMap(({ role }) => [...this.#permissionsIn(role)]));
  }

  #permissionsIn(role: RoleFacts): ReadonlySet<string> {
    let permissions = this.#permissionsOf.get(role);
    if (permissions === undefined) {
      permissions = new Set([...permissionsOf(role, this.#words)].map(({ permission }) => permission));
      this.#permissionsOf.set(role, permissions);
    }
    return permissions;
  }
}

function rangesOf({ extents }: Grant, permissions: ReadonlySet<string>): readonly DifferingRange[] {
  return extents.flatMap(({ scope, includeChildScopes, resources }) => {
    const selected = resources === 'all' ? permissions : new Set([...permissions].filter((permission) => selectsKind(resources, permission.slice(0, permission.indexOf('.')))));
    return selected.size === 0 ? [] : [{ scope, includeChildScopes, permissions: selected }];
  });
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
