import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { manifestBody } from '#features/resources/schema.ts';
import { catalogue, refusal } from '#kernel/errors.ts';
import type { ErrorCode } from '#kernel/errors.ts';
import { manifestKind } from '#kernel/kind.ts';
import { problemOf } from '#platform/http/problem.ts';
import type { JsonSchema } from '#surfaces/json-schema.ts';
import { openApi, operationId, placesOf } from '#surfaces/openapi.ts';
import type { OpenApiOperation } from '#surfaces/openapi.ts';
import { anyManifest, manifestSchemas } from '#surfaces/schemas.ts';
import { cliPage } from '../../scripts/cli-page.ts';
import { kindsPage } from '../../scripts/kinds-page.ts';
import { commands } from '../../src/commands.ts';
import { describeApp } from '../../src/describe.ts';
import { schemaFaults, within } from './schema-faults.ts';

const { kinds, operations } = describeApp();
const document = JSON.parse(JSON.stringify(openApi(operations, { version: 'v1', kinds }))) as ReturnType<typeof openApi>;
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation, name: `${method.toUpperCase()} ${path}` })));

/** Everything below a value, itself included. */
function* parts(value: unknown): Generator<JsonSchema> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as JsonSchema;
  for (const part of Object.values(value)) yield* parts(part);
}

function resolved(value: JsonSchema): JsonSchema {
  const reference = value['$ref'];
  return typeof reference === 'string' ? within(document, () => assert.fail('leaves the document'))(reference).schema : value;
}

