/**
 * CONTRACTS §4 read word by word: slow, without an index, on documents. The number at the end of a line is the rule it
 * follows. The engine must give the same answers; where the two differ, the text of the contract decides who is wrong.
 */
import { builtin } from '#features/access/feature.ts';
import type { Bound } from '#kernel/caller.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { BindingWords, GrantWords, MappingWords, SelectorWords, Stored, TypeWords } from './naive-documents.ts';
import { builtInGroups, builtInRoles, builtInUid, builtInUserGroups, findDocument, isAtOrBelow, isSameScope, manifestKindOf, partsOf, scopeAt, scopeExists } from './naive-documents.ts';
import type { AskerValues, Claims } from './naive-matcher.ts';
import { claimAt, holdsFor, nothingKnown, own } from './naive-matcher.ts';

export interface NaiveWorld {
  readonly accountId: string;
  readonly documents: readonly Stored[];
  /** Where what is asked about lies, when that is not where the rights are: a call is decided by the rights before it. */
  readonly tree?: readonly Stored[];
  readonly kinds: Kinds;
}

/** What an exchange leaves: the claims, and the mappings that matched as they were then. */
export interface NaiveSession {
  readonly issuerUid: string;
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Claims;
  readonly recorded: readonly Stored[];
}

export interface NaiveAsker {
  readonly accountId: string;
  readonly type: string;
  /** Of the principal's document; for `system` a word. */
  readonly uid: string;
  readonly session?: NaiveSession;
  readonly bounds: 'principal' | readonly Bound[];
}

export interface NaiveAnswer {
  readonly allowed: boolean;
  /** Uids of every binding or mapping that alone allows it. */
  readonly by: ReadonlySet<string>;
}

interface Asked {
  readonly permission: string;
  readonly target: Target;
  readonly now: Date;
}

/** A role over some resources at a scope, wherever it is written. */
export interface Granted {
  readonly at: string;
  readonly roleUid: string | undefined;
  readonly over: { readonly groupUid: string | undefined } | { readonly resources: readonly SelectorWords[]; readonly includeChildScopes: boolean };
  readonly asker: AskerValues;
}

export function naiveAnswer(world: NaiveWorld, asker: NaiveAsker, asked: Asked): NaiveAnswer {
  const denied: NaiveAnswer = { allowed: false, by: new Set() };
  if (asker.accountId !== world.accountId) return denied; // 13
  if (!isPermission(world, asked.permission)) return denied; // 13
  if (!scopeExists(treeOf(world), asked.target.scope)) return denied; // 13
  if (asked.permission.split('.')[0] !== asked.target.kind) return denied; // 2
  if (!boundsAllow(world, asker, asked)) return denied; // 12
  const by = new Set(grantors(world, asker, asked)); // 1: each by itself
  return { allowed: by.size > 0, by };
}

function isPermission(world: NaiveWorld, permission: string): boolean {
  const [kind, ...verb] = permission.split('.');
  return nounNamed(world, kind!)?.verbs.includes(verb.join('.')) === true;
}

type Word = Pick<Noun, 'name' | 'levels' | 'verbs'>;

/** A kind of the product, or one the account declares; a word of the product stays the product's. */
function nounNamed(world: NaiveWorld, name: string): Word | undefined {
  return world.kinds.nouns.get(name) ?? declared(world).find((noun) => noun.name === name);
}

export function nounsOf(world: NaiveWorld): Word[] {
  return [...world.kinds.nouns.values(), ...declared(world).filter(({ name }) => !world.kinds.nouns.has(name))];
}

function declared(world: NaiveWorld): Word[] {
  const types = treeOf(world).filter(({ document }) => document.kind === 'ResourceType');
  return types.map(({ document }) => ({ name: document.identifier, ...(document.spec as TypeWords) }));
}

export function permissionsOf(world: NaiveWorld): string[] {
  return nounsOf(world).flatMap((noun) => noun.verbs.map((verb) => `${noun.name}.${verb}`));
}

function grantors(world: NaiveWorld, asker: NaiveAsker, asked: Asked): string[] {
  return waysOf(world, asker, asked.now)
    .filter(({ all }) => all.every((granted) => allows(world, granted, asked)))
    .map(({ by }) => by);
}

