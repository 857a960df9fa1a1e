import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { catalogue } from '#kernel/errors.ts';
import { plantTree } from '#test/planted-tree.ts';
import { checkDerived, writeDerived } from './derive.ts';
import { errorsPage } from './errors-page.ts';

const page = [{ path: 'docs/page.md', make: () => Promise.resolve('one\ntwo\n') }];

describe('derived files', () => {
  const rows: readonly [guarantee: string, files: Record<string, string>, problem?: RegExp][] = [
    ['a fresh file passes', { 'docs/page.md': 'one\ntwo\n' }],
    ['a missing file fails', {}, /^docs\/page\.md: does not exist; run `npm run derive`/],
    ['an edited file fails with the line', { 'docs/page.md': 'one\n2\n' }, /^docs\/page\.md:2: is not what the records say/],
    ['a file with something added at its end fails', { 'docs/page.md': 'one\ntwo\nthree\n' }, /^docs\/page\.md:3:/],
    ['a file that lacks its end fails', { 'docs/page.md': 'one\n' }, /^docs\/page\.md:2:/],
  ];
  for (const [guarantee, files, problem] of rows) {
    test(guarantee, async (t) => {
      const { problems } = await checkDerived(plantTree(t, files), page);
      assert.equal(problems.length, problem ? 1 : 0, problems.join('\n'));
      if (problem) assert.match(problems[0] ?? '', problem);
    });
  }

  test('what was written is fresh, and is written once', async (t) => {
    const root = plantTree(t, {});
    assert.deepEqual(await writeDerived(root, page), ['docs/page.md']);
    assert.deepEqual(await writeDerived(root, page), []);
    assert.deepEqual((await checkDerived(root, page)).problems, []);
    assert.equal(readFileSync(join(root, 'docs/page.md'), 'utf8'), 'one\ntwo\n');
  });

  test('what is derived no more fails, and goes with the next derivation', async (t) => {
    const root = plantTree(t, { 'docs/page.md': 'one\ntwo\n', 'docs/schemas/Gone.json': '{}\n' });
    assert.match((await checkDerived(root, page)).problems.join(), /^docs\/schemas\/Gone\.json: is derived from nothing any more/);
    assert.deepEqual(await writeDerived(root, page), ['docs/schemas/Gone.json']);
    assert.deepEqual((await checkDerived(root, page)).problems, []);
  });

  test('an empty list of files is no success', async (t) => {
    assert.equal((await checkDerived(plantTree(t, {}), [])).seen, 0);
  });
});

describe('the page of errors', () => {
  test('has an anchor for every code of the catalogue and for nothing else', () => {
    const anchors = [...errorsPage().matchAll(/<a id="([^"]+)">/g)].map((match) => match[1]);
    assert.deepEqual(anchors.toSorted(), Object.keys(catalogue).toSorted());
  });

  test('says status, help, whether to try again, and the OAuth word', () => {
    const text = errorsPage({
      'gate.shut': { status: 503, title: 'the gate is shut', help: 'wait for the morning', retryable: true, oauth: 'temporarily_unavailable' },
      'gate.gone': { status: 410, title: 'there is no gate', help: 'take the stairs' },
    });
    assert.match(text, /^## gate$/m);
    assert.match(text, /the gate is shut: wait for the morning\n\nstatus 503 · again: yes · OAuth: `temporarily_unavailable`/);
    assert.match(text, /there is no gate: take the stairs\n\nstatus 410 · again: no\n/);
  });
});
