/** JSON Schemas of manifests, one per kind and one for files that mix them: views of the kind records, for editors. */
import type { z } from 'zod';
import type { AnyKind, Kinds } from '#kernel/kind.ts';
import { manifestKind } from '#kernel/kind.ts';
import type { Level } from '#kernel/scope.ts';
import type { JsonSchema } from './json-schema.ts';
import { dialect, identifierPattern, jsonSchemaOf } from './json-schema.ts';
import { withDefinitions } from './repeated-schemas.ts';

const base = 'https://sallyport.dev/schemas/';
/** Stands beside the kinds as the schema of any of them. */
export const anyManifest = 'Manifest';

/**
 * Schemas by name: `Role`, …, and `Manifest` for a document of any kind. `common` is the part of a manifest that is the
 * same for every kind (name, description, tags); its `spec` is replaced by the kind's.
 */
export function manifestSchemas(kinds: Kinds, common: z.ZodObject): ReadonlyMap<string, JsonSchema> {
  const schemas = new Map<string, JsonSchema>();
  for (const kind of kinds.kinds.values()) schemas.set(manifestKind(kind.name), kindSchema(kind, common));
  return schemas.set(anyManifest, schemaOfAny([...schemas.keys()]));
}

function kindSchema(kind: AnyKind, common: z.ZodObject): JsonSchema {
  const title = manifestKind(kind.name);
  const { spec: _replaced, ...fields } = jsonSchemaOf(common, 'input')['properties'] as Record<string, JsonSchema>;
  const needsScope = !kind.levels.includes('account');
  return withDefinitions({
    $schema: dialect,
    $id: `${base}${title}.json`,
    title,
    type: 'object',
    properties: {
      kind: { const: title },
      scope: scopeSchema(kind.levels),
      identifier: { type: 'string', pattern: identifierPattern },
      ...fields,
      spec: withValueFrom(jsonSchemaOf(kind.spec, 'input')),
    },
    required: ['kind', ...(needsScope ? ['scope'] : []), 'identifier', 'spec'],
    additionalProperties: false,
  }, '#/$defs/');
}

const word = identifierPattern.slice(1, -1);
const scopeForms: Readonly<Record<Level, string>> = { account: '/?', org: word, project: `${word}/${word}` };

function scopeSchema(levels: readonly Level[]): JsonSchema {
  const description = `${levels.join(', ')} scope${levels.includes('account') ? '; absent = the account' : ''}`;
  return { type: 'string', pattern: `^(?:${levels.map((level) => scopeForms[level]).join('|')})$`, description, 'x-scope': 'path' };
}

/** In files the value of a secret may come from elsewhere; the command line puts it in. */
function withValueFrom(spec: JsonSchema): JsonSchema {
  const properties = spec['properties'] as Record<string, JsonSchema> | undefined;
  if (properties?.['value']?.['writeOnly'] !== true) return spec;
  const one = (name: string, schema: JsonSchema): JsonSchema => ({ type: 'object', properties: { [name]: schema }, required: [name], additionalProperties: false });
  const valueFrom = {
    description: 'where the command line takes `value` from; the server never reads it',
    oneOf: [one('env', { type: 'string' }), one('file', { type: 'string' }), one('stdin', { const: true })],
  };
  return { ...spec, properties: { ...properties, valueFrom } };
}

/** By kind, so that a fault is told of the kind that was meant and not of all. */
function schemaOfAny(names: readonly string[]): JsonSchema {
  return {
    $schema: dialect,
    $id: `${base}${anyManifest}.json`,
    title: anyManifest,
    type: 'object',
    properties: { kind: { enum: names } },
    required: ['kind'],
    allOf: names.map((name) => ({ if: { properties: { kind: { const: name } } }, then: { $ref: `${name}.json` } })),
  };
}
