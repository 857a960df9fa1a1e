/**
 * Questions near the edge: made to fit one binding or grant, then mostly bent in one place, so that about half are
 * allowed and the others fail for one reason alone.
 */
import { builtin } from '#features/access/feature.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Bound } from '#kernel/caller.ts';
import type { Question, Said } from '#kernel/decision.ts';
import { manifestKind } from '#kernel/kind.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { Scalar } from '#kernel/matcher.ts';
import type { BindingWords, GrantWords, MappingWords, SelectorWords, Stored } from './naive-documents.ts';
import { builtInRoles, builtInUid, builtInUserGroups, isAtOrBelow, isSameScope, manifestKindOf, partsOf, scopeAt, scopeItIs } from './naive-documents.ts';
import type { MatcherWords } from './naive-matcher.ts';
import { claimAt } from './naive-matcher.ts';
import type { NaiveSession, NaiveWorld } from './naive-evaluator.ts';
import { nounsOf, permissionsOf } from './naive-evaluator.ts';
import type { Random } from './random.ts';
import { externalKinds, namesOf, now, orgNames, permissions, projectNames, scopesOf, selectors, tagKeys, tagValues } from './random-world.ts';

export interface RandomQuestion extends Question {
  readonly who: { readonly accountId: string; readonly type: string; readonly uid: string; readonly session: number | null };
  readonly bounds: 'principal' | readonly Bound[];
  readonly nowMs: number;
}

/** What questions are made of, looked up once for many. */
export interface QuestionSource {
  readonly accountId: string;
  readonly kinds: Kinds;
  readonly sessions: readonly NaiveSession[];
  readonly byUid: ReadonlyMap<string, Stored>;
  readonly ofKind: (...kinds: readonly string[]) => readonly Stored[];
  readonly scopes: readonly string[];
  readonly nouns: readonly Pick<Noun, 'name' | 'levels'>[];
  readonly permissions: readonly string[];
}

/** Of each permission its kind. */
const kinds = new Map<string, string>();

export function questionSource(world: NaiveWorld, sessions: readonly NaiveSession[]): QuestionSource {
  const { accountId, documents, kinds } = world;
  const byKind = Map.groupBy(documents, ({ document }) => document.kind);
  return {
    accountId,
    kinds,
    sessions,
    byUid: new Map(documents.map((stored) => [stored.uid, stored])),
    ofKind: (...wanted) => wanted.flatMap((kind) => byKind.get(kind) ?? []),
    scopes: scopesOf(documents.map(({ document }) => document)),
    nouns: nounsOf(world),
    permissions: permissionsOf(world),
  };
}

type Draft = { -readonly [K in keyof RandomQuestion]: RandomQuestion[K] };
type Target = RandomQuestion['target'];

export function randomQuestion(random: Random, source: QuestionSource): RandomQuestion {
  const draft = (random.chance(0.25) ? nearMapping(random, source) : nearBinding(random, source)) ?? anything(random, source);
  if (random.chance(0.45)) bend(random, source, draft);
  return draft;
}

