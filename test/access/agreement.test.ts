/** The engine against the contract read naively: random accounts, random changes, questions near the edge. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hasLiveGrant } from '#features/access/feature.ts';
import { decide, evaluate } from '#features/access/evaluate.ts';
import { visibleNames } from '#features/access/live.ts';
import type { Decision } from '#kernel/decision.ts';
import type { World } from '#kernel/world.ts';
import { createKinds } from '../../src/app.ts';
import { runs } from '../mode.ts';
import { seed } from '../seed.ts';
import { History } from './history.ts';
import { isGroupPath, naiveAnswer } from './naive-evaluator.ts';
import type { NaiveAnswer, NaiveWorld } from './naive-evaluator.ts';
import { naiveLive } from './naive-live.ts';
import type { RandomQuestion } from './random-question.ts';
import { questionSource, randomQuestion } from './random-question.ts';
import { scopesOf } from './random-world.ts';
import { Random } from './random.ts';
import { smallest } from './smallest.ts';

const kinds = createKinds();
const roundsPerAccount = 6;
const questionsPerRound = 120;

/** In parts, so that none runs into the time a test may take. */
const parts = 5;

for (let part = 0; part < parts; part++) {
  it(`the engine answers as the contract read naively does, after every change and over every overlay (part ${part + 1}, seed ${seed})`, () => {
    const wanted = runs(100_000, 2_000_000) / parts;
    const counted = { asked: 0, allowed: 0 };
    for (let account = part; counted.asked < wanted; account += parts) {
      const history = new History(kinds, new Random(seed + account * 7_919));
      for (let round = 0; round < roundsPerAccount; round++) oneRound(history, { label: `seed ${seed}, account ${account}, round ${round}`, counted });
    }
    // A generator that only makes questions with one answer would prove nothing.
    const share = counted.allowed / counted.asked;
    assert.ok(share > 0.25 && share < 0.75, `${(share * 100).toFixed(1)} % were allowed`);
  });
}

function oneRound(history: History, { label, counted }: { label: string; counted: { asked: number; allowed: number } }): void {
  const { random, world } = history;
  const before = history.naive;
  const old = drawn(history, 10).map((question) => ({ question, given: answer(history, world, question) }));
  const changes = history.change(random.whole(8));
  const over = overlaid(history, changes);
  const asked = drawn(history, questionsPerRound).map((question) => ({ question, naive: naive(history, question), overlay: answer(history, over, question) }));
  for (const { question, given } of old) assert.deepEqual(answer(history, world, question), given, `${label}: an overlay changed the world under it`);
  for (const { question } of asked.slice(0, 30)) checkCall(history, question, { label, before, over });

  checkEntries(history, over, `${label}, as an overlay`);
  history.commit(changes);
  const fresh = history.loadedFresh();
  for (const [name, one] of Object.entries({ fresh, world })) checkEntries(history, one, `${label}, ${name}`);
  for (const { question, naive: expected, overlay } of asked) {
    check(history, question, { label: `${label}, loaded fresh`, expected, decision: answer(history, fresh, question) });
    check(history, question, { label: `${label}, changed by apply`, expected, decision: answer(history, world, question) });
    check(history, question, { label: `${label}, as an overlay`, expected, decision: overlay });
    if (question.bounds === 'principal' && question.who.session === null && random.chance(1 / 50)) checkLive(history, question, { label, fresh });
    counted.asked += 1;
    counted.allowed += expected.allowed ? 1 : 0;
  }
  history.openSessions();
}

/** A question of a call: its rights are those before, the scopes and kinds those it leaves (CONTRACTS §5). */
function checkCall(history: History, question: RandomQuestion, { label, before, over }: { label: string; before: NaiveWorld; over: World }): void {
  const { naive: asker, engine } = history.askers(question);
  const now = new Date(question.nowMs);
  const expected = naiveAnswer({ ...before, tree: history.documents }, asker, { ...question, now });
  const { allowed, reasons } = decide({ rights: history.world, tree: over, kinds, asker: engine, question, now });
  const said = `${label}, asked of a call: ${JSON.stringify(question)}`;
  assert.equal(allowed, expected.allowed, said);
  if (allowed) assert.ok(expected.by.has(reasons[0]!.binding!), said);
}

