/** What a question is about: the resource as it is stored, or as the caller describes one that is not. */
import { registeredResource } from '#features/access/feature.ts';
import type { Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Scalar } from '#kernel/matcher.ts';
import { accountScope, parseResourcePath, parseScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { ResourceWords } from './schema.ts';

/** A thing described: what is stored of it wins over these values. */
export interface Described {
  readonly kind: string;
  readonly scope: ScopePath;
  readonly identifier: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, Scalar>>;
}

/** `words` are those of the account. Refuses, at `pointer`, a path that is none; what is not there is a thing without values. */
export function targetMeant(world: World, words: Kinds, { permission, resource }: { readonly permission: string; readonly resource: ResourceWords }, pointer = '/resource'): Target {
  const kind = words.permission(permission)?.noun.name ?? permission.slice(0, Math.max(0, permission.indexOf('.')));
  if (typeof resource !== 'string') {
    const { scope, identifier, tags, attributes } = resource;
    return stored(world, words, { kind, scope: parseScope(scope)!, identifier: identifier ?? null, tags: tags ?? {}, attributes: attributes ?? {} });
  }
  const place = placeOf(world, words, kind, resource);
  if (place === null) throw refusal('request.invalid', { errors: [{ pointer, message: 'must be a path such as `payments/checkout/recover`' }] });
  return stored(world, words, { kind, ...place, tags: {}, attributes: {} });
}

/** Documents are told by the account alone; of a registered resource each stored value wins over the one described. */
export function stored(world: World, words: Kinds, described: Described): Target {
  const { kind, scope, identifier } = described;
  if (identifier === null) return described;
  if (words.nouns.get(kind)?.external === undefined) {
    const entry = world.find(kind, scope, identifier);
    return entry === undefined ? described : targetOfEntry(entry);
  }
  const entry = registeredResource(world, kind, scope, identifier);
  if (entry === undefined) return described;
  const { attributes } = entry.facts as { readonly attributes: Readonly<Record<string, Scalar>> };
  return { kind, scope, identifier, tags: entry.tags, attributes: { ...described.attributes, ...attributes } };
}

function targetOfEntry({ kind, scope, identifier, tags, attributes }: Entry): Target {
  return { kind, scope, identifier, tags, attributes };
}

/** What has no documents is asked about in a scope: `payments/checkout` is the project then. */
export function placeOf(world: World, words: Kinds, kind: string, path: string): { scope: ScopePath; identifier: string | null } | null {
  const noun = words.nouns.get(kind);
  const isNameless = noun !== undefined && noun.external === undefined && !words.kinds.has(kind);
  const scope = parseScope(path);
  if (scope === accountScope) return { scope, identifier: null };
  if (isNameless && scope !== null && world.hasScope(scope)) return { scope, identifier: null };
  return parseResourcePath(path);
}