/** One way to be allowed: everything in `all` must allow, each by itself. */
export interface NaiveWay {
  readonly by: string;
  readonly all: readonly Granted[];
}

export function waysOf(world: NaiveWorld, asker: NaiveAsker, now: Date): NaiveWay[] {
  if (asker.type === 'user' || asker.type === 'service_account') return waysOfBindings(world, asker, now); // 7: a group is never a caller
  if (asker.type === 'workload' && asker.session !== undefined) return waysOfMappings(world, asker.session);
  if (asker.type === 'system' && asker.uid === 'bootstrap') return [{ by: 'system:bootstrap', all: [adminOfEverything] }]; // CONTRACTS §1
  return []; // 13
}

const adminOfEverything: Granted = {
  at: '/', roleUid: builtInUid('Role', 'account_admin'), over: { groupUid: builtInUid('ResourceGroup', 'all_resources_including_child_scopes') }, asker: nothingKnown,
};

function waysOfBindings(world: NaiveWorld, asker: NaiveAsker, now: Date): NaiveWay[] {
  const principal = byUid(world, asker.uid);
  if (principal === undefined || principal.document.kind !== manifestKindOf(asker.type)) return []; // 13, 7
  if ((principal.document.spec as { disabled?: boolean }).disabled === true) return [];
  const subjects = [principal, ...groupsAround(world, principal)];
  return ofKind(world, 'RoleBinding')
    .filter((binding) => isInForce(binding, now)) // 1
    .filter((binding) => subjects.some((subject) => names(binding, subject)) || namesAllUsersWith(world, binding, principal, now))
    .map((binding) => ({ by: binding.uid, all: [grantedBy(binding, { claims: {}, principal: (name) => knownOf(principal, name) })] }));
}

function isInForce({ document }: Stored, now: Date): boolean {
  const { disabled, expiresAt } = document.spec as BindingWords;
  return disabled !== true && (expiresAt === undefined || now.getTime() < new Date(expiresAt).getTime()); // 1
}

function names(binding: Stored, subject: Stored): boolean {
  const { principal } = binding.document.spec as BindingWords;
  const kind = manifestKindOf(principal.type);
  if (subject.document.kind !== kind || binding.meant.get(`${kind} ${principal.id}`) !== subject.uid) return false; // 7
  return kind !== 'UserGroup' || isAtOrBelow(binding.document.scope, subject.document.scope); // 6
}

/**
 * Decision 0013: a built-in group of users has the scope of the binding that names it, lifted to its level. In it are users
 * alone: of the account all, of an org or project those with a live binding there or below, their own or of a group that is
 * not built in. A binding of which a part is gone gives nobody anything, so it is not live.
 */
function namesAllUsersWith(world: NaiveWorld, binding: Stored, principal: Stored, now: Date): boolean {
  const depth = builtInUsersNamed(binding);
  const at = partsOf(binding.document.scope);
  if (depth === null || principal.document.kind !== 'User' || at.length < depth) return false;
  const place = scopeAt(at.slice(0, depth));
  const subjects = [principal, ...groupsAround(world, principal)];
  return depth === 0 || ofKind(world, 'RoleBinding').some((own) => {
    return isAtOrBelow(own.document.scope, place) && isInForce(own, now) && isWhole(world, own) && subjects.some((subject) => names(own, subject));
  });
}

/** How many parts the scope has whose users it names; null = it names none of the built-in groups. */
function builtInUsersNamed({ document }: Stored): number | null {
  const { principal } = document.spec as BindingWords;
  return principal.type === 'user_group' && Object.hasOwn(builtInUserGroups, principal.id) ? builtInUserGroups[principal.id]! : null;
}

function isWhole(world: NaiveWorld, { document, meant }: Stored): boolean {
  const { role, resourceGroup } = document.spec as BindingWords;
  const groupUid = meant.get(`ResourceGroup ${resourceGroup}`);
  const isBuiltIn = builtInGroups.some((name) => builtInUid('ResourceGroup', name) === groupUid);
  return roleOf(world, meant.get(`Role ${role}`)) !== null && (isBuiltIn || byUid(world, groupUid)?.document.kind === 'ResourceGroup');
}

