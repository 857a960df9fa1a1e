import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compile, functions, planOf, recover, run, spelledOut, stageOf, yaml } from '#test/pipelines/documents.ts';
import { inputsOf } from './inputs.ts';
import { compilePlan, pipelineFaults } from './plan.ts';
import { readSpec } from './read.ts';

const step = '/pipeline/stages/0/stage/spec/execution/steps/0/step';

test('the pipeline of the manifest reference compiles to two stages in a row and names all it uses', () => {
  const plan = planOf(recover);
  assert.deepEqual(plan.stages.map(({ uid, type, after, service, environment }) => ({ uid, type, after, service, environment })), [
    { uid: 'build', type: 'CI', after: [], service: null, environment: null },
    { uid: 'deploy', type: 'Deployment', after: ['build'], service: 'web', environment: 'prod' },
  ]);
  assert.deepEqual(plan.steps.map(({ uid, stage, shell, timeoutMs }) => ({ uid, stage, shell, timeoutMs })), [
    { uid: 'build.hello', stage: 'build', shell: 'Bash', timeoutMs: 600_000 },
    { uid: 'deploy.token', stage: 'deploy', shell: 'Bash', timeoutMs: 600_000 },
  ]);
  assert.deepEqual(plan.references, [
    { permission: 'service.access', kind: 'service', reference: 'web', pointer: '/pipeline/stages/1/stage/spec/service/serviceRef' },
    { permission: 'environment.access', kind: 'environment', reference: 'prod', pointer: '/pipeline/stages/1/stage/spec/environment/environmentRef' },
    { permission: 'connector.access', kind: 'connector', reference: 'account.partner', pointer: '/pipeline/stages/1/stage/spec/execution/steps/0/step/spec/envVariables/TOKEN' },
  ]);
  assert.deepEqual(plan.pipeline, { scope: 'payments/checkout', identifier: 'recover', name: 'recover', uid: 'ppl-uid', version: 3, sha256: 'f'.repeat(64) });
});

test('a plan is JSON: it may be stored and read back', () => {
  const plan = planOf(spelledOut);
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
});

test('stages and steps of one `parallel` wait for all of the group before', () => {
  const plan = planOf(spelledOut);
  assert.deepEqual(plan.stages.map(({ uid, after }) => [uid, after]), [['build', []], ['lint', []], ['ship', ['build', 'lint']]]);
  assert.deepEqual(plan.steps.filter(({ stage }) => stage === 'ship').map(({ uid, after }) => [uid, after]), [
    ['ship.push', []], ['ship.note', []], ['ship.cleanup', ['ship.push', 'ship.note']],
  ]);
});

test('what is written in words becomes milliseconds, and a reference given by an expression is settled at the start', () => {
  const plan = planOf(spelledOut, { target: 'prod' });
  assert.equal(plan.timeoutMs, 7_200_000);
  assert.equal(plan.steps[0]!.timeoutMs, 5_400_000);
  assert.equal(plan.stages[2]!.timeoutMs, 86_400_000);
  assert.equal(plan.stages[2]!.environment, 'prod');
  assert.deepEqual(plan.references.map(({ kind, reference }) => `${kind} ${reference}`), ['service org.web', 'environment prod', 'secret org.db_password', 'secret account.key']);
});

test('a variable and an output that are secret are replaced by the call that delivers them', () => {
  const texts = planOf(spelledOut).steps.find(({ uid }) => uid === 'ship.push')!.environment.map(({ field }) => 'text' in field && field.text);
  assert.deepEqual(texts, [
    '<+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.DIGEST>',
    'Bearer <+outputs.getSecret("build.compile", "PUSH_TOKEN")>',
    '<+secrets.getValue("org.db_password")>',
    '<+secrets.getValue("account.key")>',
  ]);
});