describe('the description of the API', () => {
  test('has every operation at every place it exists, under the name of its record, and nothing else', () => {
    const wanted = operations.flatMap((operation) => placesOf(operation).map(({ path, level }) => `${operation.method} ${path} ${operationId(operation, level)}`));
    const found = described.map(({ path, method, operation }) => `${method.toUpperCase()} ${path} ${operation.operationId}`);
    assert.deepEqual(found.toSorted(), wanted.toSorted());
    for (const { name } of operations) assert.ok(described.some(({ operation }) => operation.operationId === name), name);
  });

  test('names no operation twice', () => {
    const ids = described.map(({ operation }) => operation.operationId);
    assert.deepEqual(ids.filter((id, at) => ids.indexOf(id) !== at), []);
  });

  test('refers only to what it holds', () => {
    const references = [...parts(document)].flatMap((part) => (typeof part['$ref'] === 'string' ? [part['$ref']] : []));
    assert.ok(references.length > 500);
    for (const reference of new Set(references)) assert.ok(resolved({ $ref: reference }), reference);
  });

  test('holds no schema that nothing refers to', () => {
    const text = JSON.stringify(document);
    for (const group of ['schemas', 'responses', 'parameters']) {
      for (const name of Object.keys(document.components[group] as object)) assert.ok(text.includes(`"#/components/${group}/${name}"`), `${group}/${name}`);
    }
  });

  test('declares exactly the parameters of each path, and each parameter once', () => {
    for (const { path, operation, name } of described) {
      const parameters = ((operation['parameters'] ?? []) as JsonSchema[]).map(resolved);
      const inPath = parameters.filter((one) => one['in'] === 'path').map((one) => one['name']);
      assert.deepEqual(inPath.toSorted(), [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).toSorted(), name);
      const keys = parameters.map((one) => `${String(one['in'])} ${String(one['name'])}`);
      assert.equal(new Set(keys).size, keys.length, name);
      for (const one of parameters) assert.ok(typeof one['schema'] === 'object' && (one['in'] !== 'path' || one['required'] === true), name);
    }
  });

  test('tells of every operation what it does, what it answers and how it refuses', () => {
    const tags = (document['tags'] as { name: string }[]).map(({ name }) => name);
    for (const { operation, name } of described) {
      assert.ok(String(operation['summary']).length > 5 && operation.tags.every((tag) => tags.includes(tag)), name);
      const statuses = Object.keys(operation['responses'] as object);
      assert.ok(statuses.some((status) => status.startsWith('2')) && statuses.includes('default') && statuses.includes('503'), name);
      for (const response of Object.values(operation['responses'] as Record<string, JsonSchema>)) assert.equal(typeof resolved(response)['description'], 'string', name);
    }
  });

  test('asks for a credential everywhere but where the record says it is open', () => {
    assert.deepEqual(document['security'], [{ bearer: [] }]);
    const open = new Set(operations.filter(({ access }) => access.shape === 'open').map(({ name }) => name));
    const isOpen = (operation: OpenApiOperation): boolean => Array.isArray(operation['security']) && operation['security'].length === 0;
    for (const { operation, name } of described) assert.equal(isOpen(operation), open.has(operation.operationId), name);
  });

  test('refuses unknown fields in the body of every operation of the API', () => {
    for (const { operation, name } of described) {
      const content = (operation['requestBody'] as { content: Record<string, { schema: JsonSchema }> } | undefined)?.content['application/json'];
      // AuthZEN has what is unknown ignored.
      if (content === undefined || operation.operationId.startsWith('authzen.')) continue;
      const faults = schemaFaults(content.schema, { surely_unknown: 1 }, (reference) => ({ schema: resolved({ $ref: reference }), resolve: () => assert.fail(reference) }));
      assert.ok(faults.some((fault) => fault.startsWith('/surely_unknown')), name);
    }
  });

  test('describes refusals as they are sent', () => {
    const known = new Set((resolved({ $ref: '#/components/schemas/Problem' })['properties'] as { code: { enum: string[] } }).code.enum);
    const resolve = within(document, () => assert.fail('leaves the document'));
    for (const code of Object.keys(catalogue) as ErrorCode[]) {
      if (!known.has(code)) assert.match(code, /^(?:config|host|keys)\./);
      const error = refusal(code, { say: 'say', errors: [{ pointer: '/x', message: 'm', suggestion: 's', document: 0 }] });
      const api = problemOf(error, 'api', 'id');
      if (known.has(code)) {
        const responses = document.components['responses'] as Record<string, { content: Record<string, { schema: JsonSchema }> }>;
        const response = responses[`Refused${api.status}`] ?? responses['Refused']!;
        assert.deepEqual(schemaFaults(response.content[api.headers['content-type']!]!.schema, api.body, resolve), [], code);
      }
      const oauth = problemOf(error, 'oauth', 'id');
      assert.deepEqual(schemaFaults({ $ref: '#/components/schemas/OAuthError' }, oauth.body, resolve), [], code);
      const authzen = problemOf(error, 'authzen', 'id');
      assert.deepEqual(schemaFaults({ $ref: '#/components/schemas/AuthZENError' }, authzen.body, resolve), [], code);
      assert.ok(![413, 415, 422].includes(authzen.status), code);
    }
  });

  test('says of each operation in which words it refuses', () => {
    const words = { api: 'Refused', oauth: 'OAuth', authzen: 'AuthZEN' };
    for (const { dialect, name: id } of operations) {
      if (!(dialect in words)) continue;
      for (const { operation, name } of described.filter((one) => one.operation.operationId === id)) {
        const refusals = Object.entries(operation['responses'] as Record<string, JsonSchema>).filter(([status]) => !status.startsWith('2'));
        const wanted = words[dialect as keyof typeof words];
        for (const [status, { $ref }] of refusals) assert.equal($ref, `#/components/responses/${wanted}${status === 'default' ? '' : status}`, name);
      }
    }
  });

  test('has AuthZEN refuse with a text, and what is wrong with a body with 400', () => {
    const evaluation = described.find(({ operation }) => operation.operationId === 'authzen.evaluation')!.operation;
    const responses = evaluation['responses'] as Record<string, JsonSchema>;
    assert.deepEqual(Object.keys(responses), ['200', '400', '401', '403', '404', '429', '500', '503', 'default']);
    for (const [status, response] of Object.entries(responses)) {
      if (status === '200') continue;
      const { schema } = (resolved(response)['content'] as Record<string, { schema: JsonSchema }>)['application/json']!;
      assert.equal(resolved(schema)['type'], 'string', status);
    }
  });
});

const schemas = JSON.parse(JSON.stringify(Object.fromEntries(manifestSchemas(kinds, manifestBody)))) as Record<string, JsonSchema>;

function faultsOf(name: string, manifest: unknown): string[] {
  const schema = schemas[name];
  assert.ok(schema !== undefined, `there is no schema of ${name}`);
  return schemaFaults(schema, manifest, within(schema, (other) => schemas[other.replace('.json', '')]!));
}

interface Example extends Readonly<Record<string, unknown>> {
  readonly kind: string;
  readonly identifier: string;
  readonly spec: object;
}

function documentsOf(path: string): Example[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((each) => each.toJS() as Example);
}

const examples = documentsOf(new URL('manifests.yaml', import.meta.url).pathname);

