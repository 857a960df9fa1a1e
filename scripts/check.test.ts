import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { plantTree } from '#test/planted-tree.ts';
import { checks, own, runChecks, tool } from './check.ts';
import type { Verdict } from './check.ts';

const root = join(import.meta.dirname, '..');
const copied = ['tsconfig.json', '.oxlintrc.json', 'knip.json'].map((name) => [name, readFileSync(join(root, name), 'utf8')]);
const { type, imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { type: string; imports: object };

/** A small repository with the settings of this one. */
const clean = {
  ...Object.fromEntries(copied),
  'package.json': JSON.stringify({ name: 'planted', type, imports }),
  'src/main.ts': `import { half } from '#kernel/half.ts';\nprocess.stdout.write(String(half(4)));\n`,
  'src/kernel/half.ts': `export function half(of: number): number {\n  return of / 2;\n}\n`,
  'scripts/a.ts': '',
  'test/a.ts': '',
  'bench/a.ts': '',
};

function verdict(t: TestContext, name: string, planted: Record<string, string>): Promise<Verdict> {
  const check = checks.find((one) => one.name === name);
  assert.ok(check, `no check ${name}`);
  return check.run(plantTree(t, { ...clean, ...planted }));
}

const half = 'src/kernel/half.ts';

describe('the checks that are programs of others', () => {
  const violations: readonly [check: string, guarantee: string, planted: Record<string, string>, line: RegExp][] = [
    ['types', 'a wrong type', { [half]: `export const half = (of: number): string => of / 2;\n` }, /half\.ts.*TS2322/],
    ['types', 'an index that may be missing', { [half]: `export const half = (of: number): number => [of][0] / 2;\n` }, /half\.ts.*TS2532/],
    ['types', 'syntax that is not erased', { [half]: `export enum Half { One }\nexport const half = (of: number): number => of;\n` }, /half\.ts.*TS1294/],
    ['lint', 'any', { [half]: `export const half = (of: any): number => of / 2;\n` }, /no-explicit-any/],
    ['lint', 'a type imported as a value', { 'test/a.ts': `import { Half } from './b.ts';\nexport const x: Half = 1;\n` }, /consistent-type-imports/],
    ['lint', 'a variable nobody reads', { [half]: `export function half(of: number): number {\n  const two = 2;\n  return of / 2;\n}\n` }, /no-unused-vars/],
    ['lint', 'loose equality', { [half]: `export const half = (of: number | string): boolean => of == 2;\n` }, /eqeqeq/],
    ['lint', 'a disabled rule that needs no disabling', { [half]: `export const half = 2; // oxlint-disable-line eqeqeq\n` }, /[Uu]nused/],
    ['lint', 'printing past the log', { [half]: `export const half = (): void => console.log(2);\n` }, /no-console/],
    ['dead code', 'a file nobody imports', { 'src/kernel/third.ts': `export const third = 3;\n` }, /third\.ts/],
    ['dead code', 'an export nobody imports', { [half]: `export const third = 3;\nexport const half = (of: number): number => of / third;\n` }, /third/],
    ['dead code', 'a package that is not in package.json', { [half]: `export { x as half } from 'left-pad';\n` }, /left-pad/],
    ['derived files', 'a generator that fails', {}, /Cannot find module/],
  ];
  for (const [check, guarantee, planted, line] of violations) {
    test(`${check} finds ${guarantee}`, async (t) => {
      const { ok, lines } = await verdict(t, check, planted);
      assert.equal(ok, false);
      assert.match(lines.join('\n'), line);
    });
  }

  for (const check of ['types', 'lint', 'dead code']) {
    test(`${check} finds nothing in clean code`, async (t) => {
      assert.deepEqual(await verdict(t, check, {}), { ok: true, summary: '', lines: [] });
    });
  }
});

describe('running the checks', () => {
  const passing = own('good', () => ({ seen: 1, what: 'files', problems: [], notes: ['a note'] }));
  const failing = own('bad', () => ({ seen: 1, what: 'files', problems: ['a.ts:1: wrong'] }));
  const blind = own('blind', () => ({ seen: 0, what: 'files', problems: [] }));
  const broken = own('broken', () => {
    throw new Error('a.ts:1: cannot be parsed');
  });

  test('names each that failed, prints its lines, and runs the others', async () => {
    const lines: string[] = [];
    const failed = await runChecks([passing, failing, blind, broken, tool('gone', ['scripts/there-is-none.ts'])], root, (line) => lines.push(line));
    const text = lines.join('\n');
    assert.deepEqual(failed.toSorted(), ['bad', 'blind', 'broken', 'gone']);
    assert.match(text, /^ok {4}good +\d+ ms {2}1 files$/m);
    assert.match(text, /^ +a note$/m);
    assert.match(text, /^FAIL {2}bad +\d+ ms {2}1 files\n +a\.ts:1: wrong$/m);
    assert.match(text, /^FAIL {2}blind .*\n +0 files seen/m);
    assert.match(text, /^FAIL {2}broken .*stopped\n +a\.ts:1: cannot be parsed$/m);
  });

  test('prints no more than can be read', async () => {
    const lines: string[] = [];
    const many = Array.from({ length: 1_000 }, (_, at) => `a.ts:${at}: wrong`);
    await runChecks([own('bad', () => ({ seen: 1, what: 'files', problems: many }))], root, (line) => lines.push(line));
    assert.equal(lines.length, 62);
    assert.match(lines.at(-1) ?? '', /940 more lines/);
  });

  test('all of them are there', () => {
    assert.deepEqual(
      checks.map((check) => check.name).toSorted(),
      ['acceptance', 'dead code', 'derived files', 'layering', 'lint', 'tidy', 'types'],
    );
  });

  test('a failure is the exit code of the command', (t) => {
    const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/check.ts')], { cwd: plantTree(t, clean), encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 1, stdout);
    assert.match(stdout, /^failed in \d+\.\d s: .*acceptance/m);
  });
});
