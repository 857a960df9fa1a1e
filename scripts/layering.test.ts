import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { plantTree } from '#test/planted-tree.ts';
import { checkLayering } from './layering.ts';

type Files = Readonly<Record<string, string>>;

const app = `
import { resources } from '#features/resources/feature.ts';
import { access } from '#features/access/feature.ts';
import * as runners from '#features/runners/feature.ts';
export const features = [resources, access(), runners.feature] as const;
`;

const tree: Files = {
  'src/app.ts': app,
  'src/main.ts': `import { serve } from './serve.ts';`,
  'src/serve.ts': `import { features } from './app.ts';`,
  'src/kernel/scope.ts': `import { z } from 'zod';\nimport { createHash } from 'node:crypto';\nimport type { X } from '#kernel/errors.ts';`,
  'src/platform/log.ts': `import { x } from '#kernel/scope.ts';\nimport { readFileSync } from 'node:fs';`,
  'src/features/resources/schema.ts': `export * from '#kernel/scope.ts';`,
  'src/features/resources/store.ts': `import { x } from './schema.ts';`,
  'src/features/resources/feature.ts': `import { log } from '#platform/log.ts';`,
  'src/features/access/feature.ts': `import { x } from '#features/resources/schema.ts';\nimport { y } from '../resources/feature.ts';`,
  'src/features/access/evaluate.test.ts': `import { features } from '../../app.ts';\nimport { x } from '#test/until.ts';`,
  'src/features/runners/schema.ts': '',
  'src/features/runners/feature.ts': '',
  'src/surfaces/openapi.ts': `import { x } from '#kernel/scope.ts';\nimport { y } from '#platform/http/problem.ts';`,
  'src/runner/lease.ts': `import { x } from '#features/runners/schema.ts';\nimport { y } from '#features/masking/masker.ts';`,
  'scripts/demo.ts': `import { features } from '../src/app.ts';\nawait import(process.argv[2]);`,
  'console/src/page.tsx': `import { Button } from './button.tsx';\nexport const page = <Button />;`,
};

const violations: readonly [guarantee: string, planted: Files, ...problems: RegExp[]][] = [
  ['the kernel does not import the platform', { 'src/kernel/a.ts': `\nimport { x } from '#platform/log.ts';` }, /^src\/kernel\/a\.ts:2: `#platform\/log\.ts`: the kernel imports nothing/],
  ['nor by a relative path', { 'src/kernel/a.ts': `import { x } from '../platform/log.ts';` }, /the kernel imports nothing/],
  ['nor only a type', { 'src/kernel/a.ts': `import type { X } from '#platform/log.ts';` }, /the kernel imports nothing/],
  ['nor a type inside a type', { 'src/kernel/a.ts': `export type X = import('#platform/log.ts').X;` }, /the kernel imports nothing/],
  ['nor dynamically', { 'src/kernel/a.ts': `export const x = () => import('#platform/log.ts');` }, /the kernel imports nothing/],
  ['nor by a template without expressions', { 'src/kernel/a.ts': 'export const x = () => import(`#platform/log.ts`);' }, /the kernel imports nothing/],
  ['nor by re-export', { 'src/kernel/a.ts': `export { x } from '#platform/log.ts';` }, /the kernel imports nothing/],
  ['nor by re-export of everything', { 'src/kernel/a.ts': `export * from '#platform/log.ts';` }, /the kernel imports nothing/],
  ['nor by require', { 'src/kernel/a.ts': `require('../platform/log.ts');` }, /the kernel imports nothing/],
  ['nor by import equals', { 'src/kernel/a.ts': `import x = require('../platform/log.ts');` }, /the kernel imports nothing/],
  ['nor as the file of a worker', { 'src/kernel/a.ts': `new Worker(new URL('../platform/log.ts', import.meta.url));` }, /the kernel imports nothing/],
  ['the kernel has no input and output', { 'src/kernel/a.ts': `import fs from 'node:fs/promises';\nimport net from 'net';` }, /a\.ts:1: `node:fs\/promises`/, /a\.ts:2: `net`/],
  ['the platform does not import a feature', { 'src/platform/a.ts': `import { x } from '#features/access/feature.ts';` }, /the platform imports only/],
  ['a feature does not import a later one', { 'src/features/resources/a.ts': `import { x } from '#features/access/feature.ts';` }, /access does not come before resources/],
  ['of an earlier feature a feature imports no inner file', { 'src/features/access/a.ts': `import { x } from '#features/resources/store.ts';` }, /only schema\.ts and feature\.ts/],
  ['nor one deeper down with the right name', { 'src/features/access/a.ts': `import { x } from '#features/resources/deep/schema.ts';` }, /only schema\.ts and feature\.ts/],
  ['a feature imports neither runner nor surfaces', { 'src/features/access/a.ts': `import { x } from '../../runner/lease.ts';\nimport { y } from '../../surfaces/openapi.ts';` }, /does not import runner/, /does not import surfaces/],
  ['a feature that is not in the array of app.ts has no rank', { 'src/features/extra/schema.ts': '' }, /^src\/features\/extra: not in the array `features`/],
  ['a surface imports no feature', { 'src/surfaces/a.ts': `import type { X } from '#features/access/schema.ts';` }, /a surface imports only/],
  ['a surface imports nothing of the platform but http', { 'src/surfaces/a.ts': `import { x } from '#platform/log.ts';` }, /a surface imports only/],
  ['the runner imports no feature', { 'src/runner/a.ts': `import { x } from '#features/access/schema.ts';` }, /the runner imports only/],
  ['nor more of runners than its schema', { 'src/runner/a.ts': `import { x } from '#features/runners/feature.ts';` }, /the runner imports only/],
  ['no room imports what puts the rooms together', { 'src/surfaces/a.ts': `import { features } from '../app.ts';` }, /imported by none of them/],
  ['nobody imports main.ts, app.ts neither', { 'src/app.ts': `import './main.ts';${app}` }, /nobody but scripts and tests imports main\.ts/],
  ['production code does not import test code', { 'src/platform/a.ts': `import { x } from '#test/until.ts';\nimport { y } from './log.test.ts';` }, /a\.ts:1:.*test code/, /a\.ts:2:.*test code/],
  ['the console imports nothing of the rest', { 'console/src/a.tsx': `import type { X } from '../../src/kernel/scope.ts';` }, /share no code/],
  ['the rest imports nothing of the console', { 'scripts/a.ts': `import { page } from '../console/src/page.tsx';` }, /share no code/],
  ['an import that is computed cannot be checked', { 'src/platform/a.ts': 'export const x = (name: string) => import(`./${name}.ts`);' }, /name the module in a literal/],
  ['nothing outside the repository is imported', { 'src/platform/a.ts': `import { x } from '../../../elsewhere.ts';` }, /outside the repository/],
  ['packages are imported by name', { 'src/platform/a.ts': `import { x } from '../../node_modules/zod/index.js';` }, /by name/],
  ['a file in no room is refused, whatever it imports', { 'src/more/lost.ts': '' }, /^src\/more\/lost\.ts: lies in no room/],
];

