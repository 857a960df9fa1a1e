import { test } from 'node:test';
import { strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalJson } from '#kernel/canonical.ts';
import { parseJson } from '#kernel/json.ts';

const bare: unknown = Object.assign(Object.create(null), { b: 1, a: 2 });

const written: readonly (readonly [string, unknown, string])[] = [
  ['members are sorted and white space is gone', { b: [1, { d: 4, c: 3 }], a: 'x' }, '{"a":"x","b":[1,{"c":3,"d":4}]}'],
  ['array order is kept', [3, 1, 2], '[3,1,2]'],
  ['literals', [null, true, false], '[null,true,false]'],
  ['names sort by UTF-16 code units, not by code points or locale',
    { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7, a: 8, B: 9, '': 10 },
    '{"":10,"\\r":2,"1":4,"B":9,"a":8,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}'],
  ['integer-like names sort as text', { 10: 1, 9: 2, 1: 3 }, '{"1":3,"10":1,"9":2}'],
  ['control characters use the short escape or \\u00xx in lower case', '\b\t\n\f\r"\\/\u0000\u001f\u007f', '"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\u007f"'],
  ['text beyond ASCII is not escaped', '\u20ac\u2028\u{1f600}', '"\u20ac\u2028\u{1f600}"'],
  ['text is not normalised', ['\u00e9', 'e\u0301'], '["\u00e9","e\u0301"]'],
  ['minus zero is zero', -0, '0'],
  ['trailing zeros vanish', [4.50, 2e-3, 1.0], '[4.5,0.002,1]'],
  ['no exponent up to 1e21', [1e20, 333333333.33333329], '[100000000000000000000,333333333.3333333]'],
  ['an exponent with its sign from 1e21', [1e21, 1e30], '[1e+21,1e+30]'],
  ['no exponent down to 1e-6', 0.000001, '0.000001'],
  ['an exponent below', [1e-7, 1e-27], '[1e-7,1e-27]'],
  ['the extremes of a double', [5e-324, 1.7976931348623157e308], '[5e-324,1.7976931348623157e+308]'],
  ['the edge of the safe integers', [9007199254740991, -9007199254740992], '[9007199254740991,-9007199254740992]'],
  ['an object without prototype is plain', bare, '{"a":2,"b":1}'],
  ['__proto__ is a member like any other', JSON.parse('{"z":1,"__proto__":{"a":1}}'), '{"__proto__":{"a":1},"z":1}'],
];

for (const [name, value, text] of written) test(name, () => strictEqual(canonicalJson(value), text));

const cycle: Record<string, unknown> = {};
cycle['self'] = cycle;

const refused: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['an undefined member, which JSON.stringify would drop', { a: undefined }],
  ['an undefined item, which JSON.stringify would turn into null', [undefined]],
  ['a hole in an array', new Array(1)],
  ['NaN', [Number.NaN]],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['minus Infinity', Number.NEGATIVE_INFINITY],
  ['a lone surrogate in a value', '\ud800'],
  ['a lone surrogate in a name', { '\udc00': 1 }],
  ['a bigint', 1n],
  ['a function', () => 1],
  ['a symbol', Symbol('a')],
  ['a member named by a symbol', { [Symbol('a')]: 1 }],
  ['a date, whose text would depend on toJSON', new Date(0)],
  ['a map', new Map()],
  ['bytes', new Uint8Array(1)],
  ['a cycle', cycle],
];

for (const [name, value] of refused) test(`refuses ${name}`, () => throws(() => canonicalJson(value), /^Error: defect: .* canonical JSON$/));

const limits = { maxBytes: 1_000_000, maxDepth: 100, maxNodes: 100_000 };

test('equal values have one text, which reads back as the value and is stable', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
    const text = canonicalJson(value);
    const outcome = parseJson(new TextEncoder().encode(text), limits);
    strictEqual(outcome.problem, undefined);
    strictEqual(canonicalJson(outcome.value), text);
    strictEqual(canonicalJson(reversed(value)), text);
  }), { numRuns: 500, verbose: true });
});

/** The same value with the members of every object written in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([name, member]) => [name, reversed(member)]));
}
