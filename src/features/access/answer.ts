/** An answer of the engine. Its reasons are found when somebody looks at them: lists ask thousands of questions and look at none. */
import type { Decision, Question, Reason } from '#kernel/decision.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import type { Asked } from './allows.ts';
import { grantAllows, reasonOf } from './allows.ts';
import { boundsAllow } from './bounds.ts';
import type { Asker, Grant, Way } from './grants.ts';
import { nearMisses } from './near-misses.ts';
import { placesOf } from './places.ts';
import type { Range } from './schema.ts';
import { waysOf } from './ways.ts';

/** Everything a decision is made from. */
export interface Matter {
  /** Whose rights count. */
  readonly rights: World;
  /** Where the thing asked about may lie in a scope that a call makes. */
  readonly tree: World;
  readonly kinds: Kinds;
  readonly asker: Asker;
  readonly question: Question;
  readonly nowMs: number;
  /** Not null = only grants that name the permission count, not those of admin roles, and only if they reach all of this. */
  readonly namedOver: Range | null;
}

/**
 * An allow names the binding or mapping, the groups, role and resource group; a deny carries the nearest misses. They
 * are those of the revision that was asked as long as the world stays at it; look before it goes on.
 */
export class Answer implements Decision {
  readonly allowed: boolean;
  readonly revision: number;
  readonly #matter: Matter;
  #reasons: readonly Reason[] | null = null;

  constructor(allowed: boolean, matter: Matter) {
    this.allowed = allowed;
    this.revision = matter.rights.revision;
    this.#matter = matter;
  }

  get reasons(): readonly Reason[] {
    return (this.#reasons ??= this.#findReasons());
  }

  #findReasons(): readonly Reason[] {
    const { rights, tree, kinds, asker, question } = this.#matter;
    const ways = waysOf(rights, asker) ?? [];
    const asked = askedIn(this.#matter, kinds.of(tree).permission(question.permission)!.noun);
    const grant = allowingGrant(ways, asked);
    if (this.allowed) return [grant === null ? { code: 'allowed' } : reasonOf(grant, 'allowed')];
    return grant !== null && !boundsAllow(asker.bounds, asked) ? [reasonOf(grant, 'outside_bounds')] : nearMisses(ways, asked);
  }
}

export function askedIn({ tree, question, nowMs, namedOver }: Matter, noun: Noun): Asked {
  return { ...question, noun, places: placesOf(question.target, tree), nowMs, namedOver };
}

/** The first grant that allows and whose way allows it in its other lists too. */
export function allowingGrant(ways: readonly Way[], asked: Asked): Grant | null {
  for (const way of ways) {
    const [first = [], ...others] = way.lists;
    const grant = first.find((candidate) => grantAllows(candidate, asked, way.context));
    if (grant === undefined) continue;
    if (others.every((list) => list.some((candidate) => grantAllows(candidate, asked, way.context)))) return grant;
  }
  return null;
}
