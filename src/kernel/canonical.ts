/** RFC 8785 (JSON Canonicalization Scheme): one text for one value, so that it can be hashed and signed. */

const maxDepth = 512;

/**
 * The canonical JSON of `value`: members sorted by UTF-16 code units, numbers and strings as ECMAScript writes them, no
 * white space. Only null, booleans, finite numbers, well-formed strings, arrays without holes and plain objects have
 * one; anything else is a defect of the caller, never skipped or replaced.
 */
export function canonicalJson(value: unknown): string {
  return canonical(value, 0);
}

function canonical(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string': return canonicalString(value);
    case 'boolean': return value ? 'true' : 'false';
    case 'number':
      if (!Number.isFinite(value)) throw defect(`the number ${value}`);
      return JSON.stringify(value);
    case 'object':
      if (value === null) return 'null';
      // A cycle ends here too.
      if (depth >= maxDepth) throw defect(`more than ${maxDepth} levels`);
      return Array.isArray(value) ? canonicalArray(value, depth + 1) : canonicalObject(value, depth + 1);
    default: throw defect(`a value of type ${typeof value}`);
  }
}

function canonicalString(value: string): string {
  if (!value.isWellFormed()) throw defect('a lone surrogate');
  return JSON.stringify(value);
}

function canonicalArray(items: readonly unknown[], depth: number): string {
  let text = '[';
  // By index: a hole reads as undefined and is refused, where map() would skip it.
  for (let at = 0; at < items.length; at += 1) text += (at === 0 ? '' : ',') + canonical(items[at], depth);
  return `${text}]`;
}

function canonicalObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw defect('an object of a class');
  if (Object.getOwnPropertySymbols(object).length > 0) throw defect('a member named by a symbol');
  const members = object as Record<string, unknown>;
  let text = '{';
  // The default order of sort() is the one RFC 8785 §3.2.3 asks for: UTF-16 code units.
  for (const name of Object.keys(object).sort()) {
    text += `${text.length === 1 ? '' : ','}${canonicalString(name)}:${canonical(members[name], depth)}`;
  }
  return `${text}}`;
}

function defect(what: string): Error {
  return new Error(`defect: ${what} has no canonical JSON`);
}