/** A world has what was put into it, wherever it keeps it. */
function checkEntries({ entries }: History, world: World, label: string): void {
  const found = [...world.all()];
  assert.equal(found.length, entries.size, label);
  for (const entry of found) {
    assert.deepEqual(entry, entries.get(entry.uid), label);
    assert.equal(world.get(entry.uid)?.uid, entry.uid, label);
    assert.equal(world.find(entry.kind, entry.scope, entry.identifier)?.uid, entry.uid, label);
  }
  for (const kind of new Set(found.map((entry) => entry.kind))) {
    assert.deepEqual([...world.list(kind)].map(({ uid }) => uid).toSorted(), found.filter((entry) => entry.kind === kind).map(({ uid }) => uid).toSorted(), label);
  }
}

/** Where lists answer and which names show, for the one who asked. */
function checkLive(history: History, question: RandomQuestion, { label, fresh }: { label: string; fresh: World }): void {
  const asker = history.askers(question);
  const now = new Date(question.nowMs);
  const live = naiveLive(history.naive, asker.naive, now);
  for (const scope of [...scopesOf(history.documents.map(({ document }) => document)), 'nowhere']) {
    for (const world of [fresh, history.world]) {
      const found = { lists: hasLiveGrant(world, kinds, asker.engine, scope, now), names: visibleNames(world, kinds, asker.engine, now).has(scope) };
      const expected = { lists: live.listAnswers(scope), names: live.nameShows(scope) };
      assert.deepEqual(found, expected, `${label}: \`${scope}\` for ${JSON.stringify(question)}`);
    }
  }
}

function drawn(history: History, times: number): RandomQuestion[] {
  const { random, naive: world, sessions } = history;
  const source = questionSource(world, sessions.map((session) => session.naive));
  return Array.from({ length: times }, () => randomQuestion(random, source));
}

/** In one overlay or in two, one on the other. */
function overlaid({ random, world }: History, changes: Parameters<World['overlay']>[0]): World {
  const cut = random.whole(changes.length + 1);
  return random.chance(0.5) ? world.overlay(changes) : world.overlay(changes.slice(0, cut)).overlay(changes.slice(cut));
}

function naive(history: History, question: RandomQuestion): NaiveAnswer {
  return naiveAnswer(history.naive, history.askers(question).naive, { ...question, now: new Date(question.nowMs) });
}

function answer(history: History, world: World, question: RandomQuestion): Decision {
  const { permission, target, nowMs } = question;
  const { allowed, reasons, revision } = evaluate(world, kinds, history.askers(question).engine, { permission, target }, new Date(nowMs));
  return { allowed, reasons, revision };
}

function check(history: History, question: RandomQuestion, found: { label: string; expected: NaiveAnswer; decision: Decision }): void {
  const { expected, decision, label } = found;
  const [reason] = decision.reasons;
  const explain = () => `${label}\n${smallest(history, question)}`;
  if (decision.allowed !== expected.allowed) assert.fail(`allowed: ${decision.allowed}, by the contract: ${expected.allowed}; ${explain()}`);
  if (reason === undefined || decision.reasons.length > 20 || (reason.code === 'allowed') !== decision.allowed) {
    assert.fail(`the reasons are ${JSON.stringify(decision.reasons)}; ${explain()}`);
  }
  if (!decision.allowed) return;
  if (!expected.by.has(reason.binding!)) assert.fail(`\`${reason.binding}\` is said to allow, by the contract it is ${[...expected.by].join()}; ${explain()}`);
  const path = reason.groupPath ?? [];
  const isPerson = ['user', 'service_account'].includes(question.who.type);
  const leads = isPerson ? isGroupPath(history.naive, { uid: question.who.uid, now: new Date(question.nowMs) }, path, reason.binding!) : path.length === 0;
  if (!leads) assert.fail(`the groups ${path.join()} do not lead to \`${reason.binding}\`; ${explain()}`);
}
