/** A small judge of JSON Schema 2020-12, independent of what made the schemas: the keywords they use, and no others. */
type Schema = Readonly<Record<string, unknown>>;

const annotations = new Set(['$schema', '$id', 'title', 'description', 'default', 'format', 'writeOnly', '$defs', 'x-ref', 'x-scope', 'x-duration']);

/** Finds the schema a `$ref` names. */
export type Resolve = (reference: string) => { readonly schema: Schema; readonly resolve: Resolve };

/** What is wrong with a value, one line each. Throws at a keyword it does not know, so that nothing goes unjudged. */
export function schemaFaults(schema: unknown, value: unknown, resolve: Resolve, path = ''): string[] {
  if (typeof schema === 'boolean') return schema ? [] : [`${path}: nothing fits here`];
  return Object.entries(schema as Schema).flatMap(([keyword, said]) => {
    if (annotations.has(keyword)) return [];
    const judge = Object.hasOwn(judges, keyword) ? judges[keyword] : undefined;
    if (judge === undefined) throw new Error(`the judge does not know \`${keyword}\``);
    return judge(said, { value, path, resolve, schema: schema as Schema });
  });
}

/** References within one document. */
export function within(root: Schema, others: (name: string) => Schema): Resolve {
  const resolve: Resolve = (reference) => {
    if (reference.startsWith('#')) return { schema: at(root, reference.slice(1)), resolve };
    const other = others(reference);
    return { schema: other, resolve: within(other, others) };
  };
  return resolve;
}

function at(root: Schema, pointer: string): Schema {
  let here: unknown = root;
  for (const part of pointer.split('/').slice(1)) here = (here as Schema | undefined)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  if (typeof here !== 'object' || here === null) throw new Error(`nothing is at ${pointer}`);
  return here as Schema;
}

interface Asked {
  readonly value: unknown;
  readonly path: string;
  readonly resolve: Resolve;
  readonly schema: Schema;
}

// What a keyword says has a type of its own each.
type Judge = (said: any, asked: Asked) => string[]; // oxlint-disable-line typescript/no-explicit-any

const judges: Readonly<Record<string, Judge>> = {
  $ref: (said: string, { value, path, resolve }) => {
    const found = resolve(said);
    return schemaFaults(found.schema, value, found.resolve, path);
  },
  type: (said: string | string[], { value, path }) => fault([said].flat().some((type) => isOfType(type, value)), `${path}: is not of type ${[said].flat().join(' or ')}`),
  const: (said: unknown, { value, path }) => fault(value === said, `${path}: is not ${String(said)}`),
  enum: (said: unknown[], { value, path }) => fault(said.includes(value), `${path}: is none of ${said.join(', ')}`),
  pattern: (said: string, { value, path }) => fault(typeof value !== 'string' || new RegExp(said, 'u').test(value), `${path}: does not match ${said}`),
  minLength: (said: number, { value, path }) => fault(typeof value !== 'string' || [...value].length >= said, `${path}: is too short`),
  maxLength: (said: number, { value, path }) => fault(typeof value !== 'string' || [...value].length <= said, `${path}: is too long`),
  minimum: (said: number, { value, path }) => fault(typeof value !== 'number' || value >= said, `${path}: is too small`),
  exclusiveMinimum: (said: number, { value, path }) => fault(typeof value !== 'number' || value > said, `${path}: is too small`),
  maximum: (said: number, { value, path }) => fault(typeof value !== 'number' || value <= said, `${path}: is too large`),
  minItems: (said: number, { value, path }) => fault(!Array.isArray(value) || value.length >= said, `${path}: has too few items`),
  maxItems: (said: number, { value, path }) => fault(!Array.isArray(value) || value.length <= said, `${path}: has too many items`),
  items: (said, { value, path, resolve }) => (Array.isArray(value) ? value.flatMap((item, i) => schemaFaults(said, item, resolve, `${path}/${i}`)) : []),
  required: (said: string[], { value, path }) => (isMap(value) ? said.filter((name) => !Object.hasOwn(value, name)).map((name) => `${path}/${name}: is missing`) : []),
  properties: (said: Schema, { value, path, resolve }) =>
    isMap(value) ? Object.entries(said).flatMap(([name, part]) => (Object.hasOwn(value, name) ? schemaFaults(part, value[name], resolve, `${path}/${name}`) : [])) : [],
  additionalProperties: (said, { value, path, resolve, schema }) => {
    const known = (schema['properties'] ?? {}) as Schema;
    return isMap(value) ? Object.keys(value).flatMap((name) => (Object.hasOwn(known, name) ? [] : schemaFaults(said, value[name], resolve, `${path}/${name}`))) : [];
  },
  propertyNames: (said, { value, path, resolve }) => (isMap(value) ? Object.keys(value).flatMap((name) => schemaFaults(said, name, resolve, `${path}/${name} (name)`)) : []),
  allOf: (said: Schema[], { value, path, resolve }) => said.flatMap((part) => schemaFaults(part, value, resolve, path)),
  anyOf: (said: Schema[], { value, path, resolve }) => {
    const all = said.map((part) => schemaFaults(part, value, resolve, path));
    return all.some((faults) => faults.length === 0) ? [] : [`${path}: fits none of the alternatives`, ...all.flat()];
  },
  oneOf: (said: Schema[], { value, path, resolve }) => {
    const all = said.map((part) => schemaFaults(part, value, resolve, path));
    const fitting = all.filter((faults) => faults.length === 0).length;
    return fitting === 1 ? [] : [`${path}: fits ${fitting} of the alternatives`, ...all.flat()];
  },
  not: (said: Schema, { value, path, resolve }) => fault(schemaFaults(said, value, resolve, path).length > 0, `${path}: is what it must not be`),
  if: (said: Schema, { value, path, resolve, schema }) => (schemaFaults(said, value, resolve, path).length === 0 ? schemaFaults(schema['then'] ?? true, value, resolve, path) : []),
  then: () => [],
};

function fault(fits: boolean, text: string): string[] {
  return fits ? [] : [text];
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'object') return isMap(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  return typeof value === type;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
