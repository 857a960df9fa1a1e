/** What stands in the way of a mapping's grants, in the world as it is and for some claims. Pure; for traces only. */
import { builtinByUid } from '#features/access/feature.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import type { MappingGrant } from '#kernel/caller.ts';
import { depthOf, levelOf } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { ClaimMappingFacts } from './schema.ts';
import { isMiss } from './scope-grant.ts';

export interface GrantState {
  /** Place in the document. */
  readonly grant: number;
  readonly role: string;
  /** Null when the claim does not say. */
  readonly scope: string | null;
  /** Why it gives nothing; null when it gives something. */
  readonly because: string | null;
}

/** Of every grant of the document, those included whose role or resource group is gone. */
export function grantStates(world: World, facts: ClaimMappingFacts, claims: Readonly<Record<string, unknown>>): readonly GrantState[] {
  return facts.spec.grants.map((spec, index): GrantState => {
    const role = spec.role;
    const compiled = facts.grants.find((grant) => grant.index === index);
    if (compiled === undefined) return { grant: index, role, scope: null, because: goneText(spec) };
    const outcome = compiled.resolve(claims);
    if (isMiss(outcome)) return { grant: index, role, scope: null, because: `its scope comes from \`${outcome.claim}\`: ${outcome.because}` };
    return { grant: index, role, scope: outcome.scope, because: idleBecause(world, outcome, spec) };
  });
}

function goneText({ role, resourceGroup }: { readonly role: string; readonly resourceGroup?: string | undefined }): string {
  return resourceGroup === undefined ? `the role \`${role}\` is gone` : `the role \`${role}\` or the resource group \`${resourceGroup}\` is gone`;
}

/** Why it gives nothing in this world; null when it gives something. */
export function idleBecause(world: World, grant: MappingGrant, spec: { readonly role: string; readonly resourceGroup?: string | undefined }): string | null {
  const role = builtinByUid(grant.roleUid) ?? world.get(grant.roleUid);
  if (role?.kind !== 'role') return `the role \`${spec.role}\` is gone`;
  const { resourceGroupUid } = grant;
  const group = resourceGroupUid === undefined ? undefined : (builtinByUid(resourceGroupUid) ?? world.get(resourceGroupUid));
  if (resourceGroupUid !== undefined && group?.kind !== 'resource_group') return `the resource group \`${spec.resourceGroup!}\` is gone`;
  if (!world.hasScope(grant.scope)) return `there is no scope \`${grant.scope}\``;
  const { level, permissions } = role.facts as RoleFacts;
  if (depthOf(levelOf(grant.scope)) < depthOf(level)) return `the role \`${spec.role}\` counts at the level \`${level}\` and below, not at \`${grant.scope}\``;
  if (typeof permissions !== 'string' && permissions.size === 0) return `the role \`${spec.role}\` has no permissions`;
  return resourceGroupUid === undefined && grant.resources?.length === 0 ? 'its `resources` select nothing' : null;
}
