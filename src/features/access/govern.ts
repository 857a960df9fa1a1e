/**
 * Governed tags and attributes: those a condition in force reads. Whoever changes one moves a resource into somebody's
 * reach, so it needs `<kind>.govern` or what the change gives (CONTRACTS §5).
 */
import type { Caller } from '#kernel/caller.ts';
import type { Target } from '#kernel/decision.ts';
import type { Given, Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { boundExtent } from './bounds.ts';
import { externalTarget, registeredResource } from './external-resource-kind.ts';
import { inRange } from './extent.ts';
import type { Grant } from './grants.ts';
import { grantsWhere } from './gives.ts';
import { bindingsOfResourceGroup, conditionalGroups } from './lookup.ts';
import { placesOf } from './places.ts';
import { principalGives } from './govern-principals.ts';
import { permissionsOf } from './roles.ts';
import type { ResourceGroupFacts } from './schema.ts';
import type { CompiledSelector } from './selector.ts';
import { conditionalSelectors, couldMatch, isAbout, matchesEverybody, widens } from './selector.ts';
import { sessionKinds } from './engine/touched.ts';

type Conditional = { readonly grant: Grant; readonly why: string };

const mappingKey = Symbol('access conditional mapping grants');

/**
 * What a change of tags or attributes gives on that very resource: the role of each grant whose conditions match it now
 * and did not before. For a change, `govern` is asked of the resource as it was and as it becomes.
 */
export function governedGives(before: Entry | null, after: Entry | null, worldAfter: World, kinds: Kinds): Given[] {
  const words = kinds.of(worldAfter);
  const open = released(before, worldAfter, words);
  if (after === null) return open;
  const { was, becomes } = targetsOf(before, after, worldAfter);
  return [...open, ...governed(was, becomes, worldAfter, words), ...principalGives(before, after, worldAfter, words)];
}

/**
 * The same for conditions in the bounds of the credential that makes the change: what its principal may do there it could
 * do itself next.
 */
export function boundsGive(bounds: Caller['bounds'], change: { readonly before: Entry | null; readonly after: Entry | null }, worldAfter: World, kinds: Kinds): Given[] {
  const { before, after } = change;
  if (bounds === 'principal' || after === null) return [];
  const { was, becomes } = targetsOf(before, after, worldAfter);
  if (sameValues(was, becomes)) return [];
  const places = placesOf(becomes, worldAfter);
  const verbs = kinds.of(worldAfter).nouns.get(becomes.kind)?.verbs ?? [];
  const given = bounds.flatMap((bound): Given[] => {
    const extent = boundExtent(bound);
    const isNew = conditionalSelectors(extent.resources, becomes.kind).some((selector) => matchesNewly(selector, was, becomes));
    if (!isNew || !places.some((place) => inRange(extent, place))) return [];
    const permissions = verbs.map((verb) => `${becomes.kind}.${verb}`).filter((permission) => bound.permissions === 'all' || bound.permissions.includes(permission));
    return [{ bound: { permissions, extent: itself(becomes) }, why: 'the new values meet a condition of the credential itself', pointer: '' }];
  });
  return unlessGoverned(given, was, becomes);
}

/** As conditions see it. A registration that tells of another thing than before says nothing of what that was. */
function targetsOf(before: Entry | null, after: Entry, worldAfter: World): { readonly was: Target | null; readonly becomes: Target } {
  const becomes = meant(worldAfter, after);
  const was = before === null ? null : meant(worldAfter, before);
  return { was: was?.kind === becomes.kind && was.identifier === becomes.identifier ? was : null, becomes };
}

function meant(world: World, entry: Entry): Target {
  return externalTarget(world, entry) ?? entry;
}

function governed(before: Target | null, after: Target, worldAfter: World, kinds: Kinds): Given[] {
  if (sameValues(before, after)) return [];
  const given = givenWhere(after, worldAfter, kinds, { isMet: (selector) => matchesNewly(selector, before, after), how: 'the new values meet' });
  return unlessGoverned(given, before, after);
}

/**
 * Of what is registered no more, the application that asks says the values: they may be any, so each condition about it may
 * be met from now on.
 */
function released(before: Entry | null, worldAfter: World, kinds: Kinds): Given[] {
  const was = before === null ? null : externalTarget(worldAfter, before);
  if (was === null || !worldAfter.hasScope(was.scope)) return [];
  const isMet = (selector: CompiledSelector): boolean => isAbout(selector, was) && !matchesEverybody(selector, was);
  const given = givenWhere(was, worldAfter, kinds, { isMet, how: 'values that are registered no more may meet' });
  const isKept = given.length === 0 || registeredResource(worldAfter, was.kind, was.scope, was.identifier!) !== undefined;
  return isKept ? [] : unlessGoverned(given, null, was);
}

/** The role of each grant whose conditions are met, on that very resource. */
function givenWhere(target: Target, world: World, kinds: Kinds, { isMet, how }: { readonly isMet: (selector: CompiledSelector) => boolean; readonly how: string }): Given[] {
  const places = placesOf(target, world);
  const given: Given[] = [];
  for (const { grant, why } of conditionalGrants(world, target.kind, isMet)) {
    const reached = grant.extents.filter((extent) => places.some((place) => inRange(extent, place)));
    const selectors = reached.flatMap((extent) => conditionalSelectors(extent.resources, target.kind));
    if (selectors.some(isMet)) given.push({ bound: ownBound(grant, target, kinds), why: `${how} a condition of ${why}`, pointer: '' });
  }
  return given;
}

function unlessGoverned(given: readonly Given[], before: Target | null, after: Target): Given[] {
  const askedOf = before === null ? [after] : [before, after];
  return given.flatMap((one) => askedOf.map((target): Given => ({ ...one, unless: { permission: `${after.kind}.govern`, target } })));
}

/** Grants with a condition about the kind. Bindings are looked at only where a condition of their group is met. */
function* conditionalGrants(world: World, kind: string, isMet: (selector: CompiledSelector) => boolean): Generator<Conditional> {
  for (const group of conditionalGroups(world, kind)) {
    const selectors = conditionalSelectors((group.facts as ResourceGroupFacts).resources, kind);
    if (selectors.some(isMet)) yield* grantsWhere(world, bindingsOfResourceGroup(world, group.uid), () => false);
  }
  yield* conditionalMappings(world).get(kind) ?? [];
}

function conditionalMappings(world: World): ReadonlyMap<string, readonly Conditional[]> {
  return world.derive(mappingKey, sessionKinds, (from) => {
    const byKind = new Map<string, Conditional[]>();
    for (const found of grantsWhere(from, [], () => true)) {
      const kinds = new Set(found.grant.extents.flatMap((extent) => conditionalSelectors(extent.resources).map((selector) => selector.type)));
      for (const kind of kinds) append(byKind, kind, found);
    }
    return byKind;
  });
}

function append(byKind: Map<string, Conditional[]>, kind: string, found: Conditional): void {
  const list = byKind.get(kind);
  if (list === undefined) byKind.set(kind, [found]);
  else list.push(found);
}

/**
 * A condition about who asks matches somebody whatever the value is, and other people when the value changes. What is new
 * was nobody's before: like itself, without its values.
 */
function matchesNewly(selector: CompiledSelector, before: Target | null, after: Target): boolean {
  if (!couldMatch(selector, after)) return false;
  const was = before ?? { ...after, tags: {}, attributes: {} };
  return !couldMatch(selector, was) || widens(selector, was, after);
}

function ownBound(grant: Grant, resource: Target, kinds: Kinds): Given['bound'] {
  const ofKind = [...permissionsOf(grant.role, kinds)].filter(({ noun }) => noun.name === resource.kind);
  return { permissions: ofKind.map(({ permission }) => permission), extent: itself(resource) };
}

function itself({ kind, scope, identifier }: Target): Given['bound']['extent'] {
  return { scope, includeChildScopes: false, resources: [{ type: kind, identifiers: [identifier!] }] };
}

function sameValues(before: Target | null, after: Target): boolean {
  return sameRecord(before?.tags ?? {}, after.tags) && sameRecord(before?.attributes ?? {}, after.attributes);
}

function sameRecord(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const names = (values: typeof a) => Object.keys(values).filter((name) => values[name] !== undefined);
  return names(a).length === names(b).length && names(b).every((name) => Object.hasOwn(a, name) && a[name] === b[name]);
}