describe('layering', () => {
  test('a tree that keeps it has no problem, and its imports are seen', (t) => {
    const { problems, seen } = checkLayering(plantTree(t, tree));
    assert.deepEqual(problems, []);
    assert.equal(seen, 24);
  });

  test('the array may also name the features in strings', (t) => {
    const named = `export const features = ['resources', 'access', 'runners'] as const;`;
    assert.deepEqual(checkLayering(plantTree(t, { ...tree, 'src/app.ts': named })).problems, []);
    const turned = `export const features = ['access', 'resources', 'runners'] as const;`;
    assert.match(checkLayering(plantTree(t, { ...tree, 'src/app.ts': turned })).problems[0] ?? '', /resources does not come before access/);
  });

  for (const [guarantee, planted, ...expected] of violations) {
    test(guarantee, (t) => {
      const { problems } = checkLayering(plantTree(t, { ...tree, ...planted }));
      assert.equal(problems.length, expected.length, problems.join('\n'));
      for (const [at, pattern] of expected.entries()) assert.match(problems[at] ?? '', pattern);
    });
  }

  test('no files are no success', (t) => {
    assert.equal(checkLayering(plantTree(t, { 'src/app.ts': 'export const features = [];' })).seen, 0);
  });

  const unreadable: readonly [guarantee: string, app: string | undefined, message: RegExp][] = [
    ['that does not exist', undefined, /ENOENT.*src\/app\.ts/],
    ['without the array', `export const list = [];`, /there is no array named `features`/],
    ['with an element that is no feature', `const x = 1;\nexport const features = [x];`, /src\/app\.ts:2: an element of `features`/],
    ['with a spread', `import { a } from '#features/access/feature.ts';\nexport const features = [...a];`, /an element of `features`/],
    ['with a feature that is there twice', `import { a, b } from '#features/access/feature.ts';\nexport const features = [a, b];`, /`access` is twice/],
    ['that is no TypeScript', `export const features = [`, /src\/app\.ts:\d+: cannot be parsed/],
  ];
  for (const [guarantee, text, message] of unreadable) {
    test(`an app.ts ${guarantee} stops the check`, (t) => {
      const { 'src/app.ts': _, ...rest } = tree;
      assert.throws(() => checkLayering(plantTree(t, text === undefined ? rest : { ...rest, 'src/app.ts': text })), message);
    });
  }
});
