/** The ways of a caller, written out and kept while they are right; for a few callers, since written out they are large. */
import type { WorkloadEvidence } from '#kernel/caller.ts';
import type { World } from '#kernel/world.ts';
import type { Asker, Grant, Way } from './grants.ts';
import { bootstrapWays, isStillMember, makePersonWays, makeSessionWays } from './grants.ts';
import { rightsKinds, sessionKinds } from './engine/touched.ts';

const peopleKey = Symbol('access ways of people');
const sessionsKey = Symbol('access ways of sessions');
/** About 30 KB each with a hundred grants. */
const maxPeople = 500;

/** Null = nobody this account knows, or somebody disabled. */
export function waysOf(world: World, asker: Asker): readonly Way[] | null {
  const { type, uid } = asker.principal;
  if (asker.accountId !== world.accountId) return null;
  if (type === 'user' || type === 'service_account') return personWays(world, type, uid);
  if (type === 'workload') return asker.workload === undefined ? null : sessionWays(world, asker.workload);
  return type === 'system' && uid === 'bootstrap' ? bootstrapWays(world) : null;
}

/** All grants of somebody, in whatever list they stand; what is disabled or expired too, but not of groups that somebody has left. */
export function grantsOf(world: World, asker: Asker, now: Date): readonly Grant[] {
  const grants = (waysOf(world, asker) ?? []).flatMap((way) => way.lists[0] ?? []);
  return grants.filter((grant) => isStillMember(grant, now.getTime()));
}

function personWays(world: World, type: 'user' | 'service_account', uid: string): readonly Way[] | null {
  return world.derive(peopleKey, rightsKinds, (from) => new WrittenPeople(from)).of(type, uid);
}

/** Of one world as it is until rights change. */
class WrittenPeople {
  readonly #world: World;
  readonly #ways = new Map<string, readonly Way[] | null>();

  constructor(world: World) {
    this.#world = world;
  }

  of(type: 'user' | 'service_account', uid: string): readonly Way[] | null {
    const key = `${type}:${uid}`;
    let ways = this.#ways.get(key);
    if (ways === undefined) {
      ways = makePersonWays(this.#world, type, uid);
      if (this.#ways.size >= maxPeople) this.#ways.clear();
      this.#ways.set(key, ways);
    }
    return ways;
  }
}

function sessionWays(world: World, evidence: WorkloadEvidence): readonly Way[] {
  const known = world.derive(sessionsKey, sessionKinds, (from) => ({ from, ways: new WeakMap<WorkloadEvidence, readonly Way[]>() }));
  let ways = known.ways.get(evidence);
  if (ways === undefined) known.ways.set(evidence, (ways = makeSessionWays(known.from, evidence)));
  return ways;
}
