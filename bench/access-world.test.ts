import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '#features/access/feature.ts';
import { accessWorld, now, shapes } from './access-world.ts';
import { BruteForce } from './access/brute-force.ts';
import { nouns } from './access/nouns.ts';
import { questionsOf } from './access/questions.ts';
import { AccessIndex } from './floor/access-index.ts';
import { AccessLoad } from './floor/access-load.ts';

const small = accessWorld('small');

test('a seed makes the same world and the same questions every time, another seed another one', () => {
  const again = accessWorld('small');
  assert.equal(JSON.stringify([...again.entries()]), JSON.stringify([...small.entries()]));
  assert.deepEqual([...again.bindings()], [...small.bindings()]);
  assert.deepEqual(questionsOf(again, { count: 50 }), questionsOf(small, { count: 50 }));
  assert.notDeepEqual([...accessWorld('small', 2).bindings()], [...small.bindings()]);
  assert.notDeepEqual(questionsOf(small, { count: 50, seed: 2 }), questionsOf(small, { count: 50 }));
});

test('a world has as much of everything as its size says', () => {
  assert.equal(nouns.flatMap(({ verbs }) => verbs).length, 154);
  for (const [size, resourceGroups, grants] of [['small', 55, 25], ['50k', 4_255, 46]] as const) {
    const world = accessWorld(size);
    const { orgs, projects, principals, groups, roles, bindings } = shapes[size];
    const uids = new Set([...world.entries()].map((entry) => entry.uid));
    assert.equal(uids.size, orgs + projects + principals + groups + roles + resourceGroups + bindings);
    const perPrincipal = world.principals.reduce((sum, _, n) => sum + world.bindingsOf(n).length, 0) / principals;
    assert.ok(Math.abs(perPrincipal - grants) < 3, `${perPrincipal} grants for each principal of ${size}`);
    assert.ok(world.groupsOf.every((places) => places.length >= 1 && places.length <= 3));
  }
});

test('bindings by principal are those that name it or a group of its', () => {
  for (const n of [0, 1, 42, 99]) {
    const own = new Set([small.principals[n]!.uid, ...small.groupsOf[n]!.map((place) => small.groups[place]!.uid)]);
    const named = [...small.bindings()].filter((binding) => own.has(binding.principal.uid)).map((binding) => binding.uid);
    assert.deepEqual(small.bindingsOf(n).map((place) => small.binding(place).uid).toSorted(), named);
  }
});

test('every sort of resource group is there, and some bindings are disabled, expired or about to expire', () => {
  const sorts = small.resourceGroups.flatMap(({ resources }) => (resources === 'all' ? 'all' : resources.map(({ identifiers, where }) => (identifiers ? 'names' : where ? 'condition' : 'kind'))));
  assert.deepEqual([...new Set(sorts)].toSorted(), ['all', 'condition', 'kind', 'names']);
  const ranges = small.resourceGroups.flatMap((group) => ('onlyAt' in group.ranges ? [] : group.ranges));
  assert.deepEqual([...new Set(ranges.map((range) => range.includeChildScopes))].length, 2);
  const bindings = [...small.bindings()];
  const expiries = new Set(bindings.map(({ expiresAtMs }) => (expiresAtMs === null ? 'never' : expiresAtMs <= now.getTime() ? 'gone' : 'later')));
  assert.deepEqual([bindings.some(({ disabled }) => disabled), expiries.size], [true, 3]);
});

test('the floors, the engine and a reading of every binding answer alike, yes to about 55 %', () => {
  const world = small.world();
  const index = new AccessIndex(small);
  const load = new AccessLoad(small);
  const read = new BruteForce(small);
  const asked = questionsOf(small, { count: 3_000 });
  let yes = 0;
  for (const ask of asked) {
    const right = read.allows(ask, now.getTime());
    const answers = { index: index.allows(ask, now.getTime()), load: load.allows(ask, now.getTime()), engine: evaluate(world, small.kinds, ask.asker, ask.question, now).allowed };
    assert.deepEqual(answers, { index: right, load: right, engine: right }, JSON.stringify(ask));
    yes += Number(right);
  }
  assert.ok(yes / asked.length > 0.5 && yes / asked.length < 0.6, `${yes} of ${asked.length}`);
});
