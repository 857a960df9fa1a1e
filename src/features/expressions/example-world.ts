import { contextFrom, marked, notYet } from './context.ts';
import { deliver } from './deliver.ts';
import { evaluate } from './evaluate.ts';
import { functionTable, ownFunctions } from './functions.ts';
import type { Context, Data, ExpressionFunction, Outcome, Residual, Sink, Value } from './schema.ts';
import { compileTemplate } from './template.ts';
import { untrusted } from './value.ts';

/** The world in which the tests of this folder evaluate: one pipeline run with trusted, outside and secret values. */
const delivery = (name: string): ExpressionFunction => ({
  name, phase: 'delivery', parameters: { min: 1, max: 2 }, summary: 'delivers', example: `<+${name}("x")>`,
});

export const functions = functionTable([...ownFunctions, delivery('secrets.getValue'), delivery('secrets.getJWT')]);

const derived: Value = { data: 'from-secret', secrets: new Set(['uid-derived']), untrusted: false };

const context: Context = contextFrom({
  pipeline: {
    name: 'recover', identifier: 'recover', sequenceId: 42, ok: true, ratio: 0.5, nothing: null,
    variables: { region: 'eu-west-1', 'with-hyphen': 'hyphen', 'with space': 'space', count: '10', flag: 'true', dotted: 'a.b.c' },
    stages: {
      build: { status: 'SUCCEEDED', spec: { execution: { steps: { compile: { output: { outputVariables: { TAG: '1.2.3' } } } } } } },
      deploy: { status: notYet, spec: { execution: { steps: { apply: notYet } } } },
    },
    regions: ['eu', 'us', 'ap'],
  },
  stage: { name: 'build', identifier: 'build' },
  env: { name: 'Production', identifier: 'prod', type: 'Production' },
  trigger: marked({ payload: { title: 'a "title"', branch: 'main', labels: ['bug', 'fix'], key: 'db_password' } }, untrusted),
  outputs: { fromSecret: marked(derived.data, derived) },
});

/** Phase 1 in this world. */
export function outcomeOf(text: string, sink: Sink = 'environment'): Outcome {
  return evaluate(compileTemplate(text, { functions }), { context, sink });
}

/** The value of a text without delivery calls. */
export function valueIn(text: string, sink: Sink = 'environment'): Value {
  const outcome = outcomeOf(text, sink);
  if (outcome.kind === 'residual') throw new Error('a value was expected, not a residual');
  return outcome.value;
}

/** The data, as ordinary JSON. */
export function dataIn(text: string, sink: Sink = 'environment'): Data {
  return JSON.parse(JSON.stringify(valueIn(text, sink).data)) as Data;
}

/** Phase 2 of a residual that was stored in between. A call delivers `<function>:<arguments>` from secret `uid-<first>`. */
export async function delivered(residual: Residual): Promise<Value> {
  const stored = JSON.parse(JSON.stringify(residual)) as Residual;
  return deliver(stored, {
    functions,
    resolve: (need) => Promise.resolve({
      data: `${need.function}:${need.args.join(',')}`, secrets: new Set([`uid-${String(need.args[0])}`]), untrusted: false,
    }),
  });
}
