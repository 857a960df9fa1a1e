/** Whom a change reaches, in order: service accounts, users, then the workloads that claim mappings would let in. */
import type { Asker, Compared, PossibleGrant, TwoEntries, WorldChanged } from '#features/access/feature.ts';
import { GrantsCompared, askedOf, evaluate, gainedByMapping, grantsOfMapping, isUnder, peopleUnder, subjectsReaching, subjectsTouched } from '#features/access/feature.ts';
import type { Target } from '#kernel/decision.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { TwoTargets } from './changed-resources.ts';
import { changedResources } from './changed-resources.ts';
import type { NamedPerson, PersonType } from './people-in-order.ts';
import { inOrderOfPaths, peopleInOrder } from './people-in-order.ts';

type SubjectType = PersonType | 'workload';

export interface Differences {
  readonly gains: readonly string[];
  readonly loses: readonly string[];
}

/** Somebody with what it has on both sides. */
export interface Subject extends TwoEntries {
  readonly type: SubjectType;
  readonly path: string;
  readonly key: string;
  /** Null = the change does not reach it. */
  readonly compare: (() => Comparison) | null;
}

interface Comparison {
  /** Where rights differ, about resources that stay as they are. */
  readonly compared: Compared;
  /** On one resource, of these permissions. */
  readonly differences: (resource: TwoTargets, permissions: readonly string[]) => Differences;
}

/** Where a page begins: behind a subject, or at it. */
export interface From {
  readonly key: string;
  readonly isIncluded: boolean;
}

/** A change with all that is worked out once for a page. */
export class SubjectsOfChange {
  readonly resources: readonly TwoTargets[];
  readonly #change: WorldChanged;
  readonly #touched: ReadonlySet<string>;
  readonly #reached: ReadonlySet<string>;
  readonly #compared: GrantsCompared;
  readonly #maxGathered: number;

  /** More people than `maxGathered` are not looked up one by one: the list of all is walked. */
  constructor(change: WorldChanged, maxGathered: number) {
    const { before, after, kinds } = change;
    this.#change = change;
    this.#maxGathered = maxGathered;
    this.resources = changedResources(change);
    this.#touched = subjectsTouched(change);
    const asked = this.resources.flatMap((each) => [
      ...(each.before === null ? [] : [askedOf(before, kinds, each.before)]),
      ...(each.after === null ? [] : [askedOf(after, kinds, each.after)]),
    ]);
    this.#reached = new Set([...this.#touched, ...subjectsReaching(change, asked)]);
    this.#compared = new GrantsCompared(change);
  }

