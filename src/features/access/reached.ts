/**
 * The question turned round: whose bindings could allow it. Conditions about who asks are left open, so whoever is found
 * here is still to be asked about; whoever is not found is denied.
 */
import type { Question, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { upwards } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { accountAccess } from './account-access.ts';
import { inRange } from './extent.ts';
import type { Grant } from './grants.ts';
import { bindingGrant, grantHas, isLive, mappingGrant } from './grants.ts';
import { mappingGrants, memberships, subjectEntry } from './lookup.ts';
import { placesOf } from './places.ts';
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
  const known = new Map<number, boolean>();
  for (let row = bindings.firstAt(scope); row >= 0; row = bindings.afterAt(row)) {
    const [subject, role, group] = [bindings.subject(row), bindings.role(row), bindings.resourceGroup(row)];
    if (subject < 0 || role < 0 || group < 0 || bindings.isDisabled(row)) continue;
    const expiresAtMs = bindings.expiresAtMs(row);
    if (expiresAtMs !== null && turned.nowMs >= expiresAtMs) continue;
    const key = role * rowNumbers + group;
    let allows = known.get(key);
    if (allows === undefined) known.set(key, (allows = grantCould(turned, always(bindingGrant(turned.world, bindings.entry(row))))));
    if (allows) could.add(bindings.subjects.word(subject));
  }
}

/** More than there are numbers of one column. */
const rowNumbers = 2 ** 26;

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

/** Everybody these subjects are or contain, directly or through groups; null when there are more than `max`. */
export function peopleUnder(world: World, subjects: ReadonlySet<string>, max: number): readonly Entry[] | null {
  const people: Entry[] = [];
  const seen = new Set(subjects);
  const open = [...subjects];
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

/** True when the person, or a group it is in, is one of the subjects. */
export function isUnder(world: World, person: Entry, subjects: ReadonlySet<string>): boolean {
  return subjects.has(person.uid) || memberships(world, person).some(({ entry }) => subjects.has(entry.uid));
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
