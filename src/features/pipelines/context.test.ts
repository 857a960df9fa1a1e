import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functions, planOf, record, recover, run, spelledOut, stageOf } from '#test/pipelines/documents.ts';
import { contextOf } from './context.ts';
import { executionFacts } from './facts.ts';
import { compileField, evaluate } from './language.ts';
import type { Value } from './language.ts';
import { initialState, sealedOutput } from './state.ts';
import type { OutputState, State } from './state.ts';

const state = stateWith(spelledOut, { target: 'prod' }, {
  'build.compile': [
    { name: 'DIGEST', value: { text: 'sha256:1' }, secrets: ['sec-1'], untrusted: true },
    { name: 'PUSH_TOKEN', value: { sealed: 'blob-1' }, secrets: ['sec-2'], untrusted: false },
  ],
}, ['ship']);

/** A state in which these steps have succeeded with these outputs and these stages run. */
function stateWith(text: string, inputs: Record<string, unknown>, outputs: Record<string, OutputState[]>, running: string[] = []): State {
  const plan = planOf(text, inputs);
  const base = initialState(plan, {
    ...record,
    environments: record.environments.map((one) => ({ ...one, reference: 'prod' })),
    services: [{ reference: 'org.web', identifier: 'web', uid: 'svc-uid', name: null }],
  });
  return {
    ...base,
    status: 'Running',
    stages: base.stages.map((stage) => ({ ...stage, status: running.includes(stage.uid) ? 'Running' : 'Success' })),
    steps: base.steps.map((step) => (Object.hasOwn(outputs, step.uid) ? { ...step, status: 'Success', outputs: outputs[step.uid]! } : step)),
  };
}

function read(text: string, stepUid = 'ship.push', from = state): Value {
  const context = contextOf({ state: from, functions, stageUid: stepUid.split('.')[0]!, stepUid });
  const outcome = evaluate(compileField(text, functions), { context, sink: 'environment' });
  assert.ok(outcome.kind === 'value');
  return outcome.value;
}

const known: readonly [text: string, data: unknown, taint?: { secrets?: string[]; untrusted?: true }][] = [
  ['<+pipeline.name>', 'Nightly'],
  ['<+pipeline.identifier>', 'recover'],
  ['<+pipeline.executionId>', 'exec-1'],
  ['<+pipeline.sequenceId>', 7],
  ['<+pipeline.triggerType>', 'MANUAL'],
  ['<+pipeline.triggeredBy.type>', 'workload'],
  ['<+pipeline.triggeredBy.name>', 'app $(id)', { untrusted: true }],
  ['<+pipeline.triggeredBy.email>', null, { untrusted: true }],
  ['<+pipeline.variables.target>', 'prod', { untrusted: true }],
  ['<+pipeline.variables.greeting>', 'hello prod', { untrusted: true }],
  ['<+pipeline.variables.retries>', 3],
  ['<+input.target>', 'prod', { untrusted: true }],
  ['<+stage.identifier>', 'ship'],
  ['<+stage.type>', 'Deployment'],
  ['<+stage.variables.region>', 'eu'],
  ['<+pipeline.stages.ship.variables.region>', 'eu'],
  ['<+step.identifier>', 'push'],
  ['<+step.type>', 'ShellScript'],
  ['<+account.identifier>', 'default'],
  ['<+org.name> <+org.identifier>', 'Payments payments'],
  ['<+project.identifier>', 'checkout'],
  ['<+env.name> <+env.identifier> <+env.type>', 'Production prod Production'],
  ['<+service.name> <+service.identifier>', 'web web'],
  ['<+pipeline.stages.build.status>', 'Success'],
  ['<+pipeline.stages.build.spec.execution.steps.compile.status>', 'Success'],
  ['<+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.DIGEST>', 'sha256:1', { secrets: ['sec-1'], untrusted: true }],
  ['<+steps.push.output.outputVariables.url>', null],
  ['<+execution.steps.push.status>', null],
  ['<+stage.spec.execution.steps.note.identifier>', 'note'],
];

for (const [text, data, taint] of known) {
  test(`${text} is ${JSON.stringify(data)}${taint === undefined ? '' : `, tainted ${JSON.stringify(taint)}`}`, () => {
    const value = read(text);
    assert.deepEqual([value.data, [...value.secrets], value.untrusted], [data, taint?.secrets ?? [], taint?.untrusted ?? false]);
  });
}

