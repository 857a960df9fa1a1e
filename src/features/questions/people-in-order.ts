/** Users and service accounts in the order of their paths. */
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';

export type PersonType = 'user' | 'service_account';

export interface NamedPerson {
  readonly path: string;
  readonly entry: Entry;
}

const orderKeys = { user: Symbol('users in order'), service_account: Symbol('service accounts in order') } as const;

/** All of an account; kept until one of them changes. */
export function peopleInOrder(world: World, type: PersonType): readonly NamedPerson[] {
  return world.derive(orderKeys[type], [type], (from) => inOrderOfPaths([...from.list(type)]));
}

export function inOrderOfPaths(entries: readonly Entry[]): readonly NamedPerson[] {
  return entries.map((entry) => ({ path: entryPath(entry), entry })).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
