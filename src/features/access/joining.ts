/** What somebody gets by becoming a user of an organization or project: all that its built-in group is given (CONTRACTS §5). */
import type { Kinds } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { allUsersUid, scopesJoinedAt } from './all-users.ts';
import type { GivenBound } from './gives.ts';
import { givenByBinding } from './gives.ts';
import { bindingsOf, groupsAround } from './lookup.ts';
import { staysOf } from './memberships.ts';
import { usersUnder } from './reached.ts';
import type { BindingFacts } from './schema.ts';
import { rightsKinds } from './engine/touched.ts';

interface Change {
  readonly worldBefore: World;
  readonly worldAfter: World;
}

/** More users of one group are not looked at one by one: then it is taken that one of them joins. */
const maxLookedAt = 200;

/** What the one whom a binding names gets beside its role: nothing where it was a user before, and for as long. */
export function givenByJoining(change: Change, kinds: Kinds, binding: Entry): readonly GivenBound[] {
  const { principal, disabled } = binding.facts as BindingFacts;
  if (disabled || principal === null || principal.type === 'service_account') return [];
  return givenToUsersOf(scopesJoinedAt(binding.scope), [principal.uid], change, kinds);
}

/** What new members of a group get because the group, or one around it, is bound somewhere. */
export function givenByMembership(change: Change, kinds: Kinds, group: Entry, newMembers: readonly string[]): readonly GivenBound[] {
  const { worldAfter } = change;
  return givenToUsersOf(staysOf(worldAfter, groupsAround(worldAfter, group)).keys(), newMembers, change, kinds);
}

/** What every user gets by being one. */
export function givenToEveryUser(world: World, kinds: Kinds): readonly GivenBound[] {
  return given(world, kinds, '/');
}

function givenToUsersOf(scopes: Iterable<ScopePath>, uids: readonly string[], change: Change, kinds: Kinds): readonly GivenBound[] {
  const granted = [...scopes].map((scope) => ({ scope, bounds: given(change.worldAfter, kinds, scope) })).filter(({ bounds }) => bounds.length > 0);
  if (granted.length === 0) return [];
  const users = usersUnder(change.worldAfter, uids, maxLookedAt);
  return granted.flatMap(({ scope, bounds }) => (users === null || users.some((user) => joins(change, user, scope)) ? bounds : []));
}

function given(world: World, kinds: Kinds, scope: ScopePath): readonly GivenBound[] {
  const bounds = bindingsOf(world, allUsersUid(scope)).flatMap((binding) => givenByBinding(world, kinds, binding));
  return bounds.map(({ bound, why }) => ({ bound, why: `a user of \`${scope}\` gets ${why}` }));
}

type Stays = ReadonlyMap<ScopePath, number>;

const staysKey = Symbol('stays of users before and after a call');

function joins({ worldBefore, worldAfter }: Change, user: Entry, scope: ScopePath): boolean {
  // Kept with the call, since each of its documents may ask about the same users.
  const known = worldAfter.derive(staysKey, rightsKinds, () => new Map<string, { readonly before: Stays; readonly after: Stays }>());
  let stays = known.get(user.uid);
  if (stays === undefined) {
    const of = (world: World): Stays => staysOf(world, groupsAround(world, user));
    known.set(user.uid, (stays = { before: of(worldBefore), after: of(worldAfter) }));
  }
  return (stays.after.get(scope) ?? -Infinity) > (stays.before.get(scope) ?? -Infinity);
}
