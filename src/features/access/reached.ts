/**
 * The question turned round: whose bindings could allow it. Conditions about who asks are left open, so whoever is found
 * here is still to be asked about; whoever is not found is denied.
 */
import type { Question, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, levelOf, upwards } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { openedScope } from '#kernel/world.ts';
import { accountAccess } from './engine/account-access.ts';
import { allUsersScope, allUsersUid, isAllUsers } from './all-users.ts';
import type { BindingShelf } from './engine/binding-shelf.ts';
import { inRange } from './extent.ts';
import type { Grant } from './grants.ts';
import { bindingGrant, grantHas, isLive, mappingGrant } from './grants.ts';
import { groupsAround, mappingGrants, roleFacts, subjectEntry } from './lookup.ts';
import { staysOf } from './memberships.ts';
import { placesOf } from './places.ts';
import { roleHas } from './roles.ts';
import type { BindingFacts, GroupFacts } from './schema.ts';
import type { Resources } from './selector.ts';
import { couldMatch } from './selector.ts';

interface Turned {
  readonly world: World;
  readonly kinds: Kinds;
  readonly question: Question;
  readonly nowMs: number;
}

/** Uids of the users, service accounts and groups that a binding which could allow it names. */
export function subjectsThatCould(turned: Turned): ReadonlySet<string> {
  const { world, question } = turned;
  const could = new Set<string>();
  for (const scope of new Set(placesOf(question.target, world).flatMap(upwards))) {
    if (world.base === null) addFromRows(turned, scope, could);
    else addFromEntries(turned, scope, could);
  }
  return could;
}

/** Most bindings of a scope say the same of the question as others with their role and resource group: those are asked once. */
function addFromRows(turned: Turned, scope: ScopePath, could: Set<string>): void {
  const { bindings } = accountAccess(turned.world);
  const pairCould = pairsAsked(turned, bindings);
  const addLive = (row: number): void => {
    const expiresAtMs = bindings.expiresAtMs(row);
    if (!bindings.isDisabled(row) && (expiresAtMs === null || turned.nowMs < expiresAtMs)) could.add(bindings.subjects.word(bindings.subject(row)));
  };
  const alike = bindings.alikeAt(scope);
  for (const rows of alike ?? []) {
    const [first] = rows;
    if (pairCould(first!)) for (const row of rows) addLive(row);
  }
  if (alike !== null) return;
  for (let row = bindings.firstAt(scope); row >= 0; row = bindings.afterAt(row)) {
    const dangles = bindings.subject(row) < 0 || bindings.role(row) < 0 || bindings.resourceGroup(row) < 0;
    if (!dangles && pairCould(row)) addLive(row);
  }
}

/** Of rows of one scope: whether what a row names together could allow it, disabled or over as the row may be. */
function pairsAsked(turned: Turned, bindings: BindingShelf): (row: number) => boolean {
  const known = new Map<number, Map<number, boolean> | null>();
  return (row) => {
    const [role, group] = [bindings.role(row), bindings.resourceGroup(row)];
    let ofRole = known.get(role);
    if (ofRole === undefined) known.set(role, (ofRole = roleCould(turned, bindings.roles.word(role)) ? new Map() : null));
    if (ofRole === null) return false;
    let could = ofRole.get(group);
    if (could === undefined) ofRole.set(group, (could = grantCould(turned, always(bindingGrant(turned.world, bindings.entry(row))))));
    return could;
  };
}

function roleCould({ world, kinds, question }: Turned, uid: string): boolean {
  const role = roleFacts(world, uid);
  const noun = kinds.of(world).permission(question.permission)?.noun;
  return role !== null && noun !== undefined && roleHas(role, question.permission, noun);
}

/** Whether it is live is asked of each row; what is kept for all of them is not. */
function always(grant: Grant | null): Grant | null {
  return grant === null ? null : { ...grant, disabled: false, expiresAtMs: null };
}

function addFromEntries(turned: Turned, scope: ScopePath, could: Set<string>): void {
  for (const binding of turned.world.list('role_binding', scope)) {
    const { principal } = binding.facts as BindingFacts;
    if (principal !== null && !could.has(principal.uid) && grantCould(turned, bindingGrant(turned.world, binding))) could.add(principal.uid);
  }
}

/** Mappings by which a workload could come that is allowed it. */
export function mappingsThatCould(turned: Turned): readonly Entry[] {
  const found = new Set<Entry>();
  for (const { mapping, grant } of mappingGrants(turned.world)) {
    if (!found.has(mapping) && grantCould(turned, mappingGrant(turned.world, mapping, grant))) found.add(mapping);
  }
  return [...found];
}

