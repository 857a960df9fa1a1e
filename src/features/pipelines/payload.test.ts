import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliver } from '#features/expressions/language.ts';
import { functions, planOf, record, recover, spelledOut, stageOf } from '#test/pipelines/documents.ts';
import { valueOf } from './language.ts';
import { prepareStep, taintOf } from './payload.ts';
import type { StepPayload } from './payload.ts';
import { initialState } from './state.ts';
import type { OutputState, State } from './state.ts';

function stateOf(text: string, inputs: Record<string, unknown> = {}, outputs: Record<string, OutputState[]> = {}): State {
  const base = initialState(planOf(text, inputs), { ...record, services: [...record.services, { reference: 'org.web', identifier: 'web', uid: 'u', name: null }] });
  return { ...base, steps: base.steps.map((step) => (Object.hasOwn(outputs, step.uid) ? { ...step, status: 'Success', outputs: outputs[step.uid]! } : step)) };
}

const digest: OutputState = { name: 'DIGEST', value: { text: 'sha256:1' }, secrets: ['sec-1'], untrusted: false };

/** Values of the environment as a runner would see them; what is to be delivered in angle quotes. */
function seen(payload: StepPayload): Record<string, unknown> {
  return Object.fromEntries(Object.entries(payload.environment).map(([name, outcome]) => [
    name, outcome.kind === 'value' ? outcome.value.data : `«${outcome.residual.needs.map((need) => `${need.function}(${need.args.join(', ')})`).join(' ')}»`,
  ]));
}

test('the step of the manifest reference gets its script and one token to deliver', () => {
  const payload = prepareStep({ state: stateOf(recover), stepUid: 'deploy.token', functions });
  assert.deepEqual([payload.script, payload.shell, payload.timeoutMs, payload.outputVariables], ['./deploy.sh', 'Bash', 600_000, []]);
  assert.deepEqual(seen(payload), { TOKEN: '«secrets.getJWT(account.partner)»' });
  assert.deepEqual(payload.needs.map((need) => [need.function, need.args]), [['secrets.getJWT', ['account.partner']]]);
  assert.deepEqual(payload.taint, { secrets: [], untrusted: false });
});

test('values are text, secrets are left to deliver, and the taints of what is known are told', () => {
  const state = stateOf(spelledOut, { target: 'prod' }, { 'build.compile': [digest] });
  const push = prepareStep({ state, stepUid: 'ship.push', functions });
  assert.deepEqual(seen(push), {
    DIGEST: 'sha256:1', TOKEN: '«outputs.getSecret(build.compile, PUSH_TOKEN)»', PASSWORD: '«secrets.getValue(org.db_password)»', KEY: '«secrets.getValue(account.key)»',
  });
  assert.deepEqual(push.taint, { secrets: ['sec-1'], untrusted: false });
  assert.deepEqual(push.outputVariables, [{ name: 'url', from: 'URL', secret: false }]);
  const compile = prepareStep({ state, stepUid: 'build.compile', functions });
  assert.deepEqual(seen(compile), { TARGET: 'prod', JOBS: '4', VERBOSE: 'true' });
  assert.deepEqual(compile.taint, { secrets: [], untrusted: true });
  assert.equal(prepareStep({ state, stepUid: 'ship.note', functions }).script, 'echo eu Production');
});

test('what is left is finished by delivery, text around it included', async () => {
  const { environment } = prepareStep({ state: stateOf(spelledOut, { target: 'prod' }), stepUid: 'ship.push', functions });
  const token = environment['TOKEN']!;
  assert.ok(token.kind === 'residual');
  const stored = JSON.parse(JSON.stringify(token.residual)) as typeof token.residual;
  const value = await deliver(stored, {
    functions, resolve: ({ function: name, args }) => Promise.resolve(valueOf(`${name}:${args.join('/')}`, { secrets: new Set(['sec-9']), untrusted: false })),
  });
  assert.equal(value.data, 'Bearer outputs.getSecret:build.compile/PUSH_TOKEN');
  assert.deepEqual(taintOf([value, { secrets: ['sec-1'], untrusted: true }]), { secrets: ['sec-9', 'sec-1'], untrusted: true });
});

