import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { Refusal } from '#kernel/errors.ts';
import { parseRuntimeInput } from './runtime-input.ts';
import type { RuntimeInput } from './runtime-input.ts';

const accepted: readonly (readonly [string, string, RuntimeInput | null])[] = [
  ['a bare input', '<+input>', {}],
  ['white space around it', ' <+input>\n', {}],
  ['a default', '<+input>.default("x")', { default: 'x' }],
  ['a default in single quotes', "<+input>.default('x')", { default: 'x' }],
  ['a default without quotes', '<+input>.default(main)', { default: 'main' }],
  ['a default of several words', '<+input>.default(two words )', { default: 'two words' }],
  ['an empty default', '<+input>.default("")', { default: '' }],
  ['null as default', '<+input>.default(null)', { default: null }],
  ['a number and a boolean', '<+input>.allowedValues(5, true, -0.5)', { allowedValues: [5, true, -0.5] }],
  ['a quoted number is text', '<+input>.default("5")', { default: '5' }],
  ['a version is text', '<+input>.allowedValues(1.10, 007, 1e3, 1.1)', { allowedValues: ['1.10', '007', '1e3', 1.1] }],
  ['a name that number reading would swallow is text', '<+input>.default(Infinity)', { default: 'Infinity' }],
  ['allowed values', '<+input>.allowedValues(dev,qa , "prod, live")', { allowedValues: ['dev', 'qa', 'prod, live'] }],
  ['both', '<+input>.default(dev).allowedValues(dev, qa)', { default: 'dev', allowedValues: ['dev', 'qa'] }],
  ['both the other way round', '<+input> .allowedValues(dev, qa) .default(dev)', { default: 'dev', allowedValues: ['dev', 'qa'] }],
  ['escaped quotes', '<+input>.default("a \\"b\\" \\\\")', { default: 'a "b" \\' }],
  ['a path is none', '<+pipeline.name>', null],
  ['plain text is none', 'input', null],
  ['an input inside text is none', 'x<+input>', null],
  ['an input with text behind is none', '<+input>x', null],
  ['two inputs are none', '<+input><+input>', null],
  ['a path named input is none', '<+input.x>', null],
  ['an empty text is none', '', null],
];

for (const [name, text, expected] of accepted) test(name, () => deepStrictEqual(parseRuntimeInput(text), expected));

const refused: readonly (readonly [string, string, number, RegExp])[] = [
  ['a pattern', '<+input>.regex(a.*)', 9, /`\.regex\(…\)` on an input is not supported yet; list the values/],
  ['input during execution', '<+input>.executionInput()', 9, /`\.executionInput\(…\)` on an input is not supported yet/],
  ['execution input after another', '<+input>.default(a).executionInput()', 20, /executionInput/],
  ['an unknown modifier', '<+input>.allowedValue(a)', 9, /no modifier `allowedValue`; did you mean `allowedValues`\?/],
  ['text behind the modifiers', '<+input>.default(a) b', 20, /only `\.default\(…\)` and/],
  ['a modifier without parentheses', '<+input>.default', 9, /may follow/],
  ['no default', '<+input>.default()', 18, /takes values/],
  ['no allowed values', '<+input>.allowedValues()', 24, /takes values/],
  ['blanks as allowed values', '<+input>.allowedValues(  )', 24, /takes values/],
  ['a gap between the values', '<+input>.allowedValues(a,,b)', 26, /takes values/],
  ['two defaults in one', '<+input>.default(a, b)', 9, /takes one value/],
  ['two defaults', '<+input>.default(a).default(b)', 20, /written twice/],
  ['a default that is not allowed', '<+input>.default(c).allowedValues(a, b)', 1, /not one of the allowed values/],
  ['a default of another type than allowed', '<+input>.default("5").allowedValues(5)', 1, /not one of the allowed values/],
  ['an expression as default', '<+input>.default(<+pipeline.name>)', 18, /expressions in it are not supported/],
  ['a parenthesis that never closes', '<+input>.default(a', 19, /needs `,` or `\)` here/],
  ['a quote that never closes', '<+input>.default("a)', 18, /takes values/],
  ['text behind a quoted value', '<+input>.default("a"b)', 21, /needs `,` or `\)`/],
  ['the prototype as modifier', '<+input>.__proto__(a)', 9, /may follow/],
  ['constructor as modifier', '<+input>.constructor(a)', 9, /no modifier `constructor`/],
  ['501 values', `<+input>.allowedValues(${'a,'.repeat(500)}a)`, 9, /at most 500/],
];

for (const [name, text, column, say] of refused) {
  test(`refused: ${name}`, () => {
    throws(() => parseRuntimeInput(text, { line: 7, column: 1 }), (error: unknown) => {
      ok(error instanceof Refusal);
      strictEqual(error.code, 'expression.invalid');
      match(error.say ?? '', say);
      match(error.say ?? '', new RegExp(`\\(line 7, column ${column}: `));
      return true;
    });
  });
}

test('bomb: a very long input is refused', () => {
  throws(() => parseRuntimeInput(`<+input>.default(${'a'.repeat(300_000)})`), { code: 'expression.limit' });
});
