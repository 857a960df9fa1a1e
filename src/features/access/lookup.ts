/**
 * Who is bound where, in any world. A root answers from what follows it; an overlay adds its own changes to what its base
 * answers, so asking one costs its changes and the answer, whatever the size of the account.
 */
import type { MappingGrant } from '#kernel/caller.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { contains } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { accountAccess } from './engine/account-access.ts';
import type { ListedBy } from './engine/binding-shelf.ts';
import { builtinByUid } from './builtins.ts';
import { kindsAsked } from './engine/conditional-groups.ts';
import { Containers } from './engine/containers.ts';
import type { BindingFacts, MappingFacts, ResourceGroupFacts, RoleFacts, Subject } from './schema.ts';

/** A principal or group and the groups that led to it, from the principal's own up. */
export interface Around {
  readonly entry: Entry;
  readonly groupPath: readonly string[];
}

const laidBindingsKey = Symbol('access bindings of an overlay');
const laidContainersKey = Symbol('access groups of an overlay');
const mappingIndexKey = Symbol('access mapping grants');

/** Answers name the same binding every time, so bindings come in the order of their uids. */
export function bindingsOf(world: World, principalUid: string): readonly Entry[] {
  return [...bindingsBy(world, 'subject', principalUid)].toSorted(byUid);
}

export function bindingsOfRole(world: World, roleUid: string): readonly Entry[] {
  return [...bindingsBy(world, 'role', roleUid)].toSorted(byUid);
}

export function bindingsOfResourceGroup(world: World, groupUid: string): readonly Entry[] {
  return [...bindingsBy(world, 'resourceGroup', groupUid)].toSorted(byUid);
}

/** In no order. Bindings with a reference that dangles are in none of these lists. */
function* bindingsBy(world: World, by: ListedBy, uid: string): Generator<Entry> {
  if (world.base === null) {
    const { bindings } = accountAccess(world);
    for (let row = bindings.first(by, uid); row >= 0; row = bindings.after(by, row)) yield bindings.entry(row);
    return;
  }
  const changed = world.changesOf('role_binding');
  for (const binding of bindingsBy(world.base, by, uid)) if (!changed.has(binding.uid)) yield binding;
  if (changed.size > 0) yield* laidBindings(world)[by].get(uid) ?? [];
}

/** Where, with what and until when (ms; infinite = for good) an enabled binding binds somebody. */
export interface BoundAt {
  readonly scope: ScopePath;
  readonly type: Subject['type'];
  readonly roleUid: string;
  readonly resourceGroupUid: string;
  readonly endsAtMs: number;
}

/** In no order, and from the columns where there are some, since it is asked of many and nobody needs the bindings. */
export function* boundBy(world: World, principalUid: string): Generator<BoundAt> {
  if (world.base !== null) {
    for (const { scope, facts } of bindingsBy(world, 'subject', principalUid)) {
      const { principal, roleUid, resourceGroupUid, disabled, expiresAtMs } = facts as BindingFacts;
      if (!disabled) yield { scope, type: principal!.type, roleUid: roleUid!, resourceGroupUid: resourceGroupUid!, endsAtMs: expiresAtMs ?? Infinity };
    }
    return;
  }
  const { bindings } = accountAccess(world);
  for (let row = bindings.first('subject', principalUid); row >= 0; row = bindings.after('subject', row)) {
    if (bindings.isDisabled(row)) continue;
    yield {
      scope: bindings.paths.word(bindings.path(row)),
      type: bindings.subjectType(row),
      roleUid: bindings.roles.word(bindings.role(row)),
      resourceGroupUid: bindings.resourceGroups.word(bindings.resourceGroup(row)),
      endsAtMs: bindings.expiresAtMs(row) ?? Infinity,
    };
  }
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
 * The principal or group itself and every group that names it, directly or through groups, nearest first. Each group
 * is met once, so cycles end. A group counts at its own scope and below only (rule 6).
 */
export function groupsAround(world: World, start: Entry): readonly Around[] {
  const found: Around[] = [{ entry: start, groupPath: [] }];
  const seen = new Set([start.uid]);
  for (const { entry, groupPath } of found) {
    for (const uid of containersOf(world, entry)) {
      const group = seen.has(uid) ? undefined : world.get(uid);
      if (group?.kind !== 'user_group' || !contains(entry.scope, group.scope)) continue;
      seen.add(uid);
      found.push({ entry: group, groupPath: [...groupPath, uid] });
    }
  }
  return found;
}

/** Every grant of every mapping, whatever its conditions. */
export function mappingGrants(world: World): readonly { readonly mapping: Entry; readonly grant: MappingGrant }[] {
  return world.derive(mappingIndexKey, ['claim_mapping'], (from) =>
    [...from.list('claim_mapping')].flatMap((mapping) => (mapping.facts as MappingFacts).allGrants().map((grant) => ({ mapping, grant }))),
  );
}

/** Resource groups with a condition about the kind. */
export function conditionalGroups(world: World, kind: string): readonly Entry[] {
  if (world.base === null) return [...accountAccess(world).conditional.about(kind)].flatMap((uid) => world.get(uid) ?? []);
  const changed = world.changesOf('resource_group');
  const below = conditionalGroups(world.base, kind);
  if (changed.size === 0) return below;
  const own = [...changed.values()].filter((group) => group !== null && kindsAsked(group).has(kind)) as Entry[];
  return [...below.filter((group) => !changed.has(group.uid)), ...own];
}

/** Uids of groups that name it, in their order. */
function containersOf(world: World, member: Entry): readonly string[] {
  if (world.base === null) return accountAccess(world).containers.of(member.kind, member.uid);
  const below = containersOf(world.base, member);
  const changed = world.changesOf('user_group');
  if (changed.size === 0) return below;
  return [...below.filter((uid) => !changed.has(uid)), ...laidContainers(world).of(member.kind, member.uid)].toSorted();
}

function laidContainers(overlay: World): Containers {
  return overlay.derive(laidContainersKey, ['user_group'], () => {
    const containers = new Containers();
    for (const group of overlay.changesOf('user_group').values()) if (group !== null) containers.changed({ before: undefined, after: group });
    return containers;
  });
}

function laidBindings(overlay: World): Readonly<Record<ListedBy, ReadonlyMap<string, readonly Entry[]>>> {
  return overlay.derive(laidBindingsKey, ['role_binding'], () => {
    const bindings = [...overlay.changesOf('role_binding').values()].filter((entry) => entry !== null && !dangles(entry.facts as BindingFacts)) as Entry[];
    const by = (uidIn: (facts: BindingFacts) => string) => Map.groupBy(bindings, (entry) => uidIn(entry.facts as BindingFacts));
    return { subject: by((facts) => facts.principal!.uid), role: by((facts) => facts.roleUid!), resourceGroup: by((facts) => facts.resourceGroupUid!) };
  });
}

function dangles({ principal, roleUid, resourceGroupUid }: BindingFacts): boolean {
  return principal === null || roleUid === null || resourceGroupUid === null;
}

function byUid(a: Entry, b: Entry): number {
  return a.uid < b.uid ? -1 : 1;
}
