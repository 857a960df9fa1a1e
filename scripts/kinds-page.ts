import { announced } from '../src/features/access/announced.ts';
import { builtins } from '../src/features/access/builtins.ts';
import { permissionsOf } from '../src/features/access/roles.ts';
import type { RoleFacts } from '../src/features/access/schema.ts';
import type { AnyKind, Kinds, Noun } from '#kernel/kind.ts';
import { collectionOf, manifestKind } from '#kernel/kind.ts';
import type { JsonSchema } from '../src/surfaces/json-schema.ts';
import { jsonSchemaOf } from '../src/surfaces/json-schema.ts';

/** The page of all kinds with their permissions, and of what the built-in roles hold. */
export function kindsPage(kinds: Kinds): string {
  const nouns = [...kinds.nouns.values()].filter((noun) => !kinds.kinds.has(noun.name) && !announced.includes(noun));
  return [
    head,
    ...[...kinds.kinds.values()].map(kindSection),
    `## Things without documents\n\nThey have permissions too. What they are is told by the operations in [openapi.json](openapi.json).\n\n| noun | levels | permissions |\n|---|---|---|\n${nouns.map(nounRow).join('\n')}\n`,
    `## Words of what comes later\n\nRoles can name these permissions already. Nothing asks for them yet.\n\n| noun | levels | permissions |\n|---|---|---|\n${announced.map(nounRow).join('\n')}\n`,
    rolesSection(kinds),
    `## Built-in resource groups\n\nTheir scope is that of the binding or grant that names them.\n\n${namesOf('resource_group')}\n`,
    `## Built-in user groups\n\nTheir users are those of the account, organization or project that the binding that names them is in\n([access.md](access.md#all-users-of-a-scope)).\n\n${namesOf('user_group')}\n`,
  ].join('\n');
}

function namesOf(kind: string): string {
  return builtins(kind).map(({ identifier, name }) => `- \`${identifier}\`: ${name}`).join('\n');
}

const head = `<!-- Derived from the kind records by \`npm run derive\`. Do not edit. -->

# Kinds, permissions and built-in roles

Every resource is a document \`kind, scope, identifier, name, description, tags, spec\`. The JSON Schemas are in
[schemas](schemas) and at \`/schemas/KIND.json\` of every server; \`/schemas/Manifest.json\` is for files that mix kinds.
A permission is \`kind.verb\`, and no verb implies another. Conditions (\`where\`) read \`tags.KEY\` and the attributes named
here.
`;

function kindSection(kind: AnyKind): string {
  const title = manifestKind(kind.name);
  const attributes = Object.keys(kind.attributes ?? {});
  const notes = [
    ...(attributes.length === 0 ? [] : [`attributes for conditions: ${attributes.map(code).join(', ')}`]),
    ...(kind.retires === true ? ['an identifier is never given out twice'] : []),
    ...(kind.administers === true ? ['part of trust: a credential needs `mayAdminister` to change it'] : []),
    ...marksOf(jsonSchemaOf(kind.spec, 'input'), 'spec'),
  ];
  return [
    `## ${title}\n`,
    `${kind.levels.join(', ')} · \`…/${collectionOf(kind.name)}\` · spec version ${kind.version} · [schema](schemas/${title}.json)\n`,
    `Permissions: ${kind.verbs.map((verb) => code(`${kind.name}.${verb}`)).join(', ')}\n`,
    ...(notes.length === 0 ? [] : [`${notes.map((note) => `- ${note}`).join('\n')}\n`]),
  ].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

function nounRow({ name, levels, verbs }: Noun): string {
  return `| \`${name}\` | ${levels.join(', ')} | ${verbs.map((verb) => code(`${name}.${verb}`)).join(', ')} |`;
}

function rolesSection(kinds: Kinds): string {
  const rows = builtins('role').map(({ identifier, name, facts }) => {
    const role = facts as RoleFacts;
    return `| \`${identifier}\` | ${name} | ${role.level} | ${holdingOf(role, kinds)} |`;
  });
  return `## Built-in roles\n\nThe administrators and viewers hold what kinds and nouns there are now and those that come later. "At or below" a\nlevel means kinds that can lie there.\n\n| role | name | bound at most at | holds |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function holdingOf(role: RoleFacts, kinds: Kinds): string {
  if (role.permissions === 'every') return `every permission of every kind at or below ${role.level} level`;
  if (role.permissions === 'every_view') return `every \`view\` at or below ${role.level} level`;
  return [...permissionsOf(role, kinds)].map(({ permission }) => code(permission)).join(', ');
}

/** Fields that mean more than their type, with the place they stand at; `*` is any item. */
function marksOf(schema: JsonSchema, path: string): string[] {
  const found = new Set<string>();
  visit(schema, path, (at, part) => {
    const ref = part['x-ref'] as string | { readonly kindFrom: string } | undefined;
    if (ref !== undefined) found.add(`${code(at)} refers to ${typeof ref === 'string' ? withArticle(manifestKind(ref)) : `a resource of the kind in \`${ref.kindFrom}\``}`);
    if (part['x-scope'] === 'path') found.add(`${code(at)} is a scope path`);
    if (part['x-scope'] === 'pattern') found.add(`${code(at)} is a pattern of scopes`);
    if (part['writeOnly'] === true) found.add(`${code(at)} is secret: it is never given back`);
    if (part['x-duration'] === true) found.add(`${code(at)} is a duration such as \`15m\``);
  });
  return [...found];
}

function withArticle(word: string): string {
  return `${/^[AEIOU](?!ser)/.test(word) ? 'an' : 'a'} ${word}`;
}

function visit(schema: JsonSchema, path: string, see: (path: string, part: JsonSchema) => void): void {
  see(path, schema);
  for (const [name, part] of Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>)) visit(part, `${path}.${name}`, see);
  for (const keyword of ['items', 'additionalProperties']) {
    const part = schema[keyword];
    if (typeof part === 'object' && part !== null) visit(part as JsonSchema, `${path}.*`, see);
  }
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) for (const part of (schema[keyword] ?? []) as JsonSchema[]) visit(part, path, see);
}
