/** Somebody who acts as another may do what both may, and nothing else: random accounts, random pairs. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { evaluate, hasLiveGrant, holds, liveRanges } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Bound } from '#kernel/caller.ts';
import { contains } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { createKinds } from '../../src/app.ts';
import { runs } from '../mode.ts';
import { seed } from '../seed.ts';
import { History } from './history.ts';
import { questionSource, randomQuestion } from './random-question.ts';
import type { RandomQuestion } from './random-question.ts';
import { permissions, scopesOf } from './random-world.ts';
import { Random } from './random.ts';

const kinds = createKinds();
const questionsPerWorld = 40;

it(`who acts as another may do, hold and see what both may (seed ${seed})`, () => {
  const counted = { both: 0, stopped: 0 };
  const rounds = runs(20, 3_000);
  for (let round = 0; round < rounds; round++) {
    const history = new History(kinds, new Random(seed + round * 9_133));
    const label = `seed ${seed}, round ${round}`;
    const over = history.world.overlay(history.change(6));
    for (const world of [history.world, over]) checkPairs(history, world, { label, counted });
  }
  assert.ok(counted.both > rounds && counted.stopped > rounds, JSON.stringify(counted));
});

function checkPairs(history: History, world: World, { label, counted }: { label: string; counted: { both: number; stopped: number } }): void {
  const { random } = history;
  const source = questionSource(history.naive, history.sessions.map(({ naive }) => naive));
  const people = (['user', 'service_account'] as const).flatMap((type) => [...world.list(type)].map(({ uid }) => ({ type, uid, path: uid })));
  for (let i = 0; i < questionsPerWorld; i++) {
    const question = randomQuestion(random, source);
    const asker = history.askers(question).engine;
    const actor: Asker = { accountId: world.accountId, principal: random.pick(people), bounds: 'principal' };
    const pair: Asker = { ...asker, actor: actor.principal };
    const said = `${label}: ${JSON.stringify(question)} by ${actor.principal.uid}`;
    checkPair({ world, asker, actor, pair, question, said }, scopesOf(history.documents.map(({ document }) => document)), counted);
    const given: Bound = { permissions: [random.pick(permissions)], extent: { scope: question.target.scope, includeChildScopes: random.chance(0.5), resources: 'all' } };
    const now = new Date(question.nowMs);
    const held = [asker, actor].every((one) => holds(world, kinds, one, given, now));
    assert.equal(holds(world, kinds, pair, given, now), held, `${said} holds ${JSON.stringify(given)}`);
  }
}

interface Pair {
  readonly world: World;
  readonly asker: Asker;
  readonly actor: Asker;
  readonly pair: Asker;
  readonly question: RandomQuestion;
  readonly said: string;
}

function checkPair({ world, asker, actor, pair, question, said }: Pair, scopes: readonly string[], counted: { both: number; stopped: number }): void {
  const now = new Date(question.nowMs);
  const [ofAsker, ofActor, ofPair] = [asker, actor, pair].map((one) => evaluate(world, kinds, one, question, now));
  assert.equal(ofPair!.allowed, ofAsker!.allowed && ofActor!.allowed, said);
  const expected = ofAsker!.allowed && !ofActor!.allowed ? ofActor! : ofAsker!;
  assert.deepEqual(ofPair!.reasons, expected.reasons, said);
  counted.both += ofPair!.allowed ? 1 : 0;
  counted.stopped += ofAsker!.allowed && !ofPair!.allowed ? 1 : 0;
  for (const scope of scopes) {
    if (hasLiveGrant(world, kinds, pair, scope, now)) assert.ok([asker, actor].every((one) => hasLiveGrant(world, kinds, one, scope, now)), `${said}: \`${scope}\``);
  }
  if (!ofPair!.allowed || !world.hasScope(question.target.scope)) return;
  const ranges = liveRanges(world, kinds, pair, now);
  assert.ok(ranges.some((range) => contains(range.scope, question.target.scope) || contains(question.target.scope, range.scope)), said);
}
