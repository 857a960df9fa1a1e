/**
 * The decision (CONTRACTS §4): deny unless one binding or grant gives all of it. Synchronous and without side effects;
 * the one engine behind every check, list, explanation and simulation.
 */
import type { Decision, Question, ReasonCode } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import type { Asked } from './allows.ts';
import { grantAllows, reasonOf } from './allows.ts';
import { boundsAllow } from './bounds.ts';
import type { Asker, Grant, Way } from './grants.ts';
import { waysOf } from './grants.ts';
import { nearMisses } from './near-misses.ts';
import { placesOf } from './places.ts';

/**
 * Answers from the rights and the tree of one world. An allow names the binding or mapping, the groups, role and
 * resource group; a deny carries the nearest misses.
 */
export function evaluate(world: World, kinds: Kinds, asker: Asker, question: Question, now: Date): Decision {
  return decide({ rights: world, tree: world, kinds, asker, question, now });
}

/**
 * `evaluate` for compound acts, where rights are those before the call and the thing asked about may lie in a scope the
 * call makes.
 */
export function decide(input: {
  readonly rights: World;
  readonly tree: World;
  readonly kinds: Kinds;
  readonly asker: Asker;
  readonly question: Question;
  readonly now: Date;
  readonly byName?: boolean;
}): Decision {
  const { rights, tree, kinds, asker, question, now, byName = false } = input;
  const ways = waysOf(rights, asker);
  if (ways === null) return denied(rights, 'unknown_principal');
  const noun = kinds.of(tree).permission(question.permission)?.noun;
  if (noun === undefined) return denied(rights, 'unknown_permission');
  if (noun.name !== question.target.kind) return denied(rights, 'permission_of_another_kind');
  if (!tree.hasScope(question.target.scope)) return denied(rights, 'unknown_scope');
  const asked: Asked = { ...question, noun, places: placesOf(question.target, tree), nowMs: now.getTime(), byName };
  const grant = allowingGrant(ways, asked);
  if (grant === null) return deniedWithReasons(ways, asked, rights.revision);
  const reason = reasonOf(grant, 'allowed');
  if (boundsAllow(asker.bounds, asked)) return { allowed: true, reasons: [reason], revision: rights.revision };
  return { allowed: false, reasons: [{ ...reason, code: 'outside_bounds' }], revision: rights.revision };
}

/** The first grant that allows and whose way allows it in its other lists too. */
function allowingGrant(ways: readonly Way[], asked: Asked): Grant | null {
  for (const way of ways) {
    const [first = [], ...others] = way.lists;
    const grant = first.find((candidate) => grantAllows(candidate, asked, way.context));
    if (grant === undefined) continue;
    if (others.every((list) => list.some((candidate) => grantAllows(candidate, asked, way.context)))) return grant;
  }
  return null;
}

/** Lists ask thousands of questions and look at no reason, so the reasons are found when somebody does. */
function deniedWithReasons(ways: readonly Way[], asked: Asked, revision: number): Decision {
  let reasons: Decision['reasons'] | undefined;
  return {
    allowed: false,
    get reasons() {
      return (reasons ??= nearMisses(ways, asked));
    },
    revision,
  };
}

function denied(rights: World, code: ReasonCode): Decision {
  return { allowed: false, reasons: [{ code }], revision: rights.revision };
}
