/**
 * Whom a change reaches, told by a world and an overlay that has the change in it: those whose rights may be others, and
 * those whose rights stay but who may hold something on a resource that comes, goes or has other values. Whoever is not
 * told, directly or through groups, may do after the change exactly what it may before.
 */
import type { Target } from '#kernel/decision.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { upwards } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { accountAccess } from './engine/account-access.ts';
import { inRange } from './extent.ts';
import type { Grant } from './grants.ts';
import { bindingGrant, grantHas } from './grants.ts';
import { placesOf } from './places.ts';
import { couldMatch } from './selector.ts';
import { rightsKinds, touchedSubjects } from './engine/touched.ts';

export interface WorldChanged {
  readonly before: World;
  /** An overlay on `before`. */
  readonly after: World;
  readonly kinds: Kinds;
  readonly now: Date;
}

/** A resource with all that has to be known to ask who may do something to it. */
export interface Asked {
  readonly target: Target;
  /** Undefined = nobody knows the kind. */
  readonly noun: Noun | undefined;
  readonly places: readonly ScopePath[];
}

/** Uids of the principals and groups whose bindings, state or groups change, or what their bindings mean. */
export function subjectsTouched({ before, after }: WorldChanged): ReadonlySet<string> {
  const touched = new Set<string>();
  for (const kind of rightsKinds) {
    for (const [uid, entry] of after.changesOf(kind)) {
      for (const subject of touchedSubjects({ before: before.get(uid), after: entry ?? undefined })) touched.add(subject);
      if (kind === 'role') addBound(before, 'role', uid, touched);
      if (kind === 'resource_group') addBound(before, 'resourceGroup', uid, touched);
    }
  }
  return touched;
}

function addBound(world: World, by: 'role' | 'resourceGroup', uid: string, touched: Set<string>): void {
  const { bindings } = accountAccess(world);
  for (let row = bindings.first(by, uid); row >= 0; row = bindings.after(by, row)) touched.add(bindings.subjects.word(bindings.subject(row)));
}

export function askedOf(world: World, kinds: Kinds, target: Target): Asked {
  return { target, noun: kinds.of(world).nouns.get(target.kind), places: placesOf(target, world) };
}

/**
 * Uids of the principals and groups that a binding of the world before names which could give something on one of these.
 * Most bindings of a scope say the same as others with their role and resource group: those are asked once.
 */
export function subjectsReaching({ before, now }: WorldChanged, asked: readonly Asked[]): ReadonlySet<string> {
  const reaching = new Set<string>();
  const { bindings } = accountAccess(before);
  const nowMs = now.getTime();
  for (const scope of new Set(asked.flatMap(({ places }) => places.flatMap(upwards)))) {
    const known = new Map<number, boolean>();
    for (let row = bindings.firstAt(scope); row >= 0; row = bindings.afterAt(row)) {
      const [subject, role, group] = [bindings.subject(row), bindings.role(row), bindings.resourceGroup(row)];
      if (subject < 0 || role < 0 || group < 0 || bindings.isDisabled(row)) continue;
      const expiresAtMs = bindings.expiresAtMs(row);
      if (expiresAtMs !== null && nowMs >= expiresAtMs) continue;
      const key = role * rowNumbers + group;
      let gives = known.get(key);
      if (gives === undefined) {
        const grant = bindingGrant(before, bindings.entry(row));
        known.set(key, (gives = grant !== null && asked.some((one) => couldGive(grant, one))));
      }
      if (gives) reaching.add(bindings.subjects.word(subject));
    }
  }
  return reaching;
}

/** More than there are numbers of one column. */
const rowNumbers = 2 ** 26;

/** True when a grant gives something on a resource to one who brings what its conditions take. Whether it is live is not asked. */
function couldGive(grant: Grant, { target, noun, places }: Asked): boolean {
  if (noun === undefined || !noun.verbs.some((verb) => grantHas(grant, `${noun.name}.${verb}`, noun))) return false;
  return grant.extents.some(({ resources, ...range }) => (
    places.some((place) => inRange(range, place)) && (resources === 'all' || resources.some((selector) => couldMatch(selector, target)))
  ));
}
