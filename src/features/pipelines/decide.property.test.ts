import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { functions, planOf, record, spelledOut } from '#test/pipelines/documents.ts';
import { decide, replay } from './decide.ts';
import { executionEvent, exits } from './events.ts';
import type { ExecutionEvent } from './events.ts';
import { isFinal } from './schema.ts';
import { initialState } from './state.ts';
import type { AttemptState, State } from './state.ts';

const plan = planOf(spelledOut, { target: 'prod' });
const steps = plan.steps.map(({ uid }) => uid);
const initial = initialState(plan, record);

const stepUid = fc.constantFrom(...steps, 'build.nothing', '__proto__');
const attempt = fc.integer({ min: 1, max: 5 });
const fence = fc.constantFrom('f1', 'f2');
const lease = { stepUid, attempt, fence };
const wild = fc.oneof(
  fc.record({ type: fc.constant('execution_started') }),
  fc.record({ type: fc.constant('attempt_offered'), stepUid, attempt }),
  fc.record({ type: fc.constant('attempt_leased'), ...lease, runner: fc.constantFrom('r1', 'r2'), leaseUntilMs: fc.nat(), taint: fc.constant({ secrets: [], untrusted: false }) }),
  fc.record({ type: fc.constant('attempt_started'), ...lease }),
  fc.record({
    type: fc.constant('attempt_ended'), ...lease, exit: fc.constantFrom(...exits),
    outputs: fc.constantFrom([], [{ name: 'DIGEST', value: { text: 'd' }, secrets: [], untrusted: false }]),
  }),
  fc.record({ type: fc.constant('attempt_lost'), ...lease }),
  fc.record({ type: fc.constant('runner_refused'), ...lease, message: fc.constant('no') }),
  fc.record({ type: fc.constant('step_resolved_failed'), stepUid, attempt, code: fc.constantFrom('mint.refused', 'expression.invalid'), message: fc.constant('no') }),
  fc.record({ type: fc.constant('abort_requested'), by: fc.constant('user:alice') }),
  fc.record({ type: fc.constant('timer_fired'), timer: fc.constantFrom('pipeline', 'stage/ship', 'queue/build.compile/1', 'queue/ship.push/2', 'x') }),
);

/** Mostly what fits the present state, by index; sometimes an event out of nowhere. */
const fits = fc.nat({ max: 1000 }).map((choice) => ({ choice }));
const nowhere = wild.map((event) => ({ event }));
const moves = fc.array(fc.oneof({ weight: 9, arbitrary: fits }, { weight: 1, arbitrary: nowhere }), { maxLength: 120, size: 'max' });

type Move = { readonly choice: number } | { readonly event: object };

function eventOf(state: State, move: Move): ExecutionEvent {
  const at = { formatVersion: 1, atMs: 1 };
  if ('event' in move) return executionEvent.parse({ ...at, ...move.event });
  const fitting = fittingEvents(state);
  return executionEvent.parse({ ...at, ...fitting[move.choice % fitting.length] });
}

/** What a well-behaved server and its runners could report next. Abort is rare, so that most runs go far. */
function fittingEvents(state: State): object[] {
  if (state.status === 'NotStarted') return [{ type: 'execution_started' }];
  const next = state.steps.flatMap(({ uid, attempts }) => {
    const last = attempts.at(-1);
    return last === undefined ? [] : fittingFor(uid, last);
  });
  return next.length === 0 ? [{ type: 'abort_requested', by: 'user:alice' }] : next;
}

function fittingFor(uid: string, last: AttemptState): object[] {
  const of = { stepUid: uid, attempt: last.number };
  const fence = { ...of, fence: last.fence };
  switch (last.status) {
    case 'wanted': return [{ type: 'attempt_offered', ...of }];
    case 'offered': return [{ type: 'attempt_leased', ...of, fence: `f${last.number}`, runner: 'r1', leaseUntilMs: 5, taint: { secrets: ['s'], untrusted: false } }];
    case 'leased': return [{ type: 'attempt_started', ...fence }, { type: 'attempt_lost', ...fence }, { type: 'runner_refused', ...fence, message: 'no' }];
    case 'started': return [...exits.map((exit) => ({ type: 'attempt_ended', ...fence, exit, outputs: [] })), { type: 'attempt_lost', ...fence }];
    default: return [];
  }
}

