/**
 * Seeded three-level worlds for the benchmark of the access engine. A world is a set of plain records, from which the
 * floors and the peers are loaded, and the same as entries, with facts as the product's own kinds compile them. Every
 * binding can be made by itself from its number, so a million of them need no memory until somebody keeps them.
 */
import { shelveBindings } from '#features/access/feature.ts';
import type { Subject } from '#features/access/schema.ts';
import type { Selector } from '#kernel/caller.ts';
import { Kinds } from '#kernel/kind.ts';
import type { Level, ScopePath } from '#kernel/scope.ts';
import { accountScope, levelOf } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { World } from '#kernel/world.ts';
import { entriesOf } from './access/entries.ts';
import { isRoleUsableAt, nouns, nounsFrom, permissionsOf } from './access/nouns.ts';
import type { AccessRecords, BindingRecord, GroupRecord, PrincipalRecord, ResourceGroupRecord, RoleRecord, ScopeRecord } from './access/records.ts';
import { Seeded } from './access/seeded.ts';

export interface Shape {
  readonly orgs: number;
  readonly projects: number;
  readonly principals: number;
  readonly groups: number;
  readonly bindings: number;
  /** Without those built in. */
  readonly roles: number;
}

/** `flat` has as many grants per principal as `50k` and twenty times of everything but roles. */
export const shapes = {
  small: { orgs: 2, projects: 10, principals: 100, groups: 20, bindings: 300, roles: 20 },
  '50k': { orgs: 50, projects: 1_000, principals: 10_000, groups: 2_000, bindings: 50_000, roles: 40 },
  '1M': { orgs: 200, projects: 10_000, principals: 100_000, groups: 20_000, bindings: 1_000_000, roles: 60 },
  flat: { orgs: 1_000, projects: 20_000, principals: 200_000, groups: 40_000, bindings: 1_000_000, roles: 40 },
} as const satisfies Readonly<Record<string, Shape>>;
export type Size = keyof typeof shapes;

/** The time of every question; bindings have expired before it or expire after it. */
export const now = new Date('2026-06-01T12:00:00Z');
const expired = Date.parse('2026-05-01T00:00:00Z');
const expiring = Date.parse('2027-01-31T12:00:00Z');

/** One binding in ten is a principal's own, the others are of groups. */
const ownBindings = 10;
export const teams: readonly string[] = Array.from({ length: 10 }, (_, n) => `team${n}`);
export const stages: readonly string[] = ['dev', 'test', 'prod'];
export const types: readonly string[] = ['Production', 'PreProduction'];
export const namesPerKind = 100;

export class AccessWorld implements AccessRecords {
  readonly accountId = uidOf(0, 0);
  readonly nouns = nouns;
  readonly kinds = new Kinds(nouns, []);
  readonly shape: Shape;
  readonly scopes: readonly ScopeRecord[];
  readonly principals: readonly PrincipalRecord[];
  readonly groups: readonly GroupRecord[];
  readonly roles: readonly RoleRecord[];
  readonly resourceGroups: readonly ResourceGroupRecord[];
  /** Places in `groups`. */
  readonly groupsOf: readonly (readonly number[])[];
  readonly #seed: number;
  readonly #rolesAt: Readonly<Record<Level, readonly RoleRecord[]>>;
  readonly #resourceGroupsAt = new Map<ScopePath, ResourceGroupRecord[]>();

