/** Grants of a mapping: fixed scopes, and scopes that a claim names. Compiled once, then resolved against claims. */
import { builtinByUid } from '#features/access/feature.ts';
import type { MappingGrant, Selector } from '#kernel/caller.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { ResolvedRefs } from '#kernel/kind.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { childScope, contains, levelOf, parseScope } from '#kernel/scope.ts';
import type { GrantSpec } from './schema.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Why a scope could not be taken from a claim. */
export interface ScopeMiss {
  readonly claim: string;
  readonly because: string;
}

export interface CompiledGrant {
  /** Place in the document. */
  readonly index: number;
  readonly resolve: (claims: Claims) => MappingGrant | ScopeMiss;
  /** Every grant this may become, claims ignored. */
  readonly targets: () => readonly MappingGrant[];
  /** Equal for equal grants, references resolved. */
  readonly fingerprint: string;
}

/** What is granted, wherever that is. */
interface What {
  readonly roleUid: string;
  readonly resourceGroupUid?: string;
  readonly resources?: readonly Selector[];
  readonly includeChildScopes: boolean;
}

const everythingUid = 'builtin:resource_group:all_resources_including_child_scopes';
/** No identifier, so it is no scope there is. */
const anyName = '*';

/** Null when a reference dangles: then the grant gives nothing. `at` is the mapping's own scope. */
export function compileGrant(spec: GrantSpec, index: number, place: { readonly at: ScopePath; readonly refs: ResolvedRefs }): CompiledGrant | null {
  const { at, refs } = place;
  const what = whatOf(spec, index, refs);
  if (what === null) return null;
  const fingerprint = canonicalJson([what, spec.scope]);
  if (typeof spec.scope === 'string') {
    const grant = { ...what, scope: parseScope(spec.scope) ?? spec.scope };
    return { index, fingerprint, resolve: () => grant, targets: () => [grant] };
  }
  const { from, map } = spec.scope;
  if (map !== undefined) {
    const scopes = new Map(Object.entries(map).map(([value, scope]) => [value, parseScope(scope) ?? scope]));
    const targets = [...new Set(scopes.values())].map((scope) => ({ ...what, scope }));
    return { index, fingerprint, resolve: (claims) => mapped(what, scopes, from, claims), targets: () => targets };
  }
  const range = rangeOf(spec, at);
  const targets = anywhereBelow(what, range);
  return { index, fingerprint, resolve: (claims) => named(what, range, from, claims), targets: () => targets };
}

/** Where a scope straight from a claim may lie: never above or beside the mapping itself, whatever an old document says. */
export function rangeOf({ scope }: Pick<GrantSpec, 'scope'>, at: ScopePath): ScopePath {
  const within = typeof scope === 'string' || scope.within === undefined ? null : parseScope(scope.within);
  return within !== null && contains(at, within) ? within : at;
}

export function isMiss(outcome: MappingGrant | ScopeMiss): outcome is ScopeMiss {
  return 'because' in outcome;
}

function whatOf(spec: GrantSpec, index: number, refs: ResolvedRefs): What | null {
  const roleUid = refs(`/grants/${index}/role`);
  if (roleUid === undefined) return null;
  if (spec.resourceGroup === undefined) return { roleUid, resources: spec.resources ?? [], includeChildScopes: spec.includeChildScopes ?? false };
  const resourceGroupUid = refs(`/grants/${index}/resourceGroup`);
  return resourceGroupUid === undefined ? null : { roleUid, resourceGroupUid, includeChildScopes: false };
}

function mapped(what: What, scopes: ReadonlyMap<string, ScopePath>, claim: string, claims: Claims): MappingGrant | ScopeMiss {
  const value = readPointer(claims, claim);
  const scope = typeof value === 'string' ? scopes.get(value) : undefined;
  return scope === undefined ? { claim, because: value === undefined ? 'the claim is missing' : 'the map has no such value' } : { ...what, scope };
}

/** The claim's own words are a scope path at or below `at`. The empty text is not the account. */
function named(what: What, at: ScopePath, claim: string, claims: Claims): MappingGrant | ScopeMiss {
  const value = readPointer(claims, claim);
  if (value === undefined) return { claim, because: 'the claim is missing' };
  const scope = typeof value === 'string' && value !== '' ? parseScope(value) : null;
  if (scope === null) return { claim, because: 'the claim is no scope path' };
  return contains(at, scope) ? { ...what, scope } : { claim, because: `the scope does not lie at or below \`${at}\`` };
}

/**
 * What a scope that only the claim knows may become, as grants the access engine can count with. Conditions and groups of
 * one's own are about places that are there, so they are counted over the mapping's whole scope. Everything else is
 * counted over a scope of each level below it whose name nobody knows, because its role may not be allowed further up;
 * the mapping's own scope comes with it for built-in roles, which hold more there. A built-in group follows its namer, so
 * the one that follows everywhere stands for it.
 */
function anywhereBelow(what: What, at: ScopePath): readonly MappingGrant[] {
  const { resources, resourceGroupUid } = what;
  const followsNamer = resourceGroupUid !== undefined && builtinByUid(resourceGroupUid) !== undefined;
  const wide: What = { ...what, includeChildScopes: resources !== undefined, ...(followsNamer ? { resourceGroupUid: everythingUid } : {}) };
  const own = { ...wide, scope: at };
  if (!followsNamer && (resources === undefined || resources.some(({ where, condition }) => where !== undefined || condition !== undefined))) return [own];
  const below: MappingGrant[] = [];
  for (let scope = at; levelOf(scope) !== 'project'; ) {
    scope = childScope(scope, anyName);
    below.push({ ...wide, scope });
  }
  return below.length === 0 || builtinByUid(what.roleUid) !== undefined ? [own, ...below] : below;
}