/**
 * Everybody these subjects are or contain, directly or through groups; null when there are more than `max`, or when it
 * takes looking at many times as many. Users of a built-in group are told though the binding that made them one is over.
 */
export function peopleUnder(world: World, subjects: ReadonlySet<string>, max: number): readonly Entry[] | null {
  const named = peopleNamed(world, [...subjects].filter((uid) => !isAllUsers(uid)), max);
  if (named === null) return null;
  const people = new Set(named);
  for (const scope of [...subjects].flatMap((uid) => allUsersScope(uid) ?? [])) {
    const users = usersUnder(world, subjectsWithin(world, scope), max);
    if (users === null) return null;
    for (const user of users) people.add(user);
  }
  return people.size > max ? null : [...people];
}

/** Uids of everybody who is in a group now, directly or through groups; of a built-in group, whose stay is not over. */
export function membersNow(world: World, groupUid: string, now: Date): readonly string[] {
  const people = peopleUnder(world, new Set([groupUid]), Infinity) ?? [];
  const scope = allUsersScope(groupUid);
  const isStill = (person: Entry): boolean => scope === null || scope === accountScope || (staysOf(world, groupsAround(world, person)).get(scope) ?? -Infinity) > now.getTime();
  return people.filter(isStill).map(({ uid }) => uid);
}

/** The users that these are or contain; null as above. */
export function usersUnder(world: World, uids: Iterable<string>, max: number): readonly Entry[] | null {
  return peopleNamed(world, uids, max)?.filter(({ kind }) => kind === 'user') ?? null;
}

function peopleNamed(world: World, uids: Iterable<string>, max: number): readonly Entry[] | null {
  const people: Entry[] = [];
  const seen = new Set<string>();
  let looked = 0;
  for (const uid of uids) if (++looked > 10 * max || seen.add(uid).size > 10 * max) return null;
  const open = [...seen];
  for (let uid = open.pop(); uid !== undefined; uid = open.pop()) {
    const entry = world.get(uid);
    if (entry === undefined) continue;
    if (entry.kind !== 'user_group') {
      if (people.push(entry) > max) return null;
      continue;
    }
    for (const member of (entry.facts as GroupFacts).members) {
      if (seen.has(member.uid) || subjectEntry(world, member) === null) continue;
      if (seen.add(member.uid).size > 10 * max) return null;
      open.push(member.uid);
    }
  }
  return people;
}

/** Whom bindings make users of a scope; a subject may be told twice. */
function* subjectsWithin(world: World, scope: ScopePath): Generator<string> {
  if (scope === accountScope) {
    for (const { uid } of world.list('user')) yield uid;
    return;
  }
  const below = levelOf(scope) === 'org' ? [...world.list('project', scope)].map((project) => openedScope(project)!) : [];
  for (const each of [scope, ...below]) {
    for (const { facts } of world.list('role_binding', each)) {
      const { principal } = facts as BindingFacts;
      if (principal !== null && !isAllUsers(principal.uid)) yield principal.uid;
    }
  }
}

/** True when the person, or a group it is in, is one of the subjects. */
export function isUnder(world: World, person: Entry, subjects: ReadonlySet<string>): boolean {
  const around = groupsAround(world, person);
  if (around.some(({ entry }) => subjects.has(entry.uid))) return true;
  if (person.kind !== 'user' || !namesAllUsers(subjects)) return false;
  return [accountScope, ...staysOf(world, around).keys()].some((scope) => subjects.has(allUsersUid(scope)));
}

const withAllUsers = new WeakMap<ReadonlySet<string>, boolean>();

/** Looked up once for all who are asked about. */
function namesAllUsers(subjects: ReadonlySet<string>): boolean {
  let names = withAllUsers.get(subjects);
  if (names === undefined) withAllUsers.set(subjects, (names = [...subjects].some(isAllUsers)));
  return names;
}

function grantCould({ world, kinds, question, nowMs }: Turned, grant: Grant | null): boolean {
  const noun = kinds.of(world).permission(question.permission)?.noun;
  if (grant === null || noun === undefined || noun.name !== question.target.kind) return false;
  if (!isLive(grant, nowMs) || !grantHas(grant, question.permission, noun)) return false;
  const places = placesOf(question.target, world);
  return grant.extents.some((extent) => places.some((place) => inRange(extent, place)) && couldSelect(extent.resources, question.target));
}

function couldSelect(resources: Resources, target: Target): boolean {
  return resources === 'all' || resources.some((selector) => couldMatch(selector, target));
}
