/**
 * The decision (CONTRACTS §4): deny unless one binding or grant gives all of it. Synchronous and without side effects;
 * the one engine behind every check, list, explanation and simulation.
 *
 * Most questions are answered from what is compiled of the caller. Those about rights that are only imagined, and those
 * that count roles by name, are answered from its grants one by one.
 */
import type { Decision, Question, ReasonCode } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import type { Matter } from './answer.ts';
import { Answer, allowingGrant, askedIn } from './answer.ts';
import { boundsAllow } from './bounds.ts';
import type { CompiledGrants } from './engine/compiled-grants.ts';
import type { CompiledWay, Engine } from './engine/engine.ts';
import type { Asker } from './grants.ts';
import { actorOf } from './grants.ts';
import { engineOf } from './engine/overlaid.ts';
import { ownScope } from './places.ts';
import type { Range } from './schema.ts';
import type { ScopeNode } from './engine/scope-tree.ts';
import type { Permission } from './engine/vocabulary.ts';
import { waysOf } from './ways.ts';

/**
 * Answers from the rights and the tree of one world. An allow names the binding or mapping, the groups, role and
 * resource group; a deny carries the nearest misses.
 */
export function evaluate(world: World, kinds: Kinds, asker: Asker, question: Question, now: Date): Decision {
  return answer({ rights: world, tree: world, kinds, asker, question, nowMs: now.getTime(), namedOver: null });
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
  /** As in `Matter`. */
  readonly namedOver?: Range | null;
}): Decision {
  const { rights, tree, kinds, asker, question, now, namedOver = null } = input;
  return answer({ rights, tree, kinds, asker, question, nowMs: now.getTime(), namedOver });
}

/** Of somebody who acts as another, both must be allowed. The reasons are the principal's, or the actor's where it is stopped. */
function answer(matter: Matter): Decision {
  const decision = answerAlone(matter);
  const actor = decision.allowed ? actorOf(matter.asker) : null;
  const stopped = actor === null ? null : answerAlone({ ...matter, asker: actor });
  return stopped === null || stopped.allowed ? decision : stopped;
}

function answerAlone(matter: Matter): Decision {
  const { rights, tree, kinds, asker, namedOver } = matter;
  // A call may make a kind that the engine of before does not know.
  const needsGrants = namedOver !== null || asker.accountId !== rights.accountId || (tree !== rights && kinds.of(tree) !== kinds.of(rights));
  const engine = needsGrants ? null : engineOf(rights, kinds, asker);
  return engine === null ? answerFromGrants(matter) : answerCompiled(engine, matter);
}

function answerCompiled(engine: Engine, matter: Matter): Decision {
  const { rights, asker, question } = matter;
  const { target } = question;
  const held = heldBy(engine, asker);
  if (held === null) return denied(rights, 'unknown_principal');
  const permission = engine.vocabulary.permission(question.permission);
  if (permission === undefined) return denied(rights, 'unknown_permission');
  if (permission.noun.name !== target.kind) return denied(rights, 'permission_of_another_kind');
  const scope = scopeOf(engine, matter, target.scope);
  if (scope === null) return denied(rights, 'unknown_scope');
  const own = permission.opensScopes ? ownScope(target) : null;
  const places = { scope, own: own === null ? null : scopeOf(engine, matter, own) };
  const isGiven = 'gives' in held ? gives(held, permission, matter, places) : held.some((way) => way.every((list) => gives(list, permission, matter, places)));
  const allowed = isGiven && (asker.bounds === 'principal' || boundsAllow(asker.bounds, askedIn(matter, permission.noun)));
  return new Answer(allowed, matter);
}

interface Places {
  readonly scope: ScopeNode;
  /** The scope it is, where it is one. */
  readonly own: ScopeNode | null;
}

/** Null = nobody this account knows, or somebody disabled. */
function heldBy(engine: Engine, { principal, workload }: Asker): CompiledGrants | readonly CompiledWay[] | null {
  const { type, uid } = principal;
  if (type === 'user' || type === 'service_account') return engine.person(type, uid);
  if (type === 'workload') return workload === undefined ? null : engine.session(workload);
  return type === 'system' && uid === 'bootstrap' ? engine.bootstrap() : null;
}

/** Null = there is no such scope. */
function scopeOf(engine: Engine, { rights, tree }: Matter, path: string): ScopeNode | null {
  if (tree.base !== null || tree !== rights) return tree.hasScope(path) ? engine.passingScope(path) : null;
  const node = engine.scope(path);
  return node !== undefined && node.exists ? node : null;
}

function gives(grants: CompiledGrants, { bit }: Permission, { question, nowMs }: Matter, { scope, own }: Places): boolean {
  const { target } = question;
  return grants.gives(bit, scope, target, nowMs) || (own !== null && grants.gives(bit, own, target, nowMs));
}

function answerFromGrants(matter: Matter): Decision {
  const { rights, tree, kinds, asker, question } = matter;
  const ways = waysOf(rights, asker);
  if (ways === null) return denied(rights, 'unknown_principal');
  const noun = kinds.of(tree).permission(question.permission)?.noun;
  if (noun === undefined) return denied(rights, 'unknown_permission');
  if (noun.name !== question.target.kind) return denied(rights, 'permission_of_another_kind');
  if (!tree.hasScope(question.target.scope)) return denied(rights, 'unknown_scope');
  const asked = askedIn(matter, noun);
  return new Answer(allowingGrant(ways, asked) !== null && boundsAllow(asker.bounds, asked), matter);
}

function denied(rights: World, code: ReasonCode): Decision {
  return { allowed: false, reasons: [{ code }], revision: rights.revision };
}