test('a text around a secret in a variable is kept where the variable is used alone, and refused inside other text', () => {
  const variables = '  variables: [ { name: header, type: String, value: \'Bearer <+secrets.getValue("t")>\' } ]\n';
  const withValue = (value: string) => stageOf(`- step: { identifier: a, type: Run, spec: { command: x, envVariables: { H: '${value}' } } }`, variables);
  const [environment] = planOf(withValue('<+pipeline.variables.header>')).steps[0]!.environment;
  assert.deepEqual(environment?.field, { text: 'Bearer <+secrets.getValue("t")>', pointer: `${step}/spec/envVariables/H` });
  const refused = compile(withValue('H: <+pipeline.variables.header>'));
  assert.match(('errors' in refused && refused.errors[0]?.message) || '', /holds a secret; only an environment variable/);
});

const inputDocument = stageOf(
  run('a'),
  `  variables:
    - { name: branch, type: String, value: <+input> }
    - { name: count, type: Number, value: <+input>.default(2) }
    - { name: note, type: String, value: <+input>, required: false }
    - { name: kind, type: String, value: '<+input>.allowedValues(a, b)', default: a }
`,
);

const accepted: readonly [name: string, inputs: Record<string, unknown>, values: Record<string, unknown>][] = [
  ['what is given wins over the default and is untrusted', { branch: 'main', count: '7', kind: 'b' }, { branch: ['main', true], count: [7, true], note: [null, false], kind: ['b', true] }],
  ['a default of the author is trusted', { branch: 'x' }, { branch: ['x', true], count: [2, false], note: [null, false], kind: ['a', false] }],
  ['a number for a text is text', { branch: 12 }, { branch: ['12', true], count: [2, false], note: [null, false], kind: ['a', false] }],
];

for (const [name, inputs, values] of accepted) {
  test(`inputs: ${name}`, () => {
    const found = Object.fromEntries(planOf(inputDocument, inputs).inputs.map((input) => [input.name, [input.value, input.untrusted]]));
    assert.deepEqual(found, values);
  });
}

const misfits: readonly [name: string, inputs: Record<string, unknown>, pointer: string, message: RegExp][] = [
  ['a missing one', {}, '/inputs/branch', /^the input `branch` is missing$/],
  ['an unknown one', { branch: 'x', brnach: 'y' }, '/inputs/brnach', /asks for no input `brnach`; did you mean `branch`\?$/],
  ['one that is not allowed', { branch: 'x', kind: 'c' }, '/inputs/kind', /^the input `kind` is not allowed; give one of `a`, `b`$/],
  ['text for a number', { branch: 'x', count: 'many' }, '/inputs/count', /must be a number$/],
  ['an empty text where one is asked for', { branch: '' }, '/inputs/branch', /must not be empty$/],
  ['a list', { branch: ['x'] }, '/inputs/branch', /must be text, a number/],
  ['null', { branch: null }, '/inputs/branch', /must be text, a number/],
  ['one of a megabyte', { branch: 'x'.repeat(1 << 20) }, '/inputs/branch', /at most 65536 bytes/],
  ['the name __proto__', JSON.parse('{"branch":"x","__proto__":"y"}') as Record<string, unknown>, '/inputs/__proto__', /asks for no input/],
  ['a name every object has', { branch: 'x', constructor: 'y' }, '/inputs/constructor', /asks for no input/],
];

for (const [name, inputs, pointer, message] of misfits) {
  test(`inputs are refused: ${name}`, () => {
    const result = compile(inputDocument, inputs);
    assert.ok('errors' in result);
    assert.equal(result.code, 'pipeline.input');
    assert.deepEqual(result.errors.map((error) => error.pointer), [pointer]);
    assert.match(result.errors[0]!.message, message);
  });
}

test('more inputs than any pipeline asks for are refused before they are looked at', () => {
  const result = compile(inputDocument, Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`i${i}`, 'x'])));
  assert.deepEqual('errors' in result && [result.code, result.errors.length], ['pipeline.input', 1]);
});

