/** A scope is a resource in itself: it lies in its parent and in its own scope (CONTRACTS §4 rule 9). */
import type { Target } from '#kernel/decision.ts';
import type { Noun } from '#kernel/kind.ts';
import type { Level, ScopePath } from '#kernel/scope.ts';
import { accountScope, childScope, depthOf, levelOf } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';

/** The kind of resource that opens scopes of a level. */
const scopeKinds: Readonly<Record<Level, string>> = { account: 'account', org: 'organization', project: 'project' };

export function scopeKind(scope: ScopePath): string {
  return scopeKinds[levelOf(scope)];
}

/** The scope an organization or project opens; null for everything else, drafts without a name included. */
export function ownScope(target: { readonly kind: string; readonly scope: ScopePath; readonly identifier: string | null }): ScopePath | null {
  if (target.identifier === null) return null;
  if (target.kind === 'organization' && target.scope === accountScope) return childScope(accountScope, target.identifier);
  if (target.kind === 'project' && levelOf(target.scope) === 'org') return childScope(target.scope, target.identifier);
  return null;
}

/** Every scope the target counts in. A scope that does not exist yet is no place. */
export function placesOf(target: Target, world: World): readonly ScopePath[] {
  const own = ownScope(target);
  return own !== null && world.hasScope(own) ? [target.scope, own] : [target.scope];
}

/** Depths (0 account … 2 project) at which resources of a kind can be met, as documents or as scopes in themselves. */
export function reaches(noun: Noun, depth: number): boolean {
  if (noun.name === 'organization' || noun.name === 'project') {
    if (depth === depthOf(noun.name === 'organization' ? 'org' : 'project')) return true;
  }
  return noun.levels.some((level) => depthOf(level) === depth);
}

/** True when resources of the kind can be met at the level or below it. */
export function reachesBelow(noun: Noun, level: Level): boolean {
  for (let depth = depthOf(level); depth <= depthOf('project'); depth++) if (reaches(noun, depth)) return true;
  return false;
}