const withStep = (script: string, env: string): string => stageOf(`
- step: { identifier: a, type: Run, spec: { command: x, outputVariables: [ { name: X } ] } }
- step: { identifier: b, type: Run, spec: { command: ${JSON.stringify(script)}, envVariables: { ${env} } } }
`, '  variables: [ { name: branch, type: String, value: <+input>.default("main") } ]\n');

const outside: OutputState = { name: 'X', value: { text: '$(rm -rf /)' }, secrets: [], untrusted: true };
const secret: OutputState = { name: 'X', value: { text: 'digest' }, secrets: ['sec-1'], untrusted: false };
const clean: OutputState = { name: 'X', value: { text: 'digest' }, secrets: [], untrusted: false };
const x = '<+steps.a.output.outputVariables.X>';
const at = '/pipeline/stages/0/stage/spec/execution/steps/1/step/spec';

const refusals: readonly [name: string, script: string, env: string, output: OutputState, pointer: string, message: RegExp][] = [
  ['an untrusted output in a script', `deploy ${x}`, '', outside, `${at}/command`, /a value from outside may not become part of a script; set it as an environment variable of the step/],
  ['a secret output in a script', `deploy ${x}`, '', secret, `${at}/command`, /derives from a secret may not become part of a script/],
  ['an untrusted output that names a secret', 'x', `V: '<+secrets.getValue(${x})>'`, outside, `${at}/envVariables/V`, /a value from outside may not name what/],
  ['an untrusted output as search path', 'x', `PATH: ${x}`, outside, `${at}/envVariables/PATH`, /may not be `PATH`/],
  ['an untrusted output as start-up file of the shell', 'x', `BASH_ENV: ${x}`, outside, `${at}/envVariables/BASH_ENV`, /may not be `BASH_ENV`/],
  ['an untrusted output as preloaded library', 'x', `LD_PRELOAD: ${x}`, outside, `${at}/envVariables/LD_PRELOAD`, /may not be `LD_PRELOAD`/],
  ['a zero byte', 'x', `V: ${x}`, { ...clean, value: { text: 'a\0b' } }, `${at}/envVariables/V`, /zero byte/],
];

for (const [name, script, env, output, pointer, message] of refusals) {
  test(`refused, with the place in the pipeline: ${name}`, () => {
    const state = stateOf(withStep(script, env), {}, { 's.a': [output] });
    assert.throws(() => prepareStep({ state, stepUid: 's.b', functions }), (error: { errors?: { pointer: string; message: string }[] }) => {
      assert.equal(error.errors?.[0]?.pointer, pointer);
      assert.match(error.errors[0].message, message);
      return true;
    });
  });
}

test('an untrusted output may be any variable that no program obeys', () => {
  const env = `GIT_BRANCH: ${x}, NODE_ENV: ${x}, DEPLOY_OPTIONS: ${x}`;
  const payload = prepareStep({ state: stateOf(withStep('x', env), {}, { 's.a': [outside] }), stepUid: 's.b', functions });
  assert.deepEqual(Object.keys(seen(payload)), ['GIT_BRANCH', 'NODE_ENV', 'DEPLOY_OPTIONS']);
});

test('an untrusted output travels as an environment variable, to the letter', () => {
  const payload = prepareStep({ state: stateOf(withStep('deploy "$V"', `V: ${x}`), {}, { 's.a': [outside] }), stepUid: 's.b', functions });
  assert.deepEqual([payload.script, seen(payload), payload.taint.untrusted], ['deploy "$V"', { V: '$(rm -rf /)' }, true]);
});

test('a trusted output may become script text and name a secret', () => {
  const state = stateOf(withStep(`deploy ${x}`, `V: '<+secrets.getValue(${x})>'`), {}, { 's.a': [clean] });
  const payload = prepareStep({ state, stepUid: 's.b', functions });
  assert.equal(payload.script, 'deploy digest');
  assert.deepEqual(payload.needs.map(({ args }) => args), [['digest']]);
});

test('an output that is not there is an empty variable', () => {
  assert.deepEqual(seen(prepareStep({ state: stateOf(withStep('x', `V: ${x}`)), stepUid: 's.b', functions })), { V: '' });
});

test('environment variables with names every object has are only names', () => {
  const payload = prepareStep({ state: stateOf(withStep('x', 'constructor: a, toString: b')), stepUid: 's.b', functions });
  assert.deepEqual(seen(payload), { constructor: 'a', toString: 'b' });
});