interface Fit {
  readonly at: string;
  readonly roleUid: string | undefined;
  readonly groupUid: string | undefined;
  readonly resources?: readonly SelectorWords[] | undefined;
  readonly includeChildScopes?: boolean | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

function nearBinding(random: Random, source: QuestionSource): Draft | null {
  const binding = random.maybe(source.ofKind('RoleBinding'));
  if (binding === undefined) return null;
  const { principal, role, resourceGroup } = binding.document.spec as BindingWords;
  const isBuiltIn = principal.type === 'user_group' && Object.hasOwn(builtInUserGroups, principal.id);
  const subject = isBuiltIn ? somebody(random, source) : someoneIn(random, source, binding.meant.get(`${manifestKindOf(principal.type)} ${principal.id}`));
  if (subject === null) return null;
  const fit: Fit = {
    at: scopeAt(partsOf(binding.document.scope)), roleUid: binding.meant.get(`Role ${role}`), groupUid: binding.meant.get(`ResourceGroup ${resourceGroup}`), claims: {},
  };
  return { ...fitting(random, source, fit), who: { accountId: source.accountId, ...subject, session: null } };
}

function nearMapping(random: Random, source: QuestionSource): Draft | null {
  const session = random.maybe([...source.sessions.keys()]);
  const recorded = session === undefined ? undefined : random.maybe(source.sessions[session]!.recorded);
  if (session === undefined || recorded === undefined) return null;
  const mapping = random.chance(0.5) ? recorded : (source.byUid.get(recorded.uid) ?? recorded);
  const { claims } = source.sessions[session]!;
  const grant = random.maybe((mapping.document.spec as MappingWords).grants);
  if (grant === undefined) return null;
  const fit: Fit = {
    at: scopeOf(random, grant, claims), roleUid: mapping.meant.get(`Role ${grant.role}`), groupUid: mapping.meant.get(`ResourceGroup ${grant.resourceGroup}`),
    resources: grant.resources, includeChildScopes: grant.includeChildScopes, claims,
  };
  return { ...fitting(random, source, fit), who: { accountId: source.accountId, type: 'workload', uid: `workload ${session}`, session } };
}

function scopeOf(random: Random, { scope }: GrantWords, claims: Fit['claims']): string {
  if (typeof scope === 'string') return scope;
  const value = claimAt(claims, scope.from);
  return typeof value === 'string' && Object.hasOwn(scope.map, value) ? scope.map[value]! : random.pick(Object.values(scope.map));
}

function anything(random: Random, source: QuestionSource): Draft {
  const who = random.chance(0.3) ? { type: 'system', uid: 'bootstrap' } : somebody(random, source);
  const fit: Fit = { at: '/', roleUid: builtInUid('Role', 'account_admin'), groupUid: builtInUid('ResourceGroup', 'all_resources_including_child_scopes'), claims: {} };
  return { ...fitting(random, source, fit), who: { accountId: source.accountId, ...who, session: null } };
}

function somebody(random: Random, source: QuestionSource): { type: string; uid: string } {
  const found = random.maybe(source.ofKind('User', 'ServiceAccount'));
  return found === undefined ? { type: 'user', uid: 'nobody' } : { type: found.document.kind === 'User' ? 'user' : 'service_account', uid: found.uid };
}

/** Down from what a binding names to a person or a service account. */
function someoneIn(random: Random, { byUid }: QuestionSource, start: string | undefined): { type: string; uid: string } | null {
  let uid = start;
  for (let steps = 0; steps < 5; steps++) {
    const entry = byUid.get(uid ?? '');
    if (entry === undefined) return null;
    if (entry.document.kind === 'User') return { type: 'user', uid: entry.uid };
    if (entry.document.kind === 'ServiceAccount') return { type: 'service_account', uid: entry.uid };
    const member = random.maybe((entry.document.spec as { members: { type: string; id: string }[] }).members);
    uid = member === undefined ? undefined : entry.meant.get(`${manifestKindOf(member.type)} ${member.id}`);
  }
  return null;
}

function fitting(random: Random, source: QuestionSource, fit: Fit): Omit<Draft, 'who'> {
  const { ranges, written } = extentOf(source, fit);
  const inside = source.scopes.filter((scope) => isAtOrBelow(scope, fit.at));
  const reached = inside.filter((scope) => ranges.some((range) => isSameScope(scope, range.scope) || (range.includeChildScopes && isAtOrBelow(scope, range.scope))));
  const scopes = reached.length > 0 ? reached : inside;
  const held = permissionsHeld(source, fit.roleUid);
  const kindsThere = new Set(kindsIn(source, scopes));
  const wanted = written === 'all' ? kindsThere : kindsThere.intersection(new Set(written.map(({ type }) => type)));
  const usable = held.filter((name) => wanted.has(kindOf(name)));
  const permission = random.maybe(usable) ?? random.maybe(held) ?? random.pick(permissions);
  const selector = written === 'all' ? undefined : random.maybe(written.filter(({ type }) => type === kindOf(permission)));
  const target = targetIn(random, source, kindOf(permission), { scopes, selector, claims: fit.claims });
  const bounds = random.chance(0.85) ? 'principal' : random.times(0, 2, () => boundAround(random, source, permission, target));
  return { permission, target, bounds, nowMs: now + random.pick([0, 0, 0, -1_000, -1, 1, 1_000]) };
}

function kindOf(permission: string): string {
  let kind = kinds.get(permission);
  if (kind === undefined) kinds.set(permission, (kind = permission.slice(0, permission.indexOf('.'))));
  return kind;
}

/** Kinds that can be met in these scopes; a scope is met in itself too. */
function kindsIn({ nouns }: QuestionSource, scopes: readonly string[]): string[] {
  const levels = new Set(scopes.map(levelOf));
  return nouns.filter((noun) => noun.levels.some((level) => levels.has(level)) || levels.has(noun.name === 'organization' ? 'org' : noun.name)).map((noun) => noun.name);
}

function levelOf(scope: string): string {
  return ['account', 'org', 'project'][partsOf(scope).length] ?? 'none';
}

function extentOf({ byUid }: QuestionSource, fit: Fit): { ranges: { scope: string; includeChildScopes: boolean }[]; written: 'all' | readonly SelectorWords[] } {
  if (fit.resources !== undefined) return { ranges: [{ scope: fit.at, includeChildScopes: fit.includeChildScopes === true }], written: fit.resources };
  const group = byUid.get(fit.groupUid ?? '')?.document;
  if (group === undefined) return { ranges: [{ scope: fit.at, includeChildScopes: fit.groupUid?.includes('child') === true }], written: 'all' };
  const spec = group.spec as { scopes?: { scope: string; includeChildScopes?: boolean }[]; includeChildScopes?: boolean; resources?: SelectorWords[] };
  const ranges = spec.scopes ?? [{ scope: group.scope ?? '/', includeChildScopes: spec.includeChildScopes === true }];
  return { ranges: ranges.map(({ scope, includeChildScopes }) => ({ scope, includeChildScopes: includeChildScopes === true })), written: spec.resources ?? 'all' };
}

function permissionsHeld({ byUid, permissions: all }: QuestionSource, roleUid: string | undefined): readonly string[] {
  const role = byUid.get(roleUid ?? '')?.document;
  if (role !== undefined) return (role.spec as { permissions: string[] }).permissions;
  const listed = (builtInRoles.find((name) => builtInUid('Role', name) === roleUid) ?? 'account_admin');
  const { permissions: held } = builtin('role', listed)!.facts as RoleFacts;
  return held === 'every' ? all : held === 'every_view' ? all.filter((name) => name.endsWith('.view')) : [...held];
}

interface Place {
  readonly scopes: readonly string[];
  readonly selector: SelectorWords | undefined;
  readonly claims: Fit['claims'];
}

/** A stored resource that lies there, or a draft that fits the selector. */
function targetIn(random: Random, source: QuestionSource, kind: string, { scopes, selector, claims }: Place): Target {
  const levels = source.nouns.find(({ name }) => name === kind)?.levels ?? ['account', 'org', 'project'];
  if (kind === 'account') return { kind, scope: '/', identifier: 'default', tags: {}, attributes: {} };
  const isScope = kind === 'project' || kind === 'organization';
  const stored = (source.kinds.kinds.has(kind) ? source.ofKind(manifestKind(kind)) : []).filter(({ document }) => scopes.some((scope) => isSameScope(document.scope, scope) || (isScope && scopeItIs(document) === scope)));
  const named = stored.filter(({ document }) => selector?.identifiers?.includes(document.identifier) !== false);
  const found = random.maybe(named.length > 0 ? named : stored);
  if (found !== undefined && (random.chance(0.5) || (isScope && random.chance(0.7)))) return targetOf(source.kinds, found.document);
  const possible = (list: readonly string[]) => list.filter((scope) => levels.some((level) => levelOf(scope) === level));
  const scope = random.maybe(possible(scopes)) ?? random.maybe(possible(source.scopes)) ?? '/';
  const identifier = random.maybe(selector?.identifiers ?? []) ?? (random.chance(0.1) ? null : random.pick(namesOf(kind)));
  const where = Object.entries(selector?.where ?? {}).filter(([key]) => !/^(?:principal|action)\./.test(key));
  const values = where.map(([key, matcher]): [string, Scalar] => [key, fittingValue(random, matcher, claims)]);
  const tags = values.filter(([key]) => key.startsWith('tags.')).map(([key, value]) => [key.slice(5), String(value)]);
  const attributes = values.filter(([key]) => !key.startsWith('tags.'));
  const target = { kind, scope, identifier, tags: { ...someTags(random), ...Object.fromEntries(tags) }, attributes: Object.fromEntries(attributes) };
  return externalKinds.includes(kind) && random.chance(0.5) ? { ...target, said: saidOf(random) } : target;
}

function fittingValue(random: Random, { equals, oneOf, equalsClaim, equalsPrincipal }: MatcherWords, claims: Fit['claims']): Scalar {
  const claim = equalsClaim === undefined ? undefined : claimAt(claims, equalsClaim);
  const person = equalsPrincipal === undefined ? [] : ['alice', 'alice@example.com', 'bob', 'user', 'core', 'edge'];
  return equals ?? random.maybe(oneOf ?? []) ?? (typeof claim === 'string' ? claim : (random.maybe(person) ?? random.pick(['core', 'Production', ...tagValues])));
}

/** What an application may say of who asks and of the act. */
function saidOf(random: Random): Said {
  const principal = { team: random.pick(tagValues), email: 'said@example.com', type: 'user', ...(random.chance(0.3) ? { 'tags.team': 'core' } : {}) };
  return { principal, action: random.pick([{}, { soft: 'core' }, { soft: true }]) };
}

export function targetOf(kinds: Kinds, { kind, scope, identifier, tags = {}, spec }: Manifest): Target {
  const { name, attributes = {} } = kinds.byManifest(kind)!;
  const read = Object.entries(attributes).map(([key, of]) => [key, of(spec)]);
  return { kind: name, scope: scopeAt(partsOf(scope)), identifier, tags, attributes: Object.fromEntries(read) as Target['attributes'] };
}

function someTags(random: Random): Record<string, string> {
  return Object.fromEntries(random.times(0, 2, () => [random.pick(tagKeys), random.pick(tagValues)]));
}

function boundAround(random: Random, source: QuestionSource, permission: string, target: Target): Bound {
  const around = source.scopes.filter((scope) => isAtOrBelow(target.scope, scope));
  const onClaim = { type: target.kind, where: Object.fromEntries(Object.keys(target.tags).map((key) => [`tags.${key}`, { equalsClaim: '/team' }])) };
  const own = { type: target.kind, ...(target.identifier !== null && random.chance(0.5) ? { identifiers: [target.identifier] } : {}) };
  return {
    permissions: random.chance(0.4) ? 'all' : [...(random.chance(0.8) ? [permission] : []), ...random.some(permissions, 0.2)],
    extent: {
      scope: random.chance(0.85) ? (random.maybe(around) ?? '/') : random.pick(source.scopes),
      includeChildScopes: random.chance(0.7),
      resources: random.chance(0.6) ? 'all' : ([...selectors(random), ...(random.chance(0.6) ? [random.chance(0.8) ? own : onClaim] : [])] as Exclude<Bound['extent']['resources'], 'all'>),
    },
  };
}

/** One thing is not as it was meant. */
function bend(random: Random, source: QuestionSource, draft: Draft): void {
  const { target } = draft;
  const { scopes } = source;
  const uids = source.ofKind('User', 'ServiceAccount', 'UserGroup').map(({ uid }) => uid);
  random.pick([
    () => (draft.permission = `${target.kind}.${random.pick(['view', 'edit', 'create', 'access', 'govern', 'shout', 'constructor', ''])}`),
    () => (draft.permission = random.pick([...permissions, 'dragon.view', '__proto__.view', 'constructor.view', 'view', '*'])),
    () => (draft.target = { ...target, scope: sameLevel(random, scopes, target.scope) }),
    () => (draft.target = { ...target, scope: sameLevel(random, scopes, target.scope) }),
    () => (draft.target = { ...target, scope: scopeAt([random.pick(orgNames), random.pick(projectNames)].slice(0, partsOf(target.scope).length)) }),
    () => (draft.target = { ...target, scope: random.pick(['nowhere', `${target.scope}2`, 'prod/nowhere', '__proto__', 'constructor/constructor']) }),
    () => (draft.target = { ...target, identifier: random.pick([null, `${target.identifier}2`, ...namesOf(target.kind)]) }),
    () => (draft.target = { ...target, tags: someTags(random) }),
    () => (draft.target = { ...target, tags: {}, attributes: {} }),
    () => (draft.target = { ...target, attributes: random.pick([{ type: 'production' }, { type: undefined }, { type: 'jwt' }, { type: 5 }, { type: true }, { owner: 'alice', done: true, priority: 5 }, { owner: 'core', done: 'true', priority: '5' }]) }),
    () => (draft.who = { ...draft.who, ...somebody(random, source), session: null }),
    () => (draft.who = { ...draft.who, ...somebody(random, source), session: null }),
    () => (draft.who = { ...draft.who, uid: random.maybe(uids) ?? 'nobody', type: random.pick(['user', 'service_account', 'user_group']), session: null }),
    () => (draft.who = { ...draft.who, type: random.pick(['user', 'service_account', 'user_group', 'runner', 'system', 'workload']), session: null }),
    () => (draft.who = { ...draft.who, accountId: random.pick([draft.who.accountId, 'other']) }),
    () => (draft.bounds = random.times(0, 2, () => boundAround(random, source, draft.permission, target))),
    () => (draft.bounds = random.times(1, 2, () => boundAround(random, source, random.pick(permissions), { ...target, scope: sameLevel(random, scopes, target.scope) }))),
  ])();
}

/** Kinds stay at levels where they can be; mostly a scope that is there. */
function sameLevel(random: Random, scopes: readonly string[], scope: string): string {
  return random.maybe(scopes.filter((other) => partsOf(other).length === partsOf(scope).length)) ?? scope;
}
