import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barePointer, bareToManifest, isBarePipeline } from './manifest.ts';
import { spelledOut, yaml } from '#test/pipelines/documents.ts';

test('a bare file becomes a manifest whose scope is made of its org and project', () => {
  const result = bareToManifest(yaml(spelledOut));
  assert.ok('manifest' in result);
  const { spec, ...manifest } = result.manifest;
  assert.deepEqual(manifest, {
    kind: 'Pipeline', scope: 'payments/checkout', identifier: 'nightly', name: 'Nightly', description: '', tags: { team: 'web', flag: '' },
  });
  assert.deepEqual(Object.keys(spec.pipeline), ['variables', 'timeout', 'stages']);
});

const cases: readonly [name: string, document: unknown, pointers: readonly string[]][] = [
  ['without identifiers it has no place', { pipeline: { stages: [] } }, ['/pipeline/identifier', '/pipeline/orgIdentifier', '/pipeline/projectIdentifier']],
  ['an org that escapes its place is refused', { pipeline: { identifier: 'a', orgIdentifier: 'x/y', projectIdentifier: '../z' } }, ['/pipeline/orgIdentifier', '/pipeline/projectIdentifier']],
  ['a name must be text', { pipeline: { identifier: 'a', name: 3, orgIdentifier: 'x', projectIdentifier: 'y' } }, ['/pipeline/name']],
  ['tags must be a map', { pipeline: { identifier: 'a', orgIdentifier: 'x', projectIdentifier: 'y', tags: ['a'] } }, ['/pipeline/tags']],
  ['a second field beside `pipeline` is refused', { pipeline: {}, 'a/b': 1 }, ['/a~1b']],
  ['a manifest is no bare file', { kind: 'Pipeline', pipeline: {} }, ['']],
  ['a list is no file', [], ['']],
  ['a pipeline that is text', { pipeline: 'x' }, ['/pipeline']],
];

for (const [name, document, pointers] of cases) {
  test(name, () => {
    const result = bareToManifest(document);
    assert.deepEqual('errors' in result && result.errors.map(({ pointer }) => pointer), pointers);
  });
}

test('only a document with `pipeline` and without `kind` is a bare file', () => {
  assert.equal(isBarePipeline({ pipeline: {} }), true);
  assert.equal(isBarePipeline({ kind: 'Pipeline', spec: {}, pipeline: {} }), false);
  assert.equal(isBarePipeline(JSON.parse('{"__proto__":{"pipeline":{}}}')), false);
  assert.equal(isBarePipeline(null), false);
});

for (const [pointer, bare] of [
  ['/spec/pipeline/stages/0/stage', '/pipeline/stages/0/stage'], ['/spec', '/pipeline'], ['/identifier', '/pipeline/identifier'],
  ['/tags/team', '/pipeline/tags/team'], ['/scope', '/pipeline/projectIdentifier'], ['/kind', ''], ['', ''],
] as const) {
  test(`the place \`${pointer}\` of the manifest is \`${bare}\` in the file`, () => assert.equal(barePointer(pointer), bare));
}
