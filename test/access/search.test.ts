/** Who can and what can against asking everybody about everything: random accounts, pages of every size. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AlikeRows } from '#features/access/engine/alike-rows.ts';
import { BindingShelf } from '#features/access/engine/binding-shelf.ts';
import { evaluate } from '#features/access/feature.ts';
import { whatCan } from '#features/questions/what-can.ts';
import { whoCan } from '#features/questions/who-can.ts';
import type { World } from '#kernel/world.ts';
import { createKinds } from '../../src/app.ts';
import { runs } from '../mode.ts';
import { seed } from '../seed.ts';
import { everything, people } from './everything.ts';
import { History } from './history.ts';
import { questionSource, randomQuestion } from './random-question.ts';
import { Random } from './random.ts';

const kinds = createKinds();
const questionsPerRound = 6;

it(`searches find whom and what a check allows, and nothing else (seed ${seed})`, () => {
  let found = 0;
  const rounds = runs(60, 2_000);
  for (let round = 0; round < rounds; round++) {
    const history = new History(kinds, new Random(seed + round * 6_271), round % 2 === 0 ? crowded : undefined);
    const label = `seed ${seed}, round ${round}`;
    for (let i = 0; i < questionsPerRound; i++) {
      // What earlier searches keep follows the changes.
      if (i % 2 === 0) history.commit(history.change(6));
      found += checkWho(history, label);
    }
    found += checkWhat(history, label);
  }
  assert.ok(found > rounds, `only ${found} were found`);
});

/** As if every scope had very many bindings. */
function crowded(world: World): void {
  world.shelf('role_binding', () => new BindingShelf(new AlikeRows(1)));
}

function checkWho(history: History, label: string): number {
  const { random, world, sessions } = history;
  const { permission, target, nowMs } = randomQuestion(random, questionSource(history.naive, sessions.map((session) => session.naive)));
  const now = new Date(nowMs);
  const expected = people(world).filter((asker) => evaluate(world, kinds, asker, { permission, target }, now).allowed).map(({ principal: { type, path } }) => `${type}:${path}`);
  const told: string[] = [];
  const limit = 1 + random.whole(5);
  for (let after: string | null | undefined; after !== null; ) {
    const { items, next } = whoCan({ world, kinds, question: { permission, target }, now }, { types: ['user', 'service_account'], after: after ?? null, limit });
    told.push(...items.map(({ type, path }) => `${type}:${path}`));
    after = next;
  }
  assert.deepEqual(told, expected.toSorted(), `${label}: ${permission} on ${JSON.stringify(target)}`);
  return told.length;
}

function checkWhat(history: History, label: string): number {
  const { random, world } = history;
  const all = people(world);
  if (all.length === 0) return 0;
  const asker = all[random.whole(all.length)]!;
  const now = new Date('2026-06-01T12:00:00Z');
  const words = kinds.of(world);
  const expected = everything(world, kinds).flatMap(({ id, target }) => {
    const verbs = words.nouns.get(target.kind)?.verbs ?? [];
    const may = verbs.map((verb) => `${target.kind}.${verb}`).filter((permission) => evaluate(world, kinds, asker, { permission, target }, now).allowed);
    return may.length === 0 ? [] : [`${target.kind} ${id} in ${target.scope}: ${may.join()}`];
  });
  const told: string[] = [];
  const limit = 1 + random.whole(20);
  for (let after: string | null | undefined; after !== null; ) {
    const { items, next } = whatCan({ world, kinds, asker, now }, { kind: null, permission: null, within: '/', after: after ?? null, limit });
    told.push(...items.map(({ kind, id, scope, permissions }) => `${kind} ${id} in ${scope}: ${permissions.join()}`));
    after = next;
  }
  assert.deepEqual(told.toSorted(), expected.toSorted(), `${label}: ${JSON.stringify(asker)}`);
  return told.length;
}
