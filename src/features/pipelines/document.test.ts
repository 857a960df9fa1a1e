import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSpec } from './read.ts';
import { manifestFaults } from './rules.ts';
import { recover, run, spelledOut, stageOf, yaml } from '#test/pipelines/documents.ts';

function faults(text: string): Map<string, string> {
  const read = readSpec(yaml(text));
  return new Map('errors' in read ? read.errors.map(({ pointer, message }) => [pointer, message]) : []);
}

const step = '/pipeline/stages/0/stage/spec/execution/steps/0/step';

for (const [name, text] of [['the pipeline of the manifest reference', recover], ['a file as editors write it', spelledOut]] as const) {
  test(`${name} fits the schema`, () => assert.deepEqual(faults(text), new Map()));
}

const refused: readonly [name: string, text: string, pointer: string, message: RegExp][] = [
  ['a matrix is not supported yet', stageOf(run('a', 'x', 'strategy: { matrix: { os: [a, b] } }')), `${step}/strategy`, /^`strategy` is not supported yet$/],
  ['a step group', stageOf('- stepGroup: { identifier: g, steps: [] }'), '/pipeline/stages/0/stage/spec/execution/steps/0/stepGroup', /^`stepGroup` is not supported yet$/],
  ['rollback steps with content', stageOf(run('a')).replace('            steps:', `            rollbackSteps: [ { step: {} } ]\n            steps:`), '/pipeline/stages/0/stage/spec/execution/rollbackSteps', /^`rollbackSteps` is not supported yet$/],
  ['an image on a Run step', stageOf('- step: { identifier: a, type: Run, spec: { command: x, image: alpine } }'), `${step}/spec/image`, /^`image` is not supported yet$/],
  ['a connector on a Run step', stageOf('- step: { identifier: a, type: Run, spec: { command: x, connectorRef: dh } }'), `${step}/spec/connectorRef`, /^`connectorRef` is not supported yet$/],
  ['a delegate selector that no runner can have', stageOf(run('a', 'x', "delegateSelectors: ['<+input>']")), `${step}/delegateSelectors/0`, /^must be at most 64 letters/],
  ['an approval step', stageOf('- step: { identifier: a, type: HarnessApproval, spec: {} }'), `${step}/type`, /^step type `HarnessApproval` is not supported yet; use `Run` or `ShellScript`$/],
  ['an approval stage', 'pipeline: { stages: [ { stage: { identifier: a, type: Approval, spec: {} } } ] }', '/pipeline/stages/0/stage/type', /^stage type `Approval` is not supported yet/],
  ['codebase properties', stageOf(run('a'), '  properties: { ci: {} }\n'), '/pipeline/properties', /^`properties` is not supported yet$/],
  ['a policy set on a step', stageOf(run('a', 'x', 'enforce: { policySets: [] }')), `${step}/enforce`, /^`enforce` is not supported yet$/],
  ['retry as failure action', stageOf(run('a', 'x', 'failureStrategies: [ { onFailure: { errors: [AllErrors], action: { type: Retry } } } ]')), `${step}/failureStrategies/0/onFailure/action/type`, /^failure action `Retry` is not supported yet; use `Abort`, /],
  ['another shell', stageOf('- step: { identifier: a, type: Run, spec: { shell: Pwsh, command: x } }'), `${step}/spec/shell`, /^shell `Pwsh` is not supported yet/],
  ['a clone of the codebase', stageOf(run('a')).replace('spec:\n          execution', 'spec:\n          cloneCodebase: true\n          execution'), '/pipeline/stages/0/stage/spec/cloneCodebase', /^`cloneCodebase` is supported only as `false`$/],
  ['a script from the file store', stageOf('- step: { identifier: a, type: ShellScript, spec: { shell: Bash, source: { type: Harness, spec: { script: x } } } }'), `${step}/spec/source/type`, /^script source `Harness` is not supported yet/],
  ['an infrastructure definition', recover.replace('environmentRef: prod', 'environmentRef: prod, infrastructureDefinitions: [ { identifier: k8s } ]'), '/pipeline/stages/1/stage/spec/environment/infrastructureDefinitions', /^`infrastructureDefinitions` is not supported yet$/],
  ['a misspelt field', stageOf(run('a', 'x', 'timeuot: 1m')), `${step}/timeuot`, /^unknown field `timeuot`; did you mean `timeout`\?$/],
  ['a misspelt step type', stageOf('- step: { identifier: a, type: run, spec: { command: x } }'), `${step}/type`, /^unknown step type `run`; did you mean `Run`\?$/],
  ['a made-up step type', stageOf('- step: { identifier: a, type: Teleport, spec: {} }'), `${step}/type`, /^unknown step type `Teleport`; use `Run` or `ShellScript`$/],
  ['a step without a type', stageOf('- step: { identifier: a, spec: {} }'), `${step}/type`, /^step type is missing; use/],
  ['a Deployment stage without failure strategies', recover.replace(/ {8}failureStrategies.*\n/, ''), '/pipeline/stages/1/stage/failureStrategies', /^is required$/],
  ['a Run step without a command', stageOf('- step: { identifier: a, type: Run, spec: {} }'), `${step}/spec/command`, /^is required$/],
  ['an identifier with a hyphen', stageOf(run('a-b')), `${step}/identifier`, /^must be an identifier/],
  ['a pipeline without stages', 'pipeline: { stages: [] }', '/pipeline/stages', /^must have at least one stage$/],
  ['an entry that is nothing', 'pipeline: { stages: [ {} ] }', '/pipeline/stages/0', /^must be `stage` or `parallel`, one of them$/],
  ['no pipeline at all', 'stages: []', '/pipeline', /^is required$/],
  ['a text in place of the stages', 'pipeline: { stages: none }', '/pipeline/stages', /^must be a list$/],
  ['a duration that is none', stageOf(run('a', 'x', 'timeout: soon')), `${step}/timeout`, /^must be a duration/],
  ['a duration of nothing', stageOf(run('a', 'x', 'timeout: 0s')), `${step}/timeout`, /^must be a duration/],
  ['a fraction as variable of the environment', stageOf('- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: 1.10 } } }'), `${step}/spec/envVariables/V`, /quote anything else$/],
  ['a script beyond the limit', stageOf(run('a', 'x'.repeat(256 * 1024 + 1))), `${step}/spec/command`, /^must have at most 262144 bytes$/],
  ['a reference that is none', recover.replace('serviceRef: web', 'serviceRef: a.b.c'), '/pipeline/stages/1/stage/spec/service/serviceRef', /^must be a reference/],
  ['a reserved name of a variable', stageOf(run('a'), '  variables: [ { name: var, type: String, value: x } ]\n'), '/pipeline/variables/0/name', /`var` is reserved$/],
];

