/**
 * The smallest grant that would change a denial: one permission, on that one resource, for that one principal. It is tried
 * before it is told; what would not help is not told.
 */
import { evaluate } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import { entryOf } from '#features/resources/feature.ts';
import type { Decision, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { manifestKind } from '#kernel/kind.ts';
import { printReference } from '#kernel/reference.ts';
import { contains, depthOf, levelOf } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { nameOf } from './ask.ts';

export interface SmallestGrant {
  readonly summary: string;
  /** Manifests to apply; none when something that is there has only to be switched on. */
  readonly documents: readonly Readonly<Record<string, unknown>>[];
}

export interface Denied {
  readonly world: World;
  readonly kinds: Kinds;
  readonly asker: Asker;
  readonly permission: string;
  readonly target: Target;
  readonly decision: Decision;
  readonly now: Date;
}

/** Null when nothing that can be granted would help: a narrowed credential, a word nobody knows, a principal of another place. */
export function smallestGrant(denied: Denied): SmallestGrant | null {
  const { world, asker, target, permission, decision } = denied;
  const nearest = decision.reasons[0];
  if (nearest?.binding !== undefined && (nearest.code === 'binding_disabled' || nearest.code === 'binding_expired')) {
    const name = nameOf(world, nearest.binding);
    return { summary: nearest.code === 'binding_disabled' ? `enable the role binding \`${name}\`` : `give the role binding \`${name}\` a later \`expiresAt\``, documents: [] };
  }
  const selector = { type: target.kind, ...(target.identifier === null ? {} : { identifiers: [target.identifier] }) };
  if (asker.principal.type === 'workload') {
    const grant = { role: `a role with ${permission} alone`, scope: target.scope, resources: [selector] };
    return { summary: 'add this grant to a claim mapping that matched, and exchange the token again', documents: [{ grants: [grant] }] };
  }
  return grantToPerson(denied, selector);
}

function grantToPerson(denied: Denied, selector: object): SmallestGrant | null {
  const { world, kinds, asker, permission, target } = denied;
  const person = world.get(asker.principal.uid);
  if (person === undefined || !contains(person.scope, target.scope)) return null;
  const { scope } = target;
  const base = permission.replace('.', '_');
  const role = roleOfOne(world, permission, target) ?? document('role', { scope, identifier: free(world, 'role', scope, base), spec: { level: levelOf(scope), permissions: [permission] } });
  const group = document('resource_group', { scope, identifier: free(world, 'resource_group', scope, base), spec: { resources: [selector] } });
  const spec = {
    principal: { type: person.kind, id: person.kind === 'user' ? person.identifier : printReference(person.scope, person.identifier, scope) },
    role: printReference(role.scope, role.identifier, scope),
    resourceGroup: group.identifier,
  };
  const binding = document('role_binding', { scope, identifier: free(world, 'role_binding', scope, `${person.identifier}_${base}`.slice(0, 120)), spec });
  const refs = { '/principal/id': person.uid, '/role': role.uid, '/resourceGroup': group.uid };
  const written = 'spec' in role ? [role, group, binding] : [group, binding];
  const after = world.overlay(written.map((one) => ({ put: entryOf(kinds, { ...one, refs: one === binding ? refs : {} }) })));
  if (!evaluate(after, kinds, asker, { permission, target }, denied.now).allowed) return null;
  return { summary: `bind ${permission} on this one resource`, documents: written.map(manifestOf) };
}

type Written = ReturnType<typeof document>;

function document(kind: string, { scope, identifier, spec }: { readonly scope: string; readonly identifier: string; readonly spec: object }) {
  return { uid: `suggested:${kind}`, kind, scope, identifier, name: null, description: null, tags: {}, spec, version: 1 };
}

function manifestOf({ kind, scope, identifier, spec }: Written): Readonly<Record<string, unknown>> {
  return { kind: manifestKind(kind), scope, identifier, spec };
}

/** A role that is there and has this permission and no other. */
function roleOfOne(world: World, permission: string, { scope }: Target): Entry | undefined {
  for (const entry of world.list('role')) {
    const { permissions, level } = entry.facts as RoleFacts;
    if (typeof permissions === 'string' || permissions.size !== 1 || !permissions.has(permission)) continue;
    if (contains(entry.scope, scope) && depthOf(level) <= depthOf(levelOf(scope))) return entry;
  }
  return undefined;
}

/** An identifier that nobody has there yet. */
function free(world: World, kind: string, scope: string, wanted: string): string {
  if (world.find(kind, scope, wanted) === undefined) return wanted;
  for (let i = 2; ; i++) if (world.find(kind, scope, `${wanted}_${i}`) === undefined) return `${wanted}_${i}`;
}
