/** Faults of a claim mapping against the world it would be saved into. */
import { builtinByUid, selectorFaults } from '#features/access/feature.ts';
import type { NamersRange, ResourceGroupFacts, RoleFacts } from '#features/access/schema.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Draft, Kinds } from '#kernel/kind.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { depthOf, levelOf, parseScope } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { lintMapping } from './lint/lint-mapping.ts';
import type { ClaimMappingSpec, GrantSpec, IssuerFacts } from './schema.ts';
import { rangeOf } from './scope-grant.ts';

type MappingDraft = Draft<ClaimMappingSpec>;

export function mappingFaults(draft: MappingDraft, after: World, kinds: Kinds): FieldError[] {
  const issuer = entryOf(after, draft.refs('/issuer'), 'trusted_issuer');
  return [
    ...(issuer === undefined ? [] : mutableScopeFaults(draft.spec, issuer.facts as IssuerFacts)),
    ...(issuer === undefined ? [] : lintMapping({ draft, issuer: issuer.facts as IssuerFacts, issuerUid: issuer.uid, after })),
    ...draft.spec.grants.flatMap((grant, i) => grantFaults({ draft, after, kinds }, grant, i)),
  ];
}

/** A scope straight from a claim needs a claim that is never given to somebody else, or somebody who says why not. */
export function mutableScopeFaults(spec: ClaimMappingSpec, issuer: Pick<IssuerFacts, 'immutableClaims'>): FieldError[] {
  return spec.grants.flatMap(({ scope }, i): FieldError[] => {
    if (typeof scope === 'string' || scope.map !== undefined || scope.acceptMutable === true || issuer.immutableClaims.has(scope.from)) return [];
    const message = `the issuer does not promise that \`${scope.from}\` is immutable; use \`map\`, or \`acceptMutable: true\` with a \`reason\``;
    return [{ pointer: `/grants/${i}/scope/from`, message }];
  });
}

interface Place {
  readonly draft: MappingDraft;
  readonly after: World;
  readonly kinds: Kinds;
}

/** A scope that is granted, and where it is written. */
interface Written {
  readonly scope: ScopePath;
  readonly pointer: string;
}

function grantFaults(place: Place, grant: GrantSpec, i: number): FieldError[] {
  const { draft, after, kinds } = place;
  const at = `/grants/${i}`;
  const role = entryOf(after, draft.refs(`${at}/role`), 'role');
  const group = entryOf(after, draft.refs(`${at}/resourceGroup`), 'resource_group');
  const written = writtenScopes(grant, at);
  return [
    ...(role === undefined ? [] : written.flatMap((one) => levelFaults(role, one))),
    ...(group === undefined ? [] : written.flatMap((one) => groupFaults(group, one))),
    ...(role === undefined || written.length > 0 ? [] : unknownScopeFaults(place, { grant, role, group, at })),
    ...selectorFaults(grant.resources ?? [], kinds, `${at}/resources`),
  ];
}

function writtenScopes({ scope }: GrantSpec, at: string): Written[] {
  if (typeof scope === 'string') return [{ scope: parseScope(scope) ?? scope, pointer: `${at}/scope` }];
  return Object.entries(scope.map ?? {}).map(([value, target]) => ({ scope: parseScope(target) ?? target, pointer: `${at}/scope/map${pointerOf([value])}` }));
}

function levelFaults(role: Entry, { scope, pointer }: Written): FieldError[] {
  const { level } = role.facts as RoleFacts;
  if (depthOf(levelOf(scope)) >= depthOf(level)) return [];
  return [{ pointer, message: `\`${role.identifier}\` may be granted at the level \`${level}\` or below, not at \`${levelOf(scope)}\`` }];
}

/** A built-in group of another level would select nothing here. */
function groupFaults(group: Entry, { scope, pointer }: Written): FieldError[] {
  const { ranges } = group.facts as ResourceGroupFacts;
  const onlyAt = Array.isArray(ranges) ? null : (ranges as NamersRange).onlyAt;
  if (onlyAt === null || onlyAt === levelOf(scope)) return [];
  return [{ pointer, message: `\`${group.identifier}\` selects only at the level \`${onlyAt}\`; this grant is at \`${levelOf(scope)}\`` }];
}

/**
 * Without a map nobody knows which scopes a claim will name. What such a grant could give is counted over the mapping's
 * scope, which a role of a lower level may not have; then neither a group of one's own nor a condition can be counted.
 */
function unknownScopeFaults({ draft }: Place, parts: { grant: GrantSpec; role: Entry; group: Entry | undefined; at: string }): FieldError[] {
  const { grant, role, group, at } = parts;
  const { level } = role.facts as RoleFacts;
  if (typeof grant.scope === 'object' && grant.scope.map !== undefined) return [];
  const range = rangeOf(grant, draft.scope);
  if (depthOf(levelOf(range)) >= depthOf(level)) return [];
  const isCountable = group === undefined ? (grant.resources ?? []).every(({ where, condition }) => where === undefined && condition === undefined) : builtinByUid(group.uid) !== undefined;
  if (isCountable) return [];
  const what = group === undefined ? 'resources with conditions' : `the resource group \`${group.identifier}\``;
  return [{ pointer: `${at}/scope/from`, message: `with ${what}, a scope straight from a claim needs a role of the level \`${levelOf(range)}\`, or a \`map\`` }];
}

function entryOf(world: World, uid: string | undefined, kind: string): Entry | undefined {
  const entry = uid === undefined ? undefined : (builtinByUid(uid) ?? world.get(uid));
  return entry?.kind === kind ? entry : undefined;
}
