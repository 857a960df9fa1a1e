/** Everybody and everything of a world, for asking all about all. */
import { externalTarget } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import { targetOf } from '#features/resources/feature.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { levelOf } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';

/** Users and service accounts, without bounds. */
export function people(world: World): Asker[] {
  return (['user', 'service_account'] as const).flatMap((type) => (
    [...world.list(type)].map((entry) => ({ accountId: world.accountId, principal: { type, uid: entry.uid, path: entryPath(entry) }, bounds: 'principal' as const }))
  ));
}

/** Every document and registered instance, and in every scope what has no documents. */
export function everything(world: World, kinds: Kinds): { readonly id: string; readonly target: Target }[] {
  const words = kinds.of(world);
  const stored = [...world.all()].filter((entry) => entry.kind !== 'organization' || entry.scope === '/');
  const scopes = ['/', ...stored.flatMap((entry) => openedScope(entry) ?? [])];
  const bare = scopes.flatMap((scope) => [...words.nouns.values()]
    .filter((noun) => !words.kinds.has(noun.name) && noun.external === undefined && (noun.name === 'account' ? scope === '/' : noun.levels.includes(levelOf(scope))))
    .map((noun) => ({ id: scope, target: { kind: noun.name, scope, identifier: null, tags: {}, attributes: {} } })));
  const external = stored.flatMap((entry) => {
    const target = externalTarget(world, entry);
    return target === null ? [] : [{ id: target.identifier!, target }];
  });
  return [...stored.filter((entry) => world.hasScope(entry.scope)).map((entry) => ({ id: entryPath(entry), target: targetOf(entry) })), ...external, ...bare];
}
