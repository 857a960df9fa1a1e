/**
 * A second evaluator, written from CONTRACTS §4 alone over plain documents: slow, without indexes and compilation, and
 * sharing no code with the engine. The two must agree.
 */
import type { Manifest } from '#features/resources/schema.ts';
import type { Bound, Selector } from '#kernel/caller.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';

type Document = Manifest;
type Claims = Readonly<Record<string, unknown>> | null;

/** A session remembers the grants of mappings as they were. */
export interface NaiveSession {
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly recorded: readonly { readonly mapping: Document; readonly grants: readonly NaiveGrant[] }[];
}

export interface NaiveGrant {
  readonly role: string;
  readonly scope: string;
  readonly resourceGroup?: string;
  readonly resources?: readonly Selector[];
  readonly includeChildScopes?: boolean;
}

export interface NaiveQuestion {
  readonly documents: readonly Document[];
  readonly kinds: Kinds;
  /** `user:alice`, `service_account:payments/ci`, `session:…` (then `session` is there). */
  readonly who: string;
  readonly session?: NaiveSession | undefined;
  readonly bounds: 'principal' | readonly Bound[];
  readonly permission: string;
  readonly target: Target;
  readonly now: Date;
}

/** Something that reaches `places` in the resources of `selectors`. */
interface Area {
  readonly places: readonly { readonly scope: string; readonly below: boolean }[];
  readonly selectors: 'all' | readonly Selector[];
}

export function naiveAllows(q: NaiveQuestion): boolean {
  const [kind, verb] = q.permission.split('.') as [string, string];
  // Rule 13.
  if (!q.kinds.nouns.get(kind)?.verbs.includes(verb) || !scopeExists(q, q.target.scope)) return false;
  // Rule 2.
  if (kind !== q.target.kind) return false;
  const byPrincipal = q.session === undefined ? personAllows(q) : sessionAllows(q, q.session);
  return byPrincipal && withinBounds(q);
}

function personAllows(q: NaiveQuestion): boolean {
  const [type, path] = [q.who.slice(0, q.who.indexOf(':')), q.who.slice(q.who.indexOf(':') + 1)];
  if (type !== 'user' && type !== 'service_account') return false;
  const person = q.documents.find((d) => d.kind === manifestOf(type) && pathOf(d) === path);
  if (person === undefined || specOf(person)['disabled'] === true) return false;
  return q.documents.some((binding) => binding.kind === 'RoleBinding' && bindingAllows(q, binding, person));
}

function bindingAllows(q: NaiveQuestion, binding: Document, person: Document): boolean {
  const spec = specOf(binding) as { principal: { type: string; id: string }; role: string; resourceGroup: string; disabled?: boolean; expiresAt?: string };
  if (spec.disabled === true) return false;
  if (spec.expiresAt !== undefined && new Date(spec.expiresAt) <= q.now) return false;
  const subject = lookUp(q, spec.principal.type, spec.principal.id, scopeOf(binding));
  if (subject === undefined || !stands(q, person, subject, [])) return false;
  return roleAllows(q, spec.role, scopeOf(binding), scopeOf(binding)) && groupAllows(q, spec.resourceGroup, scopeOf(binding), scopeOf(binding), null);
}

/** Rule 6: the person is the subject, or stands in it. */
function stands(q: NaiveQuestion, person: Document, subject: Document, seen: readonly Document[]): boolean {
  if (subject === person) return true;
  if (subject.kind !== 'UserGroup' || seen.includes(subject)) return false;
  const { members } = specOf(subject) as { members: { type: string; id: string }[] };
  return members.some(({ type, id }) => {
    const member = lookUp(q, type, id, scopeOf(subject));
    return member !== undefined && stands(q, person, member, [...seen, subject]);
  });
}

function sessionAllows(q: NaiveQuestion, session: NaiveSession): boolean {
  return session.recorded.some(({ mapping, grants }) => {
    const present = q.documents.find((d) => d.kind === 'ClaimMapping' && pathOf(d) === pathOf(mapping));
    if (present === undefined) return false;
    const spec = specOf(present) as { issuer: string; when: { claim: string; equals: string }[]; grants: NaiveGrant[] };
    const issuer = lookUp(q, 'trusted_issuer', spec.issuer, scopeOf(present));
    if (issuer?.identifier !== session.issuer) return false;
    if (!spec.when.every(({ claim, equals }) => session.claims[claim.slice(1)] === equals)) return false;
    const allows = (grant: NaiveGrant) => grantAllows(q, grant, scopeOf(mapping), session.claims);
    return grants.some(allows) && spec.grants.some(allows);
  });
}

function grantAllows(q: NaiveQuestion, grant: NaiveGrant, from: string, claims: Claims): boolean {
  const scope = grant.scope === '' ? '/' : grant.scope;
  if (!isBelow(scope, from) || !roleAllows(q, grant.role, from, scope)) return false;
  if (grant.resourceGroup !== undefined) return groupAllows(q, grant.resourceGroup, from, scope, claims);
  return isIn(q, { places: [{ scope, below: grant.includeChildScopes === true }], selectors: grant.resources ?? [] }, scope, claims);
}

