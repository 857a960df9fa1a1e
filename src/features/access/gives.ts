/** What bindings, grants and memberships give, as bounds a granter must hold (CONTRACTS §5). */
import type { Bound, MappingGrant } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { printExtent } from './extent.ts';
import type { Grant } from './grants.ts';
import { bindingGrant, mappingGrant } from './grants.ts';
import { bindingsOf, mappingGrants } from './lookup.ts';
import { memberships } from './memberships.ts';
import { permissionsOf } from './roles.ts';
import type { BindingFacts, RoleFacts } from './schema.ts';

export interface GivenBound {
  readonly bound: Bound;
  readonly why: string;
}

const bindingKey = Symbol('what bindings give');
const bindingKinds = ['role_binding', 'role', 'resource_group', 'resource_type'];
const maxKnown = 200_000;

/** What an enabled binding gives whoever it names. One that is disabled gives nothing until somebody enables it. */
export function givenByBinding(world: World, kinds: Kinds, binding: Entry): readonly GivenBound[] {
  // Kept, so that a call in which many gain through one binding asks about one bound.
  const known = world.derive(bindingKey, bindingKinds, () => new Map<string, readonly GivenBound[]>());
  if (known.size > maxKnown) known.clear();
  let given = known.get(binding.uid);
  if (given === undefined) known.set(binding.uid, (given = computedFor(world, kinds, binding)));
  return given;
}

function computedFor(world: World, kinds: Kinds, binding: Entry): readonly GivenBound[] {
  if ((binding.facts as BindingFacts).disabled) return [];
  const grant = bindingGrant(world, binding);
  return grant === null ? [] : givenByGrant(grant, rolePermissions(grant.role, kinds.of(world)), `role binding \`${entryPath(binding)}\``);
}

/** What grants of a claim mapping give to whom it matches. `mapping` is the entry that carries them. */
export function givenByMapping(world: World, kinds: Kinds, mapping: Entry, grants: readonly MappingGrant[]): readonly GivenBound[] {
  return grants.flatMap((written) => {
    const grant = mappingGrant(world, mapping, written);
    return grant === null ? [] : givenByGrant(grant, rolePermissions(grant.role, kinds.of(world)), `claim mapping \`${entryPath(mapping)}\``);
  });
}

/**
 * All that a principal or group gets from bindings, its groups' included: what a new member gets, and what somebody who
 * takes over a credential of it would have.
 */
export function givenThrough(world: World, kinds: Kinds, principalOrGroup: Entry): readonly GivenBound[] {
  const bindings = memberships(world, principalOrGroup).flatMap(({ entry }) => bindingsOf(world, entry.uid));
  return bindings.flatMap((binding) => givenByBinding(world, kinds, binding));
}

/** All that a user or service account holds: what handing out a credential of it gives away. Nobody else has one. */
export function holdings(world: World, kinds: Kinds, principal: { readonly type: string; readonly uid: string }): readonly Bound[] {
  const entry = world.get(principal.uid);
  if (entry === undefined || entry.kind !== principal.type || (entry.kind !== 'user' && entry.kind !== 'service_account')) return [];
  return givenThrough(world, kinds, entry).map(({ bound }) => bound);
}

/** Permissions over everything a binding or grant reaches. */
export function givenByGrant(grant: Grant, permissions: Bound['permissions'], why: string): readonly GivenBound[] {
  return grant.extents.map((extent) => ({ bound: { permissions, extent: printExtent(extent) }, why }));
}

/** The grants of these bindings, those that count, and of every mapping grant that is meant. */
export function* grantsWhere(
  world: World,
  bindings: Iterable<Entry>,
  isMeant: (grant: MappingGrant) => boolean,
): Generator<{ readonly grant: Grant; readonly why: string }> {
  for (const binding of bindings) {
    const grant = (binding.facts as BindingFacts).disabled ? null : bindingGrant(world, binding);
    if (grant !== null) yield { grant, why: `role binding \`${entryPath(binding)}\`` };
  }
  for (const { mapping, grant: written } of mappingGrants(world)) {
    const grant = isMeant(written) ? mappingGrant(world, mapping, written) : null;
    if (grant !== null) yield { grant, why: `claim mapping \`${entryPath(mapping)}\`` };
  }
}

/**
 * An admin role gives every permission at its levels, kinds that appear later included. It stands at or below its level,
 * where `all` means just that.
 */
export function rolePermissions(role: RoleFacts, kinds: Kinds): Bound['permissions'] {
  if (role.permissions === 'every') return 'all';
  return typeof role.permissions === 'string' ? [...permissionsOf(role, kinds)].map(({ permission }) => permission) : [...role.permissions];
}
