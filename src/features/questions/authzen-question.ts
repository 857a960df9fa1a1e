/** From the entities of AuthZEN to a question of ours. What the account does not know makes no question: the answer is no. */
import type { Asker } from '#features/access/feature.ts';
import type { Said, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Scalar } from '#kernel/matcher.ts';
import { levelOf, parseScope, upwards } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import type { AskerServices } from './asker.ts';
import { askerNamed, personNamed } from './asker.ts';
import { placeOf, stored } from './target.ts';

type Properties = Readonly<Record<string, unknown>> | undefined;

/** Null = nobody: a group, a type we do not have, somebody who is not there. */
export async function subjectMeant(services: AskerServices, call: Call, { type, id }: { readonly type: string; readonly id: string }): Promise<Asker | null> {
  if (type === 'user' || type === 'service_account') return personNamed(call.world, type, id);
  if (type !== 'workload') return null;
  return /^[0-9a-f-]{36}$/.test(id) ? askerNamed(services, call, `session:${id}`) : null;
}

/** A permission, or the bare verb of the resource's kind. */
export function permissionMeant(type: string, name: string): string {
  return name.includes('.') ? name : `${type}.${name}`;
}

export interface ResourceEntity {
  readonly type: string;
  readonly id: string | null;
  readonly properties?: Properties;
}

/**
 * Null when there is no such kind, scope or place. For our own kinds the id is the path; for external ones it is opaque and
 * `properties.scope` says where the thing lies.
 */
export function resourceMeant(world: World, words: Kinds, { type, id, properties }: ResourceEntity, said: Said): Target | null {
  const noun = words.nouns.get(type);
  if (noun === undefined) return null;
  if (noun.external === undefined) {
    const place = id === null ? null : placeOf(world, words, type, id);
    return place === null ? null : stored(world, words, { kind: type, ...place, tags: {}, attributes: {} });
  }
  const scope = scopeSaid(properties);
  if (scope === null || !world.hasScope(scope) || !noun.levels.includes(levelOf(scope))) return null;
  const described = stored(world, words, { kind: type, scope, identifier: id, tags: tagsOf(properties), attributes: attributesOf(properties) });
  return { ...described, said };
}

/** `/`, empty or absent is the account; null is no scope path. */
export function scopeSaid(properties: Properties): ScopePath | null {
  const said = own(properties, 'scope');
  return said === undefined || typeof said === 'string' ? parseScope(said) : null;
}

/** The nearest scope that is there: whoever may not ask there learns nothing of those that are not. */
export function nearestScope(world: World, scope: ScopePath): ScopePath {
  return upwards(scope).find((at) => world.hasScope(at))!;
}

export function saidOf(subject: Properties, action: Properties): Said {
  return { principal: subject ?? {}, action: action ?? {} };
}

function attributesOf(properties: Properties): Record<string, Scalar> {
  return Object.fromEntries(Object.entries(properties ?? {}).filter((pair): pair is [string, Scalar] => isScalar(pair[1])));
}

function tagsOf(properties: Properties): Record<string, string> {
  const tags = own(properties, 'tags');
  if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) return {};
  return Object.fromEntries(Object.entries(tags).filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function own(values: Properties, name: string): unknown {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
}