  constructor(shape: Shape, seed: number) {
    this.shape = shape;
    this.#seed = seed;
    this.scopes = [
      ...each(shape.orgs, (n) => scopeRecord(1, n, accountScope)),
      ...each(shape.projects, (n) => scopeRecord(2, n, this.orgPath(n))),
    ];
    this.principals = each(shape.principals, (n) => this.#principal(n));
    this.groupsOf = this.principals.map((_, n) => this.#groupsOf(n));
    this.groups = this.#groups();
    this.roles = [...each(shape.roles, (n) => this.#role(n)), ...builtInRoles()];
    const own = this.roles.filter((role) => !role.builtIn);
    this.#rolesAt = { account: rolesUsableAt(own, 'account'), org: rolesUsableAt(own, 'org'), project: rolesUsableAt(own, 'project') };
    const paths = [accountScope, ...this.scopes.map((scope) => scope.path)];
    const made = paths.flatMap((scope) => each(levelOf(scope) === 'project' ? 4 : 5, (n) => this.#resourceGroup(scope, n)));
    made.forEach((group, n) => append(this.#resourceGroupsAt, group.scope, { ...group, uid: uidOf(6, n) }));
    this.resourceGroups = [...[...this.#resourceGroupsAt.values()].flat(), ...builtInGroups];
  }

  /** Every binding, in the order of their uids. */
  readonly bindings = function* (this: AccessWorld): Generator<BindingRecord> {
    for (let n = 0; n < this.shape.bindings; n += 1) yield this.binding(n);
  }.bind(this);

  /** Everything as the engine keeps it, bindings last. */
  entries(): Generator<Entry> {
    return entriesOf(this, this.kinds);
  }

  world(entries: Iterable<Entry> = this.entries()): World {
    const world = new World(this.accountId, 1);
    // As a node loads an account.
    shelveBindings(world);
    for (const entry of entries) world.load(entry);
    return world;
  }

  binding(n: number): BindingRecord {
    const next = new Seeded(this.#seed, 7, n);
    const subject = this.#subjectOf(n);
    const scope = this.#scopeBelow(subject.scope, next);
    const level = levelOf(scope);
    const builtIn = next.chance(0.04);
    const life = next.next();
    return {
      uid: uidOf(7, n),
      scope,
      identifier: `b${n}`,
      principal: { type: 'members' in subject ? 'user_group' : subject.type, uid: subject.uid },
      roleUid: builtIn ? `builtin:role:${level}_${next.pick(['admin', 'viewer'])}` : next.pick(this.#rolesAt[level]).uid,
      resourceGroupUid: builtIn ? `builtin:resource_group:all_resources_including_child_scopes` : this.#groupFor(scope, next),
      disabled: life < 0.03,
      expiresAtMs: life < 0.03 ? null : life < 0.06 ? expired : life < 0.1 ? expiring : null,
    };
  }

  /** Numbers of the bindings of a principal's own and of the groups it is directly in. */
  bindingsOf(principal: number): number[] {
    const found: number[] = [];
    for (let n = principal * ownBindings; n < this.shape.bindings; n += this.shape.principals * ownBindings) found.push(n);
    for (const group of this.groupsOf[principal]!) found.push(...this.#bindingsOfGroup(group));
    return found;
  }

  /** Path of the organization that goes with the number of a project, group or service account. */
  orgPath(n: number): ScopePath {
    return `org${n % this.shape.orgs}`;
  }

  /** Path of any project of that organization. */
  projectIn(org: number, next: Seeded): ScopePath {
    const { orgs, projects } = this.shape;
    return [this.orgPath(org), `project${(org % orgs) + orgs * next.below(projects / orgs)}`].join('/');
  }

  #subjectOf(binding: number): PrincipalRecord | GroupRecord {
    const place = Math.floor(binding / ownBindings);
    if (binding % ownBindings === 0) return this.principals[place % this.principals.length]!;
    return this.groups[(binding - place - 1) % this.groups.length]!;
  }

  #bindingsOfGroup(group: number): number[] {
    const found: number[] = [];
    for (let place = group; ; place += this.groups.length) {
      const n = Math.floor(place / (ownBindings - 1)) * ownBindings + 1 + (place % (ownBindings - 1));
      if (n >= this.shape.bindings) return found;
      found.push(n);
    }
  }

  /** One in ten is a service account, of the account or of an organization. */
  #principal(n: number): PrincipalRecord {
    const next = new Seeded(this.#seed, 3, n);
    const type = n % 10 === 3 ? 'service_account' : 'user';
    const scope = type === 'service_account' && n % 20 === 3 ? this.orgPath(n) : accountScope;
    return { uid: uidOf(3, n), type, scope, identifier: `${type}${n}`, enabled: !next.chance(0.01) };
  }

  /** One to three. Service accounts of an organization are in groups of theirs. */
  #groupsOf(principal: number): number[] {
    const next = new Seeded(this.#seed, 4, principal);
    const { orgs, groups } = this.shape;
    const bound = this.principals[principal]!.scope !== accountScope;
    const places = each(1 + next.below(3), () => (bound ? (principal % orgs) + orgs * next.below(groups / orgs) : next.below(groups)));
    return [...new Set(places)];
  }

  /** One in twenty is a member of another, which may be where that does not count. */
  #groups(): GroupRecord[] {
    const { orgs, groups } = this.shape;
    const members = each(groups, (): Subject[] => []);
    this.groupsOf.forEach((places, principal) => {
      const { type, uid } = this.principals[principal]!;
      for (const place of places) members[place]!.push({ type, uid });
    });
    for (let n = 7; n < groups; n += 20) {
      const around = (n % orgs) + orgs * new Seeded(this.#seed, 5, n).below(groups / orgs);
      if (around !== n) members[around]!.push({ type: 'user_group', uid: uidOf(5, n) });
    }
    return members.map((list, n) => ({ uid: uidOf(5, n), scope: this.#groupScope(n), identifier: `group${n}`, members: list }));
  }

  /** One in ten of the account, three in ten of an organization, the others of a project. */
  #groupScope(n: number): ScopePath {
    const next = new Seeded(this.#seed, 8, n);
    const level = next.next();
    if (level < 0.1) return accountScope;
    return level < 0.4 ? this.orgPath(n) : this.projectIn(n, next);
  }

  #scopeBelow(scope: ScopePath, next: Seeded): ScopePath {
    const level = next.next();
    if (scope === accountScope) {
      if (level < 0.03) return scope;
      const org = next.below(this.shape.orgs);
      return level < 0.25 ? this.orgPath(org) : this.projectIn(org, next);
    }
    return levelOf(scope) === 'project' || level < 0.3 ? scope : this.projectIn(Number(scope.slice('org'.length)), next);
  }

  #role(n: number): RoleRecord {
    const next = new Seeded(this.#seed, 9, n);
    const level: Level = n % 4 === 0 ? 'account' : n % 4 === 1 ? 'org' : 'project';
    const permissions = next.some(nounsFrom(level), 3 + next.below(6)).flatMap((noun) => next.some(permissionsOf(noun), 2 + next.below(6)));
    return { uid: uidOf(9, n), identifier: `role${n}`, level, permissions, builtIn: false };
  }

  /** Each sort in turn: everything, some kinds, a condition, some names; of organizations also a list of scopes. */
  #resourceGroup(scope: ScopePath, n: number): ResourceGroupRecord {
    const next = new Seeded(this.#seed, 6, scope.length, n, ...Buffer.from(scope));
    const level = levelOf(scope);
    const includeChildScopes = level !== 'project' && n < 3;
    const below = level === 'account' ? each(2, () => this.orgPath(next.below(this.shape.orgs))) : each(2, () => this.projectIn(Number(scope.slice('org'.length)), next));
    const ranges = n === 4 ? [...new Set(below)].map((path) => ({ scope: path, includeChildScopes: level === 'account' })) : [{ scope, includeChildScopes }];
    const kinds = next.some(nounsFrom(level), 5).map((noun) => noun.name);
    const resources = ['all' as const, kinds.map((type): Selector => ({ type })), conditions(kinds, next), names(kinds, next), kinds.map((type): Selector => ({ type }))][n]!;
    return { uid: '', scope, identifier: `resources${n}`, ranges, resources, builtIn: false };
  }

  #groupFor(scope: ScopePath, next: Seeded): string {
    if (next.chance(0.1)) return `builtin:resource_group:all_${levelOf(scope)}_level_resources`;
    const around = next.chance(0.7) ? scope : accountOrOrgAbove(scope, next);
    return next.pick(this.#resourceGroupsAt.get(around)!).uid;
  }
}

const worldSeed = 20_260_601;

export function accessWorld(size: Size, seed = worldSeed): AccessWorld {
  return new AccessWorld(shapes[size], seed);
}

/**
 * As UUIDv7 are written; `block` is one for each sort of record. Joined, not added: a sum keeps its parts in memory, which
 * texts from a database do not.
 */
function uidOf(block: number, n: number): string {
  return ['01a1fd3b', block.toString(16).padStart(4, '0'), '7000', '8000', n.toString(16).padStart(12, '0')].join('-');
}

function scopeRecord(depth: 1 | 2, n: number, scope: ScopePath): ScopeRecord {
  const kind = depth === 1 ? 'organization' : 'project';
  const identifier = depth === 1 ? `org${n}` : `project${n}`;
  return { uid: uidOf(depth, n), kind, scope, identifier, path: depth === 1 ? identifier : `${scope}/${identifier}` };
}

function rolesUsableAt(roles: readonly RoleRecord[], level: Level): RoleRecord[] {
  return roles.filter((role) => isRoleUsableAt(role, level));
}

function builtInRoles(): RoleRecord[] {
  return (['account', 'org', 'project'] as const).flatMap((level) => ['admin', 'viewer'].map((word): RoleRecord => {
    const permissions = nounsFrom(level).flatMap(permissionsOf).filter((name) => word === 'admin' || name.endsWith('.view'));
    return { uid: `builtin:role:${level}_${word}`, identifier: `${level}_${word}`, level, permissions, builtIn: true };
  }));
}

const builtInGroups: readonly ResourceGroupRecord[] = [
  ...(['account', 'org', 'project'] as const).map((onlyAt) => builtInGroup(`all_${onlyAt}_level_resources`, { onlyAt, includeChildScopes: false })),
  builtInGroup('all_resources_including_child_scopes', { onlyAt: null, includeChildScopes: true }),
];

function builtInGroup(identifier: string, ranges: ResourceGroupRecord['ranges']): ResourceGroupRecord {
  return { uid: `builtin:resource_group:${identifier}`, scope: accountScope, identifier, ranges, resources: 'all', builtIn: true };
}

function conditions(kinds: readonly string[], next: Seeded): Selector[] {
  const type = { equals: next.pick(types) };
  return kinds.slice(0, 3).map((kind, n): Selector => {
    if (n === 0) return { type: kind, where: { 'tags.team': { equals: next.pick(teams) } } };
    return n === 1 ? { type: kind, where: { 'tags.team': { oneOf: next.some(teams, 4) }, type } } : { type: kind, where: { 'tags.stage': { oneOf: next.some(stages, 2) } } };
  });
}

function names(kinds: readonly string[], next: Seeded): Selector[] {
  return kinds.slice(0, 2).map((type): Selector => ({ type, identifiers: each(8, () => `${type}${next.below(namesPerKind)}`) }));
}

function accountOrOrgAbove(scope: ScopePath, next: Seeded): ScopePath {
  if (levelOf(scope) !== 'project' || next.chance(0.2)) return accountScope;
  return scope.slice(0, scope.indexOf('/'));
}

function append(map: Map<ScopePath, ResourceGroupRecord[]>, key: ScopePath, group: ResourceGroupRecord): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [group]);
  else list.push(group);
}

function each<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