/** Tags and the words every person has; nobody has a claim but a session. */
function knownOf({ document }: Stored, name: string): unknown {
  if (name.startsWith('tags.')) return own(document.tags, name.slice('tags.'.length));
  const words = new Map<string, unknown>([
    ['identifier', document.identifier],
    ['path', [...partsOf(document.scope), document.identifier].join('/')],
    ['type', document.kind === 'User' ? 'user' : 'service_account'],
    ['email', (document.spec as { email?: string }).email],
  ]);
  return words.get(name);
}

function grantedBy(binding: Stored, asker: AskerValues): Granted {
  const { role, resourceGroup } = binding.document.spec as BindingWords;
  const groupUid = binding.meant.get(`ResourceGroup ${resourceGroup}`);
  return { at: scopeAt(partsOf(binding.document.scope)), roleUid: binding.meant.get(`Role ${role}`), over: { groupUid }, asker };
}

/** Grows the set of groups until nothing is added, so cycles end. */
function groupsAround(world: NaiveWorld, principal: Stored): Stored[] {
  const inside: Stored[] = [principal];
  for (;;) {
    const more = ofKind(world, 'UserGroup').filter((group) => !inside.includes(group) && inside.some((one) => isMember(group, one)));
    if (more.length === 0) return inside.slice(1);
    inside.push(...more); // 6: nested groups are transitive
  }
}

/** A member that is gone is nowhere in the world, so it is never `one`: dangling members do not count (6). */
function isMember(group: Stored, one: Stored): boolean {
  const { members } = group.document.spec as { members: readonly { type: string; id: string }[] };
  const isNamed = members.some(({ type, id }) => {
    const kind = manifestKindOf(type);
    return one.document.kind === kind && group.meant.get(`${kind} ${id}`) === one.uid; // 6, 7: the same name elsewhere is another
  });
  return isNamed && (one.document.kind !== 'UserGroup' || isAtOrBelow(group.document.scope, one.document.scope)); // 6
}

/** A session holds what both the recorded and the present version of one mapping grant (DESIGN §1). */
function waysOfMappings(world: NaiveWorld, session: NaiveSession): NaiveWay[] {
  const { issuerUid, recorded } = session;
  if (byUid(world, issuerUid) === undefined) return []; // 13
  return recorded.flatMap((then) => {
    const present = byUid(world, then.uid);
    const grants = present === undefined ? [] : grantsFor(present, session);
    return grantsFor(then, session).flatMap((was) => grants.map((is): NaiveWay => ({ by: then.uid, all: [was, is] })));
  });
}

/** The mappings that match these claims of this issuer. */
export function matchingMappings(world: NaiveWorld, session: Omit<NaiveSession, 'recorded'>): Stored[] {
  return ofKind(world, 'ClaimMapping').filter((mapping) => grantsFor(mapping, session).length > 0);
}

function grantsFor(mapping: Stored, { issuerUid, issuer: said, subject, claims }: Omit<NaiveSession, 'recorded'>): Granted[] {
  const known = new Map([['type', 'workload'], ['identifier', subject], ['path', subject], ['issuer', said]]);
  const asker: AskerValues = { claims, principal: (name) => known.get(name) };
  const { issuer, when, grants } = mapping.document.spec as MappingWords;
  if (mapping.meant.get(`TrustedIssuer ${issuer}`) !== issuerUid) return [];
  if (when.length === 0 || !when.every(({ claim, ...matcher }) => holdsFor(matcher, claimAt(claims, claim), nothingKnown))) return [];
  return grants.flatMap((grant): Granted[] => {
    const at = scopeOfGrant(grant, claims);
    if (at === null || !isAtOrBelow(at, mapping.document.scope)) return []; // CONTRACTS §3: at or below the mapping's own scope
    const { role, resourceGroup, resources, includeChildScopes } = grant;
    const group = { groupUid: mapping.meant.get(`ResourceGroup ${resourceGroup}`) };
    const over = resourceGroup === undefined ? { resources: resources ?? [], includeChildScopes: includeChildScopes ?? false } : group;
    return [{ at, roleUid: mapping.meant.get(`Role ${role}`), over, asker }];
  });
}

