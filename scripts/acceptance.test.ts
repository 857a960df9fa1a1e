import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stringify } from 'yaml';
import { plantTree } from '#test/planted-tree.ts';
import { checkAcceptance } from './acceptance.ts';

const testFile = `
import { describe, it, test } from 'node:test';
const rows = [['a row of a table', 1]];
for (const [name] of rows) test(name, () => {});
test('runs', () => {});
test('runs only with chromium', { skip: chromium ? false : 'needs: chromium' }, (t) => { if (slow) t.skip('needs: time'); });
test('never runs', { skip: true }, () => {});
test('never runs with a reason', { skip: 'needs: nothing there is' }, () => {});
it.skip('is skipped by its call', () => {});
test.todo('is to do');
test('is to do by option', { todo: 'later' }, () => {});
test('skips itself', (t) => { t.skip('needs: courage'); });
describe('a suite', { skip: true }, () => { it('inside a skipped suite', () => {}); });
test(\`answers \${1 + 1}\`, () => {});
const other = /x/.test('not a test');
`;

const files = {
  'src/a.test.ts': testFile,
  'src/skipped.test.ts': `import { test } from 'node:test';\ntest('x', { skip: true }, () => {});`,
  'src/main.ts': `program.command('serve [dir]');`,
  'bin/sallyport': '',
  'package.json': JSON.stringify({ scripts: { test: '', bench: '' } }),
};

const shown = (...places: string[]) => ({ says: 'it does', shown: places, state: 'shown' });

const rows: readonly [guarantee: string, entries: unknown, problem?: RegExp][] = [
  ['a file that has tests is accepted', [shown('src/a.test.ts')]],
  ['a test by its name', [shown('src/a.test.ts#runs')]],
  ['a test by the beginning of its name', [shown('src/a.test.ts#runs only')]],
  ['a test that is skipped on a condition', [shown('src/a.test.ts#runs only with chromium')]],
  ['a row of a table by its whole name', [shown('src/a.test.ts#a row of a table')]],
  ['a name that is computed by its fixed beginning', [shown('src/a.test.ts#answers')]],
  ['an npm script', [shown('$ npm test', '$ npm run bench -- --quick')]],
  ['a command of the CLI', [shown('$ bin/sallyport serve --data x')]],
  ['an open clause without evidence', [{ says: 'x', shown: [], state: 'open' }]],
  ['a refused clause with a reason', [{ says: 'x', shown: [], state: 'not', why: 'nobody asked' }]],
  ['a file that does not exist is refused', [shown('src/b.test.ts')], /house\.yaml \[1\]: `src\/b\.test\.ts`: there is no such file/],
  ['a file that is no test', [shown('src/main.ts')], /must be a test file/],
  ['a test that does not exist', [shown('src/a.test.ts#walks')], /no test with this name/],
  ['a part of a row of a table', [shown('src/a.test.ts#a row')], /no test with this name/],
  ['the middle of a name', [shown('src/a.test.ts#only with chromium')], /no test with this name/],
  ['a string given to a pattern, in part', [shown('src/a.test.ts#not a')], /no test with this name/],
  ['an empty name', [shown('src/a.test.ts#')], /name of the test is missing/],
  ['a test that is skipped', [shown('src/a.test.ts#never runs')], /always skipped/],
  ['a test that is skipped for a reason, but always', [shown('src/a.test.ts#never runs with a reason')], /always skipped/],
  ['a test skipped by its call', [shown('src/a.test.ts#is skipped by its call')], /always skipped/],
  ['a test to do', [shown('src/a.test.ts#is to do')], /always skipped/],
  ['a test to do by option', [shown('src/a.test.ts#is to do by option')], /always skipped/],
  ['a test that skips itself', [shown('src/a.test.ts#skips itself')], /always skipped/],
  ['a test in a skipped suite', [shown('src/a.test.ts#inside a skipped suite')], /always skipped/],
  ['a file of which nothing runs', [shown('src/skipped.test.ts')], /no test in this file runs/],
  ['an npm script that does not exist', [shown('$ npm run fly')], /no script `fly`/],
  ['npm for something else', [shown('$ npm install x')], /write `npm test`/],
  ['a command the CLI does not have', [shown('$ bin/sallyport fly')], /no command `fly`/],
  ['any other command', [shown('$ true')], /name an npm script/],
  ['shown without evidence', [shown()], /nothing is named that shows it/],
  ['not without a reason', [{ says: 'x', shown: [], state: 'not' }], /say `why`/],
  ['an unknown field', [{ ...shown('src/a.test.ts'), done: true }], /"done"/],
  ['an unknown state', [{ says: 'x', shown: [], state: 'done' }], /state/],
  ['the same clause twice', [shown('src/a.test.ts'), shown('src/a.test.ts')], /house\.yaml \[2\]: says the same as .*\[1\]/],
  ['a file that is no list', { says: 'x' }, /must be a list/],
  ['a file that is empty', [], /must be a list/],
];

describe('acceptance', () => {
  for (const [guarantee, entries, problem] of rows) {
    test(guarantee, (t) => {
      const { problems } = checkAcceptance(plantTree(t, { ...files, 'test/acceptance/house.yaml': stringify(entries, { aliasDuplicateObjects: false }) }));
      assert.equal(problems.length, problem ? 1 : 0, problems.join('\n'));
      if (problem) assert.match(problems[0] ?? '', problem);
    });
  }

  test('what is open is counted and named', (t) => {
    const report = checkAcceptance(plantTree(t, { 'test/acceptance/a.yaml': stringify([{ says: 'it flies', shown: [], state: 'open' }]) }));
    assert.deepEqual(report.notes, ['open: test/acceptance/a.yaml [1]: it flies']);
  });

  test('a file that is no YAML is a problem', (t) => {
    const { problems } = checkAcceptance(plantTree(t, { 'test/acceptance/a.yaml': '- says: [' }));
    assert.equal(problems.length, 1);
  });

  test('no clauses are no success', (t) => {
    assert.equal(checkAcceptance(plantTree(t, {})).seen, 0);
  });
});
