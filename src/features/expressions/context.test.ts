import { test } from 'node:test';
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { contextFrom, marked, notYet } from './context.ts';
import type { ContextTree } from './context.ts';
import { dataFrom, textOf, trusted, untrusted, valueOf } from './value.ts';

const uid = (name: string) => ({ secrets: new Set([name]), untrusted: false });
const tree: ContextTree = {
  text: 'x', list: ['a', marked('b', untrusted)], later: notYet, absent: undefined, none: null,
  outside: marked({ a: { b: marked('deep', uid('S')) } }, untrusted),
  mixed: { a: marked(1, uid('A')), b: marked(2, uid('B')), c: notYet, d: undefined },
};

const lookups: readonly (readonly [string, readonly (string | number)[], unknown, string])[] = [
  ['a value', ['text'], 'x', ''],
  ['null is a value', ['none'], null, ''],
  ['an item of a list', ['list', 0], 'a', ''],
  ['a marked item', ['list', 1], 'b', '*'],
  ['a list unites the marks of its items', ['list'], ['a', 'b'], '*'],
  ['an inner mark adds to the outer one', ['outside', 'a', 'b'], 'deep', 'S*'],
  ['a whole object has all marks above and below it', ['outside'], { a: { b: 'deep' } }, 'S*'],
  ['what is not there yet reads as null inside an object', ['mixed'], { a: 1, b: 2, c: null }, 'A,B'],
  ['a sibling without a mark is clean', ['mixed', 'c'], 'not_yet', ''],
  ['everything below what is not there yet is not there yet', ['later', 'x', 0, 'y'], 'not_yet', ''],
  ['an undefined member is missing', ['absent'], 'missing', ''],
  ['a name below text is missing', ['text', 'length'], 'missing', ''],
  ['an index into text is missing', ['text', 0], 'missing', ''],
  ['a name below null is missing', ['none', 'x'], 'missing', ''],
  ['a list has no members by name', ['list', 'length'], 'missing', ''],
  ['a list has no members by text', ['list', '0'], 'missing', ''],
  ['an object has no members by number', ['mixed', 0], 'missing', ''],
  ['an index beyond the list is missing', ['list', 2], 'missing', ''],
  ['inherited members are missing', ['mixed', 'toString'], 'missing', ''],
  ['the prototype is missing', ['mixed', '__proto__'], 'missing', ''],
];

for (const [name, path, expected, taints] of lookups) {
  test(name, () => {
    const answer = contextFrom(tree).lookup(path);
    if (typeof answer === 'string') return strictEqual(answer, expected);
    deepStrictEqual(JSON.parse(JSON.stringify(answer.found.data)), expected);
    strictEqual([...answer.found.secrets].sort().join() + (answer.found.untrusted ? '*' : ''), taints);
  });
}

test('the taint of the context is on everything in it', () => {
  const answer = contextFrom({ a: { b: 1 } }, untrusted).lookup(['a', 'b']);
  deepStrictEqual(answer, { found: { data: 1, secrets: new Set(), untrusted: true } });
});

test('attack: a payload that looks like a value or a mark is data', () => {
  const payload = { data: 'x', secrets: [], untrusted: false, tree: 'x', taint: trusted };
  const answer = contextFrom({ payload: marked({ inner: { ...payload, taint: 'none' } }, untrusted) }).lookup(['payload', 'inner']);
  ok(typeof answer === 'object');
  strictEqual(answer.found.untrusted, true);
  deepStrictEqual(Object.keys(answer.found.data as object), ['data', 'secrets', 'untrusted', 'tree', 'taint']);
});

test('names are those of objects', () => {
  const context = contextFrom(tree);
  deepStrictEqual(context.names?.(['mixed']), ['a', 'b', 'c', 'd']);
  deepStrictEqual(context.names?.(['outside', 'a']), ['b']);
  for (const path of [['text'], ['list'], ['later'], ['nowhere']]) deepStrictEqual(context.names?.(path), []);
});

test('data holds nothing but JSON', () => {
  deepStrictEqual(JSON.stringify(dataFrom({ a: [1, undefined, null], b: undefined, c: { d: true } })), '{"a":[1,null,null],"c":{"d":true}}');
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, 1n, Symbol('x'), () => 1, { a: new Map() }, [new Date(0)], new (class X {})()]) {
    throws(() => dataFrom(wrong), /defect: expression data holds/);
  }
});

test('a text for every value', () => {
  const rows = [[null, 'null'], [true, 'true'], [1.5, '1.5'], ['x', 'x'], [[1, 'a'], '[1,"a"]'], [{ a: null }, '{"a":null}']] as const;
  for (const [data, text] of rows) strictEqual(textOf(data), text);
  deepStrictEqual(valueOf('x'), { data: 'x', secrets: new Set(), untrusted: false });
});
