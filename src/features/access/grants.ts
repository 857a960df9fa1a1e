/**
 * What a caller has, written out: each binding or mapping grant as a role over extents. For what needs grants one by one:
 * reasons, what is held or given, and worlds that are only imagined. Most questions are answered from `engine.ts`.
 */
import type { Caller, MappingGrant, WorkloadEvidence } from '#kernel/caller.ts';
import type { Noun } from '#kernel/kind.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import { noClaims } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, contains, depthOf, levelOf } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { contextOfPerson, contextOfWorkload } from './asker-values.ts';
import { accountAdminUid, everythingUid } from './builtins.ts';
import type { CompiledExtent } from './extent.ts';
import { narrowTo, rangesOf } from './extent.ts';
import { bindingsOf, resourceGroupFacts, roleFacts } from './lookup.ts';
import { memberships } from './memberships.ts';
import { roleHas } from './roles.ts';
import type { BindingFacts, MappingFacts, PrincipalFacts, Range, RoleFacts } from './schema.ts';
import type { Resources } from './selector.ts';
import { compileResources } from './selector.ts';

/** Who asks: the part of a caller the engine looks at. */
export type Asker = Pick<Caller, 'accountId' | 'principal' | 'bounds' | 'workload' | 'actor'>;

/** The one who really acts, as somebody who asks; null = the principal itself does. Bounds narrow what the two share. */
export function actorOf({ accountId, actor }: Asker): Asker | null {
  return actor === undefined ? null : { accountId, principal: actor, bounds: 'principal' };
}

export interface Grant {
  /** Uid of the binding or mapping. */
  readonly via: string;
  readonly groupPath: readonly string[];
  readonly roleUid: string;
  readonly resourceGroupUid: string | null;
  readonly role: RoleFacts;
  /** The subtree nothing of it leaves. */
  readonly scope: ScopePath;
  /** Before they are narrowed to the subtree: to say what stopped a question. */
  readonly ranges: readonly Range[];
  readonly resources: Resources;
  /** What is left to match. */
  readonly extents: readonly CompiledExtent[];
  readonly disabled: boolean;
  readonly expiresAtMs: number | null;
  /** When the one who has it leaves the group by itself; the binding may go on for others. */
  readonly memberUntilMs: number | null;
}

/**
 * One way to hold something: a grant of *each* list must give it. A person has one list; a session has, per mapping, the
 * present grants and those recorded at the exchange.
 */
export interface Way {
  readonly mappingUid: string | null;
  readonly lists: readonly (readonly Grant[])[];
  readonly context: MatchContext;
}

const noWays: readonly Way[] = [];

/** The way of a binding to whom it names. */
const itself = { groupPath: [], memberUntilMs: null } as const;

/** Grants that no binding makes: nobody disables them, they do not expire, and no group is on the way. */
const always = { groupPath: [], disabled: false, expiresAtMs: null, memberUntilMs: null } as const;

export function isLive(grant: Grant, nowMs: number): boolean {
  return !grant.disabled && (grant.expiresAtMs === null || nowMs < grant.expiresAtMs) && isStillMember(grant, nowMs);
}

/** False = the binding names others now, and not the one who has the grant. */
export function isStillMember({ memberUntilMs }: Grant, nowMs: number): boolean {
  return memberUntilMs === null || nowMs < memberUntilMs;
}

export function grantHas(grant: Grant, permission: string, noun: Noun | null): boolean {
  return roleHas(grant.role, permission, noun);
}

/** Null when it gives nothing to anybody: something dangles, or it stands where it may not. */
export function bindingGrant(world: World, binding: Entry, by: Pick<Grant, 'groupPath' | 'memberUntilMs'> = itself): Grant | null {
  const facts = binding.facts as BindingFacts;
  const group = resourceGroupFacts(world, facts.resourceGroupUid);
  if (group === null || facts.roleUid === null) return null;
  const { disabled, expiresAtMs, roleUid, resourceGroupUid } = facts;
  const parts = { ...by, via: binding.uid, roleUid, resourceGroupUid, disabled, expiresAtMs };
  return grantAt(world, { ...parts, scope: binding.scope, ranges: rangesOf(group, binding.scope), resources: group.resources });
}

