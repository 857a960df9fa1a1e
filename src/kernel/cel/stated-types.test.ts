import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileCel, isCompiled } from '#kernel/cel.ts';
import type { StatedType } from './stated-types.ts';

const types: Readonly<Record<string, StatedType>> = {
  'claims.ref': 'text', 'claims.ref_protected': 'text', 'claims.number': 'number', 'claims.flag': 'boolean', 'claims.groups': 'list', 'claims.kubernetes.io': 'object',
};

function faultsOf(source: string): string[] {
  const cel = compileCel(source, { claims: 'map<string, dyn>' });
  assert.ok(isCompiled(cel), source);
  return cel.typeFaults((path) => types[path.join('.')]).map(({ line, column, message }) => `${line}:${column} ${message}`);
}

describe('a comparison that nothing of the stated type could meet', () => {
  const rows: [says: string, source: string, faults: string[]][] = [
    ['text that looks like a boolean', 'claims.ref_protected == true', ['1:25 `claims.ref_protected` is text and is never `true` or `false`']],
    ['the other way round', 'true == claims.ref_protected', ['1:1 `claims.ref_protected` is text and is never `true` or `false`']],
    ['text and a number', 'claims.ref > 5', ['1:14 `claims.ref` is text and is never a number']],
    ['a number and text', 'claims.number != "5"', ['1:18 `claims.number` is a number and is never text']],
    ['a list and text', 'claims.groups == "ops"', ['1:18 `claims.groups` is a list and is never text']],
    ['two claims of two types', 'claims.ref == claims.number', ['1:15 `claims.ref` is text and is never a number']],
    ['one of a list', 'claims.ref in ["main", 5]', ['1:24 `claims.ref` is text and is never a number']],
    ['text has no elements', '"a" in claims.ref', ['1:8 `claims.ref` is text and has no elements']],
    ['text is gone through', 'claims.ref.exists(c, c == "a")', ['1:1 `claims.ref` is text and has no elements']],
    ['a number does not start with something', 'claims.number.startsWith("1")', ['1:1 `claims.number` is a number and has no `startsWith`']],
    ['by its name in brackets', 'claims["ref"] == 5', ['1:18 `claims.ref` is text and is never a number']],
    ['deep inside', '!(claims.other == "x" && (claims.flag ? claims.number == "1" : false))', ['1:58 `claims.number` is a number and is never text']],
    ['inside what goes through a list', 'claims.groups.exists(g, g == "x" && claims.ref == 1)', ['1:51 `claims.ref` is text and is never a number']],
  ];
  for (const [says, source, faults] of rows) test(says, () => assert.deepEqual(faultsOf(source), faults));

  const taken = [
    'claims.ref == "main"', 'claims.number == 5', 'claims.number == 5.0', 'claims.number > 4', 'claims.flag == true', '"ops" in claims.groups', 'claims.ref in ["a", "b"]', 'claims.ref == claims.ref_protected',
    'claims.other == 5', 'claims.other == claims.ref', 'claims["kubernetes.io"].namespace == "x"', '"namespace" in claims["kubernetes.io"]', 'int(claims.ref) == 5', 'claims.groups.exists(g, g == 5)', 'claims.groups[0] == "x"',
    'size(claims.ref) > 3', 'has(claims.ref)',
  ];
  for (const source of taken) test(`\`${source}\` is taken`, () => assert.deepEqual(faultsOf(source), []));
});
