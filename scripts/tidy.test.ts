import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { plantTree } from '#test/planted-tree.ts';
import { checkTidy } from './tidy.ts';

/** A function with this many lines of its own, and `inner` lines in a function inside. */
function functionOf(lines: number, inner = 0): string {
  const statements = (count: number): string => 'x();\n'.repeat(count);
  return `\nexport function long(): void {\n${statements(lines - (inner > 0 ? 3 : 2))}${inner > 0 ? `const f = () => {\n${statements(inner)}};\n` : ''}}\n`;
}

type Row = readonly [guarantee: string, path: string, text: string, ...problems: RegExp[]];

const production = 'src/platform/a.ts';
const tests = 'src/platform/a.test.ts';

const refused: readonly Row[] = [
  ['the environment is read in one place', production, `const x = 1;\nexport const y = process.env['Y'];`, /^src\/platform\/a\.ts:2: `process\.env`/],
  ['nor taken apart', production, `const { env } = process;`, /`process\.env`/],
  ['nor through globalThis', production, `export const y = globalThis.process.env.Y;`, /`process\.env`/],
  ['nor by a computed name', production, `export const y = process['env'].Y;`, /`process\.env`/],
  ['nor imported', production, `import { env } from 'node:process';`, /`process\.env`/],
  ['time comes in: Date.now', production, `export const now = Date.now;`, /`Date\.now`/],
  ['time comes in: new Date()', production, `export const now = () => new Date();`, /`new Date\(\)`/],
  ['time comes in: Date()', production, `export const now = () => Date();`, /`new Date\(\)`/],
  ['randomness comes in', production, `export const x = () => Math.random();`, /`Math\.random`/],
  ['the network comes in', production, `export const x = () => fetch('https://a.example');`, /`fetch`/],
  ['nor through globalThis', production, `export const x = globalThis.fetch;`, /`fetch`/],
  ['no pattern from a variable', production, `export const x = (p: string) => new RegExp(p);`, /`computed RegExp`/],
  ['nor without new', production, `export const x = (p: string) => RegExp(p, 'u');`, /`computed RegExp`/],
  ['nor inside a template', production, 'export const x = (p: string) => new RegExp(`^${p}$`);', /`computed RegExp`/],
  ['nor from a constant that is computed', production, 'const p = String(1);\nexport const x = new RegExp(p);', /`computed RegExp`/],
  ['a test does not wait for time to pass', tests, `setTimeout(() => {}, 10);`, /`setTimeout`/],
  ['nor with a promise', tests, `import { setTimeout as sleep } from 'node:timers/promises';`, /`setTimeout`/],
  ['no test runs alone', tests, `test.only('x', () => {});\nit('y', { only: true }, () => {});`, /a\.test\.ts:1: `only`/, /a\.test\.ts:2: `only`/],
  ['a skip has a reason that begins with needs', tests, `test('x', { skip: root ? false : 'only root' }, () => {});`, /`skip reason`/],
  ['a template as a reason too', tests, 'test("x", { skip: `no ${tool}` }, () => {});', /`skip reason`/],
  ['no inline type in an import, anywhere', 'bench/a.ts', `import { type X } from './b.ts';`, /`inline type`/],
  ['nor in an export', production, `export { type X } from './b.ts';`, /`inline type`/],
  ['a name says what is in the file', 'src/kernel/utils.ts', '', /name the file for its rule/],
  ['helpers is no name either, in tests neither', 'test/helpers.ts', '', /name the file for its rule/],
  ['nor common, nor index', 'console/src/index.tsx', '', /name the file for its rule/],
  ['a function has at most 70 lines', production, functionOf(71), /^src\/platform\/a\.ts:2: a function with 71 lines/],
  ['whatever it contains', production, functionOf(71, 20), /^src\/platform\/a\.ts:2: a function with 71 lines/],
  ['also one that is inside', production, functionOf(10, 71), /^src\/platform\/a\.ts:\d+: a function with 73 lines/],
  ['a file has at most 400 lines', production, '\n'.repeat(401), /^src\/platform\/a\.ts:400: 401 lines/],
];

const allowed: readonly Row[] = [
  ['in strings and comments it is no use', production, `// Date.now() and process.env\nexport const x = 'new Date()';`],
  ['a Date from a value is no clock', production, `export const x = (ms: number) => new Date(ms);`],
  ['a fetch of one’s own is not the global one', production, `export const x = (fetch: () => void) => fetch();`],
  ['a literal pattern', production, `export const x = new RegExp('^a$', 'u');`],
  ['a pattern of constant texts', production, 'const word = "[a-z]+";\nexport const x = new RegExp(`^${word}$`);'],
  ['a pattern with an escaped value', production, 'export const x = (v: string) => new RegExp(`${RegExp.escape(v)}=`);'],
  ['tests have clock and environment', tests, `process.env['X'] = String(Date.now());`],
  ['scripts too', 'scripts/a.ts', `console.log(process.env['X'], new Date(), Math.random());`],
  ['a skip that says what it needs', tests, 'test("x", { skip: ready ? false : `needs: ${tool}` }, () => {});'],
  ['a name that contains the word', 'src/kernel/index-of.ts', ''],
  ['a function of 70 lines', production, functionOf(70)],
  ['a function of 70 lines with another inside', production, functionOf(70, 60)],
  ['comments and blank lines in a long function', production, functionOf(70).replace('x();', '\n// why\n\nx();')],
  ['a long function in a test', tests, functionOf(200)],
  ['400 lines', production, '\n'.repeat(400)],
  ['600 lines of a test', 'src/platform/a.test.ts', '\n'.repeat(600)],
];

describe('tidy', () => {
  for (const [guarantee, path, text, ...expected] of [...refused, ...allowed]) {
    test(guarantee, (t) => {
      const { problems } = checkTidy(plantTree(t, { [path]: text }), []);
      assert.equal(problems.length, expected.length, problems.join('\n'));
      for (const [at, pattern] of expected.entries()) assert.match(problems[at] ?? '', pattern);
    });
  }

  test('an exemption holds for one file and one rule', (t) => {
    const root = plantTree(t, { [production]: `export const x = [Date.now(), Math.random()];`, 'src/platform/b.ts': `export const x = Date.now();` });
    const { problems } = checkTidy(root, [{ path: production, rule: 'Date.now', because: 'it is the clock' }]);
    assert.equal(problems.length, 2, problems.join('\n'));
    assert.match(problems[0] ?? '', /a\.ts:1: `Math\.random`/);
    assert.match(problems[1] ?? '', /b\.ts:1: `Date\.now`/);
  });

  test('an exemption that is not needed any more is a problem', (t) => {
    const { problems } = checkTidy(plantTree(t, { [production]: '' }), [{ path: production, rule: 'Date.now', because: 'it was the clock' }]);
    assert.match(problems[0] ?? '', /exemption of src\/platform\/a\.ts from `Date\.now` is not needed/);
  });

  test('no files are no success', (t) => {
    assert.equal(checkTidy(plantTree(t, {}), []).seen, 0);
  });
});
