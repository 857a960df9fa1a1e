/** Takes what a JSON Schema says several times out into `$defs`, under the names it is written at. */
import type { JsonSchema } from './json-schema.ts';
import { mapParts } from './json-schema.ts';

/** Shorter than this, saying it again is easier to read than looking it up. */
const minLength = 300;

/** `place` is where `$defs` will lie: `#/$defs/`, or below a component of a larger document. */
export function withDefinitions(schema: JsonSchema, place: string): JsonSchema {
  const counts = new Map<string, number>();
  count(schema, counts);
  const names = new Map<string, string>();
  const definitions = new Map<string, JsonSchema>();

  const shared = (node: JsonSchema, hint: string): JsonSchema => {
    const text = JSON.stringify(node);
    if (text.length < minLength || (counts.get(text) ?? 0) < 2) return mapParts(node, hint, shared);
    let name = names.get(text);
    if (name === undefined) {
      name = freeName(nameOf(node, hint), definitions);
      names.set(text, name);
      definitions.set(name, {});
      definitions.set(name, mapParts(node, hint, shared));
    }
    return { $ref: `${place}${name}` };
  };

  const own = mapParts(schema, 'Schema', shared);
  return definitions.size === 0 ? own : { ...own, $defs: Object.fromEntries(definitions) };
}

/** What lies in a repeated part is counted with its first occurrence only: it goes where the whole part goes. */
function count(node: JsonSchema, counts: Map<string, number>): void {
  const text = JSON.stringify(node);
  const before = counts.get(text) ?? 0;
  counts.set(text, before + 1);
  if (before > 0) return;
  mapParts(node, '', (part) => {
    count(part, counts);
    return part;
  });
}

/** A kind of step or stage is known by its `type`, everything else by the field it stands in. */
function nameOf(node: JsonSchema, hint: string): string {
  const properties = node['properties'] as Record<string, JsonSchema> | undefined;
  const type = properties?.['type']?.['const'];
  return typeof type === 'string' ? `${type}${capital(hint)}` : capital(hint);
}

function freeName(wanted: string, taken: ReadonlyMap<string, unknown>): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}${number}`;
    if (!taken.has(name)) return name;
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
