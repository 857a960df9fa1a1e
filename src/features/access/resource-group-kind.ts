import type { Draft, Given, Kind, Kinds } from '#kernel/kind.ts';
import { accountScope, parseScope } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { rangeCovers, rangesOf } from './extent.ts';
import { givenByGrant, grantsWhere, rolePermissions } from './gives.ts';
import { bindingsOfResourceGroup } from './lookup.ts';
import type { ResourceGroupFacts, ResourceGroupSpec } from './schema.ts';
import { resourceGroupSpec } from './schema.ts';
import type { CompiledSelector } from './selector.ts';
import { compileResources } from './selector.ts';
import { selectorFaults } from './selector-faults.ts';

/** A set of resources, by scope, kind, name and condition. */
export function resourceGroupKind(kinds: () => Kinds): Kind<ResourceGroupSpec> {
  return {
    name: 'resource_group',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: resourceGroupSpec,
    version: 1,
    facts: resourceGroupFactsOf,
    check: (draft, after) => selectorFaults(draft.spec.resources ?? [], kinds().of(after), '/resources'),
    administers: 'by giving',
    gives: (change) => newExtent(change, kinds()),
  };
}

function resourceGroupFactsOf({ scope, spec }: Draft<ResourceGroupSpec>): ResourceGroupFacts {
  const ranges = spec.scopes?.map((range) => {
    return { scope: parseScope(range.scope) ?? range.scope, includeChildScopes: range.includeChildScopes ?? false };
  });
  return {
    ranges: ranges ?? [{ scope, includeChildScopes: spec.includeChildScopes ?? false }],
    resources: compileResources(spec.all === true ? 'all' : (spec.resources ?? [])),
  };
}

/** An edit that adds to the group gives the roles bound through it, over all it selects then. A narrowing gives nothing. */
function newExtent(change: { before: Entry | null; after: Entry | null; worldAfter: World }, kinds: Kinds): Given[] {
  const { before, after, worldAfter } = change;
  if (before === null || after === null) return [];
  if (selectsNoMore(before.facts as ResourceGroupFacts, after.facts as ResourceGroupFacts)) return [];
  const bindings = bindingsOfResourceGroup(worldAfter, after.uid);
  const users = [...grantsWhere(worldAfter, bindings, (grant) => grant.resourceGroupUid === after.uid)];
  return users.flatMap(({ grant, why }) => {
    const given = givenByGrant(grant, rolePermissions(grant.role, kinds.of(worldAfter)), `the resource group is used by ${why}`);
    return given.map((one) => ({ ...one, pointer: '' }));
  });
}

/** True only when it is plain that `after` is a part of `before`. */
function selectsNoMore(before: ResourceGroupFacts, after: ResourceGroupFacts): boolean {
  // Only built-in groups look different from different scopes, and they are never edited.
  const old = rangesOf(before, accountScope);
  return rangesOf(after, accountScope).every((range) => {
    if (!old.some((had) => rangeCovers(had, range))) return false;
    if (before.resources === 'all') return true;
    const had = before.resources;
    return after.resources !== 'all' && after.resources.every((selector) => had.some((outer) => isPartOf(selector, outer)));
  });
}

function isPartOf(inner: CompiledSelector, outer: CompiledSelector): boolean {
  if (inner.type !== outer.type) return false;
  const { identifiers } = outer;
  if (identifiers !== null && (inner.identifiers === null || ![...inner.identifiers].every((name) => identifiers.has(name)))) return false;
  return outer.conditions.every((asked) => inner.conditions.some((own) => own.key === asked.key && sameText(own.spec, asked.spec)));
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