test('a field that is no variable is asked for by where it stands', () => {
  const text = recover.replace('serviceRef: web', 'serviceRef: <+input>').replace('environmentRef: prod', 'environmentRef: <+input>.allowedValues(prod)').replace('identifier: token', 'identifier: token\n                  timeout: <+input>.default(5m)');
  const read = readSpec(yaml(text));
  assert.ok('spec' in read);
  assert.deepEqual(inputsOf(read.spec.pipeline, []).map(({ name, type, required, allowedValues }) => ({ name, type, required, allowedValues })), [
    { name: 'stages.deploy.serviceRef', type: 'reference', required: true, allowedValues: null },
    { name: 'stages.deploy.environmentRef', type: 'reference', required: true, allowedValues: ['prod'] },
    { name: 'stages.deploy.steps.token.timeout', type: 'duration', required: false, allowedValues: null },
  ]);
  const plan = planOf(text, { 'stages.deploy.serviceRef': 'account.web', 'stages.deploy.environmentRef': 'prod', 'stages.deploy.steps.token.timeout': '90s' });
  assert.deepEqual([plan.stages[1]!.service, plan.stages[1]!.environment, plan.steps[1]!.timeoutMs], ['account.web', 'prod', 90_000]);
  const wrong = compile(text, { 'stages.deploy.serviceRef': '../x', 'stages.deploy.environmentRef': 'prod' });
  assert.match(('errors' in wrong && wrong.errors[0]?.message) || '', /must name the service by a reference/);
});

const environment = (value: string): string => stageOf(`- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: '${value}' } } }`);

const faults: readonly [name: string, text: string, pointer: string, message: RegExp][] = [
  ['an expression that is not closed', environment('<+pipeline.name'), `${step}/spec/envVariables/V`, /never closed/],
  ['a function nobody offers', environment('<+secrets.getEverything("x")>'), `${step}/spec/envVariables/V`, /getEverything/],
  ['a path that does not exist', environment('<+pipeline.nam>'), `${step}/spec/envVariables/V`, /did you mean `pipeline.name`\?/],
  ['a step that does not exist', environment('<+steps.b.output.outputVariables.X>'), `${step}/spec/envVariables/V`, /does not exist/],
  ['an output no step declares', environment('<+execution.steps.a.output.outputVariables.X>'), `${step}/spec/envVariables/V`, /does not exist/],
  ['the environment of a stage that deploys nowhere', environment('<+env.name>'), `${step}/spec/envVariables/V`, /does not exist/],
  ['all variables at once', environment('<+pipeline.variables>'), `${step}/spec/envVariables/V`, /name one variable/],
  ['an input inside other text', environment('x-<+input>'), `${step}/spec/envVariables/V`, /must be the whole value/],
  ['a secret named in no known way', environment('<+secrets.getValue("a.b.c")>'), `${step}/spec/envVariables/V`, /`a.b.c` names no secret/],
  ['a secret in a script', stageOf(run('a', 'curl <+secrets.getValue("t")>')), `${step}/spec/command`, /may not become part of a script; set it as an environment variable/],
  ['a secret in a condition', stageOf(run('a', 'x', 'when: { condition: "<+secrets.getValue(\'t\')> == 1" }')), `${step}/when/condition`, /only the environment of a step receives it/],
  ['a script that is an input', stageOf(run('a', '<+input>')), `${step}/spec/command`, /a script cannot be an input/],
  ['a condition that is an input', stageOf(run('a', 'x', 'when: { condition: <+input> }')), `${step}/when/condition`, /a condition cannot be an input/],
  ['a secret that is an input', stageOf(run('a'), '  variables: [ { name: p, type: Secret, value: <+input> } ]\n'), '/pipeline/variables/0/value', /may not name a secret/],
  ['a secret variable without a reference', stageOf(run('a'), '  variables: [ { name: p, type: Secret, value: "hunter 2" } ]\n'), '/pipeline/variables/0/value', /must name a secret/],
  ['an input with a modifier that is not supported', stageOf(run('a'), '  variables: [ { name: p, type: String, value: <+input>.regex(x) } ]\n'), '/pipeline/variables/0/value', /not supported yet/],
  ['a default that is not a number', stageOf(run('a'), '  variables: [ { name: p, type: Number, value: <+input>.default(x) } ]\n'), '/pipeline/variables/0/value', /default of a `Number`/],
  ['a number that is none', stageOf(run('a'), '  variables: [ { name: p, type: Number, value: x } ]\n'), '/pipeline/variables/0/value', /must be a number/],
  ['a required variable without a value', stageOf(run('a'), '  variables: [ { name: p, type: String, required: true } ]\n'), '/pipeline/variables/0/value', /is required and has no value/],
  ['a variable made of itself', stageOf(run('a'), '  variables: [ { name: p, type: String, value: "x<+pipeline.variables.p>" } ]\n'), '/pipeline/variables/0/value', /made of itself/],
  ['variables made of each other in a circle', stageOf(run('a'), '  variables: [ { name: p, type: String, value: "<+pipeline.variables.q>" }, { name: q, type: String, value: "<+pipeline.variables.p>" } ]\n'), '/pipeline/variables/0/value', /made of itself/],
  ['a service that is known only later', recover.replace('serviceRef: web', 'serviceRef: <+pipeline.stages.build.spec.execution.steps.hello.status>'), '/pipeline/stages/1/stage/spec/service/serviceRef', /must name the service by a reference/],
  ['a service above the account', recover.replace('serviceRef: web', 'serviceRef: "<+pipeline.name>.x"'), '/pipeline/stages/1/stage/spec/service/serviceRef', /must name the service/],
  ['who triggered the run, in a script', stageOf(run('a', 'echo <+pipeline.triggeredBy.name>')), `${step}/spec/command`, /a value from outside may not become part of a script/],
];

