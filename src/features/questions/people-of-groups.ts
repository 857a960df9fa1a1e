/**
 * Whom groups contain, directly or through groups, in the order of their paths. A search meets hundreds of groups and needs
 * the first few names of them all together, so what a group contains is kept until somebody or some group changes.
 */
import type { GroupFacts } from '#features/access/schema.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { NamedPerson, PersonType } from './people-in-order.ts';
import { inOrderOfPaths } from './people-in-order.ts';

const key = Symbol('people of groups in order');
/** Of one group: whoever meets a larger one finds enough by asking everybody in turn. */
const maxOfGroup = 10_000;
/** Of all groups together, by 8 bytes. */
const maxKept = 1_000_000;

type Ordered = Readonly<Record<PersonType, readonly NamedPerson[]>>;

export function peopleOfGroups(world: World): PeopleOfGroups {
  return world.derive(key, ['user', 'service_account', 'user_group'], (from) => new PeopleOfGroups(from));
}

export class PeopleOfGroups {
  readonly #world: World;
  readonly #known = new Map<string, Ordered | null>();
  #kept = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Null = they are too many to be told. */
  of(group: Entry): Ordered | null {
    let people = this.#known.get(group.uid);
    if (people !== undefined) return people;
    const found = this.#people(group);
    people = found === null ? null : { user: ofType(found, 'user'), service_account: ofType(found, 'service_account') };
    if (this.#kept > maxKept) {
      this.#known.clear();
      this.#kept = 0;
    }
    this.#known.set(group.uid, people);
    this.#kept += found?.length ?? 0;
    return people;
  }

  #people(group: Entry): Entry[] | null {
    const people: Entry[] = [];
    const seen = new Set([group.uid]);
    const open = [group];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const { type, uid } of (next.facts as GroupFacts).members) {
        const entry = seen.has(uid) ? undefined : this.#world.get(uid);
        if (entry === undefined || entry.kind !== type) continue;
        if (seen.add(uid).size > maxOfGroup) return null;
        if (entry.kind === 'user_group') open.push(entry);
        else people.push(entry);
      }
    }
    return people;
  }
}

function ofType(people: readonly Entry[], type: PersonType): readonly NamedPerson[] {
  return inOrderOfPaths(people.filter(({ kind }) => kind === type));
}
