/** Whom some subjects are or contain, in the order of their paths: the lists of the groups are read as one, as far as a page goes. */
import { isAllUsers, isUnder, peopleUnder } from '#features/access/feature.ts';
import type { Entry, World } from '#kernel/world.ts';
import { inOneOrder } from './in-one-order.ts';
import type { NamedPerson, PersonType } from './people-in-order.ts';
import { inOrderOfPaths, peopleInOrder } from './people-in-order.ts';
import { peopleOfGroups } from './people-of-groups.ts';

/** Of more, everybody is asked in turn, since those who are reached are close to each other then. */
const usual = {
  /** Who are subjects themselves: they are sorted for every page. */
  alone: 2_000,
  /** In the lists of all groups together. */
  listed: 100_000,
};

interface Wanted {
  /** Uids. */
  readonly subjects: ReadonlySet<string>;
  /** Only paths that come after; null = all. */
  readonly after: string | null;
}

/** Also some whom nothing reaches, where those who are reached are too many to be listed. */
export function* peopleReached(world: World, type: PersonType, { subjects, after }: Wanted, most = usual): Generator<NamedPerson & { readonly isReached: boolean }> {
  const lists = listsOf(world, type, subjects, most);
  for (const { path, entry } of inOneOrder(lists ?? [peopleInOrder(world, type)], after)) {
    yield { path, entry, isReached: lists !== null || isUnder(world, entry, subjects) };
  }
}

function listsOf(world: World, type: PersonType, subjects: ReadonlySet<string>, most: typeof usual): readonly (readonly NamedPerson[])[] | null {
  const groups = peopleOfGroups(world);
  const lists: (readonly NamedPerson[])[] = [];
  const alone: Entry[] = [];
  let listed = 0;
  for (const uid of subjects) {
    const entry = world.get(uid);
    if (entry?.kind === type && alone.push(entry) > most.alone) return null;
    if (entry?.kind !== 'user_group') continue;
    const people = groups.of(entry);
    if (people === null || (listed += people[type].length) > most.listed) return null;
    lists.push(people[type]);
  }
  const ofAll = peopleUnder(world, new Set([...subjects].filter(isAllUsers)), most.alone);
  if (ofAll === null) return null;
  const others = [alone, ofAll.filter(({ kind }) => kind === type)];
  return [...lists, ...others.map(inOrderOfPaths)];
}
