/**
 * The question turned round: whose bindings could allow it. Conditions about who asks are left open, so whoever is found
 * here is still to be asked about; whoever is not found is denied.
 */
import type { Question, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { upwards } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
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
  const { world, question, nowMs } = turned;
  const could = new Set<string>();
  const known = new Map<string, boolean>();
  const scopes = new Set(placesOf(question.target, world).flatMap(upwards));
  for (const scope of scopes) {
    for (const binding of world.list('role_binding', scope)) {
      const { principal, roleUid, resourceGroupUid, disabled, expiresAtMs } = binding.facts as BindingFacts;
      if (principal === null || disabled || (expiresAtMs !== null && nowMs >= expiresAtMs) || could.has(principal.uid)) continue;
      const key = `${roleUid} ${resourceGroupUid} ${scope}`;
      let allows = known.get(key);
      if (allows === undefined) known.set(key, (allows = grantCould(turned, bindingGrant(world, binding))));
      if (allows) could.add(principal.uid);
    }
  }
  return could;
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
