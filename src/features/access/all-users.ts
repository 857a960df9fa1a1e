/**
 * The built-in groups of all users. In a binding such a group means the users of the account, organization or project
 * that the binding lies in, so to the engine each of these has a group of its own, whose uid ends with its path:
 * `builtin:user_group:all_org_users:payments`. Paths of scopes are never given out twice. References in documents have
 * the uid without a path.
 */
import type { Level, ScopePath } from '#kernel/scope.ts';
import { accountScope, levelOf, levels, upwards } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import type { GroupFacts } from './schema.ts';

export const allUsersGroup: Readonly<Record<Level, string>> = {
  account: 'all_account_users',
  org: 'all_org_users',
  project: 'all_project_users',
};

const prefix = 'builtin:user_group:';
const members: GroupFacts = { members: [] };

/** Of a reference too. */
export function isAllUsers(uid: string): boolean {
  return uid.startsWith(prefix);
}

export function allUsersUid(scope: ScopePath): string {
  return `${prefix}${allUsersGroup[levelOf(scope)]}:${scope}`;
}

/** The scope whose users a subject of bindings is; null when it is something else. */
export function allUsersScope(uid: string): ScopePath | null {
  return isAllUsers(uid) ? uid.slice(uid.indexOf(':', prefix.length) + 1) : null;
}

/** What a binding in `namer` means by a reference to such a group; null when the group is of a lower level. */
export function allUsersNamed(reference: string, namer: ScopePath): string | null {
  const level = levelNamed(reference);
  const scope = upwards(namer).find((one) => levelOf(one) === level);
  return scope === undefined ? null : allUsersUid(scope);
}

/** Of a reference to such a group. */
export function levelNamed(reference: string): Level {
  const identifier = reference.slice(prefix.length);
  return levels.find((level) => allUsersGroup[level] === identifier)!;
}

/** As a group that somebody is in: it counts at its own scope and below, as every group does. */
export function allUsersOf(scope: ScopePath): Entry {
  const identifier = allUsersGroup[levelOf(scope)];
  return { uid: allUsersUid(scope), kind: 'user_group', scope, identifier, name: null, version: 1, tags: {}, attributes: {}, facts: members };
}

/** Of which organization and project a binding in a scope makes its subject a user: everybody is one of the account. */
export function scopesJoinedAt(scope: ScopePath): readonly ScopePath[] {
  return upwards(scope).filter((one) => one !== accountScope);
}
