import { test } from 'node:test';
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { parseJson } from '#kernel/json.ts';

const limits = { maxBytes: 10_000, maxDepth: 5, maxNodes: 20 };
const utf8 = new TextEncoder();

function read(document: string | Uint8Array, overrides: Partial<typeof limits> = {}) {
  return parseJson(typeof document === 'string' ? utf8.encode(document) : document, { ...limits, ...overrides });
}

const accepted: readonly (readonly [string, string])[] = [
  ['every kind of value is read', '{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"x","f":[1,[]],"g":{}}'],
  ['white space of the four kinds is skipped', ' \t\r\n[ 1 ,\n2 ] \r\n'],
  ['a document may be one scalar', '"a"'],
  ['zero, minus zero and exponents are numbers', '[0,-0,0.10,1e5,1E+5,1e-400]'],
  ['integers beyond 2^53 become the nearest double', '[9007199254740993,123456789012345678901234567890]'],
  ['the same name in different objects is no duplicate', '[{"a":1},{"a":{"a":2}}]'],
  ['names that differ in case or normal form are different', '{"a":1,"A":2,"\u00e9":3,"e\u0301":4}'],
  ['escaped and raw text is the same text', '"\\u00e9\\n\\/\\"\\\\\\b\\f\\r\\t"'],
  ['a surrogate pair may be escaped', '"\\ud83d\\ude00"'],
  ['a replacement character is an ordinary character', '"\ufffd"'],
  ['a byte order mark inside a string is text', '"\ufeff"'],
  ['the deepest level allowed is allowed', '[[[[[1]]]]]'],
];

for (const [name, document] of accepted) {
  test(name, () => deepStrictEqual(read(document), { value: JSON.parse(document) }));
}

const refused: readonly (readonly [string, string | Uint8Array, RegExp, number])[] = [
  ['an empty document', '', /ends too early/, 0],
  ['only white space', '  ', /ends too early/, 2],
  ['a byte order mark', '\ufeff{}', /byte order mark/, 0],
  ['UTF-16 with its mark', new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), /UTF-8/, 0],
  ['a cut UTF-8 sequence', new Uint8Array([0x22, 0xc3, 0x22]), /UTF-8/, 1],
  ['an overlong UTF-8 sequence', new Uint8Array([0x22, 0xc0, 0xaf, 0x22]), /UTF-8/, 1],
  ['a surrogate encoded in UTF-8', new Uint8Array([0x22, 0x41, 0xed, 0xa0, 0x80, 0x22]), /UTF-8/, 2],
  ['invalid UTF-8 after honest replacement characters', new Uint8Array([...utf8.encode('"\ufffd\u00e9'), 0xff, 0x22]), /UTF-8/, 6],
  ['a lone high surrogate', '"ab\\ud800"', /lone surrogate/, 3],
  ['a lone low surrogate', '"\\udc00"', /lone surrogate/, 1],
  ['two high surrogates', '"\\ud800\\ud800"', /lone surrogate/, 1],
  ['a high surrogate before an ordinary escape', '"\\ud83d\\n"', /lone surrogate/, 1],
  ['a lone surrogate in a name', '{"\\ud800":1}', /lone surrogate/, 2],
  ['a duplicate member', '{"a":1,"b":2,"a":3}', /duplicate member `a`/, 13],
  ['a duplicate member in an inner object', '[{"x":{"a":1,"a":1}}]', /duplicate member/, 13],
  ['a duplicate member spelled with an escape', '{"iss":1,"\\u0069ss":2}', /duplicate member/, 9],
  ['a duplicate member spelled with escapes of other case', '{"\\u00E9":1,"\\u00e9":2}', /duplicate member/, 12],
  ['a duplicate __proto__', '{"__proto__":1,"__proto__":2}', /duplicate member/, 15],
  ['the duplicate of a name that is not printable is not repeated', '{"\\u0007":1,"\\u0007":1}', /^duplicate member$/, 12],
  ['too many levels', '[[[[[[1]]]]]]', /deeper than 5/, 5],
  ['ten thousand levels', '['.repeat(10_000), /deeper than 5/, 5],
  ['too many items', `[${'1,'.repeat(20)}1]`, /more than 20 values/, 39],
  ['too many members', `{${Array.from({ length: 20 }, (_, at) => `"${at}":0`).join()}}`, /more than 20 values/, 129],
  ['a document over the size limit', `"${'a'.repeat(10_000)}"`, /larger than 10000/, 10_000],
  ['data after the document', '{} {}', /after the document/, 3],
  ['a NUL after the document', '{}\0', /after the document/, 2],
  ['a comment', '{}// x', /after the document/, 2],
  ['a trailing comma in an array', '[1,]', /not a value/, 3],
  ['a trailing comma in an object', '{"a":1,}', /member name/, 7],
  ['a missing comma', '[1 2]', /missing/, 3],
  ['a missing colon', '{"a" 1}', /`:`/, 5],
  ['an unquoted name', '{a:1}', /member name/, 1],
  ['single quotes', "['a']", /not a value/, 1],
  ['the wrong closing bracket', '[1}', /missing/, 2],
  ['an open array', '[1', /ends too early/, 2],
  ['an open string', '"a', /inside a string/, 2],
  ['a raw line break in a string', '"a\nb"', /control character/, 2],
  ['an unknown escape', '"\\x41"', /unknown escape/, 1],
  ['an escape at the end', '"\\', /unknown escape/, 1],
  ['a short unicode escape', '"\\u12g4"', /four hexadecimal/, 1],
  ['a signed unicode escape', '"\\u+123"', /four hexadecimal/, 1],
  ['NaN', '[NaN]', /not a value/, 1],
  ['Infinity', '-Infinity', /digit/, 1],
  ['a number that would become Infinity', '{"exp":1e400}', /too large/, 7],
  ['a long number that would become Infinity', `-${'9'.repeat(310)}`, /too large/, 0],
  ['a leading zero', '[01]', /missing/, 2],
  ['a leading plus', '[+1]', /not a value/, 1],
  ['a leading point', '[.5]', /not a value/, 1],
  ['a trailing point', '[5.]', /digit/, 3],
  ['an empty exponent', '[1e]', /digit/, 3],
  ['a hexadecimal number', '[0x1]', /missing/, 2],
  ['a word cut short', 'tru', /not a value/, 0],
  ['a word in capitals', 'True', /not a value/, 0],
  ['a no-break space', '\u00a0{}', /not a value/, 0],
];