for (const [name, text, pointer, message] of faults) {
  test(`refused before anything runs: ${name}`, () => {
    const result = compile(text);
    assert.ok('errors' in result, 'it compiled');
    assert.equal(result.code, 'pipeline.invalid');
    assert.match(result.errors.find((error) => error.pointer === pointer)?.message ?? JSON.stringify(result.errors), message);
  });
}

test('a value of the caller cannot become script text, neither at save nor with a harmless value', () => {
  const text = stageOf(run('a', 'git checkout <+pipeline.variables.branch>'), '  variables: [ { name: branch, type: String, value: <+input> } ]\n');
  const atSave = pipelineFaults({ document: yaml(text), scope: 'payments/checkout', identifier: 'p', functions });
  const atStart = compile(text, { branch: 'main' });
  for (const errors of [atSave, 'errors' in atStart ? atStart.errors : []]) {
    assert.deepEqual(errors.map(({ pointer }) => pointer), [`${step}/spec/command`]);
    assert.match(errors[0]!.message, /a value from outside may not become part of a script/);
  }
});

test('at save nobody has answered yet: missing inputs are no fault', () => {
  for (const text of [inputDocument, spelledOut, recover.replace('environmentRef: prod', 'environmentRef: <+input>')]) {
    assert.deepEqual(pipelineFaults({ document: yaml(text), scope: 'payments/checkout', identifier: 'p', functions }), []);
  }
});

test('identifiers that every object has are only names', () => {
  const names = ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'prototype'];
  const steps = names.map((name) => `- step: { identifier: ${name}, type: Run, spec: { command: x, outputVariables: [ { name: valueOf } ] } }\n`).join('');
  const plan = planOf(stageOf(steps).replace('identifier: s', 'identifier: __proto__'), {});
  assert.deepEqual(plan.steps.map(({ identifier }) => identifier), names);
  const missing = compile(stageOf(`- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: '<+steps.constructor.name>' } } }`));
  assert.match(('errors' in missing && missing.errors[0]?.message) || '', /does not exist/);
});

