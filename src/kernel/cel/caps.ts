/**
 * How large what an expression reads may be. Looked at before it is evaluated; what is larger is never cut, the expression
 * does not hold.
 */
const maxCharacters = 4_096;
const maxEntries = 200;
const maxLevels = 16;
const maxValues = 5_000;

/** The value at a path of names, as far as there is one. Own fields only. */
export function valueAt(path: readonly string[], variables: Readonly<Record<string, unknown>>): unknown {
  let at: unknown = variables;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

export function isWithinCaps(paths: readonly (readonly string[])[], variables: Readonly<Record<string, unknown>>): boolean {
  const seen = { values: 0 };
  return paths.every((path) => isSmall(valueAt(path, variables), maxLevels, seen));
}

function isSmall(value: unknown, levels: number, seen: { values: number }): boolean {
  seen.values += 1;
  if (seen.values > maxValues) return false;
  if (typeof value === 'string') return value.length <= maxCharacters;
  if (typeof value !== 'object' || value === null) return true;
  const isList = Array.isArray(value);
  const names = isList ? [] : Object.keys(value);
  const entries: readonly unknown[] = isList ? value : Object.values(value);
  if (levels === 0 || entries.length > maxEntries || names.some((name) => name.length > maxCharacters)) return false;
  return entries.every((entry) => isSmall(entry, levels - 1, seen));
}
