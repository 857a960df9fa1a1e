/** Who may do something to a resource: people in the order of their names, then the workloads that could come. */
import { evaluate, mappingsThatCould, subjectsThatCould } from '#features/access/feature.ts';
import type { ClaimMappingFacts } from '#features/trust/schema.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { PersonType } from './people-in-order.ts';
import { peopleReached } from './people-reached.ts';

export interface FoundPerson {
  readonly type: PersonType;
  readonly path: string;
  readonly decision: Decision;
}

/** Not somebody yet: who brings such a token would be allowed. */
export interface PotentialWorkload {
  readonly type: 'workload';
  readonly path: string;
  readonly issuer: string;
  /** What its claims must be. */
  readonly when: ClaimMappingFacts['spec']['when'];
}

interface Asking {
  readonly world: World;
  readonly kinds: Kinds;
  readonly question: Question;
  readonly now: Date;
}

interface Wanted<T extends string> {
  readonly types: readonly T[];
  /** Where the page before ended; null = from the start. */
  readonly after: string | null;
  readonly limit: number;
}

/** At most `limit`, and where the next page begins; null when there is no more. A page that took long ends early. */
export function whoCan(asking: Asking, wanted: Wanted<PersonType | 'workload'>): { readonly items: readonly (FoundPerson | PotentialWorkload)[]; readonly next: string | null } {
  const items: (FoundPerson | PotentialWorkload)[] = [];
  let last: string | null = null;
  let looked = 0;
  for (const { key, found } of everybody(asking, wanted)) {
    if (items.length === wanted.limit || looked === maxLookedAt) return { items, next: last };
    looked += 1;
    last = key;
    if (found !== null) items.push(found);
  }
  return { items, next: null };
}

/** Of one page: so many are done in some milliseconds. */
const maxLookedAt = 4_000;

interface LookedAt {
  readonly key: string;
  /** Null = may not. */
  readonly found: FoundPerson | PotentialWorkload | null;
}

function* everybody(asking: Asking, { types, after }: Wanted<PersonType | 'workload'>): Generator<LookedAt> {
  const { world, kinds, question, now } = asking;
  const turned = { world, kinds, question, nowMs: now.getTime() };
  const subjects = subjectsThatCould(turned);
  for (const type of types.toSorted()) {
    if (type === 'workload') {
      const mappings = mappingsThatCould(turned).map((mapping) => workloadOf(world, mapping)).toSorted((a, b) => (a.path < b.path ? -1 : 1));
      for (const found of mappings) if (after === null || keyOf(found) > after) yield { key: keyOf(found), found };
      continue;
    }
    for (const { path, entry, isReached } of peopleReached(world, type, { subjects, after: pathAfter(type, after) })) {
      const asker: Asker = { accountId: world.accountId, principal: { type, uid: entry.uid, path }, bounds: 'principal' };
      const decision = isReached ? evaluate(world, kinds, asker, question, now) : null;
      yield { key: keyOf({ type, path }), found: decision?.allowed === true ? { type, path, decision } : null };
    }
  }
}

/** Of a type whose keys all come before, what comes after every path. */
function pathAfter(type: PersonType, after: string | null): string | null {
  const none = keyOf({ type, path: '' });
  if (after === null || after < none) return null;
  return after.startsWith(none) ? after.slice(none.length) : '\uffff';
}

function workloadOf(world: World, mapping: Entry): PotentialWorkload {
  const { issuerUid, spec } = mapping.facts as ClaimMappingFacts;
  return { type: 'workload', path: entryPath(mapping), issuer: world.get(issuerUid)?.identifier ?? '', when: spec.when };
}

function keyOf({ type, path }: { readonly type: string; readonly path: string }): string {
  return `${type}:${path}`;
}
