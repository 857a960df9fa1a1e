/** The OpenAPI 3.1 description of the API: a view of the operation records, and of the kinds for what a `spec` holds. */
import type { Kinds } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Level } from '#kernel/scope.ts';
import { depthOf } from '#kernel/scope.ts';
import { routesOf } from '#platform/http/server.ts';
import { dialect, jsonSchemaOf } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';
import { refusalSchemas, responsesOf, sharedResponses } from './openapi-answers.ts';
import type { Components } from './openapi-components.ts';
import { createComponents } from './openapi-components.ts';

/** As in the paths; it does not change with releases of the product. */
export const apiVersion = 'v1';

export interface ApiInfo {
  /** Of the API, not of the product. */
  readonly version: string;
  readonly kinds: Kinds;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export interface OpenApiOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly [field: string]: unknown;
}

/** Describes every operation at every place it exists. Pure: the same records give the same document. */
export function openApi(operations: readonly AnyOperation[], { version, kinds }: ApiInfo): OpenApiDocument {
  const components = createComponents(operations, kinds);
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  for (const operation of operations) {
    for (const { path, level } of placesOf(operation)) {
      (paths[path] ??= {})[operation.method.toLowerCase()] = describe(operation, { path, level, components });
    }
  }
  const nouns = [...new Set(operations.map(nounOf))].toSorted();
  return {
    openapi: '3.1.1',
    info: { title: 'Sallyport', version, summary: 'Identity and access plane for software delivery', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    jsonSchemaDialect: dialect,
    servers: [{ url: '/', description: 'the server that gave this document' }],
    security: [{ bearer: [] }],
    tags: nouns.map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'an API token, or a session token; one credential in one header' } },
      parameters: sharedParameters,
      responses: sharedResponses(JSON.stringify(paths)),
      schemas: { ...refusalSchemas(), ...components.schemas() },
    },
  };
}

/** Where an operation exists: paths with the scope written out. `level` is null where there is no scope. */
export function placesOf(operation: AnyOperation): readonly { readonly path: string; readonly level: Level | null }[] {
  return routesOf(operation).map(({ url, levels }) => ({
    // Fastify writes a parameter `:name` and a colon `::`.
    path: url.replaceAll(/::|:(\w+)/g, (found, name: string | undefined) => (name === undefined ? found.slice(1) : `{${name}}`)),
    level: operation.path.startsWith('{scope}') ? (levels[0] as Level) : null,
  }));
}

/** The name of the record; at the levels below the highest one with the level behind it. */
export function operationId(operation: AnyOperation, level: Level | null): string {
  const levels = placesOf(operation).flatMap((place) => place.level ?? []);
  const highest = levels.toSorted((a, b) => depthOf(a) - depthOf(b))[0];
  return level === null || level === highest ? operation.name : `${operation.name}.${level}`;
}

function nounOf(operation: AnyOperation): string {
  return operation.name.slice(0, operation.name.indexOf('.'));
}

interface Place {
  readonly path: string;
  readonly level: Level | null;
  readonly components: Components;
}

function describe(operation: AnyOperation, { path, level, components }: Place): OpenApiOperation {
  const body = operation.input.body;
  const parameters = [...pathParameters(operation, path), ...queryParameters(operation), ...headerParameters(operation, path)];
  return {
    operationId: operationId(operation, level),
    tags: [nounOf(operation)],
    summary: operation.summary,
    description: accessText(operation),
    ...(operation.access.shape === 'open' ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: !body.safeParse(undefined).success, content: { [bodyType(operation)]: { schema: components.refer(operation, body, 'input') } } } }),
    responses: responsesOf(operation, path, operation.output === null ? null : components.refer(operation, operation.output, 'output')),
  };
}

function bodyType(operation: AnyOperation): string {
  return operation.dialect === 'oauth' ? 'application/x-www-form-urlencoded' : 'application/json';
}

function accessText({ access }: AnyOperation): string {
  switch (access.shape) {
    case 'on':
      return `Needs \`${access.permission}\`.`;
    case 'each':
      return 'Gives exactly what the caller may view.';
    case 'plan':
      return 'Everything it would change, use or give away is asked for before anything happens.';
    case 'self':
      return 'For every caller of the account; what it shows depends on the caller.';
    case 'open':
      return `Needs no credential: ${access.reason}.`;
  }
}

const identifierOf = (what: string): JsonSchema => ({ name: what, in: 'path', required: true, description: `identifier of the ${what}`, schema: { type: 'string' } });

const sharedParameters: Readonly<Record<string, JsonSchema>> = {
  account: identifierOf('account'),
  org: identifierOf('org'),
  project: identifierOf('project'),
  ifMatch: {
    name: 'If-Match', in: 'header', required: false, description: 'the `ETag` the change is based on; another present version refuses it', schema: { type: 'string', pattern: '^(?:\\*|"\\d{1,15}")$' },
  },
  idempotencyKey: {
    name: 'Idempotency-Key', in: 'header', required: false, description: 'a repeat with the same key within 24 hours gets the first answer', schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
  },
  minRevision: {
    name: 'Sallyport-Min-Revision', in: 'header', required: false, description: 'a `revision` the answer must have seen: read your own writes on any node', schema: { type: 'string', pattern: '^\\d{1,15}$' },
  },
};

const refer = (name: string): JsonSchema => ({ $ref: `#/components/parameters/${name}` });

function pathParameters(operation: AnyOperation, path: string): JsonSchema[] {
  const own = operation.input.params === undefined ? {} : propertiesOf(jsonSchemaOf(operation.input.params, 'input'));
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) =>
    name! in own ? { name: name!, in: 'path', required: true, ...described(own[name!]!) } : refer(name!));
}

function queryParameters({ input: { query } }: AnyOperation): JsonSchema[] {
  if (query === undefined) return [];
  const schema = jsonSchemaOf(query, 'input');
  const required = (schema['required'] as readonly string[] | undefined) ?? [];
  return Object.entries(propertiesOf(schema)).map(([name, field]) => ({ name, in: 'query', required: required.includes(name), ...described(field) }));
}

function headerParameters(operation: AnyOperation, path: string): JsonSchema[] {
  return [
    ...(operation.versioned === true ? [refer('ifMatch')] : []),
    ...(operation.idempotent === true ? [refer('idempotencyKey')] : []),
    ...(path.includes('{account}') ? [refer('minRevision')] : []),
  ];
}

function described({ description, ...schema }: JsonSchema): JsonSchema {
  return { ...(description === undefined ? {} : { description }), schema };
}

function propertiesOf(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  return (schema['properties'] ?? {}) as Record<string, JsonSchema>;
}