for (const [name, text, pointer, message] of refused) {
  test(`refused by name and place: ${name}`, () => {
    const found = faults(text);
    assert.match(found.get(pointer) ?? `nothing at ${pointer}, but ${JSON.stringify([...found])}`, message);
  });
}

test('every fault of a file is reported, not only the first', () => {
  const found = faults(stageOf(run('a', 'x', 'strategy: {}, timeuot: 1m, tiem: 2') + run('b-c')));
  assert.deepEqual([...found.keys()].sort(), [`${step}/strategy`, `${step}/tiem`, `${step}/timeuot`, step.replace('/0/step', '/1/step/identifier')].sort());
});

test('suggestions come as a field of their own', () => {
  const read = readSpec(yaml(stageOf(run('a', 'x', 'timeuot: 1m'))));
  assert.deepEqual('errors' in read && read.errors.map(({ suggestion }) => suggestion), ['timeout']);
  const word = readSpec(yaml(stageOf('- step: { identifier: a, type: run, spec: { command: x } }')));
  assert.deepEqual('errors' in word && word.errors.map(({ suggestion }) => suggestion), ['Run']);
});

const rules: readonly [name: string, text: string, pointer: string, message: RegExp][] = [
  ['two stages with one identifier', recover.replace('identifier: deploy', 'identifier: build'), '/pipeline/stages/1/stage/identifier', /another stage called `build`/],
  ['two steps with one identifier', stageOf(run('a') + run('a')), '/pipeline/stages/0/stage/spec/execution/steps/1/step/identifier', /another step called `a`/],
  ['two variables with one name', stageOf(run('a'), '  variables: [ { name: x, type: String }, { name: x, type: Number } ]\n'), '/pipeline/variables/1/name', /another variable called `x`/],
  ['two outputs with one name', stageOf('- step: { identifier: a, type: Run, spec: { command: x, outputVariables: [ { name: X }, { name: X } ] } }'), `${step}/spec/outputVariables/1/name`, /another output variable/],
  ['a parallel group without members', stageOf(`- parallel: []\n${run('a')}`), '/pipeline/stages/0/stage/spec/execution/steps/0/parallel', /at least one entry/],
  ['a dot in the name of a ShellScript step', spelledOut.replace('identifier: push\n', 'identifier: push\n                      name: a.b\n'), '/pipeline/stages/1/stage/spec/execution/steps/0/parallel/0/step/name', /may not contain a dot/],
  ['a deployment to nowhere', recover.replace(/ +environment: .*\n/, ''), '/pipeline/stages/1/stage/spec/environment', /required in a `Deployment` stage/],
  ['an identifier that is not the manifest’s', stageOf(run('a'), '  identifier: other\n'), '/pipeline/identifier', /says `other`, the manifest says `nightly`/],
  ['a project that is not the manifest’s', stageOf(run('a'), '  projectIdentifier: other\n'), '/pipeline/projectIdentifier', /says `other`, the manifest says `checkout`/],
  ['tags that are not the manifest’s', stageOf(run('a'), '  tags: { team: x }\n'), '/pipeline/tags', /which are what access conditions read/],
  ['more steps than are run', stageOf(Array.from({ length: 11 }, (_, i) => `- parallel: [ ${Array.from({ length: 20 }, (_, j) => `{ step: { identifier: s${i}_${j}, type: Run, spec: { command: x } } }`).join(', ')} ]\n`).join('')), '/pipeline/stages', /has 220 steps in all; at most 200 are run/],
];

