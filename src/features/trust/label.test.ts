import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileLabel, isLabel, legible } from './label.ts';

describe('labels of sessions', () => {
  const claims = { terraform_workspace_name: 'platform', nested: { 'a/b': 7 }, flag: true, list: ['x'], long: 'l'.repeat(300) };
  const rows: [says: string, template: string, label: string][] = [
    ['a claim stands in braces', 'tfc:{/terraform_workspace_name}', 'tfc:platform'],
    ['several claims, one after the other', '{/terraform_workspace_name}{/nested/a~1b}', 'platform7'],
    ['text alone is a label', 'nightly run', 'nightly run'],
    ['true and false are shown', '{/flag}', 'true'],
    ['a claim that is missing shows as a dash', 'tfc:{/nothing}', 'tfc:-'],
    ['a claim that is a list shows as a dash', 'tfc:{/list}', 'tfc:-'],
    ['an inherited property is no claim', '{/constructor}', '-'],
    ['a long claim is cut', '{/long}', 'l'.repeat(128)],
  ];
  for (const [says, template, label] of rows) test(says, () => assert.equal(compileLabel(template)(claims), label));

  for (const template of ['{', '}', 'a{b}', '{}', 'tfc:{/x', '{/x}}', '{/a~2}']) {
    test(`\`${template}\` is no label`, () => assert.equal(isLabel(template), false));
  }

  test('line breaks, terminal escapes, direction marks and NUL do not reach a reader', () => {
    assert.equal(legible('a\u001b[2Jb\r\nc\u202ed\0e\u2028f'), 'a [2Jb  c d e f');
  });

  test('nothing to read is a dash', () => assert.equal(legible('\n\t'), '-'));
});
