import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { Kinds } from '#kernel/kind.ts';
import { visitMarks } from '#kernel/marks.ts';
import { recover, spelledOut, yaml } from '#test/pipelines/documents.ts';
import { environmentKind, executionNoun, finalStatuses, isFinal, openStatuses, pipelineKind, serviceKind } from './schema.ts';

const kinds = new Kinds([executionNoun], [pipelineKind, environmentKind, serviceKind]);

test('kinds are known by the names manifests and permissions use', () => {
  for (const name of ['Pipeline', 'Environment', 'Service']) assert.ok(kinds.byManifest(name), name);
  for (const permission of ['pipeline.execute', 'environment.access', 'service.access', 'execution.view', 'execution.abort']) {
    assert.ok(kinds.permission(permission), permission);
  }
  assert.equal(kinds.permission('execution.execute'), null);
});

test('the environments and services that a file writes out are references, expressions are not', () => {
  const references = (text: string): unknown[] => {
    const found: unknown[] = [];
    visitMarks(pipelineKind.spec, pipelineKind.spec.parse(yaml(text)), ({ mark, value, path }) => found.push([mark.ref, value, path.at(-1)]));
    return found;
  };
  assert.deepEqual(references(recover), [['service', 'web', 'serviceRef'], ['environment', 'prod', 'environmentRef']]);
  assert.deepEqual(references(spelledOut), [['service', 'org.web', 'serviceRef']]);
});

test('the schema of each kind can be published', () => {
  for (const kind of [pipelineKind, environmentKind, serviceKind]) {
    assert.equal((z.toJSONSchema(kind.spec) as { type?: string }).type, 'object');
  }
});

test('an environment is one of two types, and conditions may read which', () => {
  const spec = environmentKind.spec.parse({ type: 'Production' });
  assert.equal(environmentKind.attributes?.['type']?.(spec), 'Production');
  for (const wrong of [{}, { type: 'production' }, { type: null }, { type: 'Production', x: 1 }]) {
    assert.equal(environmentKind.spec.safeParse(wrong).success, false);
  }
});

test('every status is either final or open', () => {
  assert.deepEqual(finalStatuses.map(isFinal), finalStatuses.map(() => true));
  assert.deepEqual(openStatuses.map(isFinal), openStatuses.map(() => false));
});
