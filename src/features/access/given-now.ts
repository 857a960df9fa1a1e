/** What a binding or a mapping gives at this time, permission by permission: for saying what of it nobody used. */
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { depthOf, levelOf } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { isAnnounced } from './announced.ts';
import type { CompiledExtent } from './extent.ts';
import type { Grant } from './grants.ts';
import { bindingGrant, isLive, mappingGrant } from './grants.ts';
import { reaches, reachesBelow } from './places.ts';
import { permissionsOf } from './roles.ts';
import type { MappingFacts } from './schema.ts';
import { selectsKind } from './selector.ts';

export interface GivenNow {
  readonly roleUid: string;
  /** The subtree nothing of it leaves. */
  readonly scope: ScopePath;
  /** Those of known kinds that can be met where it reaches, in the order of the kinds; none of kinds yet to come. */
  readonly permissions: readonly string[];
}

/** Null = it gives nobody anything: disabled, expired, dangling, or of a role without a place. */
export function givenNowByBinding(world: World, kinds: Kinds, binding: Entry, now: Date): GivenNow | null {
  return givenNow(world, kinds, bindingGrant(world, binding), now);
}

/** One for each grant, and each target of one with a `map`; null as above. */
export function givenNowByMapping(world: World, kinds: Kinds, mapping: Entry, now: Date): readonly (GivenNow | null)[] {
  return (mapping.facts as MappingFacts).allGrants().map((grant) => givenNow(world, kinds, mappingGrant(world, mapping, grant), now));
}

function givenNow(world: World, kinds: Kinds, grant: Grant | null, now: Date): GivenNow | null {
  if (grant === null || !isLive(grant, now.getTime())) return null;
  const { roleUid, scope, role, extents } = grant;
  const permissions = [...permissionsOf(role, kinds.of(world))].filter(({ noun }) => !isAnnounced(noun) && extents.some((extent) => meets(extent, noun))).map(({ permission }) => permission);
  return permissions.length === 0 ? null : { roleUid, scope, permissions };
}

/** True when something of the kind can lie in the extent. */
function meets({ scope, includeChildScopes, resources }: CompiledExtent, noun: Noun): boolean {
  const level = levelOf(scope);
  return selectsKind(resources, noun.name) && (includeChildScopes ? reachesBelow(noun, level) : reaches(noun, depthOf(level)));
}