function scopeOfGrant({ scope }: GrantWords, claims: Claims): string | null {
  if (typeof scope === 'string') return scopeAt(partsOf(scope));
  const value = claimAt(claims, scope.from);
  return typeof value === 'string' && Object.hasOwn(scope.map, value) ? scopeAt(partsOf(scope.map[value])) : null;
}

/** One binding or grant must give all of it. */
function allows(world: NaiveWorld, granted: Granted, asked: Asked): boolean {
  if (heldRole(world, granted)?.holds(asked.permission) !== true) return false; // 2, 8, 13
  const places = placesOf(world, asked.target);
  if (!places.some((place) => isAtOrBelow(place, granted.at))) return false; // 4
  const { ranges, selectors } = resourcesOf(world, granted);
  if (!ranges.some((range) => places.some((place) => isInRange(place, range)))) return false; // 3
  return selectors === 'all' || selectors.some((selector) => isSelected(selector, asked.target, granted.asker)); // 5
}

export interface Range {
  readonly scope: string;
  readonly includeChildScopes: boolean;
}

export function isInRange(place: string, { scope, includeChildScopes }: Range): boolean {
  return isSameScope(place, scope) || (includeChildScopes && isAtOrBelow(place, scope)); // 3
}

/** Where a resource lies. A scope that is there lies in itself too; what is only a draft does not yet. */
function placesOf(world: NaiveWorld, { kind, scope, identifier }: Target): string[] {
  const opens = kind === 'organization' ? 'Organization' : kind === 'project' ? 'Project' : null;
  if (opens === null || identifier === null || findDocument(treeOf(world), opens, scope, identifier) === undefined) return [scope];
  return [scopeAt([...partsOf(scope), identifier]), scope]; // 9
}

function isSelected({ type, identifiers, where }: SelectorWords, target: Target, asker: AskerValues): boolean {
  if (type !== target.kind) return false; // 5
  if (identifiers !== undefined && !identifiers.some((name) => name === target.identifier)) return false; // 5, 11
  // CONTRACTS §2: what is stored wins over what an application says of the one who asks.
  const known: AskerValues = { claims: asker.claims, principal: (name) => asker.principal(name) ?? own(target.said?.principal, name) };
  return Object.entries(where ?? {}).every(([key, matcher]) => holdsFor(matcher, valueOf(target, key, known), known)); // 5
}

function valueOf({ tags, attributes, said }: Target, key: string, known: AskerValues): unknown {
  if (key.startsWith('tags.')) return own(tags, key.slice('tags.'.length));
  if (key.startsWith('principal.')) return known.principal(key.slice('principal.'.length));
  if (key.startsWith('action.')) return own(said?.action, key.slice('action.'.length));
  return own(attributes, key);
}

export function resourcesOf(world: NaiveWorld, { at, over }: Granted): { ranges: readonly Range[]; selectors: 'all' | readonly SelectorWords[] } {
  if ('resources' in over) return { ranges: [{ scope: at, includeChildScopes: over.includeChildScopes }], selectors: over.resources };
  const builtIn = builtInGroups.find((name) => builtInUid('ResourceGroup', name) === over.groupUid);
  if (builtIn === 'all_resources_including_child_scopes') return { ranges: [{ scope: at, includeChildScopes: true }], selectors: 'all' };
  if (builtIn !== undefined) {
    const level = builtIn.split('_')[1]!;
    return { ranges: partsOf(at).length === depthOf(level) ? [{ scope: at, includeChildScopes: false }] : [], selectors: 'all' };
  }
  const group = byUid(world, over.groupUid);
  if (group === undefined || group.document.kind !== 'ResourceGroup') return { ranges: [], selectors: [] }; // 13
  const spec = group.document.spec as { scopes?: { scope: string; includeChildScopes?: boolean }[]; includeChildScopes?: boolean; all?: true; resources?: SelectorWords[] };
  const written = spec.scopes ?? [{ scope: group.document.scope ?? '/', includeChildScopes: spec.includeChildScopes }];
  const ranges = written.map(({ scope, includeChildScopes }) => ({ scope, includeChildScopes: includeChildScopes === true }));
  return { ranges, selectors: spec.all === true ? 'all' : (spec.resources ?? []) };
}