function play(given: readonly Move[], onEach: (before: State, event: ExecutionEvent, after: State) => void = () => undefined): { state: State; events: ExecutionEvent[] } {
  let state = initial;
  const events: ExecutionEvent[] = [];
  for (const move of given) {
    const event = eventOf(state, move);
    const decision = decide(state, event, functions);
    onEach(state, event, decision.state);
    state = decision.state;
    events.push(event);
  }
  return { state, events };
}

const parameters = { numRuns: runs(150, 5000) };

test('no step ever has two attempts that started, whatever comes in which order', () => {
  fc.assert(fc.property(moves, (given) => {
    const startedAttempts = new Map<string, Set<number>>();
    play(given, (_before, _event, after) => {
      for (const { uid, attempts } of after.steps) {
        for (const { number, status } of attempts) {
          if (status === 'started' || status === 'ended') startedAttempts.set(uid, (startedAttempts.get(uid) ?? new Set()).add(number));
        }
      }
    });
    for (const numbers of startedAttempts.values()) assert.equal(numbers.size, 1);
  }), parameters);
});

test('an execution ends, exactly once, when its runners report and nobody is left waiting', () => {
  fc.assert(fc.property(moves, (given) => {
    let ends = 0;
    const { state: reached } = play(given);
    let state = reached;
    if (isFinal(state.status)) return;
    for (let i = 0; i < 500 && !isFinal(state.status); i++) {
      const decision = decide(state, eventOf(state, { choice: 0 }), functions);
      ends += decision.commands.filter(({ type }) => type === 'end_execution').length;
      state = decision.state;
    }
    assert.ok(isFinal(state.status), `still ${state.status}`);
    assert.equal(ends, 1);
    assert.ok([...state.stages, ...state.steps].every(({ status }) => isFinal(status)));
  }), parameters);
});

test('after an abort it ends as soon as every started attempt has ended or is lost', () => {
  fc.assert(fc.property(moves, fc.boolean(), (given, lost) => {
    let { state } = play(given);
    if (isFinal(state.status)) return;
    state = decide(state, executionEvent.parse({ formatVersion: 1, atMs: 1, type: 'abort_requested', by: 'user:alice' }), functions).state;
    for (const { uid, attempts } of state.steps) {
      const last = attempts.at(-1);
      if (last?.status !== 'started') continue;
      const end = lost ? { type: 'attempt_lost' } : { type: 'attempt_ended', exit: 'cancelled', outputs: [] };
      state = decide(state, executionEvent.parse({ formatVersion: 1, atMs: 1, stepUid: uid, attempt: last.number, fence: last.fence, ...end }), functions).state;
    }
    assert.equal(state.status, 'Aborted');
  }), parameters);
});

test('the same events lead to the same state', () => {
  fc.assert(fc.property(moves, (given) => {
    const { state, events } = play(given);
    assert.deepEqual(replay(initial, events, functions), state);
  }), parameters);
});

test('an event sent twice does what it did once', () => {
  fc.assert(fc.property(moves, (given) => {
    const { state, events } = play(given);
    assert.deepEqual(replay(initial, events.flatMap((event) => [event, event]), functions), state);
  }), parameters);
});

test('what has ended stays as it ended', () => {
  fc.assert(fc.property(moves, (given) => {
    play(given, (before, _event, after) => {
      const ended = (state: State) => new Map([...state.stages, ...state.steps].filter(({ status }) => isFinal(status)).map(({ uid, status }) => [uid, status]));
      const now = ended(after);
      for (const [uid, status] of ended(before)) assert.equal(now.get(uid), status);
    });
  }), parameters);
});

test('no step starts before what it waits for has ended', () => {
  const byUid = new Map(plan.steps.map((step) => [step.uid, step]));
  fc.assert(fc.property(moves, (given) => {
    play(given, (_before, _event, after) => {
      const status = new Map([...after.stages, ...after.steps].map((part) => [part.uid, part.status]));
      for (const { uid, attempts } of after.steps) {
        if (attempts.length === 0) continue;
        const step = byUid.get(uid)!;
        const stage = plan.stages.find((one) => one.uid === step.stage)!;
        for (const waited of [...step.after, ...stage.after]) assert.ok(isFinal(status.get(waited)!), `${uid} was offered before ${waited} ended`);
      }
    });
  }), parameters);
});
