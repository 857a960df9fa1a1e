import { nearest } from '#kernel/identifier.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Draft, Given, Kind, Kinds } from '#kernel/kind.ts';
import type { Level } from '#kernel/scope.ts';
import { depthOf, levelOf } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { givenByGrant, grantsWhere } from './gives.ts';
import { bindingsOfRole, mappingGrants } from './lookup.ts';
import { reachesBelow } from './places.ts';
import type { RoleFacts, RoleSpec } from './schema.ts';
import { roleSpec } from './schema.ts';

/** A set of permissions. `bind` lets its holder bind the role without holding it. */
export function roleKind(kinds: () => Kinds): Kind<RoleSpec> {
  return {
    name: 'role',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'bind', 'govern'],
    spec: roleSpec,
    version: 1,
    administers: true,
    facts: ({ spec }): RoleFacts => ({ level: spec.level, permissions: new Set(spec.permissions) }),
    check: (draft, after) => [...permissionFaults(draft.spec, kinds().of(after)), ...levelFaults(draft, after)],
    gives: addedPermissions,
  };
}

function permissionFaults(spec: RoleSpec, kinds: Kinds): FieldError[] {
  return spec.permissions.flatMap((permission, i): FieldError[] => {
    const pointer = `/permissions/${i}`;
    const known = kinds.permission(permission);
    if (known === null) {
      const suggestion = nearest(permission, kinds.permissions());
      return [{ pointer, message: `\`${permission}\` is not a permission`, ...(suggestion === undefined ? {} : { suggestion }) }];
    }
    if (reachesBelow(known.noun, spec.level)) return [];
    return [{ pointer, message: `\`${permission}\` means nothing at or below the level \`${spec.level}\`; leave it out or raise the level` }];
  });
}

/** A role that is bound already cannot sink below its bindings. */
function levelFaults(draft: Draft<RoleSpec>, after: World): FieldError[] {
  const uid = after.find('role', draft.scope, draft.identifier)?.uid;
  if (uid === undefined || !isUsedAbove(after, uid, draft.spec.level)) return [];
  return [{ pointer: '/level', message: `the role is bound or granted above the level \`${draft.spec.level}\`; remove that first` }];
}

function isUsedAbove(world: World, roleUid: string, level: Level): boolean {
  // A scope from a claim has no name yet; one above the level gives nothing when it comes.
  const isAbove = (scope: string) => !scope.includes('*') && depthOf(levelOf(scope)) < depthOf(level);
  if (bindingsOfRole(world, roleUid).some((binding) => isAbove(binding.scope))) return true;
  return mappingGrants(world).some(({ grant }) => grant.roleUid === roleUid && isAbove(grant.scope));
}

/** An edit gives each added permission wherever the role is bound, a higher level gives all; a new role is bound nowhere yet. */
function addedPermissions(change: { before: Entry | null; after: Entry | null; worldAfter: World }): Given[] {
  const { before, after, worldAfter } = change;
  if (before === null || after === null) return [];
  // At a higher level everything the role holds may be given where it was dead before.
  const rises = depthOf((after.facts as RoleFacts).level) < depthOf((before.facts as RoleFacts).level);
  const had = rises ? new Set<string>() : named(before);
  const added = [...named(after)].filter((permission) => !had.has(permission));
  if (added.length === 0) return [];
  const users = [...grantsWhere(worldAfter, bindingsOfRole(worldAfter, after.uid), (grant) => grant.roleUid === after.uid)];
  return users.flatMap(({ grant, why }) =>
    givenByGrant(grant, added, `the role is used by ${why}`).map((given) => ({ ...given, pointer: '/permissions' })),
  );
}

/** Documents name each permission; only built-in roles do not, and they are never edited. */
function named(role: Entry): ReadonlySet<string> {
  const { permissions } = role.facts as RoleFacts;
  return typeof permissions === 'string' ? new Set() : permissions;
}
