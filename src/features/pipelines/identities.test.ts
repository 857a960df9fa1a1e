import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compile, planOf, run, stageOf } from '#test/pipelines/documents.ts';

const step = '/pipeline/stages/0/stage/spec/execution/steps/0/step';
const onStep = (map: string): string => stageOf(run('a', 'x', `identities: ${map}`));

function faults(text: string): Map<string, string> {
  const result = compile(text);
  return new Map('errors' in result ? result.errors.map(({ pointer, message }) => [pointer, message]) : []);
}

describe('an identity is refused by name and place', () => {
  const rows: readonly (readonly [says: string, map: string, pointer: string, message: RegExp])[] = [
    ['that names no connector, as others write it', '{ CLOUD: { audience: "https://x.example" } }', 'CLOUD/connector', /nothing is minted without a connector; write `connector: account.x`/],
    ['that writes its own subject', '{ CLOUD: { connector: account.x, subjectTemplate: "a:<+org.identifier>" } }', 'CLOUD/subjectTemplate', /^`subjectTemplate` is not supported yet; leave it out: what a token says comes from the execution alone/],
    ['that writes claims', '{ CLOUD: { connector: account.x, customClaims: { a: b } } }', 'CLOUD/customClaims', /^`customClaims` is not supported yet; leave it out/],
    ['with a mode of token', '{ CLOUD: { connector: account.x, tokenMode: CLIENT_ASSERTION } }', 'CLOUD/tokenMode', /^`tokenMode` is not supported yet/],
    ['whose connector is an expression', '{ CLOUD: { connector: "<+pipeline.variables.x>" } }', 'CLOUD/connector', /^must be a reference/],
    ['whose connector is an input', '{ CLOUD: { connector: "<+input>" } }', 'CLOUD/connector', /^must be a reference/],
    ['whose audience is an expression', '{ CLOUD: { connector: account.x, audience: "https://<+org.identifier>" } }', 'CLOUD/audience', /written out/],
    ['with the same audience twice', '{ CLOUD: { connector: account.x, audience: [a, a] } }', 'CLOUD/audience', /twice/],
    ['in a form that is none', '{ CLOUD: { connector: account.x, as: [files] } }', 'CLOUD/as/0', /did you mean `file`\?/],
    ['in no form', '{ CLOUD: { connector: account.x, as: [] } }', 'CLOUD/as', /must name a form/],
    ['whose name is no variable', '{ "MY-CLOUD": { connector: account.x } }', 'MY-CLOUD', /must be the name of an environment variable/],
    ['whose name leads elsewhere', '{ "..": { connector: account.x } }', '..', /must be the name of an environment variable/],
    ['with a misspelt field', '{ CLOUD: { conector: account.x } }', 'CLOUD/conector', /did you mean `connector`\?/],
  ];
  for (const [says, map, pointer, message] of rows) {
    test(says, () => {
      const found = faults(onStep(map));
      assert.match(found.get(`${step}/identities/${pointer}`) ?? JSON.stringify([...found]), message);
    });
  }

  test('the twenty-first of a step, from all levels', () => {
    const many = (prefix: string, count: number) => `{ ${Array.from({ length: count }, (_, i) => `${prefix}${i}: { connector: account.x }`).join(', ')} }`;
    const text = stageOf(run('a', 'x', `identities: ${many('A', 20)}`), `  identities: ${many('B', 1)}\n`);
    assert.match(faults(text).get(`${step}/identities`) ?? '', /the step has 21 identities with those of its stage and pipeline; at most 20/);
  });
});

describe('identities of a step', () => {
  test('are those of its pipeline, its stage and its own, the innermost of each name', () => {
    const text = stageOf(run('a', 'x', 'identities: { ONE: { connector: mine, audience: https://own.example, as: [file] }, OFF: { disabled: true } }'), '  identities: { ONE: { connector: account.outer }, TWO: { connector: account.two }, OFF: { connector: account.off } }\n');
    const plan = planOf(text);
    assert.deepEqual(plan.steps[0]!.identities?.map(({ name, connector, audiences, forms }) => ({ name, connector, audiences, forms })), [
      { name: 'TWO', connector: 'account.two', audiences: null, forms: null },
      { name: 'ONE', connector: 'mine', audiences: ['https://own.example'], forms: ['file'] },
    ]);
  });

  test('are named among what the run must be allowed, and those switched off are not', () => {
    const plan = planOf(onStep('{ CLOUD: { connector: account.x }, OFF: { connector: account.y, disabled: true } }'));
    assert.deepEqual(plan.references, [{ permission: 'connector.access', kind: 'connector', reference: 'account.x', pointer: `${step}/identities/CLOUD/connector` }]);
  });
});
