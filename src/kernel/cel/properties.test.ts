/** What is promised of every expression and every value, tried on nasty ones. */
import { test } from 'node:test';
import { ok, strictEqual } from 'node:assert/strict';
import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import type { Cel, CelVariables } from '#kernel/cel.ts';
import { anything, celLimits, compileCel, isCompiled, maxSteps } from '#kernel/cel.ts';
import { runs } from '#test/mode.ts';

const variables: CelVariables = { claims: 'map<string, dyn>', resource: { tags: 'map<string, string>' }, asker: 'map<string, dyn>' };

/** Short names, so that expressions and values meet. */
const name = fc.constantFrom('a', 'b', 'c');
const word = fc.constantFrom('', 'a', 'b', 'ab', 'aab', '5', '-1.5', 'true');
const root = fc.constantFrom('claims', 'asker');

const { condition } = fc.letrec<{ condition: string; text: string; number: string; list: string; any: string; inside: string }>((tie) => {
  const field = fc.tuple(root, name).map(([of, key]) => `${of}.${key}`);
  const tag = name.map((key) => `resource.tags.${key}`);
  const literal = word.map((text) => JSON.stringify(text));
  const number = fc.constantFrom('0', '1', '2', '5', '-1', '1.5', '9223372036854775807', 'size(claims)');
  const pair = (sign: string, left: keyof typeof ties, right: keyof typeof ties) => fc.tuple(ties[left], ties[right]).map(([a, b]) => `(${a} ${sign} ${b})`);
  const ties = { condition: tie('condition'), text: tie('text'), number: tie('number'), list: tie('list'), any: tie('any'), inside: tie('inside') };
  const quantifier = fc.constantFrom('all', 'exists', 'exists_one');
  return {
    text: fc.oneof({ maxDepth: 3 }, literal, tag, field, pair('+', 'text', 'text'), ties.text.map((text) => `${text}.lowerAscii()`)),
    number: fc.oneof({ maxDepth: 3 }, number, field, ...['+', '-', '*'].map((sign) => pair(sign, 'number', 'number'))),
    list: fc.oneof({ maxDepth: 2 }, field, fc.array(literal, { maxLength: 4 }).map((items) => `[${items.join(', ')}]`), pair('+', 'list', 'list'), fc.tuple(ties.text, literal).map(([text, by]) => `${text}.split(${by})`)),
    any: fc.oneof(ties.text, ties.number, ties.list, field),
    /** Of an item `x`; no list is gone through in it. */
    inside: fc.oneof(ties.any.map((other) => `(x == ${other})`), ties.text.map((text) => `${text}.contains("a")`), literal.map((text) => `x.startsWith(${text})`), name.map((key) => `has(x.${key})`), fc.constant('x in claims'), fc.constant('re2(x, "(a|b)*")')),
    condition: fc.oneof(
      { maxDepth: 4 },
      ...['==', '!='].map((sign) => pair(sign, 'any', 'any')),
      ...['<', '<=', '>', '>='].map((sign) => pair(sign, 'number', 'number')),
      ...['&&', '||'].map((sign) => pair(sign, 'condition', 'condition')),
      pair('in', 'any', 'list'),
      pair('in', 'text', 'inside').map(() => 'claims.a in claims'),
      ties.condition.map((each) => `!${each}`),
      field.map((each) => `has(${each})`),
      fc.tuple(ties.list, quantifier, ties.inside).map(([list, how, each]) => `${list}.${how}(x, ${each})`),
      fc.tuple(ties.list, ties.inside).map(([list, each]) => `(size(${list}.filter(x, ${each})) > 1)`),
      fc.tuple(ties.list, ties.any).map(([list, each]) => `(${list}.map(x, ${each}) == ${list})`),
      fc.tuple(ties.condition, ties.condition, ties.condition).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc.tuple(ties.text, word).map(([text, part]) => `${text}.contains(${JSON.stringify(part)})`),
    ),
  };
});

const small: fc.Arbitrary<unknown> = fc.oneof(word, fc.constantFrom(0, 1, 2, 5, -1, 1.5, true, false), fc.array(word, { maxLength: 3 }), fc.dictionary(name, fc.oneof(word, fc.constant(5)), { maxKeys: 2 }));
const fields = fc.dictionary(name, small, { maxKeys: 3 });
const world = fc.record({ claims: fields, resource: fc.record({ tags: fc.dictionary(name, word, { maxKeys: 3 }) }), asker: fields });

/** Expressions of other types than a condition needs are refused, which is right; here they say nothing. */
const cel = condition.map((source) => compileCel(source, variables)).filter((result): result is Cel => isCompiled(result));

/** Reads of anything at all in a value, counted from outside. */
function counted<T extends object>(value: T, count: { reads: number }): T {
  return new Proxy(value, {
    get(of, key, receiver) {
      count.reads += 1;
      const found: unknown = Reflect.get(of, key, receiver);
      return typeof found === 'object' && found !== null ? counted(found, count) : found;
    },
  });
}