for (const [name, document, problem, offset] of refused) {
  test(`refuses ${name}`, () => {
    const outcome = read(document);
    strictEqual(outcome.value, undefined);
    ok(outcome.problem !== undefined);
    deepStrictEqual([problem.test(outcome.problem), outcome.offset], [true, offset], outcome.problem);
  });
}

test('__proto__ and constructor are ordinary own members and pollute nothing', () => {
  const { value } = read('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}');
  deepStrictEqual(Object.keys(value as object), ['__proto__', 'constructor']);
  strictEqual((value as Record<string, unknown>)['admin'], undefined);
  strictEqual(({} as Record<string, unknown>)['admin'], undefined);
});

test('a depth limit beyond what the scan can recurse is a defect', () => {
  throws(() => read('1', { maxDepth: 100_000 }), /defect/);
});

test('the deepest limit there is can be used', () => {
  const outcome = read('['.repeat(512) + ']'.repeat(512), { maxDepth: 512, maxNodes: 1000 });
  strictEqual(outcome.problem, undefined);
});

const wide = { maxBytes: 1_000_000, maxDepth: 100, maxNodes: 100_000 };

test('whatever is written as JSON is read back as JSON.parse reads it', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), (document) => {
    deepStrictEqual(parseJson(utf8.encode(document), wide), { value: JSON.parse(document) });
  }), { numRuns: 500, verbose: true });
});

test('on mutated documents it accepts nothing that JSON.parse refuses, and names a stricter rule for what it refuses alone', () => {
  const edit = fc.record({ at: fc.nat(), remove: fc.nat(2), insert: fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', 'e9', '.', 'u', ' ', '\0') });
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.array(edit, { maxLength: 3 }), (document, edits) => {
    let text = document;
    for (const { at, remove, insert } of edits) {
      const from = at % (text.length + 1);
      text = text.slice(0, from) + insert + text.slice(from + remove);
    }
    text = text.toWellFormed();
    let expected: unknown;
    try {
      expected = JSON.parse(text);
    } catch {
      ok(parseJson(utf8.encode(text), wide).problem !== undefined, `accepted ${JSON.stringify(text)}`);
      return;
    }
    const outcome = parseJson(utf8.encode(text), wide);
    if (outcome.problem === undefined) deepStrictEqual(outcome.value, expected);
    else ok(/duplicate member|lone surrogate|number too large|byte order mark/.test(outcome.problem), `${outcome.problem}: ${JSON.stringify(text)}`);
  }), { numRuns: 2000, verbose: true });
});
