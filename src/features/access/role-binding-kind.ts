import type { FieldError } from '#kernel/errors.ts';
import type { Question } from '#kernel/decision.ts';
import type { Draft, Given, Kind, Kinds } from '#kernel/kind.ts';
import { depthOf, levelOf } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { allUsersGroup, allUsersNamed, isAllUsers, levelNamed } from './all-users.ts';
import { builtinByUid } from './builtins.ts';
import { givenByBinding } from './gives.ts';
import { givenByJoining } from './joining.ts';
import { resourceGroupFacts, roleFacts } from './lookup.ts';
import type { BindingFacts, NamersRange, RoleBindingSpec } from './schema.ts';
import { bindPermission, roleBindingSpec } from './schema.ts';

/** Principal + role + resource group at a scope. Bindings only add. */
export function roleBindingKind(kinds: () => Kinds): Kind<RoleBindingSpec> {
  return {
    name: 'role_binding',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: roleBindingSpec,
    version: 1,
    administers: true,
    facts: bindingFactsOf,
    check: (draft, after) => [...levelFaults(draft, after), ...resourceGroupFaults(draft, after), ...allUsersFaults(draft)],
    gives: (change) => givenByChange(change, kinds()),
  };
}

function bindingFactsOf({ scope, spec, refs }: Draft<RoleBindingSpec>): BindingFacts {
  const named = refs('/principal/id');
  const principalUid = named !== undefined && isAllUsers(named) ? (allUsersNamed(named, scope) ?? undefined) : named;
  return {
    principal: principalUid === undefined ? null : { type: spec.principal.type, uid: principalUid },
    roleUid: refs('/role') ?? null,
    resourceGroupUid: refs('/resourceGroup') ?? null,
    disabled: spec.disabled ?? false,
    expiresAtMs: spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt),
  };
}

function levelFaults({ scope, spec, refs }: Draft<RoleBindingSpec>, after: World): FieldError[] {
  const role = roleFacts(after, refs('/role') ?? null);
  if (role === null || depthOf(levelOf(scope)) >= depthOf(role.level)) return [];
  return [{ pointer: '/role', message: `\`${spec.role}\` may be bound at the level \`${role.level}\` or below, not at \`${levelOf(scope)}\`` }];
}

/** A built-in group of another level would select nothing here. */
function resourceGroupFaults({ scope, spec, refs }: Draft<RoleBindingSpec>, after: World): FieldError[] {
  const ranges = resourceGroupFacts(after, refs('/resourceGroup') ?? null)?.ranges;
  const onlyAt = ranges === undefined || Array.isArray(ranges) ? null : (ranges as NamersRange).onlyAt;
  if (onlyAt === null || onlyAt === levelOf(scope)) return [];
  const message = `\`${spec.resourceGroup}\` selects only at the level \`${onlyAt}\`; this binding is at \`${levelOf(scope)}\``;
  return [{ pointer: '/resourceGroup', message }];
}

/** Users of something below the binding's scope are nobody whom it could mean. */
function allUsersFaults({ scope, spec, refs }: Draft<RoleBindingSpec>): FieldError[] {
  const named = refs('/principal/id');
  if (named === undefined || !isAllUsers(named) || allUsersNamed(named, scope) !== null) return [];
  const [own, theirs] = [levelOf(scope), levelNamed(named)];
  const message = `\`${spec.principal.id}\` means the users of a scope of the level \`${theirs}\`; this binding is at \`${own}\`: name \`${allUsersGroup[own]}\`, or bind it at the level \`${theirs}\``;
  return [{ pointer: '/principal/id', message }];
}

/** The role over its range, and what new users of the scope get with it, unless the change only takes away. */
function givenByChange(change: { before: Entry | null; after: Entry | null; worldBefore: World; worldAfter: World }, kinds: Kinds): Given[] {
  const { before, after, worldAfter } = change;
  if (after === null || (before !== null && givesNoMore(before.facts as BindingFacts, after.facts as BindingFacts))) return [];
  const unless = bindQuestion(after, worldAfter);
  const role = givenByBinding(worldAfter, kinds, after).map((given): Given => ({ ...given, pointer: '/role', ...(unless === null ? {} : { unless }) }));
  return [...role, ...givenByJoining(change, kinds, after).map((given): Given => ({ ...given, pointer: '/principal' }))];
}

function givesNoMore(before: BindingFacts, after: BindingFacts): boolean {
  if (after.disabled) return true;
  const sameSubject = before.principal?.uid === after.principal?.uid;
  const sameRights = before.roleUid === after.roleUid && before.resourceGroupUid === after.resourceGroupUid;
  return sameSubject && sameRights && !before.disabled && (after.expiresAtMs ?? Infinity) <= (before.expiresAtMs ?? Infinity);
}

/** `role.bind` is asked on the role as if it lay where it is bound, so it can be given for one scope. */
function bindQuestion(binding: Entry, world: World): Question | null {
  const { roleUid } = binding.facts as BindingFacts;
  const builtIn = roleUid === null ? undefined : builtinByUid(roleUid);
  const role = builtIn ?? (roleUid === null ? undefined : world.get(roleUid));
  if (role === undefined) return null;
  const { kind, tags, attributes } = role;
  // A right by name means the role of that name in its own scope; for one of another scope it takes the right on all.
  const identifier = builtIn !== undefined || role.scope === binding.scope ? role.identifier : null;
  return { permission: bindPermission, target: { kind, scope: binding.scope, identifier, tags, attributes } };
}