for (const [name, text, pointer, message] of rules) {
  test(`refused at save: ${name}`, () => {
    const read = readSpec(yaml(text));
    assert.ok('spec' in read, JSON.stringify(read));
    const found = manifestFaults({ scope: 'payments/checkout', identifier: 'nightly', tags: { team: 'web', flag: '' }, spec: read.spec });
    assert.match(found.find((fault) => fault.pointer === pointer)?.message ?? `nothing there, but ${JSON.stringify(found)}`, message);
  });
}

test('what a file repeats of its manifest is fine when it agrees', () => {
  const read = readSpec(yaml(spelledOut));
  assert.ok('spec' in read);
  assert.deepEqual(manifestFaults({ scope: 'payments/checkout', identifier: 'nightly', tags: { flag: '', team: 'web' }, spec: read.spec }), []);
});

const hostile: readonly [name: string, document: () => unknown, pointer: RegExp, message: RegExp][] = [
  ['a document nested ten thousand deep', () => { let at: unknown = {}; for (let i = 0; i < 10_000; i++) at = { pipeline: at }; return at; }, /^\/pipeline/, /deeper than 32/],
  ['a document of a million fields', () => ({ pipeline: { stages: Array.from({ length: 1_000_000 }, () => 0) } }), /^$/, /more than 50000 fields/],
  ['a map with the key __proto__', () => JSON.parse('{"pipeline":{"stages":[],"tags":{"__proto__":{"polluted":"yes"}}}}'), /\/tags\/__proto__$/, /cannot be used/],
  ['an environment with the key __proto__', () => JSON.parse('{"pipeline":{"stages":[{"stage":{"spec":{"execution":{"steps":[{"step":{"spec":{"envVariables":{"__proto__":"x"}}}}]}}}}]}}'), /__proto__$/, /cannot be used/],
  ['a list where the document should be', () => [], /^$/, /must be a map/],
  ['nothing', () => null, /^$/, /must be a map/],
  ['ten thousand unknown fields', () => ({ pipeline: { stages: 1, ...Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`f${i}`, 1])) } }), /^\/pipeline\/f/, /^unknown field/],
];

for (const [name, document, pointer, message] of hostile) {
  test(`hostile: ${name} is refused`, () => {
    const read = readSpec(document());
    assert.ok('errors' in read);
    const last = read.errors.at(-1)!;
    assert.match(last.pointer, pointer);
    assert.match(last.message, message);
    assert.ok(read.errors.length <= 100);
    assert.equal(({} as { polluted?: string }).polluted, undefined);
  });
}

test('an error shows a hostile field name printable and short', () => {
  const read = readSpec({ pipeline: { stages: [], [`\u202e\u001b[2J\`${'x'.repeat(500)}`]: 1 } });
  assert.ok('errors' in read);
  for (const { message } of read.errors) assert.match(message, /^[^\u0000-\u001f\u202e]{1,200}$/);
});

test('no more than a hundred faults are listed', () => {
  const read = readSpec({ pipeline: { stages: Array.from({ length: 100 }, () => ({ stage: { identifier: '-', type: 'CI', spec: { execution: { steps: [] } }, x: 1 } })) } });
  assert.ok('errors' in read);
  assert.equal(read.errors.length, 100);
});