const doubling = (last: string, value: (next: string) => string): string => stageOf(
  '- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: <+pipeline.variables.v0> } } }',
  `  variables:\n${Array.from({ length: 14 }, (_, i) => `    - { name: v${i}, type: String, value: '${i < 13 ? value(`<+pipeline.variables.v${i + 1}>`) : last}' }\n`).join('')}`,
);

const bombs: readonly [name: string, text: string, message: RegExp][] = [
  ['of variables that double a text', doubling('x'.repeat(1000), (next) => next + next), /larger than 256 KiB/],
  ['of variables that double a secret', doubling(`<+secrets.getValue("${'x'.repeat(100)}")>`, (next) => `<+${next} + ${next}>`), /too large once the secrets it names are written out|may nest|may have/],
  ['of variables that double each other in a circle', doubling('<+pipeline.variables.v0>', (next) => next + next), /made of itself/],
];

for (const [name, text, message] of bombs) {
  test(`hostile: a bomb ${name} ends as a fault`, () => {
    const result = compile(text);
    assert.ok('errors' in result);
    assert.match(result.errors[0]!.message, message);
  });
}

test('hostile: a chain of a hundred variables is refused, a short one is not', () => {
  const chain = (length: number): string => stageOf(
    `- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: <+pipeline.variables.v0> } } }`,
    `  variables:\n${Array.from({ length }, (_, i) => `    - { name: v${i}, type: String, value: "${i + 1 < length ? `<+pipeline.variables.v${i + 1}>` : 'end'}" }\n`).join('')}`,
  );
  assert.ok('plan' in compile(chain(12)));
  const long = compile(chain(100));
  assert.match(('errors' in long && long.errors[0]?.message) || '', /in a row/);
});

test('hostile: long words and dots in many variables do not stop the server', () => {
  // What looks for calls in them must not look from each of their places anew; the time limit of the tests tells.
  const values = ['a'.repeat(60_000), 'a.'.repeat(30_000), `<+${' '.repeat(60_000)}`, `<+pipeline${'.a'.repeat(30_000)}`].map((text) => `${text} <+pipeline.name>`);
  const variables = Array.from({ length: 24 }, (_, i) => `    - { name: v${i}, type: String, value: ${JSON.stringify(values[i % values.length])} }\n`).join('');
  const uses = Array.from({ length: 24 }, (_, i) => `V${i}: <+pipeline.variables.v${i}>`).join(', ');
  const result = compile(stageOf(`- step: { identifier: a, type: Run, spec: { command: x, envVariables: { ${uses} } } }`, `  variables:\n${variables}`));
  assert.ok('errors' in result && result.errors.length > 0);
});

test('hostile: many fields that each search a long text are refused together', () => {
  const search = `<+[${Array.from({ length: 60 }, () => "pipeline.variables.long.contains('yyyyyq')").join(', ')}].size()>`;
  const fields = Array.from({ length: 100 }, (_, i) => `V${i}: "${search}"`).join(', ');
  const steps = Array.from({ length: 20 }, (_, i) => `- step: { identifier: s${i}, type: Run, spec: { command: x, envVariables: { ${fields} } } }\n`).join('');
  const result = compile(stageOf(steps, `  variables: [ { name: long, type: String, value: ${'y'.repeat(60_000)} } ]\n`));
  assert.ok('errors' in result);
  assert.match(result.errors[0]!.message, /reads too much/);
});

