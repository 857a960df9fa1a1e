import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { Refusal } from '#kernel/errors.ts';
import { contextFrom } from './context.ts';
import { evaluate } from './evaluate.ts';
import { functionTable, ownFunctions } from './functions.ts';
import type { Data, ExpressionFunction } from './schema.ts';
import { compileTemplate } from './template.ts';

const functions = functionTable(ownFunctions);
const body = JSON.stringify({ items: [{ name: 'a', tags: ['x', 'y'] }, { name: 'b' }], 'with-hyphen': 1, n: null, deep: { er: { est: true } } });

function run(text: string, json: Data = body): Data {
  const outcome = evaluate(compileTemplate(`<+${text}>`, { functions }), { context: contextFrom({ body: json }), sink: 'plain' });
  ok(outcome.kind === 'value');
  return JSON.parse(JSON.stringify(outcome.value.data)) as Data;
}

const selected: readonly (readonly [string, Data])[] = [
  ['deep.er.est', true], ['items[0].name', 'a'], ['items.1.name', 'b'], ['items[0].tags[1]', 'y'], ['items[0].tags', ['x', 'y']],
  ['with-hyphen', 1], ['n', null], ['nothing', null], ['items[9].name', null], ['items[0].name.length', null], ['n.x', null],
  ['items.length', null], ['constructor', null], ['deep.__proto__', null], ['deep.toString', null],
];

for (const [path, expected] of selected) {
  test(`json.select reads ${path}`, () => deepStrictEqual(run(`json.select("${path}", body)`), expected));
}

for (const path of ['', '.', 'a.', '.a', 'a..b', 'a[', 'a[]', 'a[*]', 'a[0', 'a[-1]', '$..a[?(@.b)]', 'a[0]b', '[0][0]]', 'a]']) {
  test(`json.select refuses the path ${JSON.stringify(path)}`, () => {
    throws(() => run(`json.select("${path}", body)`), (error: unknown) => {
      ok(error instanceof Refusal);
      match(error.say ?? '', /a JSON path is names and indexes, `a\.b\[0\]\.c`; filters and wildcards are not supported \(line 1, column 3: /);
      return true;
    });
  });
}

test('an index may begin a path', () => strictEqual(run('json.select("[1].a", body)', '[0, {"a": 7}]'), 7));
test('what is an object already is taken as it is', () => strictEqual(run('json.select("a", body)', { a: 7 }), 7));
test('json.object keeps the types', () => deepStrictEqual(run('json.object(body)', ' [1, "1", true, null, {}] '), [1, '1', true, null, {}]));

for (const text of ['', '{', '{"a":1,"a":2}', 'NaN', '1e999', "{'a':1}", '\ufeff{}', '"\\ud800"']) {
  test(`json.object refuses ${JSON.stringify(text)}`, () => throws(() => run('json.object(body)', text), { say: /this text is not JSON/ }));
}

test('json.object refuses what is no text', () => throws(() => run('json.object(5)'), { say: /JSON is read from text/ }));

const good: ExpressionFunction = { name: 'a.b', phase: 'delivery', parameters: { min: 0, max: 1 }, summary: '', example: '' };
const records: readonly (readonly [string, readonly ExpressionFunction[]])[] = [
  ['a name without a space', [{ ...good, name: 'b' }]],
  ['a name that cannot be written', [{ ...good, name: 'a.b-c' }]],
  ['a name twice', [good, good]],
  ['a plan function without call', [{ ...good, phase: 'plan' }]],
  ['a delivery function with call', [{ ...good, call: () => ({ data: 1, secrets: new Set<string>(), untrusted: false }) }]],
  ['more arguments needed than allowed', [{ ...good, parameters: { min: 2, max: 1 } }]],
];

for (const [name, wrong] of records) test(`a table with ${name} is a defect`, () => throws(() => functionTable(wrong), /defect: expression function/));

test('the example of every function compiles', () => {
  for (const { example } of ownFunctions) compileTemplate(example, { functions });
});
