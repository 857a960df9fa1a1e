import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/until.ts';
import type { Clock } from './clock.ts';
import type { Remembered } from './remembered.ts';
import { createRemembered } from './remembered.ts';

interface Bench {
  readonly remembered: Remembered<string>;
  /** What the database has now. */
  readonly rows: Map<string, string>;
  /** The keys of every question, in order. */
  readonly questions: (readonly string[])[];
  pass(ms: number): void;
  /** Questions wait until it is called; `fails` = the database is away. */
  hold(options?: { readonly fails?: boolean }): () => void;
}

const believeMs = 900;

function bench({ maxKept = 100 }: { readonly maxKept?: number } = {}): Bench {
  const rows = new Map<string, string>();
  const questions: (readonly string[])[] = [];
  let nowMs = 0;
  let held: Promise<void> = Promise.resolve();
  const clock: Clock = { now: () => new Date(0), monotonicMs: () => nowMs };
  const remembered = createRemembered<string>({
    clock, maxKept, believeMs, askAgainMs: 5,
    async ask(keys) {
      questions.push(keys);
      // As a database does: what it answers was so when it was asked.
      const found = new Map(keys.flatMap((key) => (rows.has(key) ? [[key, rows.get(key)!] as const] : [])));
      await held;
      return found;
    },
  });
  return {
    remembered, rows, questions,
    pass: (ms) => void (nowMs += ms),
    hold({ fails = false } = {}) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      held = promise;
      // Not every test asks while it is held.
      promise.catch(() => undefined);
      return () => {
        held = Promise.resolve();
        if (fails) reject(new Error('the database is away'));
        else resolve();
      };
    },
  };
}

test('many who ask at once ask the database once, and whoever comes later does not ask it at all', async () => {
  const { remembered, rows, questions } = bench();
  rows.set('a', 'one');
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => remembered.find('a'))), ['one', 'one', 'one']);
  assert.equal(await remembered.find('a'), 'one');
  assert.deepEqual(questions, [['a']]);
});

test('all that is in use is asked again in one question, and nobody waits for it', async () => {
  const { remembered, rows, questions, pass, hold } = bench();
  for (const key of ['a', 'b', 'idle']) rows.set(key, 'old');
  for (const key of ['a', 'b', 'idle']) await remembered.find(key);
  pass(believeMs - 1);
  const release = hold();
  rows.set('a', 'new');
  for (const key of ['a', 'b', 'a']) assert.equal(await remembered.find(key), 'old');
  await until(() => questions.length === 4, 'it is asked again');
  assert.deepEqual(questions[3], ['a', 'b']);
  assert.equal(await remembered.find('a'), 'old');
  release();
  await until(async () => (await remembered.find('a')) === 'new', 'the new answer is there');
});

test('an answer is believed for its time from when the question was asked, not from when it was answered', async () => {
  const { remembered, rows, questions, pass, hold } = bench();
  rows.set('a', 'old');
  const release = hold();
  const first = remembered.find('a');
  pass(600);
  release();
  assert.equal(await first, 'old');
  rows.delete('a');
  pass(believeMs - 600);
  assert.equal(await remembered.find('a'), null);
  assert.equal(questions.length, 2);
});

test('what was doubted is asked anew at once', async () => {
  const { remembered, rows } = bench();
  rows.set('a', 'here');
  await remembered.find('a');
  rows.delete('a');
  remembered.doubt();
  assert.equal(await remembered.find('a'), null);
});

test('an answer to a question asked before the doubt is not believed, whoever waits for it', async () => {
  const { remembered, rows, hold } = bench();
  rows.set('a', 'here');
  const release = hold();
  const early = remembered.find('a');
  rows.delete('a');
  remembered.doubt();
  const late = remembered.find('a');
  release();
  assert.equal(await early, 'here');
  assert.equal(await late, null);
  assert.equal(await remembered.find('a'), null);
});

test('a database that is away is not outlived: what cannot be confirmed is refused, not believed', async () => {
  const { remembered, rows, questions, pass, hold } = bench();
  rows.set('a', 'here');
  await remembered.find('a');
  const fail = hold({ fails: true });
  assert.equal(await remembered.find('a'), 'here');
  await until(() => questions.length === 2, 'it is asked again');
  pass(believeMs);
  const waiting = remembered.find('a');
  fail();
  await assert.rejects(waiting, /away/);
  assert.equal(await remembered.find('a'), 'here', 'and is believed again when it answers');
});

test('what is not there is not remembered', async () => {
  const { remembered, rows, questions } = bench();
  assert.equal(await remembered.find('a'), null);
  rows.set('a', 'made since');
  assert.equal(await remembered.find('a'), 'made since');
  assert.equal(questions.length, 2);
});

test('a stranger is announced before the question, and may be turned away; who was known is no stranger', async () => {
  const { remembered, rows, questions, pass } = bench();
  const turnAway = () => Promise.reject(new Error('turned away'));
  rows.set('a', 'here');
  await remembered.find('a');
  await assert.rejects(remembered.find('b', turnAway), /turned away/);
  assert.deepEqual(questions, [['a']]);
  remembered.doubt();
  assert.equal(await remembered.find('a', turnAway), 'here');
  pass(believeMs);
  assert.equal(await remembered.find('a', turnAway), 'here');
});

test('above its limit it forgets whom it asked about longest ago', async () => {
  const { remembered, rows, questions } = bench({ maxKept: 2 });
  for (const key of ['a', 'b', 'c']) rows.set(key, key);
  for (const key of ['a', 'b', 'c', 'c', 'b', 'a']) await remembered.find(key);
  assert.deepEqual(questions.slice(0, 4), [['a'], ['b'], ['c'], ['a']]);
});