const refused: readonly [text: string, code: string, message: RegExp, from?: State][] = [
  ['<+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.PUSH_TOKEN + "">', 'expression.forbidden', /is a secret; only an environment variable of a step/],
  ['<+pipeline.variables.password + "">', 'expression.forbidden', /holds a secret/],
  ['<+pipeline.variables>', 'expression.unresolved', /name one variable/],
  ['<+stage.variables>', 'expression.unresolved', /name one variable/],
  ['<+pipeline.variables.tagret>', 'expression.unresolved', /did you mean `pipeline.variables.target`/],
  ['<+input>', 'expression.forbidden', /must be the whole value/],
  ['<+pipeline.__proto__>', 'expression.unresolved', /does not exist/],
  ['<+steps.constructor>', 'expression.unresolved', /does not exist/],
  ['<+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.DIGEST>', 'expression.forbidden', /turned out to hold a secret; declare it with `type: Secret`/,
    stateWith(spelledOut, { target: 'prod' }, { 'build.compile': [{ name: 'DIGEST', value: { sealed: 'blob' }, secrets: ['s'], untrusted: false }] }, ['ship'])],
];

for (const [text, code, message, from] of refused) {
  test(`${text} is refused${from === undefined ? '' : ' when its value came sealed'}`, () => {
    assert.throws(() => read(text, 'ship.push', from), (error: { code?: string; say?: string }) => error.code === code && message.test(error.say ?? ''));
  });
}

test('a step of another stage is not among `steps`', () => {
  assert.throws(() => read('<+steps.compile.status>'), /does not exist/);
  assert.throws(() => read('<+env.name>', 'build.compile'), /does not exist/);
});

test('a number that is computed is a number, and refused when it is none', () => {
  const text = (value: string): string => stageOf(run('a'), `  variables: [ { name: n, type: Number, value: '${value}' }, { name: m, type: Number, value: <+pipeline.variables.n> } ]\n`);
  assert.equal(read('<+pipeline.variables.m>', 's.a', stateWith(text('<+1 + 1>'), {}, {})).data, 2);
  assert.throws(() => read('<+pipeline.variables.m>', 's.a', stateWith(text('<+"x">'), {}, {})), /gave none/);
});

test('one fault in a variable does not make the next reading fail', () => {
  const from = stateWith(stageOf(run('a'), '  variables: [ { name: bad, type: Number, value: <+"x"> }, { name: good, type: String, value: y } ]\n'), {}, {});
  const context = contextOf({ state: from, functions, stageUid: 's', stepUid: 's.a' });
  for (let i = 0; i < 2; i++) assert.throws(() => context.lookup(['pipeline', 'variables', 'bad']), /gave none/);
  assert.deepEqual((context.lookup(['pipeline', 'variables', 'good']) as { found: Value }).found.data, 'y');
});

test('a sealed output is found for the resolver, an open one is not', () => {
  assert.deepEqual(sealedOutput(state, 'build.compile', 'PUSH_TOKEN'), { ref: 'blob-1', secrets: ['sec-2'], untrusted: false });
  assert.equal(sealedOutput(state, 'build.compile', 'DIGEST'), null);
  assert.equal(sealedOutput(state, 'build.nothing', 'X'), null);
});

const named = { account: record.account, organization: record.organization, project: record.project };

test('facts of a build step know no environment and no service', () => {
  assert.deepEqual(executionFacts({ plan: planOf(recover), record }, { stepUid: 'build.hello' }), {
    ...named,
    pipeline: { identifier: 'recover', uid: 'ppl-uid', name: 'recover' },
    executionId: 'exec-1',
    stage: { identifier: 'build', type: 'CI' },
    step: { identifier: 'hello', type: 'Run' },
    environment: null,
    service: null,
    trigger: { type: 'MANUAL' },
    triggeredBy: record.triggeredBy,
    origin: record.origin,
  });
});

test('facts of a deployment step name its environment with type and its service', () => {
  const facts = executionFacts({ plan: planOf(recover), record }, { stepUid: 'deploy.token' });
  assert.deepEqual(facts.environment, { identifier: 'prod', uid: 'env-uid', name: 'Production', type: 'Production' });
  assert.deepEqual(facts.service, { identifier: 'web', uid: 'svc-uid', name: null });
});

test('facts outside a step and outside a stage say so', () => {
  const plan = planOf(recover);
  const stage = executionFacts({ plan, record }, { stageUid: 'deploy' });
  assert.deepEqual([stage.stage?.identifier, stage.step, stage.environment?.identifier], ['deploy', null, 'prod']);
  const whole = executionFacts({ plan, record }, null);
  assert.deepEqual([whole.stage, whole.step, whole.environment, whole.service], [null, null, null, null]);
});

test('a record that does not resolve what its plan names is a defect, never a null claim', () => {
  assert.throws(() => executionFacts({ plan: planOf(recover), record: { ...record, environments: [] } }, { stepUid: 'deploy.token' }), /defect/);
  assert.throws(() => executionFacts({ plan: planOf(recover), record }, { stepUid: 'deploy.nothing' }), /defect/);
});