test('hostile: a thousand inputs that nobody asked for, each nearly the name of every other', () => {
  const long = (letter: string, i: number) => `${letter}${String(i).padStart(4, '0')}${'x'.repeat(119)}`;
  const variables = Array.from({ length: 100 }, (_, i) => `    - { name: ${long('v', i)}, type: String, value: <+input> }\n`).join('');
  const result = compile(stageOf(run('a'), `  variables:\n${variables}`), Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [long('w', i), 'x'])));
  assert.ok('errors' in result);
  assert.deepEqual([result.code, result.errors.length, result.errors.at(-1)?.message], ['pipeline.input', 100, 'and more']);
});

test('hostile: thousands of paths that do not exist, each nearly every one that does', () => {
  const long = (letter: string, i: number) => `${letter}${String(i).padStart(4, '0')}${'x'.repeat(119)}`;
  const fields = (step: number) => Array.from({ length: 20 }, (_, i) => `V${i}: <+steps.${long('z', step * 20 + i)}>`).join(', ');
  const steps = Array.from({ length: 200 }, (_, i) => `- step: { identifier: ${long('s', i)}, type: Run, spec: { command: x, envVariables: { ${fields(i)} } } }\n`).join('');
  const result = compile(stageOf(steps));
  assert.ok('errors' in result);
  assert.equal(result.errors.length, 100);
});

const selecting: readonly [says: string, pipeline: string, stage: string, step: string, spec: string, labels: readonly string[]][] = [
  ['asks for any runner without one', '', '', '', '', []],
  ['asks as its pipeline does', '[a]', '', '', '', ['a']],
  ['asks as its stage does, not as its pipeline', '[a]', '[b, c]', '', '', ['b', 'c']],
  ['asks as it does itself, not as its stage', '[a]', '[b]', '[d, d]', '', ['d']],
  ['asks as its specification does, not as it does itself', '[a]', '[b]', '[d]', '[e]', ['e']],
  ['asks as its stage does when it names nothing', '', '[b]', '[]', '[]', ['b']],
];

for (const [says, pipeline, stage, step, spec, labels] of selecting) {
  test(`the runner of a step: ${says}`, () => {
    const selectors = (list: string, indent: string): string => (list === '' ? '' : `${indent}delegateSelectors: ${list}\n`);
    const inStep = [step === '' ? '' : `delegateSelectors: ${step}, `, spec === '' ? '' : `delegateSelectors: ${spec}, `];
    const text = stageOf(`- step: { identifier: a, type: ShellScript, ${inStep[0]}spec: { ${inStep[1]}shell: Sh, source: { type: Inline, spec: { script: x } } } }`, selectors(pipeline, '  '));
    const plan = planOf(text.replace('        type: CI\n', `        type: CI\n${selectors(stage, '        ')}`));
    assert.deepEqual(plan.steps[0]!.runnerLabels, labels);
  });
}

test('a secret is found however its call is spaced', () => {
  const plan = planOf(stageOf('- step: { identifier: a, type: Run, spec: { command: x, envVariables: { V: <+pipeline.variables.v> } } }', `  variables: [ { name: v, type: String, value: '<+ secrets . getValue ( "x" ) >' } ]\n`));
  assert.deepEqual(plan.steps[0]!.environment.map(({ field }) => 'text' in field && field.text), ['<+ secrets . getValue ( "x" ) >']);
});

test('a document that is none is refused like one that does not fit', () => {
  for (const document of [null, 1, 'x', [], { pipeline: null }]) {
    const result = compilePlan({ document, scope: 'payments/checkout', identifier: 'p', revision: { uid: 'u', version: 1, sha256: 's' }, inputs: {}, functions });
    assert.ok('errors' in result && result.code === 'pipeline.invalid');
  }
});

test('the pipelines in the documentation are without fault', () => {
  const page = readFileSync(new URL('../../../docs/pipelines.md', import.meta.url), 'utf8');
  const samples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, sample]) => sample!);
  assert.ok(samples.length > 0);
  for (const sample of samples) {
    assert.deepEqual(pipelineFaults({ document: yaml(sample), scope: 'payments/checkout', identifier: 'recover', functions }), []);
  }
});