describe('the schemas of manifests', () => {
  test('every kind has an example in manifests.yaml', () => {
    const shown = new Set(examples.map(({ kind }) => kind));
    assert.deepEqual([...kinds.kinds.keys()].map(manifestKind).filter((kind) => !shown.has(kind)), []);
  });

  for (const example of examples) {
    describe(`${example.kind} ${example.identifier}`, () => {
      test('is accepted by the server', () => {
        const { valueFrom, ...rest } = example.spec as Record<string, unknown>;
        const result = kinds.byManifest(example.kind)!.spec.safeParse(valueFrom === undefined ? rest : { ...rest, value: 'correct-horse-battery' });
        assert.ok(result.success, String(result.error));
      });
      test('is accepted by its schema, and by that of any kind', () => {
        assert.deepEqual(faultsOf(example.kind, example), []);
        assert.deepEqual(faultsOf(anyManifest, example), []);
      });
      test('is refused with a field nobody knows, beside `spec` or in it', () => {
        assert.notDeepEqual(faultsOf(example.kind, { ...example, surely_unknown: 1 }), []);
        assert.notDeepEqual(faultsOf(anyManifest, { ...example, surely_unknown: 1 }), []);
        assert.notDeepEqual(faultsOf(example.kind, { ...example, spec: { ...example.spec, surely_unknown: 1 } }), []);
      });
    });
  }

  const refused: readonly [guarantee: string, kind: string, change: Record<string, unknown>][] = [
    ['another kind', 'Role', { kind: 'Roll' }],
    ['a scope above the levels of the kind', 'Pipeline', { scope: 'payments' }],
    ['a scope below the levels of the kind', 'Organization', { scope: 'payments' }],
    ['a missing scope where the account will not do', 'Project', { scope: undefined }],
    ['an identifier with a dot', 'User', { identifier: 'alice.b' }],
    ['a missing spec', 'Service', { spec: undefined }],
    ['a tag that is a number', 'Service', { tags: { n: 1 } }],
    ['an element of pipelines that is not supported yet', 'Pipeline', { spec: { pipeline: { stages: [{ stage: { identifier: 'a', type: 'Approval', spec: {} } }] } } }],
    ['two sources of one value', 'Secret', { spec: { type: 'text', valueFrom: { env: 'A', file: 'b' } } }],
  ];
  for (const [guarantee, kind, change] of refused) {
    test(`refuse ${guarantee}`, () => {
      const example = examples.find((one) => one.kind === kind)!;
      assert.notDeepEqual(faultsOf(kind, JSON.parse(JSON.stringify({ ...example, ...change }))), []);
    });
  }

  test('tell editors which kind is meant when a file mixes them', () => {
    assert.deepEqual(faultsOf(anyManifest, { kind: 'Rolle', identifier: 'x', spec: {} }).length, 1);
    const faults = faultsOf(anyManifest, { kind: 'Role', identifier: 'x', spec: { level: 'org' } });
    assert.deepEqual(faults, ['/spec/permissions: is missing']);
  });

  test('say what is secret, what refers to something, and what is a scope', () => {
    const secret = schemas['Secret']!['properties'] as { spec: { properties: Record<string, JsonSchema> } };
    assert.equal(secret.spec.properties['value']!['writeOnly'], true);
    const marks = [...parts(schemas['RoleBinding'])].flatMap((part) => part['x-ref'] ?? []);
    assert.deepEqual(marks, [{ kindFrom: 'type' }, 'role', 'resource_group']);
    assert.ok([...parts(schemas['Connector'])].some((part) => part['x-scope'] === 'pattern'));
  });

  for (const path of globSync('examples/**/*.yaml')) {
    test(`accept ${path}`, () => {
      for (const one of documentsOf(path)) if ('kind' in one) assert.deepEqual(faultsOf(anyManifest, one), []);
    });
  }
});

describe('the pages', () => {
  test('cli.md has every command, argument and option', () => {
    const page = cliPage();
    for (const { name, args = [], options = [] } of commands) {
      assert.ok(page.includes(`### \`${name}\`\n`), name);
      for (const [argument] of args) assert.ok(page.includes(`\`${argument}\``), `${name} ${argument}`);
      for (const { flags } of options) assert.ok(page.includes(`\`${flags}\``), `${name} ${flags}`);
    }
  });

  test('kinds.md has every kind and every permission', () => {
    const page = kindsPage(kinds);
    for (const kind of kinds.kinds.keys()) assert.ok(page.includes(`## ${manifestKind(kind)}\n`), kind);
    for (const permission of kinds.permissions()) assert.ok(page.includes(`\`${permission}\``), permission);
  });
});
