import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import { contextFrom } from './context.ts';
import { evaluate } from './evaluate.ts';
import { functions } from './example-world.ts';
import { placeOf } from './place.ts';
import type { Data, Value } from './schema.ts';
import { occurrences } from './search.ts';
import { compileTemplate } from './template.ts';

const kib = 1024;
const big = 'a'.repeat(256 * kib);

const context = contextFrom({
  big, half: 'ab'.repeat(64 * kib), quarter: 'a'.repeat(64 * kib), lower: 'ß'.repeat(100 * kib),
  over: `${big}a`, list: Array.from({ length: 1_000 }, () => 'x'), bush: Array.from({ length: 100_000 }, () => []),
  wide: Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`name${i}`, i])),
  deep: JSON.parse(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) as Data,
  deepText: `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
});

function valueOf(text: string): Value {
  const outcome = evaluate(compileTemplate(text, { functions }), { context, sink: 'environment' });
  ok(outcome.kind === 'value');
  return outcome.value;
}

const nested = (depth: number): string => `${'<+'.repeat(depth)}1${'>'.repeat(depth)}`;

const inside: readonly (readonly [string, string])[] = [
  ['15 expressions inside each other', nested(15)],
  ['500 expressions beside each other', '<+1>'.repeat(500)],
  ['500 calls beside each other', `<+[${'"a".trim(),'.repeat(500)}1]>`],
  ['a text of 256 KiB', 'a'.repeat(256 * kib)],
  ['a value of 256 KiB', '<+big>'],
  ['a value of 256 KiB made by a method', '<+half.concat(half)>'],
  ['1,900 parts', `<+[${'1,'.repeat(1_899)}1]>`],
  ['190 parentheses', `<+${'('.repeat(190)}1${')'.repeat(190)}>`],
  ['190 sums in a row', `<+${'1+'.repeat(190)}1>`],
];

for (const [name, text] of inside) test(`within the limits: ${name}`, () => void valueOf(text));

const bombs: readonly (readonly [string, string])[] = [
  ['16 expressions inside each other', nested(16)],
  ['100,000 expressions inside each other', nested(100_000)],
  ['strings and expressions inside each other', `${'<+"'.repeat(20)}x${'">'.repeat(20)}`],
  ['one byte more than 256 KiB', 'a'.repeat(256 * kib + 1)],
  ['256 KiB counted in bytes, not letters', 'ü'.repeat(129 * kib)],
  ['100,000 open parentheses', `<+${'('.repeat(100_000)}1${')'.repeat(100_000)}>`],
  ['10,000 open parentheses', `<+${'('.repeat(10_000)}1${')'.repeat(10_000)}>`],
  ['10,000 open lists', `<+${'['.repeat(10_000)}1${']'.repeat(10_000)}>`],
  ['10,000 negations', `<+${'!'.repeat(10_000)}true>`],
  ['10,000 minus signs', `<+${'-'.repeat(10_000)}1>`],
  ['10,000 sums in a row', `<+${'1+'.repeat(10_000)}1>`],
  ['500 sums in a row', `<+${'1+'.repeat(500)}1>`],
  ['1,000 ternaries in a row', `<+${'true?1:'.repeat(1_000)}1>`],
  ['1,000 ternaries inside each other', `<+${'true?'.repeat(1_000)}1${':1'.repeat(1_000)}>`],
  ['1,000 calls in a row', `<+"a"${'.trim()'.repeat(1_000)}>`],
  ['1,000 calls inside each other', `<+${'"a".concat('.repeat(1_000)}"a"${')'.repeat(1_000)}>`],
  ['a path of 5,000 names', `<+a${'.b'.repeat(5_000)}>`],
  ['a path through 1,000 indexes', `<+${'a['.repeat(1_000)}1${']'.repeat(1_000)}>`],
  ['2,001 parts', `<+[${'1,'.repeat(2_000)}1]>`],
  ['2,001 expressions beside each other', '<+1>x'.repeat(1_001)],
  ['200,000 signs', `<+${'=='.repeat(100_000)}>`],
  ['a context value above the limit', '<+over>'],
  ['a context list of very many empty lists', '<+bush>'],
  ['a context object with very many members', '<+wide>'],
  ['a context value of great depth', '<+deep>'],
  ['text that grows by concat', '<+big.concat("a")>'],
  ['text that grows by +', '<+big + "a">'],
  ['text that grows by adjacency', '<+big><+big>'],
  ['text that grows in a string', '<+"<+big><+big>">'],
  ['text that grows by replace', `<+"x"${'.replace("x", "xxxxxxxxxx")'.repeat(30)}>`],
  ['text that grows by one replace', '<+quarter.replace("a", quarter)>'],
  ['text that grows by replace of every letter', '<+big.replace("a", "ab")>'],
  ['text that grows by join', '<+list.join(quarter)>'],
  ['text that grows by join, concat, split and join', `<+"a,b"${'.concat(",").split(",").join("aaaaaaaa,bbbbbbbb,")'.repeat(30)}>`],
  ['text that grows by case', '<+lower.toUpperCase().concat(lower)>'],
  ['a list that grows by split', '<+big.split("a")>'],
  ['a list of large values', '<+[big, big, big]>'],
  ['lists that nest beyond the depth of values', `<+${'['.repeat(70)}1${']'.repeat(70)}>`],
  ['work that is cheap once and expensive 1,000 times', `<+[${'big.length(),'.repeat(600)}1]>`],
  ['a hostile search many times', `<+[${'big.contains(quarter),'.repeat(600)}1]>`],
];

for (const [name, text] of bombs) {
  test(`bomb: ${name} is refused with its place`, () => {
    throws(() => valueOf(text), (error: unknown) => {
      ok(error instanceof Refusal, String(error).slice(0, 300));
      strictEqual(error.code, 'expression.limit');
      ok(placeOf(error) !== undefined);
      ok((error.say ?? '').length < 400);
      return true;
    });
  });
}

test('bomb: JSON of great depth is refused, not parsed into a stack overflow', () => {
  throws(() => valueOf('<+json.object(deepText)>'), (error: unknown) => {
    ok(error instanceof Refusal);
    match(error.say ?? '', /not JSON, or has members twice, or nests too deep/);
    return true;
  });
});

test('an error names the size that would have been, not the text', () => {
  throws(() => valueOf('<+big.concat("a")>'), { say: /larger than 256 KiB \(line 1, column 7: / });
});

test('a needle made to defeat a search takes as long as any other', () => {
  // The engine's own search needs about three seconds for each of these, which makes two minutes of the loop.
  const text = 'a'.repeat(256 * kib);
  const needle = `${'a'.repeat(64 * kib)}b${'a'.repeat(64 * kib)}`;
  for (let i = 0; i < 40; i++) deepStrictEqual(occurrences(text, needle), []);
});

test('property: a search finds what the simple search finds', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60, size: 'max' });
  const needles = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 9, size: 'max' });
  fc.assert(fc.property(letters, needles, fc.nat(5), (text, needle, limit) => {
    const simple: number[] = [];
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) simple.push(at);
    deepStrictEqual(occurrences(text, needle), simple);
    deepStrictEqual(occurrences(text, needle, limit), simple.slice(0, limit));
  }), { numRuns: 2_000 });
});

test('a search finds what the simple search finds, for every needle of seven and text of twelve of two letters', () => {
  const words = (length: number): string[] =>
    Array.from({ length: 2 ** length }, (_, bits) => bits.toString(2).padStart(length, '0'));
  const texts = words(12);
  for (const needle of words(7)) {
    for (const text of texts) {
      if (occurrences(text, needle, 1)[0] !== (text.includes(needle) ? text.indexOf(needle) : undefined)) {
        throw new Error(`\`${needle}\` in \`${text}\``);
      }
    }
  }
});

test('property: replace and split do what the language of the server does', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '$', '&'), maxLength: 30 });
  const needles = fc.string({ unit: fc.constantFrom('a', 'b', '$'), minLength: 1, maxLength: 7 });
  fc.assert(fc.property(letters, needles, letters, (text, needle, to) => {
    const outcome = evaluate(compileTemplate('<+[t.replace(n, to), t.split(n), t.indexOf(n), t.contains(n)]>', { functions }),
      { context: contextFrom({ t: text, n: needle, to }), sink: 'environment' });
    ok(outcome.kind === 'value');
    deepStrictEqual(outcome.value.data,
      [text.replaceAll(needle, () => to), text.split(needle), text.indexOf(needle), text.includes(needle)]);
  }), { numRuns: 500 });
});