/** Rules 2 and 8. `from` is where the reference is written, `at` where the role is bound. */
function roleAllows(q: NaiveQuestion, reference: string, from: string, at: string): boolean {
  const builtIn = /^(account|org|project)_(admin|viewer)$/.exec(reference);
  const kind = q.permission.split('.')[0]!;
  if (builtIn !== null) {
    const level = depth(builtIn[1] === 'account' ? '/' : builtIn[1] === 'org' ? 'o' : 'o/p');
    const deepest = Math.max(...q.kinds.nouns.get(kind)!.levels.map((l) => ['account', 'org', 'project'].indexOf(l)));
    const met = kind === 'organization' ? 1 : kind === 'project' ? 2 : deepest;
    return depth(at) >= level && met >= level && (builtIn[2] === 'admin' || q.permission.endsWith('.view'));
  }
  const role = lookUp(q, 'role', reference, from);
  if (role === undefined) return false;
  const spec = specOf(role) as { level: string; permissions: string[] };
  return depth(at) >= ['account', 'org', 'project'].indexOf(spec.level) && spec.permissions.includes(q.permission);
}

/** Rules 3 to 5. */
function groupAllows(q: NaiveQuestion, reference: string, from: string, at: string, claims: Claims): boolean {
  if (reference === 'all_resources_including_child_scopes') return isIn(q, { places: [{ scope: at, below: true }], selectors: 'all' }, at, claims);
  const builtIn = /^all_(account|org|project)_level_resources$/.exec(reference);
  if (builtIn !== null) {
    const fits = ['account', 'org', 'project'][depth(at)] === builtIn[1];
    return fits && isIn(q, { places: [{ scope: at, below: false }], selectors: 'all' }, at, claims);
  }
  const group = lookUp(q, 'resource_group', reference, from);
  if (group === undefined) return false;
  const spec = specOf(group) as { includeChildScopes?: boolean; scopes?: { scope: string; includeChildScopes?: boolean }[]; all?: true; resources?: Selector[] };
  const places = spec.scopes?.map((s) => ({ scope: s.scope === '' ? '/' : s.scope, below: s.includeChildScopes === true }));
  const own = [{ scope: scopeOf(group), below: spec.includeChildScopes === true }];
  return isIn(q, { places: places ?? own, selectors: spec.all === true ? 'all' : spec.resources! }, at, claims);
}

/** The target lies in the area and below `at`. */
function isIn(q: NaiveQuestion, area: Area, at: string, claims: Claims): boolean {
  const where = scopesOf(q);
  if (!where.some((scope) => isBelow(scope, at))) return false;
  if (!where.some((scope) => area.places.some((place) => (place.below ? isBelow(scope, place.scope) : scope === place.scope)))) return false;
  return area.selectors === 'all' || area.selectors.some((selector) => isSelected(q.target, selector, claims));
}

/** Rule 9: where it lies, and for a scope what it is. */
function scopesOf(q: NaiveQuestion): string[] {
  const { kind, scope, identifier } = q.target;
  if (identifier === null || (kind !== 'organization' && kind !== 'project')) return [scope];
  if (depth(scope) !== (kind === 'organization' ? 0 : 1)) return [scope];
  const own = scope === '/' ? identifier : `${scope}/${identifier}`;
  return scopeExists(q, own) ? [scope, own] : [scope];
}

/** Rule 5. */
function isSelected(target: Target, selector: Selector, claims: Claims): boolean {
  if (selector.type !== target.kind) return false;
  if (selector.identifiers !== undefined && !selector.identifiers.some((name) => name === target.identifier)) return false;
  return Object.entries(selector.where ?? {}).every(([key, matcher]) => {
    const found = key.startsWith('tags.') ? own(target.tags, key.slice(5)) : own(target.attributes, key);
    if (typeof found !== 'string' && typeof found !== 'number' && typeof found !== 'boolean') return false;
    if ('equals' in matcher) return matcher.equals === found;
    if ('oneOf' in matcher) return matcher.oneOf.includes(found);
    if ('glob' in matcher) return new RegExp(`^${matcher.glob.replaceAll('*', '[^]*').replaceAll('?', '[^]')}$`).test(String(found));
    if ('exists' in matcher) return matcher.exists;
    return claims !== null && own(claims, matcher.equalsClaim.slice(1)) === found;
  });
}

/** Rule 12. */
function withinBounds(q: NaiveQuestion): boolean {
  if (q.bounds === 'principal') return true;
  return q.bounds.some(({ permissions, extent }) => {
    const area: Area = { places: [{ scope: extent.scope, below: extent.includeChildScopes }], selectors: extent.resources };
    return (permissions === 'all' || permissions.includes(q.permission)) && isIn(q, area, '/', null);
  });
}

function lookUp(q: NaiveQuestion, kind: string, reference: string, from: string): Document | undefined {
  const [prefix, name] = reference.includes('.') ? (reference.split('.') as [string, string]) : ['', reference];
  const scope = kind === 'user' || prefix === 'account' ? '/' : prefix === 'org' ? from.split('/')[0]! : from;
  return q.documents.find((d) => d.kind === manifestOf(kind) && d.identifier === name && scopeOf(d) === scope);
}

function scopeExists(q: NaiveQuestion, scope: string): boolean {
  if (scope === '/') return true;
  const kind = depth(scope) === 1 ? 'Organization' : 'Project';
  return q.documents.some((d) => d.kind === kind && pathOf(d) === scope);
}

function isBelow(inner: string, outer: string): boolean {
  const [a, b] = [parts(inner), parts(outer)];
  return b.every((part, i) => a[i] === part);
}

function depth(scope: string): number {
  return parts(scope).length;
}

function parts(scope: string): string[] {
  return scope.split('/').filter((part) => part !== '');
}

function own(values: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.entries(values).find(([name]) => name === key)?.[1];
}

function scopeOf(document: Document): string {
  return document.scope === undefined || document.scope === '' ? '/' : document.scope;
}

function pathOf(document: Document): string {
  return [...parts(scopeOf(document)), document.identifier].join('/');
}

function specOf(document: Document): Record<string, unknown> {
  return document.spec as Record<string, unknown>;
}

function manifestOf(kind: string): string {
  return kind.split('_').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
}