  /** Whoever is not reached is among them where the list of all is walked: that costs too. */
  *inOrder(from: From | null): Generator<Subject> {
    for (const type of ['service_account', 'user'] as const) {
      for (const { path, entry } of this.#people(type, pathFrom(from, type))) {
        const key = keyOf(type, path);
        if (isBehind(from, key)) yield this.#person(type, path, entry);
      }
    }
    for (const { path, entry } of this.#mappings()) if (isBehind(from, keyOf('workload', path))) yield this.#workload(path, entry);
  }

  /** Those of the world before, and those the change makes. */
  *#people(type: PersonType, fromPath: string): Generator<NamedPerson> {
    const { before, after } = this.#change;
    const gathered = [before, after].map((world) => peopleUnder(world, this.#reached, this.#maxGathered));
    if (gathered.every((people) => people !== null)) {
      const people = new Map(gathered.flatMap((each) => each!).filter(({ kind }) => kind === type).map((entry) => [entryPath(entry), entry]));
      yield* inOrderOfPaths([...people.values()]);
      return;
    }
    const made = [...after.changesOf(type).values()].filter((entry) => entry !== null && before.find(type, entry.scope, entry.identifier) === undefined) as Entry[];
    yield* merged(peopleInOrder(before, type), inOrderOfPaths(made), fromPath);
  }

  #person(type: PersonType, path: string, { scope, identifier }: Entry): Subject {
    const { before, after, kinds, now } = this.#change;
    const sides = { before: before.find(type, scope, identifier) ?? null, after: after.find(type, scope, identifier) ?? null };
    const both = [[before, sides.before], [after, sides.after]] as const;
    const isUnderAny = (subjects: ReadonlySet<string>): boolean => both.some(([world, entry]) => entry !== null && isUnder(world, entry, subjects));
    const may = (world: World, entry: Entry | null, target: Target | null, permissions: readonly string[]): readonly string[] => {
      if (entry === null || target === null) return [];
      const asker: Asker = { accountId: world.accountId, principal: { type, uid: entry.uid, path }, bounds: 'principal' };
      return permissions.filter((permission) => evaluate(world, kinds, asker, { permission, target }, now).allowed);
    };
    const compare = (): Comparison => ({
      compared: isUnderAny(this.#touched) ? this.#compared.person(type, sides) : { grants: 0, ranges: [] },
      differences: (resource, permissions) => {
        const [could, can] = [may(before, sides.before, resource.before, permissions), may(after, sides.after, resource.after, permissions)];
        return { gains: can.filter((one) => !could.includes(one)), loses: could.filter((one) => !can.includes(one)) };
      },
    });
    return { ...sides, type, path, key: keyOf(type, path), compare: isUnderAny(this.#reached) ? compare : null };
  }

  #mappings(): readonly NamedPerson[] {
    const { before, after } = this.#change;
    const isConcerned = this.resources.length > 0 || after.changesAny(['claim_mapping', 'trusted_issuer', 'role', 'resource_group']);
    if (!isConcerned) return [];
    const gone = [...after.changesOf('claim_mapping').keys()].flatMap((uid) => {
      const entry = before.get(uid);
      return entry === undefined || after.find('claim_mapping', entry.scope, entry.identifier) !== undefined ? [] : [entry];
    });
    return inOrderOfPaths([...after.list('claim_mapping'), ...gone]);
  }

  #workload(path: string, { scope, identifier }: Entry): Subject {
    const { before, after, kinds } = this.#change;
    const sides = { before: before.find('claim_mapping', scope, identifier) ?? null, after: after.find('claim_mapping', scope, identifier) ?? null };
    const compare = (): Comparison => {
      const [had, has] = [grantsOfMapping(before, sides.before), grantsOfMapping(after, sides.after)];
      const side = (world: World, grants: readonly PossibleGrant[], target: Target | null) => ({ grants, asked: target === null ? null : askedOf(world, kinds, target) });
      return {
        compared: this.#compared.mapping(had, has),
        differences: (resource, permissions) => {
          const [could, can] = [side(before, had, resource.before), side(after, has, resource.after)];
          return { gains: gainedByMapping(could, can, permissions), loses: gainedByMapping(can, could, permissions) };
        },
      };
    };
    return { ...sides, type: 'workload', path, key: keyOf('workload', path), compare };
  }
}

function keyOf(type: SubjectType, path: string): string {
  return `${type}:${path}`;
}

function isBehind(from: From | null, key: string): boolean {
  return from === null || key > from.key || (from.isIncluded && key === from.key);
}

/** The path to begin at where a page begins in the middle of the type. */
function pathFrom(from: From | null, type: SubjectType): string {
  return from !== null && from.key.startsWith(`${type}:`) ? from.key.slice(type.length + 1) : '';
}

/** Two lists in order as one, from a path on. */
function* merged(all: readonly NamedPerson[], others: readonly NamedPerson[], fromPath: string): Generator<NamedPerson> {
  let other = firstFrom(others, fromPath);
  for (let at = firstFrom(all, fromPath); at < all.length; at++) {
    while (other < others.length && others[other]!.path < all[at]!.path) yield others[other++]!;
    yield all[at]!;
  }
  while (other < others.length) yield others[other++]!;
}

/** Index of the first that does not come before the path. */
function firstFrom(people: readonly NamedPerson[], path: string): number {
  let [low, high] = [0, people.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (people[middle]!.path < path) low = middle + 1;
    else high = middle;
  }
  return low;
}
