/** Who is bound where: indexes of a world, made once per revision, so that no question scans all bindings. */
import type { MappingGrant } from '#kernel/caller.ts';
import { contains } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { builtinByUid } from './builtins.ts';
import type { BindingFacts, GroupFacts, MappingFacts, ResourceGroupFacts, RoleFacts, Subject } from './schema.ts';

/** A principal or group and the groups that led to it, from the principal's own up. */
export interface Membership {
  readonly entry: Entry;
  readonly groupPath: readonly string[];
}

interface BindingIndex {
  readonly byPrincipal: ReadonlyMap<string, readonly Entry[]>;
  readonly byRole: ReadonlyMap<string, readonly Entry[]>;
  readonly byResourceGroup: ReadonlyMap<string, readonly Entry[]>;
}

const bindingIndexKey = Symbol('access bindings');
const groupIndexKey = Symbol('access groups');
const mappingIndexKey = Symbol('access mapping grants');

export function bindingsOf(world: World, principalUid: string): readonly Entry[] {
  return bindingIndex(world).byPrincipal.get(principalUid) ?? [];
}

export function bindingsOfRole(world: World, roleUid: string): readonly Entry[] {
  return bindingIndex(world).byRole.get(roleUid) ?? [];
}

export function bindingsOfResourceGroup(world: World, groupUid: string): readonly Entry[] {
  return bindingIndex(world).byResourceGroup.get(groupUid) ?? [];
}

export function roleFacts(world: World, uid: string | null): RoleFacts | null {
  const entry = uid === null ? undefined : (builtinByUid(uid) ?? world.get(uid));
  return entry?.kind === 'role' ? (entry.facts as RoleFacts) : null;
}

export function resourceGroupFacts(world: World, uid: string | null): ResourceGroupFacts | null {
  const entry = uid === null ? undefined : (builtinByUid(uid) ?? world.get(uid));
  return entry?.kind === 'resource_group' ? (entry.facts as ResourceGroupFacts) : null;
}

/** The entry a subject means; a uid of another type is nobody (rule 7). */
export function subjectEntry(world: World, subject: Subject | null): Entry | null {
  const entry = subject === null ? undefined : world.get(subject.uid);
  return entry !== undefined && subject !== null && entry.kind === subject.type ? entry : null;
}

/**
 * The principal or group itself and every group that contains it, directly or through groups, nearest first. Each group
 * is met once, so cycles end. A group counts at its own scope and below only (rule 6).
 */
export function memberships(world: World, start: Entry): readonly Membership[] {
  const index = groupIndex(world);
  const found: Membership[] = [{ entry: start, groupPath: [] }];
  const seen = new Set([start.uid]);
  for (const { entry, groupPath } of found) {
    for (const group of index.get(entry.uid) ?? []) {
      if (seen.has(group.uid)) continue;
      seen.add(group.uid);
      found.push({ entry: group, groupPath: [...groupPath, group.uid] });
    }
  }
  return found;
}

/** Every grant of every mapping, whatever its conditions. */
export function mappingGrants(world: World): readonly { readonly mapping: Entry; readonly grant: MappingGrant }[] {
  return world.derive(mappingIndexKey, () =>
    [...world.list('claim_mapping')].flatMap((mapping) => (mapping.facts as MappingFacts).allGrants().map((grant) => ({ mapping, grant }))),
  );
}

function bindingIndex(world: World): BindingIndex {
  return world.derive(bindingIndexKey, makeBindingIndex);
}

function makeBindingIndex(world: World): BindingIndex {
  const byPrincipal = new Map<string, Entry[]>();
  const byRole = new Map<string, Entry[]>();
  const byResourceGroup = new Map<string, Entry[]>();
  const sorted = [...world.list('role_binding')].sort(byUid);
  for (const binding of sorted) {
    const { principal, roleUid, resourceGroupUid } = binding.facts as BindingFacts;
    if (principal === null || roleUid === null || resourceGroupUid === null) continue;
    append(byPrincipal, principal.uid, binding);
    append(byRole, roleUid, binding);
    append(byResourceGroup, resourceGroupUid, binding);
  }
  return { byPrincipal, byRole, byResourceGroup };
}

function groupIndex(world: World): ReadonlyMap<string, readonly Entry[]> {
  return world.derive(groupIndexKey, makeGroupIndex);
}

/** Direct containers by member. Members that dangle or belong elsewhere are not in it. */
function makeGroupIndex(world: World): ReadonlyMap<string, readonly Entry[]> {
  const containers = new Map<string, Entry[]>();
  for (const group of [...world.list('user_group')].sort(byUid)) {
    for (const member of (group.facts as GroupFacts).members) {
      const entry = subjectEntry(world, member);
      if (entry !== null && contains(entry.scope, group.scope)) append(containers, member.uid, group);
    }
  }
  return containers;
}

function append(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [entry]);
  else list.push(entry);
}

/** Answers name the same binding every time. */
function byUid(a: Entry, b: Entry): number {
  return a.uid < b.uid ? -1 : 1;
}