/** A grant of a mapping; its scope must lie at or below the mapping's own. */
export function mappingGrant(world: World, mapping: Entry, grant: MappingGrant): Grant | null {
  if (!contains(mapping.scope, grant.scope)) return null;
  const resourceGroupUid = grant.resourceGroupUid ?? null;
  const parts = { ...always, via: mapping.uid, roleUid: grant.roleUid, resourceGroupUid, scope: grant.scope };
  if (resourceGroupUid === null) {
    const ranges = [{ scope: grant.scope, includeChildScopes: grant.includeChildScopes }];
    return grantAt(world, { ...parts, ranges, resources: compileResources(grant.resources ?? []) });
  }
  const group = resourceGroupFacts(world, resourceGroupUid);
  return group === null ? null : grantAt(world, { ...parts, ranges: rangesOf(group, grant.scope), resources: group.resources });
}

/** Above its level a role gives nothing (rule 8). */
function grantAt(world: World, parts: Omit<Grant, 'role' | 'extents'>): Grant | null {
  const role = roleFacts(world, parts.roleUid);
  if (role === null || depthOf(levelOf(parts.scope)) < depthOf(role.level)) return null;
  return { ...parts, role, extents: narrowTo(parts.scope, parts.ranges, parts.resources) };
}

/** Null = nobody the account knows by this type and uid, or somebody disabled. */
export function makePersonWays(world: World, kind: 'user' | 'service_account', uid: string): readonly Way[] | null {
  const entry = world.get(uid);
  if (entry === undefined || entry.kind !== kind || !(entry.facts as PrincipalFacts).enabled) return null;
  return [{ mappingUid: null, lists: [personGrants(world, entry)], context: contextOfPerson(entry) }];
}

function personGrants(world: World, person: Entry): readonly Grant[] {
  const grants: Grant[] = [];
  for (const { entry, groupPath, untilMs } of memberships(world, person)) {
    for (const binding of bindingsOf(world, entry.uid)) {
      const principal = (binding.facts as BindingFacts).principal;
      if (principal?.type !== entry.kind || !contains(entry.scope, binding.scope)) continue;
      const grant = bindingGrant(world, binding, { groupPath, memberUntilMs: untilMs });
      if (grant !== null) grants.push(grant);
    }
  }
  return grants;
}

/** A mapping that is gone or serves another issuer now gives nothing, nor does one whose issuer is gone. */
export function makeSessionWays(world: World, evidence: WorkloadEvidence): readonly Way[] {
  const context = contextOfWorkload(evidence);
  return evidence.mappings.map(({ mappingUid, grants }): Way => {
    const mapping = world.get(mappingUid);
    if (mapping?.kind !== 'claim_mapping') return { mappingUid, lists: [[], []], context };
    const facts = mapping.facts as MappingFacts;
    const served = facts.issuerUid === evidence.issuerUid && world.get(facts.issuerUid)?.kind === 'trusted_issuer';
    const present = served ? facts.grantsFor(evidence.claims, evidence.use) : [];
    return { mappingUid, lists: [compileAll(world, mapping, present), compileAll(world, mapping, grants)], context };
  });
}

function compileAll(world: World, mapping: Entry, grants: readonly MappingGrant[]): readonly Grant[] {
  return grants.map((grant) => mappingGrant(world, mapping, grant)).filter((grant) => grant !== null);
}

/** `system:bootstrap` is an account admin until its credential ends; no binding says so. */
export function bootstrapWays(world: World): readonly Way[] {
  const group = resourceGroupFacts(world, everythingUid);
  const parts = { ...always, via: 'system:bootstrap', roleUid: accountAdminUid, resourceGroupUid: everythingUid };
  const ranges = group === null ? [] : rangesOf(group, accountScope);
  const grant = grantAt(world, { ...parts, scope: accountScope, ranges, resources: 'all' });
  return grant === null ? noWays : [{ mappingUid: null, lists: [[grant]], context: noClaims }];
}
