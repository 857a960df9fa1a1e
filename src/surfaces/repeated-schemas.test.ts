import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonSchema } from './json-schema.ts';
import { mapParts } from './json-schema.ts';
import { withDefinitions } from './repeated-schemas.ts';

const long = (word: string): JsonSchema => ({ type: 'string', description: word.repeat(400) });
const place = '#/$defs/';

/** Puts every definition back where it is referred to. */
function expanded(schema: JsonSchema, definitions: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return expanded(definitions[reference.slice(place.length)]!, definitions);
  return mapParts(schema, '', (part) => expanded(part, definitions));
}

function restored({ $defs, ...own }: JsonSchema): JsonSchema {
  return expanded(own, ($defs ?? {}) as Record<string, JsonSchema>);
}

const step = (type: string): JsonSchema => ({ type: 'object', properties: { type: { const: type }, when: long('when') } });
const stages: JsonSchema = { type: 'array', items: { oneOf: [step('Run'), step('Wait')] } };

describe('what a schema says several times', () => {
  const rows: readonly [guarantee: string, schema: JsonSchema, names: readonly string[]][] = [
    ['stays where it is when it is said once', { properties: { a: long('a'), b: long('b') } }, []],
    ['stays where it is when it is short', { properties: { a: { type: 'string' }, b: { type: 'string' } } }, []],
    ['is named after the field it stands in first', { properties: { first: long('a'), second: long('a') } }, ['First']],
    ['is named in the singular when it is an item of a list', { properties: { policies: { items: long('a') }, b: long('a') } }, ['Policy']],
    ['is named after its type where it has one', { properties: { x: step('Run'), y: step('Run') } }, ['RunX']],
    ['gets a number when the name is taken', { properties: { p: { properties: { a: long('1'), c: long('2') } }, q: { properties: { a: long('2'), d: long('1') } } } }, ['A', 'C']],
    ['is taken out once with all that is in it', { properties: { a: stages, b: stages } }, ['A', 'When']],
    ['is found in alternatives, maps and conditions', { anyOf: [long('a'), { additionalProperties: long('a') }], if: long('a') }, ['Schema']],
  ];
  for (const [guarantee, schema, names] of rows) {
    test(guarantee, () => {
      const made = withDefinitions(schema, place);
      assert.deepEqual(Object.keys((made['$defs'] ?? {}) as object).toSorted(), names);
      assert.deepEqual(restored(made), schema);
    });
  }
});
