import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import type { ConditionSpec } from './claim-condition.ts';
import { compileCondition, condition } from './claim-condition.ts';

const holds = (spec: Omit<ConditionSpec, 'claim'>, actual: unknown): boolean => compileCondition({ claim: '/a', ...spec }).holds(actual);

describe('a condition on lists, absence, numbers and booleans', () => {
  const rows: [says: string, spec: Omit<ConditionSpec, 'claim'>, actual: unknown, holds: boolean][] = [
    ['a missing claim is absent', { absent: true }, undefined, true],
    ['null is absent', { absent: true }, null, true],
    ['an empty text is there', { absent: true }, '', false],
    ['false is there', { absent: true }, false, false],
    ['an empty list is there', { absent: true }, [], false],
    ['any element is enough', { any: { equals: 'ops' } }, ['dev', 'ops'], true],
    ['no element is not', { any: { equals: 'ops' } }, ['dev'], false],
    ['an empty list has no element', { any: { glob: '*' } }, [], false],
    ['one value is no list of one', { any: { equals: 'ops' } }, 'ops', false],
    ['text is no list of characters', { any: { equals: 'o' } }, 'ops', false],
    ['a missing list has no element', { any: { glob: '*' } }, undefined, false],
    ['an object is no list', { any: { equals: 'ops' } }, { 0: 'ops', length: 1 }, false],
    ['null among elements is missing', { any: { oneOf: ['x'] } }, [null], false],
    ['a list within a list is one element, which is no text', { any: { glob: '*' } }, [['ops']], false],
    ['elements are compared typed', { any: { equals: 1 } }, ['1', true], false],
    ['any by one of several', { any: { oneOf: ['ops', 'sre'] } }, ['dev', 'sre'], true],
    ['any by glob', { any: { glob: 'team-*' } }, ['dev', 'team-a'], true],
    ['all elements must be so', { all: { glob: 'team-*' } }, ['team-a', 'team-b'], true],
    ['one that is not spoils it', { all: { glob: 'team-*' } }, ['team-a', 'root'], false],
    ['one that is no text spoils it', { all: { glob: '*' } }, ['team-a', 7], false],
    ['null among all spoils it', { all: { oneOf: ['a'] } }, ['a', null], false],
    ['all of nothing is nothing', { all: { glob: '*' } }, [], false],
    ['all of one value that is no list does not hold', { all: { equals: 'a' } }, 'a', false],
    ['any of no values selects nothing', { any: { oneOf: [] } }, ['a'], false],
    ['true is true', { equals: true }, true, true],
    ['true is not the text', { equals: true }, 'true', false],
    ['the text is not true', { equals: 'true' }, true, false],
    ['1 is 1.0', { equals: 1 }, JSON.parse('1.0'), true],
    ['1.9 is not 1', { equals: 1 }, 1.9, false],
    ['a number past what is exact is not its neighbour in text', { equals: '9007199254740993' }, 9007199254740993, false],
    ['-0 is 0', { equals: 0 }, -0, true],
  ];
  for (const [says, spec, actual, expected] of rows) test(says, () => assert.equal(holds(spec, actual), expected));
});

describe('a glob has a star and a question mark and nothing else', () => {
  const rows: [attack: string, glob: string, text: string, matches: boolean][] = [
    ['the whole text is meant: no suffix', 'main', 'main-evil', false],
    ['the whole text is meant: no prefix', 'main', 'evil-main', false],
    ['no line is a text of its own', 'main', 'main\nevil', false],
    ['a star takes slashes', 'refs/heads/*', 'refs/heads/feature/x', true],
    ['a star takes line ends', 'a*b', 'a\nb', true],
    ['a star takes nothing', 'a*', 'a', true],
    ['a question mark takes one character, not none', 'v?', 'v', false],
    ['a question mark takes one character, not two', 'v?', 'v10', false],
    ['alternation is no alternation', 'main|release', 'release', false],
    ['alternation is its characters', 'main|release', 'main|release', true],
    ['negation negates nothing', '!main', 'other', false],
    ['negation is its character', '!main', '!main', true],
    ['braces choose nothing', '{main,evil}', 'evil', false],
    ['a class is no class', '[a-z]', 'b', false],
    ['a group is no group', '(main)', 'main', false],
    ['an extended glob is none', '@(main)', 'main', false],
    ['two stars are as one', 'a**b', 'a/x/b', true],
    ['a backslash escapes nothing', '\\*', '*', false],
    ['a backslash is itself', '\\*', '\\x', true],
    ['case counts', 'Main', 'main', false],
    ['lookalikes differ', 'main', 'ma\u0456n', false],
  ];
  for (const [attack, glob, text, matches] of rows) test(attack, () => assert.equal(holds({ glob }, text), matches));

  test('catastrophic backtracking: a pattern of 500 characters against 16,000 is answered', () => {
    const glob = `${'*a'.repeat(250)}b`;
    assert.equal(holds({ glob }, 'a'.repeat(16_000)), false);
  });

  test('a text without star and question mark matches itself and nothing else', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((one) => !/[*?]/.test(one));
    fc.assert(fc.property(text, text, (glob, other) => assert.equal(holds({ glob }, other), glob === other)), { numRuns: runs(200, 5_000) });
  });

  test('a star in place of any part of a text still matches it', () => {
    const part = fc.string({ minLength: 0, maxLength: 8 });
    fc.assert(fc.property(part, part, part, (a, b, c) => assert.equal(holds({ glob: `${a.replaceAll(/[*?]/g, '')}*${c.replaceAll(/[*?]/g, '')}` }, `${a.replaceAll(/[*?]/g, '')}${b}${c.replaceAll(/[*?]/g, '')}`), true)), { numRuns: runs(200, 5_000) });
  });
});

describe('a condition that is refused', () => {
  const rows: [says: string, spec: unknown][] = [
    ['nothing at all', {}],
    ['two things', { equals: 'a', absent: true }],
    ['absence that is none', { absent: false }],
    ['existence that is none', { exists: false }],
    ['any of two things', { any: { equals: 'a', glob: 'a' } }],
    ['any of nothing', { any: {} }],
    ['any that something exists', { any: { exists: true } }],
    ['any within any', { any: { any: { equals: 'a' } } }],
    ['any of a value', { any: 'a' }],
    ['null', { equals: null }],
    ['a list of nulls', { oneOf: [null] }],
    ['a number that is none', { equals: Number.NaN }],
    ['a negation', { notEquals: 'a' }],
    ['a regular expression', { matches: '.*' }],
  ];
  for (const [says, spec] of rows) test(says, () => assert.equal(condition.safeParse({ claim: '/a', ...(spec as object) }).success, false));
});
