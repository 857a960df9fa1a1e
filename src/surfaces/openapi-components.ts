/** The named schemas of the OpenAPI document: what resources hold, and every body and answer that is worth a name. */
import type { z } from 'zod';
import type { AnyKind, Kinds } from '#kernel/kind.ts';
import { manifestKind } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { JsonSchema } from './json-schema.ts';
import { jsonSchemaOf, mapParts } from './json-schema.ts';
import { withDefinitions } from './repeated-schemas.ts';

export interface Components {
  /** A reference to the schema of a body or an answer, or the schema itself where it is short. */
  refer(operation: AnyOperation, schema: z.ZodType, io: 'input' | 'output'): JsonSchema;
  /** All that were named so far. */
  schemas(): Readonly<Record<string, JsonSchema>>;
}

/** Shorter than this a schema is written where it is used. */
const minLength = 220;
const place = '#/components/schemas/';

export function createComponents(operations: readonly AnyOperation[], kinds: Kinds): Components {
  const schemas = new Map<string, JsonSchema>();
  const names = new Map<string, string>();

  const name = (wanted: string, schema: JsonSchema): JsonSchema => {
    const text = JSON.stringify(schema);
    const known = names.get(text);
    if (known !== undefined) return { $ref: `${place}${known}` };
    if (text.replaceAll(/"#[^"]+"/g, '').length < minLength) return schema;
    schemas.set(wanted, schema);
    names.set(text, wanted);
    return { $ref: `${place}${wanted}` };
  };

  /** Parts that have a name already are referred to by it. */
  const withKnown = (schema: JsonSchema): JsonSchema =>
    mapParts(schema, '', (part) => {
      const known = names.get(JSON.stringify(part));
      return known === undefined ? withKnown(part) : { $ref: `${place}${known}` };
    });

  const read = (operation: AnyOperation, schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
    const kind = kindOf(operation, kinds);
    const made = jsonSchemaOf(schema, io);
    return kind === undefined ? made : withSpec(made, `${place}${manifestKind(kind.name)}Spec`);
  };

  for (const kind of kinds.kinds.values()) {
    const title = `${manifestKind(kind.name)}Spec`;
    schemas.set(title, withDefinitions(jsonSchemaOf(kind.spec, 'input'), `${place}${title}/$defs/`));
  }
  // What is read one by one has the name of its noun, and lists refer to it.
  for (const operation of operations) {
    if (operation.name.endsWith('.get') && operation.output !== null) name(pascal(operation.name.slice(0, -4)), read(operation, operation.output, 'output'));
  }

  return {
    refer: (operation, schema, io) => name(`${pascal(operation.name)}${io === 'input' ? 'Body' : 'Answer'}`, withKnown(read(operation, schema, io))),
    schemas: () => Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The kind whose documents an operation reads or writes. */
function kindOf({ name }: AnyOperation, kinds: Kinds): AnyKind | undefined {
  return kinds.kinds.get(name.slice(0, name.indexOf('.')));
}

/** The record leaves `spec` open; the kind says what it holds. */
function withSpec(schema: JsonSchema, spec: string): JsonSchema {
  const made = mapParts(schema, '', (part) => withSpec(part, spec));
  const properties = made['properties'] as Record<string, JsonSchema> | undefined;
  const own = properties?.['spec'];
  if (own === undefined || Object.keys(own).length > 0) return made;
  return { ...made, properties: { ...properties, spec: { $ref: spec } } };
}

/** `role_binding.list` → `RoleBindingList`. */
function pascal(name: string): string {
  return name.split('.').map(manifestKind).join('');
}