test('any expression over any values within the caps ends after so many steps, and so many reads of a value', () => {
  const huge = fc.constantFrom<unknown>('a'.repeat(4_096), `${'ab'.repeat(2_000)}c`, Array.from({ length: 200 }, () => 'a'.repeat(20)), Array.from({ length: 200 }, (_, i) => ({ a: i, b: 'a' })), Array.from({ length: 200 }, () => []));
  const hugeFields = fc.record({ a: huge, b: huge, c: huge });
  const hugeWorld = fc.record({ claims: hugeFields, resource: fc.constant({ tags: { a: 'a'.repeat(4_096), b: 'ab'.repeat(2_048) } }), asker: hugeFields });
  fc.assert(
    fc.property(cel, hugeWorld, (expression, values) => {
      const count = { reads: 0 };
      const { steps } = expression.explain({ claims: counted(values.claims, count), resource: counted(values.resource, count), asker: counted(values.asker, count) });
      ok(steps <= maxSteps, `${steps} steps: ${expression.source}`);
      // A step reads an item and what belongs to it a few times; the caps are looked at once, in at most 5,000 values.
      ok(count.reads <= 8 * steps + 40_000, `${count.reads} reads in ${steps} steps: ${expression.source}`);
    }),
    { numRuns: runs(300, 5_000) },
  );
});

test('an expression that cannot hold before anybody asks holds for nobody', () => {
  fc.assert(
    fc.property(cel, world, fc.array(fields, { minLength: 1, maxLength: 5 }), (expression, values, askers) => {
      if (expression.couldHold({ ...values, asker: anything })) return;
      for (const asker of askers) ok(!expression.evaluate({ ...values, asker }), expression.source);
    }),
    { numRuns: runs(1_500, 30_000) },
  );
});

test('an expression that holds before anybody asks holds for everybody', () => {
  fc.assert(
    fc.property(cel, world, (expression, values) => {
      if (expression.evaluate({ ...values, asker: anything })) ok(expression.evaluate(values), expression.source);
    }),
    { numRuns: runs(1_500, 30_000) },
  );
});

test('where the library answers true or false, the answer is the same', () => {
  const library = new Environment({ limits: { maxAstNodes: celLimits.nodes } }).registerFunction('re2(string, string): bool', (text: string) => /^(?:a|b)*$/.test(text));
  library.registerVariable('claims', 'map<string, dyn>').registerVariable({ name: 'resource', schema: { tags: 'map<string, string>' } }).registerVariable('asker', 'map<string, dyn>');
  let compared = 0;
  fc.assert(
    fc.property(cel, world, (expression, values) => {
      // It says that a text does not have a field and a map no list as a name; the language has no answer to either.
      if (/has\(x\.| in (?:claims|asker)/.test(expression.source)) return;
      let answer: unknown;
      try {
        answer = library.evaluate(expression.source, values);
      } catch {
        return;
      }
      compared += 1;
      strictEqual(expression.explain(values).outcome, answer === true ? 'holds' : 'does_not_hold', expression.source);
    }),
    { numRuns: runs(1_500, 30_000) },
  );
  ok(compared > 100, `only ${compared} could be compared`);
});

test('numbers of JSON compare with numbers of the source as numbers do', () => {
  const whole = fc.integer({ min: -1_000, max: 1_000 });
  const any = fc.oneof(whole, fc.double({ min: -1_000, max: 1_000, noNaN: true }), fc.maxSafeInteger());
  const holds = (source: string, n: number) => (compileCel(source, variables) as Cel).evaluate({ claims: { n } });
  fc.assert(
    fc.property(any, whole, (n, m) => {
      strictEqual(holds(`claims.n == ${m}`, n), n === m);
      strictEqual(holds(`claims.n == ${m}.0`, n), n === m);
      strictEqual(holds(`claims.n != ${m}`, n), n !== m);
      strictEqual(holds(`claims.n < ${m}`, n), n < m);
      strictEqual(holds(`claims.n >= ${m}`, n), n >= m);
      strictEqual(holds(`claims.n in [${m}]`, n), n === m);
      strictEqual(holds(`claims.n + ${m} > claims.n`, n), n + m > n);
    }),
    { numRuns: runs(150, 5_000) },
  );
});

test('any text is compiled or refused with a place in it', () => {
  const tokens = fc.array(fc.constantFrom('claims', '.a', '["a"]', '(', ')', '[', ']', '{', '}', ' && ', ' || ', '!', '-', '==', ' in ', '1', '1.5', '5u', 'null', '"x"', 'b"x"', '.exists(x, ', '.map(', 'has(', 're2(', ',', '?', ':', '//', '\n', '\\', 'é', '\u0000'), { maxLength: 20 });
  const source = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), tokens.map((parts) => parts.join('')), condition.map((text) => text.slice(0, -1)));
  fc.assert(
    fc.property(source, (text) => {
      const result = compileCel(text, variables);
      if (isCompiled(result)) return;
      const lines = text.split('\n');
      ok(result.faults.length > 0);
      for (const { line, column } of result.faults) ok(line >= 1 && line <= lines.length && column >= 1 && column <= lines[line - 1]!.length + 1, text);
    }),
    { numRuns: runs(200, 20_000) },
  );
});
