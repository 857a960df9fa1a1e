import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { digestOfClaim, readClaimSearch } from './claim-search.ts';

const digest = (context: string, value: string): Buffer => createHash('sha256').update(`${context} ${value}`).digest();
const at = (pointer: string, value: unknown): string => digestOfClaim(digest, pointer, value);

describe('a search by a claim', () => {
  const rows: [says: string, text: string, contained: object[]][] = [
    ['is for the text at a pointer', '/workspace=ws-1', [{ workspace: 'ws-1' }, { workspace: at('/workspace', 'ws-1') }]],
    ['takes a number for text unless it is said to be one', '/run=5', [{ run: '5' }, { run: at('/run', '5') }]],
    ['may be for a number', '/run:number=5', [{ run: 5 }, { run: at('/run', 5) }]],
    ['may be for true or false', '/protected:boolean=false', [{ protected: false }, { protected: at('/protected', false) }]],
    ['may be for the empty text', '/workspace=', [{ workspace: '' }, { workspace: at('/workspace', '') }]],
    ['may be for a text with an equals sign and line breaks', '/a=b=c\nd', [{ a: 'b=c\nd' }, { a: at('/a', 'b=c\nd') }]],
    ['goes into objects, with names as RFC 6901 writes them', '/kubernetes.io/a~1b~0=x', [{ 'kubernetes.io': { 'a/b~': 'x' } }, { 'kubernetes.io': { 'a/b~': at('/kubernetes.io/a~1b~0', 'x') } }]],
    ['takes a number in a pointer for a place in a list and for a name', '/groups/0=x', [{ groups: { 0: 'x' } }, { groups: ['x'] }, { groups: { 0: at('/groups/0', 'x') } }, { groups: [at('/groups/0', 'x')] }]],
    ['keeps `__proto__` a name', '/__proto__=x', [JSON.parse('{"__proto__":"x"}') as object, JSON.parse(`{"__proto__":${JSON.stringify(at('/__proto__', 'x'))}}`) as object]],
    ['takes a colon that is no type for part of the name', '/a:b=x', [{ 'a:b': 'x' }, { 'a:b': at('/a:b', 'x') }]],
  ];
  for (const [says, text, contained] of rows) {
    test(says, () => assert.deepEqual(readClaimSearch(text, digest)?.map((match) => match.contained), [contained]));
  }

  test('by an object is for each of its members, and digests stand for plain values only', () => {
    assert.deepEqual(readClaimSearch('{"a":"x","b":{"c":1}}', digest)?.map((match) => match.contained), [[{ a: 'x' }, { a: at('/a', 'x') }], [{ b: { c: 1 } }]]);
  });

  const refused: [says: string, text: string][] = [
    ['no pointer', 'workspace=ws-1'], ['no value', '/workspace'], ['a pointer of nothing', '=x'], ['a wrong escape', '/a~2=x'],
    ['a number that is none', '/a:number=five'], ['a number in hex', '/a:number=0x5'], ['a number without end', '/a:number=1e999'],
    ['neither true nor false', '/a:boolean=yes'], ['U+0000', '/a=\0'], ['U+0000, escaped', '{"a":"\\u0000"}'], ['a list', '["a"]'],
    ['an empty object', '{}'], ['broken JSON', '{"a"'], ['null', 'null'], ['a pointer of nine parts', '/a/a/a/a/a/a/a/a/a=x'],
    ['an object of fifty-one members', JSON.stringify(Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`a${i}`, 1])))],
  ];
  for (const [says, text] of refused) test(`is refused for ${says}`, () => assert.equal(readClaimSearch(text, digest), null));

  test('of many numbers in a row asks the index a bounded number of things', () => {
    const [match] = readClaimSearch('/0/1/2/3/4/5/6/7=x', digest) ?? [];
    assert.ok(match!.contained.length <= 64, `${match!.contained.length} documents`);
  });
});
