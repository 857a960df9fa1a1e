/**
 * Who is in which groups: in those that name somebody, and in the built-in groups of all users. A user is one of the
 * account as long as it is there, and one of an organization or project while a binding in it or below it binds the user,
 * directly or through groups that are named. Bindings of built-in groups make nobody a member, so nothing goes in circles.
 */
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, contains } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { allUsersOf, scopesJoinedAt } from './all-users.ts';
import type { Around } from './lookup.ts';
import { boundBy, groupsAround, resourceGroupFacts, roleFacts } from './lookup.ts';

export interface Membership extends Around {
  /** When it ends by itself; null = it does not. */
  readonly untilMs: number | null;
}

/** The principal or group itself, then the groups it is in, those that are built in last. */
export function memberships(world: World, start: Entry): readonly Membership[] {
  const around = groupsAround(world, start);
  const named = around.map((one): Membership => ({ ...one, untilMs: null }));
  if (start.kind !== 'user') return named;
  return [...named, allUsersMembership(accountScope, Infinity), ...[...staysOf(world, around)].map(([scope, untilMs]) => allUsersMembership(scope, untilMs))];
}

function allUsersMembership(scope: ScopePath, untilMs: number): Membership {
  const entry = allUsersOf(scope);
  return { entry, groupPath: [entry.uid], untilMs: untilMs === Infinity ? null : untilMs };
}

/**
 * The organizations and projects that a user with these groups around it is a user of, and until when (ms; infinite = for
 * good). A binding that is disabled, or of which a part is gone, does not exist; one that ends makes a user until then.
 */
export function staysOf(world: World, around: readonly Around[]): ReadonlyMap<ScopePath, number> {
  const stays = new Map<ScopePath, number>();
  for (const { entry } of around) {
    for (const { scope, type, roleUid, resourceGroupUid, endsAtMs } of boundBy(world, entry.uid)) {
      if (type !== entry.kind || !contains(entry.scope, scope)) continue;
      if (roleFacts(world, roleUid) === null || resourceGroupFacts(world, resourceGroupUid) === null) continue;
      for (const joined of scopesJoinedAt(scope)) stays.set(joined, Math.max(stays.get(joined) ?? -Infinity, endsAtMs));
    }
  }
  return stays;
}
