import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functions, planOf, record, recover, run, spelledOut, stageOf } from '#test/pipelines/documents.ts';
import { decide } from './decide.ts';
import type { Command, ExecutionEvent } from './events.ts';
import { executionEvent } from './events.ts';
import { initialState } from './state.ts';
import type { State } from './state.ts';

type Loose = { type: ExecutionEvent['type'] } & Record<string, unknown>;

/** An execution in a test: events in short, and what came of them. */
class Execution {
  state: State;
  readonly commands: Command[] = [];
  ignored: string | undefined;
  #atMs = 1000;

  constructor(text: string, parts: { inputs?: Record<string, unknown>; untrusted?: boolean } = {}) {
    this.state = initialState(planOf(text, parts.inputs), { ...record, untrusted: parts.untrusted ?? false });
  }

  /** Sends one event through the wire form, so that a test cannot send what no server could store. */
  send(event: Loose): this {
    this.#atMs += 1000;
    const parsed = executionEvent.parse({ formatVersion: 1, atMs: this.#atMs, ...event });
    const decision = decide(this.state, parsed, functions);
    this.state = decision.state;
    this.commands.push(...decision.commands);
    this.ignored = decision.ignored;
    return this;
  }

  start(): this {
    return this.send({ type: 'execution_started' });
  }

  offered(stepUid: string, attempt = 1): this {
    return this.send({ type: 'attempt_offered', stepUid, attempt });
  }

  leased(stepUid: string, attempt = 1, taint: unknown = { secrets: [], untrusted: false }): this {
    return this.offered(stepUid, attempt)
      .send({ type: 'attempt_leased', stepUid, attempt, runner: 'r1', fence: `f${attempt}`, leaseUntilMs: 99_000, taint });
  }

  running(stepUid: string, attempt = 1, taint?: unknown): this {
    return this.leased(stepUid, attempt, taint).send({ type: 'attempt_started', stepUid, attempt, fence: `f${attempt}` });
  }

  ends(stepUid: string, exit = 'success', outputs: unknown[] = [], attempt = 1): this {
    return this.send({ type: 'attempt_ended', stepUid, attempt, fence: `f${attempt}`, exit, outputs });
  }

  does(stepUid: string, exit = 'success', outputs: unknown[] = []): this {
    return this.running(stepUid).ends(stepUid, exit, outputs);
  }

  lost(stepUid: string, attempt = 1): this {
    return this.send({ type: 'attempt_lost', stepUid, attempt, fence: `f${attempt}` });
  }

  statuses(): Record<string, string> {
    return Object.fromEntries([['', this.state.status], ...[...this.state.stages, ...this.state.steps].map(({ uid, status }) => [uid, status])]);
  }

  offers(): string[] {
    return this.commands.flatMap((command) => (command.type === 'offer_attempt' ? [`${command.stepUid}#${command.attempt}`] : []));
  }
}

const failing = (action: string, errors = 'AllErrors'): string => `failureStrategies: [ { onFailure: { errors: [${errors}], action: { type: ${action} } } } ]`;
const three = (more: Partial<Record<'a' | 'b' | 'c', string>> = {}): string =>
  stageOf(run('a', 'x', more.a) + run('b', 'x', more.b) + run('c', 'x', more.c));

const scenarios: readonly [name: string, execution: () => Execution, expected: Record<string, string>][] = [
  ['steps and stages run one after the other to success', () => new Execution(recover).start().does('build.hello').does('deploy.token'),
    { '': 'Success', build: 'Success', deploy: 'Success', 'build.hello': 'Success', 'deploy.token': 'Success' }],
  ['nothing after a failed step runs', () => new Execution(three()).start().does('s.a', 'failure'),
    { '': 'Failed', s: 'Failed', 's.a': 'Failed', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a later stage is skipped after a failed one', () => new Execution(recover).start().does('build.hello', 'failure'),
    { '': 'Failed', build: 'Failed', deploy: 'Skipped', 'build.hello': 'Failed', 'deploy.token': 'Skipped' }],
  ['`All` runs after a failure, and the stage stays failed', () => new Execution(three({ c: 'when: { stageStatus: All }' })).start().does('s.a', 'failure').does('s.c'),
    { '': 'Failed', s: 'Failed', 's.a': 'Failed', 's.b': 'Skipped', 's.c': 'Success' }],
  ['`Failure` runs only after a failure', () => new Execution(three({ b: 'when: { stageStatus: Failure }' })).start().does('s.a').does('s.c'),
    { '': 'Success', s: 'Success', 's.a': 'Success', 's.b': 'Skipped', 's.c': 'Success' }],
  ['`Ignore` lets the stage go on and succeed', () => new Execution(three({ a: failing('Ignore') })).start().does('s.a', 'failure').does('s.b').does('s.c'),
    { '': 'Success', s: 'Success', 's.a': 'IgnoreFailed', 's.b': 'Success', 's.c': 'Success' }],
  ['`MarkAsSuccess` makes a success of it', () => new Execution(three({ a: failing('MarkAsSuccess') })).start().does('s.a', 'failure').does('s.b').does('s.c'),
    { '': 'Success', s: 'Success', 's.a': 'Success', 's.b': 'Success', 's.c': 'Success' }],
  ['`MarkAsFailure` leaves it failed', () => new Execution(three({ a: failing('MarkAsFailure') })).start().does('s.a', 'failure'),
    { '': 'Failed', s: 'Failed', 's.a': 'Failed', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['`Abort` ends the execution, whatever wanted to run after a failure', () => new Execution(three({ a: failing('Abort'), c: 'when: { stageStatus: All }' })).start().does('s.a', 'failure'),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Failed', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a strategy of another error does not count', () => new Execution(three({ a: failing('Ignore', 'Timeout') })).start().does('s.a', 'failure'),
    { '': 'Failed', s: 'Failed', 's.a': 'Failed', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a strategy that names the error goes before one that takes all', () => new Execution(spelledOut, { inputs: { target: 'prod' } }).start().does('build.compile').does('lint.lint').does('ship.push', 'timeout').does('ship.note', 'failure').does('ship.cleanup'),
    { '': 'Failed', build: 'Success', lint: 'Success', ship: 'Failed', 'build.compile': 'Success', 'lint.lint': 'Success', 'ship.push': 'IgnoreFailed', 'ship.note': 'Failed', 'ship.cleanup': 'Success' }],
  ['the stage’s strategy holds for a step without one', () => new Execution(recover).start().does('build.hello').does('deploy.token', 'failure'),
    { '': 'Aborted', build: 'Success', deploy: 'Aborted', 'build.hello': 'Success', 'deploy.token': 'Failed' }],
  ['a stage whose condition is not met is skipped with its steps', () => new Execution(spelledOut, { inputs: { target: 'staging' } }).start().does('build.compile').does('lint.lint'),
    { '': 'Success', build: 'Success', lint: 'Success', ship: 'Skipped', 'build.compile': 'Success', 'lint.lint': 'Success', 'ship.push': 'Skipped', 'ship.note': 'Skipped', 'ship.cleanup': 'Skipped' }],
  ['a condition that is neither true nor false is a fault of its step', () => new Execution(three({ a: 'when: { condition: <+pipeline.name> }' })).start(),
    { '': 'Errored', s: 'Errored', 's.a': 'Errored', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a condition about something that has not run is not met', () => new Execution(three({ a: 'when: { condition: <+steps.c.status> }' })).start().does('s.b').does('s.c'),
    { '': 'Success', s: 'Success', 's.a': 'Skipped', 's.b': 'Success', 's.c': 'Success' }],
  ['a step that ran out of time is expired', () => new Execution(three()).start().does('s.a', 'timeout'),
    { '': 'Expired', s: 'Expired', 's.a': 'Expired', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a runner that stops a step by itself makes an error of it', () => new Execution(three()).start().does('s.a', 'cancelled'),
    { '': 'Errored', s: 'Errored', 's.a': 'Errored', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a lost attempt that had started is not run again', () => new Execution(three()).start().running('s.a').lost('s.a'),
    { '': 'Errored', s: 'Errored', 's.a': 'Errored', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a lost attempt that had not started is offered again and may succeed', () => new Execution(stageOf(run('a'))).start().leased('s.a').lost('s.a').running('s.a', 2).ends('s.a', 'success', [], 2),
    { '': 'Success', s: 'Success', 's.a': 'Success' }],
  ['it is offered again only so often', () => new Execution(stageOf(run('a'))).start().leased('s.a').lost('s.a').leased('s.a', 2).send({ type: 'runner_refused', stepUid: 's.a', attempt: 2, fence: 'f2', message: 'no bash' }).leased('s.a', 3).lost('s.a', 3),
    { '': 'Errored', s: 'Errored', 's.a': 'Errored' }],
  ['a refusal while it is prepared fails the step', () => new Execution(recover).start().does('build.hello').leased('deploy.token').send({ type: 'step_resolved_failed', stepUid: 'deploy.token', attempt: 1, code: 'mint.refused', message: 'no token' }),
    { '': 'Aborted', build: 'Success', deploy: 'Aborted', 'build.hello': 'Success', 'deploy.token': 'Failed' }],
  ['no runner in time: the step expires', () => new Execution(stageOf(run('a'))).start().offered('s.a').send({ type: 'timer_fired', timer: 'queue/s.a/1' }),
    { '': 'Expired', s: 'Expired', 's.a': 'Expired' }],
  ['abort before the start ends it at once', () => new Execution(three()).send({ type: 'abort_requested', by: 'user:alice' }),
    { '': 'Aborted', s: 'Skipped', 's.a': 'Skipped', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['abort takes back what waits', () => new Execution(three()).start().leased('s.a').send({ type: 'abort_requested', by: 'user:alice' }),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Aborted', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['abort waits for what runs', () => new Execution(three()).start().running('s.a').send({ type: 'abort_requested', by: 'user:alice' }),
    { '': 'Discontinuing', s: 'Discontinuing', 's.a': 'Discontinuing', 's.b': 'NotStarted', 's.c': 'NotStarted' }],
  ['abort ends when the runner has stopped it', () => new Execution(three()).start().running('s.a').send({ type: 'abort_requested', by: 'user:alice' }).ends('s.a', 'cancelled'),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Aborted', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['abort ends when the runner is lost', () => new Execution(three()).start().running('s.a').send({ type: 'abort_requested', by: 'user:alice' }).lost('s.a'),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Aborted', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a step that was done before it could be stopped is a success in an aborted execution', () => new Execution(three()).start().running('s.a').send({ type: 'abort_requested', by: 'user:alice' }).ends('s.a'),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Success', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a failure strategy does not turn an abort around', () => new Execution(three({ a: failing('MarkAsSuccess') })).start().running('s.a').send({ type: 'abort_requested', by: 'user:alice' }).ends('s.a', 'failure'),
    { '': 'Aborted', s: 'Aborted', 's.a': 'Aborted', 's.b': 'Skipped', 's.c': 'Skipped' }],
  ['a stage that takes too long is stopped, and its steps with it', () => new Execution(spelledOut, { inputs: { target: 'prod' } }).start().does('build.compile').does('lint.lint').running('ship.push').does('ship.note').send({ type: 'timer_fired', timer: 'stage/ship' }).ends('ship.push', 'cancelled'),
    { '': 'Expired', build: 'Success', lint: 'Success', ship: 'Expired', 'build.compile': 'Success', 'lint.lint': 'Success', 'ship.push': 'Expired', 'ship.note': 'Success', 'ship.cleanup': 'Skipped' }],
  ['a pipeline that takes too long is stopped', () => new Execution(spelledOut, { inputs: { target: 'prod' } }).start().running('build.compile').send({ type: 'timer_fired', timer: 'pipeline' }).ends('build.compile', 'cancelled'),
    { '': 'Expired', build: 'Expired', lint: 'Expired', ship: 'Skipped', 'build.compile': 'Expired', 'lint.lint': 'Expired', 'ship.push': 'Skipped', 'ship.note': 'Skipped', 'ship.cleanup': 'Skipped' }],
  ['parallel stages run beside each other and one failure does not stop the other', () => new Execution(spelledOut, { inputs: { target: 'prod' } }).start().running('build.compile').does('lint.lint', 'failure').ends('build.compile'),
    { '': 'Failed', build: 'Success', lint: 'Failed', ship: 'Skipped', 'build.compile': 'Success', 'lint.lint': 'Failed', 'ship.push': 'Skipped', 'ship.note': 'Skipped', 'ship.cleanup': 'Skipped' }],
];

for (const [name, execution, expected] of scenarios) {
  test(name, () => assert.deepEqual(execution().statuses(), expected));
}

test('a step is offered only when what it waits for has ended', () => {
  const execution = new Execution(spelledOut, { inputs: { target: 'prod' } }).start();
  assert.deepEqual(execution.offers(), ['build.compile#1', 'lint.lint#1']);
  execution.does('build.compile');
  assert.deepEqual(execution.offers().slice(2), []);
  execution.does('lint.lint');
  assert.deepEqual(execution.offers().slice(2), ['ship.push#1', 'ship.note#1']);
});

test('an offer comes with its time and with a timer for the queue; a stage and a pipeline with theirs', () => {
  const { commands } = new Execution(spelledOut, { inputs: { target: 'prod' } }).start().does('build.compile').does('lint.lint');
  assert.deepEqual(commands.find(({ type }) => type === 'offer_attempt'), { type: 'offer_attempt', stepUid: 'build.compile', attempt: 1, timeoutMs: 5_400_000, runnerLabels: [] });
  assert.deepEqual(commands.filter(({ type }) => type === 'set_timer'), [
    { type: 'set_timer', timer: 'pipeline', afterMs: 7_200_000 },
    { type: 'set_timer', timer: 'queue/build.compile/1', afterMs: 60_000 },
    { type: 'set_timer', timer: 'queue/lint.lint/1', afterMs: 60_000 },
    { type: 'set_timer', timer: 'stage/ship', afterMs: 86_400_000 },
    { type: 'set_timer', timer: 'queue/ship.push/1', afterMs: 60_000 },
    { type: 'set_timer', timer: 'queue/ship.note/1', afterMs: 60_000 },
  ]);
});

test('the end is said once, with its reason, and audited', () => {
  const { commands } = new Execution(three()).start().does('s.a', 'failure').send({ type: 'abort_requested', by: 'user:alice' });
  assert.deepEqual(commands.filter(({ type }) => type === 'end_execution' || type === 'audit'), [
    { type: 'end_execution', status: 'Failed', reason: { code: 'step.failure', message: 'the script failed' } },
    { type: 'audit', action: 'execution.end', outcome: 'failure', stepUid: null, detail: { status: 'Failed' } },
  ]);
});

test('abort cancels what runs under its fence and takes back what waits', () => {
  const execution = new Execution(spelledOut, { inputs: { target: 'prod' } }).start().running('build.compile').leased('lint.lint');
  execution.commands.length = 0;
  execution.send({ type: 'abort_requested', by: 'user:alice' });
  assert.deepEqual(execution.commands, [
    { type: 'cancel_attempt', stepUid: 'build.compile', attempt: 1, fence: 'f1', started: true },
    { type: 'cancel_attempt', stepUid: 'lint.lint', attempt: 1, fence: 'f1', started: false },
  ]);
});

const unfitting: readonly [name: string, before: (execution: Execution) => Execution, event: Loose, reason: RegExp][] = [
  ['a second start', (e) => e.start(), { type: 'execution_started' }, /has started/],
  ['a step the plan does not have', (e) => e.start(), { type: 'attempt_offered', stepUid: 's.zzz', attempt: 1 }, /no such step/],
  ['a step called __proto__', (e) => e.start(), { type: 'attempt_offered', stepUid: '__proto__', attempt: 1 }, /no such step/],
  ['an attempt nobody asked for', (e) => e.start(), { type: 'attempt_offered', stepUid: 's.a', attempt: 2 }, /no such attempt yet/],
  ['a lease before the offer', (e) => e.start(), { type: 'attempt_leased', stepUid: 's.a', attempt: 1, runner: 'r', fence: 'f1', leaseUntilMs: 1, taint: { secrets: [], untrusted: false } }, /is wanted/],
  ['a second lease', (e) => e.start().leased('s.a'), { type: 'attempt_leased', stepUid: 's.a', attempt: 1, runner: 'r2', fence: 'f9', leaseUntilMs: 1, taint: { secrets: [], untrusted: false } }, /is leased/],
  ['a start under a stale fence', (e) => e.start().leased('s.a'), { type: 'attempt_started', stepUid: 's.a', attempt: 1, fence: 'f0' }, /fence is stale/],
  ['a second start of an attempt', (e) => e.start().running('s.a'), { type: 'attempt_started', stepUid: 's.a', attempt: 1, fence: 'f1' }, /is started/],
  ['a start of what was taken back', (e) => e.start().running('s.a').ends('s.a').leased('s.b').send({ type: 'step_resolved_failed', stepUid: 's.b', attempt: 1, code: 'expression.invalid', message: 'x' }), { type: 'attempt_started', stepUid: 's.b', attempt: 1, fence: 'f1' }, /is withdrawn/],
  ['an end without a start', (e) => e.start().leased('s.a'), { type: 'attempt_ended', stepUid: 's.a', attempt: 1, fence: 'f1', exit: 'success', outputs: [] }, /is leased/],
  ['a late word of an attempt that was offered again', (e) => e.start().leased('s.a').lost('s.a').running('s.a', 2), { type: 'attempt_ended', stepUid: 's.a', attempt: 1, fence: 'f1', exit: 'success', outputs: [] }, /newer attempt/],
  ['a refusal of what has started', (e) => e.start().running('s.a'), { type: 'runner_refused', stepUid: 's.a', attempt: 1, fence: 'f1', message: 'x' }, /is started/],
  ['a queue that ran out for a leased attempt', (e) => e.start().leased('s.a'), { type: 'timer_fired', timer: 'queue/s.a/1' }, /is leased/],
  ['a timer of an earlier attempt', (e) => e.start().leased('s.a').lost('s.a'), { type: 'timer_fired', timer: 'queue/s.a/1' }, /no such attempt/],
  ['a timer nobody set', (e) => e.start(), { type: 'timer_fired', timer: 'stage/../../x' }, /nothing to stop/],
  ['a timer with a made-up name', (e) => e.start(), { type: 'timer_fired', timer: 'constructor' }, /no such timer/],
  ['a second abort', (e) => e.start().running('s.a').send({ type: 'abort_requested', by: 'x' }), { type: 'abort_requested', by: 'y' }, /being aborted/],
  ['anything after the end', (e) => e.start().does('s.a', 'failure').does('s.c'), { type: 'abort_requested', by: 'y' }, /has ended/],
];

for (const [name, before, event, reason] of unfitting) {
  test(`ignored with a reason: ${name}`, () => {
    const execution = before(new Execution(three({ c: 'when: { stageStatus: All }' })));
    const state = execution.state;
    const commands = execution.commands.length;
    execution.send(event);
    assert.match(execution.ignored ?? 'it was done', reason);
    assert.equal(execution.state, state);
    assert.equal(execution.commands.length, commands);
  });
}

const producing = stageOf('- step: { identifier: a, type: Run, spec: { command: x, outputVariables: [ { name: X }, { name: T, type: Secret } ] } }\n' + run('b'));
const text = (name: string, more: object = {}): unknown => ({ name, value: { text: 'v' }, secrets: [], untrusted: false, ...more });

test('outputs are kept as declared: unknown names, repetitions and open secrets are dropped', () => {
  const { state } = new Execution(producing).start().does('s.a', 'success', [
    text('X'), text('X', { value: { text: 'again' } }), text('Y'), text('__proto__'), text('T'),
  ]);
  assert.deepEqual(state.steps[0]!.outputs, [text('X')]);
});

test('an output inherits what was delivered to its step, and distrust of the whole run', () => {
  const taint = { secrets: ['sec-1'], untrusted: true };
  const delivered = new Execution(producing).start().running('s.a', 1, taint).ends('s.a', 'success', [text('X', { secrets: ['sec-2'] })]);
  assert.deepEqual(delivered.state.steps[0]!.outputs, [text('X', { secrets: ['sec-2', 'sec-1'], untrusted: true })]);
  const outside = new Execution(producing, { untrusted: true }).start().does('s.a', 'success', [text('X')]);
  assert.deepEqual(outside.state.steps[0]!.outputs, [text('X', { untrusted: true })]);
});

test('a state is JSON and deciding does not change the one before', () => {
  const execution = new Execution(spelledOut, { inputs: { target: 'prod' } }).start().running('build.compile');
  const before = execution.state;
  const copy = JSON.stringify(before);
  execution.ends('build.compile').does('lint.lint');
  assert.equal(JSON.stringify(before), copy);
  assert.deepEqual(JSON.parse(JSON.stringify(execution.state)), execution.state);
});

test('hostile: a hundred conditions that each search a long output are not all answered for one event', () => {
  const search = `[${Array.from({ length: 60 }, () => "steps.a.output.outputVariables.X.contains('yyyyyq')").join(', ')}].size() == 60`;
  const beside = Array.from({ length: 100 }, (_, i) => `      - step: { identifier: b${i}, type: Run, spec: { command: x }, when: { condition: "${search}" } }\n`).join('');
  const { state } = new Execution(stageOf(`- step: { identifier: a, type: Run, spec: { command: x, outputVariables: [ { name: X } ] } }\n- parallel:\n${beside}`))
    .start().does('s.a', 'success', [text('X', { value: { text: 'y'.repeat(60_000) } })]);
  const codes = state.steps.slice(1).map(({ status, reason }) => reason?.code ?? status);
  const limit = codes.indexOf('expression.limit');
  assert.ok(limit > 0, `all were answered: ${codes[0]}`);
  assert.deepEqual([new Set(codes.slice(0, limit)), new Set(codes.slice(limit + 1))], [new Set(['Queued']), new Set(['skipped'])]);
});
