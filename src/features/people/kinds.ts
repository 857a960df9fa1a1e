/** Kinds of people, and what changing them gives (CONTRACTS §5). */
import { givenByMembership, givenThrough, givenToEveryUser, isAllUsers } from '#features/access/feature.ts';
import type { GroupFacts, PrincipalFacts, Subject } from '#features/access/schema.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Draft, Given, Kind, Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { ServiceAccountSpec, UserFacts, UserGroupSpec, UserSpec } from './schema.ts';
import { serviceAccountSpec, userGroupSpec, userSpec } from './schema.ts';

interface Change {
  readonly before: Entry | null;
  readonly after: Entry | null;
  readonly worldBefore: World;
  readonly worldAfter: World;
}

export function userKind(kinds: () => Kinds): Kind<UserSpec> {
  return {
    name: 'user',
    levels: ['account'],
    verbs: ['view', 'create', 'edit', 'delete', 'impersonate', 'govern'],
    spec: userSpec,
    version: 1,
    retires: true,
    facts: ({ spec }): UserFacts => ({ enabled: spec.disabled !== true, email: spec.email }),
    administers: 'by giving',
    gives: (change) => [...newUser(change, kinds()), ...enabling(change, kinds()), ...newEmail(change, kinds())],
  };
}

export function serviceAccountKind(kinds: () => Kinds): Kind<ServiceAccountSpec> {
  return {
    name: 'service_account',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'impersonate', 'govern'],
    spec: serviceAccountSpec,
    version: 1,
    retires: true,
    facts: ({ spec }): PrincipalFacts => ({ enabled: spec.disabled !== true }),
    administers: 'by giving',
    gives: (change) => enabling(change, kinds()),
  };
}

/** Cycles are accepted; they end. A group counts at its own scope and below. */
export function userGroupKind(kinds: () => Kinds): Kind<UserGroupSpec> {
  return {
    name: 'user_group',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: userGroupSpec,
    version: 1,
    facts: membersOf,
    check: builtInMembers,
    administers: 'by giving',
    gives: (change) => newMember(change, kinds()),
  };
}

function membersOf({ spec, refs }: Draft<UserGroupSpec>): GroupFacts {
  const members = spec.members.flatMap(({ type }, i): Subject[] => {
    const uid = refs(`/members/${i}/id`);
    return uid === undefined || isAllUsers(uid) ? [] : [{ type, uid }];
  });
  return { members };
}

/** Whom a built-in group means depends on where it is bound, so it has no members to share. */
function builtInMembers({ spec, refs }: Draft<UserGroupSpec>): FieldError[] {
  return spec.members.flatMap(({ id }, i): FieldError[] => {
    const pointer = `/members/${i}/id`;
    if (!isAllUsers(refs(pointer) ?? '')) return [];
    return [{ pointer, message: `\`${id}\` is built in and cannot be a member of a group: name it in a role binding instead` }];
  });
}

/** A new member gets all the group and every group around it grants; a group made in the call may stand in others. */
function newMember({ before, after, worldBefore, worldAfter }: Change, kinds: Kinds): Given[] {
  if (after === null) return [];
  const had = new Set(before === null ? [] : (before.facts as GroupFacts).members.map((member) => member.uid));
  const { members } = after.facts as GroupFacts;
  const added = members.filter((member) => !had.has(member.uid));
  if (added.length === 0) return [];
  const joined = givenByMembership({ worldBefore, worldAfter }, kinds, after, added.map(({ uid }) => uid));
  return [...all(worldAfter, kinds, after, 'a new member gets', '/members'), ...joined.map((given) => ({ ...given, pointer: '/members' }))];
}

/** One that is disabled gets it when it is enabled. */
function newUser({ before, after, worldAfter }: Change, kinds: Kinds): Given[] {
  if (before !== null || after === null || !(after.facts as PrincipalFacts).enabled) return [];
  return givenToEveryUser(worldAfter, kinds).map((given) => ({ ...given, pointer: '' }));
}

function enabling({ before, after, worldAfter }: Change, kinds: Kinds): Given[] {
  if (before === null || after === null) return [];
  const wakes = !(before.facts as PrincipalFacts).enabled && (after.facts as PrincipalFacts).enabled;
  return wakes ? all(worldAfter, kinds, after, 'enabling gives back', '/disabled') : [];
}

function newEmail({ before, after, worldAfter }: Change, kinds: Kinds): Given[] {
  if (before === null || after === null) return [];
  const moved = (before.facts as UserFacts).email !== (after.facts as UserFacts).email;
  return moved ? all(worldAfter, kinds, after, 'whoever has the e-mail address can get', '/email') : [];
}

function all(world: World, kinds: Kinds, entry: Entry, lead: string, pointer: string): Given[] {
  return givenThrough(world, kinds, entry).map(({ bound, why }) => ({ bound, why: `${lead} ${why}`, pointer }));
}