interface HeldRole {
  readonly level: string;
  readonly holds: (permission: string) => boolean;
}

/** Null when it is gone, or stands above the role's level. */
export function heldRole(world: NaiveWorld, { at, roleUid }: Granted): HeldRole | null {
  const role = roleOf(world, roleUid);
  return role === null || partsOf(at).length < depthOf(role.level) ? null : role; // 8
}

function roleOf(world: NaiveWorld, uid: string | undefined): HeldRole | null {
  const builtIn = builtInRoles.find((name) => builtInUid('Role', name) === uid);
  if (builtIn !== undefined) return builtInRole(world, builtIn);
  const role = byUid(world, uid);
  if (role === undefined || role.document.kind !== 'Role') return null;
  const { level, permissions } = role.document.spec as { level: string; permissions: readonly string[] };
  return { level, holds: (permission) => permissions.includes(permission) }; // 2
}

/** `*_admin` and `*_viewer` are words of the contract; the others list their permissions, which is data. */
function builtInRole(world: NaiveWorld, name: string): HeldRole {
  const [level, rank] = name.split('_') as [string, string];
  if (!['account', 'org', 'project'].includes(level)) {
    const listed = builtin('role', name)!.facts as { level: string; permissions: ReadonlySet<string> };
    return { level: listed.level, holds: (permission) => listed.permissions.has(permission) };
  }
  const isOfItsLevels = (permission: string) => {
    const noun = nounNamed(world, permission.split('.')[0]!)!;
    // An org lies in itself too (9), and so does a project: each belongs to its own level as well as to its parent's.
    const itself = noun.name === 'organization' ? ['org'] : noun.name === 'project' ? ['project'] : [];
    return [...noun.levels, ...itself].some((at) => depthOf(at) >= depthOf(level));
  };
  return { level, holds: (permission) => isOfItsLevels(permission) && (rank === 'admin' || permission.endsWith('.view')) }; // 2
}

/** Bounds are or-ed; each must allow by itself. They know no claims, so a condition on one never holds. */
function boundsAllow(world: NaiveWorld, { bounds }: NaiveAsker, { permission, target }: Asked): boolean {
  if (bounds === 'principal') return true;
  return bounds.some(({ permissions, extent }) => {
    if (permissions !== 'all' && !permissions.includes(permission)) return false;
    if (!placesOf(world, target).some((place) => isInRange(place, extent))) return false;
    return extent.resources === 'all' || extent.resources.some((selector) => isSelected(selector as SelectorWords, target, nothingKnown));
  });
}

/** Whether these groups lead from a principal to what a binding names: each a member of the next. */
export function isGroupPath(world: NaiveWorld, { uid: principalUid, now }: { readonly uid: string; readonly now: Date }, path: readonly string[], bindingUid: string): boolean {
  const binding = byUid(world, bindingUid);
  const builtIn = path.length === 1 ? Object.keys(builtInUserGroups).find((name) => path[0]!.split(':').includes(name)) : undefined;
  if (builtIn !== undefined) {
    const principal = byUid(world, principalUid);
    const isNamed = (binding?.document.spec as BindingWords | undefined)?.principal.id === builtIn;
    return principal !== undefined && binding !== undefined && isNamed && namesAllUsersWith(world, binding, principal, now);
  }
  const steps = [principalUid, ...path].map((uid) => byUid(world, uid));
  if (binding === undefined || steps.some((step) => step === undefined)) return false;
  const walk = steps as Stored[];
  return names(binding, walk.at(-1)!) && walk.slice(1).every((group, i) => isMember(group, walk[i]!));
}

function depthOf(level: string): number {
  return ['account', 'org', 'project'].indexOf(level);
}

function treeOf({ documents, tree }: NaiveWorld): readonly Stored[] {
  return tree ?? documents;
}

function ofKind({ documents }: NaiveWorld, kind: string): Stored[] {
  return documents.filter(({ document }) => document.kind === kind);
}

function byUid({ documents }: NaiveWorld, uid: string | undefined): Stored | undefined {
  return documents.find((stored) => stored.uid === uid);
}
