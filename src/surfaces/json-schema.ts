/**
 * JSON Schemas (2020-12) of the zod schemas in the records, with marks as annotations. What only code can check (that a
 * reference exists, that names differ) is not in them: they accept a little more than the server does, never less.
 */
import { z } from 'zod';
import { assert } from '#kernel/errors.ts';
import type { Mark } from '#kernel/marks.ts';
import { markOf } from '#kernel/marks.ts';

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

export const dialect = 'https://json-schema.org/draft/2020-12/schema';

const word = '[A-Za-z_][A-Za-z0-9_]{0,127}';
export const identifierPattern = `^${word}$`;
const patterns = { path: `^(?:/?|${word}(?:/${word})?)$`, pattern: `^(?:/|\\*\\*|${word}(?:/${word})?(?:/\\*\\*)?)$` } as const;

/** Formats say it; the pattern behind them is an implementation. */
const formatsThatSpeak = new Set(['date-time', 'email', 'uuid', 'uri']);

/** `input` = what a caller sends, defaults optional; `output` = what it gets. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const made = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => finish(jsonSchema as Record<string, unknown>, markOf(zodSchema)),
  });
  const { $schema: _dialect, '~standard': _standard, ...own } = made as Record<string, unknown>;
  assert(own['$defs'] === undefined, 'a schema refers to itself; its definitions would have to move to the root of the document');
  return withoutImpossible(own);
}

function finish(made: Record<string, unknown>, mark: Mark | undefined): void {
  if (formatsThatSpeak.has(String(made['format']))) delete made['pattern'];
  if (made['minimum'] === Number.MIN_SAFE_INTEGER) delete made['minimum'];
  if (made['maximum'] === Number.MAX_SAFE_INTEGER) delete made['maximum'];
  if (mark !== undefined) Object.assign(made, annotations(mark));
}

/** A field no value fits is one the server knows only to refuse it well; strict objects refuse it in any case. */
function withoutImpossible(schema: JsonSchema): JsonSchema {
  const made = mapParts(schema, '', withoutImpossible);
  const properties = made['properties'] as Record<string, JsonSchema> | undefined;
  if (properties === undefined || made['additionalProperties'] !== false) return made;
  return { ...made, properties: Object.fromEntries(Object.entries(properties).filter(([, field]) => !isImpossible(field))) };
}

function isImpossible({ not }: JsonSchema): boolean {
  return typeof not === 'object' && not !== null && Object.keys(not).length === 0;
}

function annotations({ ref, scope, secret, duration }: Mark): JsonSchema {
  return {
    ...(ref === undefined ? {} : { 'x-ref': ref }),
    ...(scope === undefined ? {} : { 'x-scope': scope, pattern: patterns[scope] }),
    ...(secret === undefined ? {} : { writeOnly: true }),
    ...(duration === undefined ? {} : { 'x-duration': true }),
  };
}

const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const singles = ['items', 'additionalProperties', 'propertyNames', 'not', 'if', 'then'];
const maps = ['properties', 'patternProperties', '$defs'];

/** The schema with each schema directly in it replaced; `hint` is the name of the field a part stands in. */
export function mapParts(schema: JsonSchema, hint: string, replace: (part: JsonSchema, hint: string) => JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (lists.includes(keyword)) return [keyword, (value as JsonSchema[]).map((part) => replace(part, hint))];
    if (singles.includes(keyword) && typeof value === 'object') return [keyword, replace(value as JsonSchema, keyword === 'items' ? singular(hint) : hint)];
    if (maps.includes(keyword)) return [keyword, Object.fromEntries(Object.entries(value as Record<string, JsonSchema>).map(([name, part]) => [name, replace(part, name)]))];
    return [keyword, value];
  }));
}

/** `steps` → `step`, `failureStrategies` → `failureStrategy`. */
function singular(hint: string): string {
  if (hint.endsWith('ies')) return `${hint.slice(0, -3)}y`;
  return hint.endsWith('s') ? hint.slice(0, -1) : `${hint}Item`;
}
