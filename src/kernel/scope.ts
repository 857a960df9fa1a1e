/**
 * Scope paths inside one account: `/` is the account, `payments` an org, `payments/checkout` a project.
 * Orgs and projects never move and their identifiers are never given out twice, so a path means one scope for ever.
 */
import { isIdentifier } from './identifier.ts';

export type Level = 'account' | 'org' | 'project';
export type ScopePath = string;

export const accountScope: ScopePath = '/';
export const levels: readonly Level[] = ['account', 'org', 'project'];

/** Reads what a user wrote; empty and absent mean the account. Returns null when it is not a scope path. */
export function parseScope(text: string | undefined | null): ScopePath | null {
  if (text === undefined || text === null || text === '' || text === '/') return accountScope;
  const parts = text.split('/');
  if (parts.length > 2 || !parts.every(isIdentifier)) return null;
  return text;
}

export function levelOf(scope: ScopePath): Level {
  if (scope === accountScope) return 'account';
  return scope.includes('/') ? 'project' : 'org';
}

/** 0 account, 1 org, 2 project. */
export function depthOf(level: Level): number {
  return levels.indexOf(level);
}

export function parentOf(scope: ScopePath): ScopePath | null {
  if (scope === accountScope) return null;
  const slash = scope.indexOf('/');
  return slash === -1 ? accountScope : scope.slice(0, slash);
}

export function childScope(parent: ScopePath, identifier: string): ScopePath {
  return parent === accountScope ? identifier : `${parent}/${identifier}`;
}

/** True when `inner` is `outer` or lies below it. Compares whole parts, so `pay` does not contain `payments`. */
export function contains(outer: ScopePath, inner: ScopePath): boolean {
  if (outer === accountScope || outer === inner) return true;
  return inner.length > outer.length && inner.startsWith(outer) && inner[outer.length] === '/';
}

/** The scope itself, then its parents up to the account. */
export function upwards(scope: ScopePath): ScopePath[] {
  const path: ScopePath[] = [];
  for (let at: ScopePath | null = scope; at !== null; at = parentOf(at)) path.push(at);
  return path;
}

/** Path of a resource: scope path + identifier. */
export function resourcePath(scope: ScopePath, identifier: string): string {
  return scope === accountScope ? identifier : `${scope}/${identifier}`;
}

/** Splits `payments/checkout/recover` into scope and identifier; null when it is not a path. */
export function parseResourcePath(path: string): { scope: ScopePath; identifier: string } | null {
  const slash = path.lastIndexOf('/');
  const scope = parseScope(slash === -1 ? '/' : path.slice(0, slash));
  const identifier = path.slice(slash + 1);
  if (scope === null || slash === 0 || !isIdentifier(identifier)) return null;
  return { scope, identifier };
}

/** A pattern of `usableFrom`: `p/**` = p and everything below, `p` = p alone, `**` = all, `/` = the account alone. */
export function isScopePattern(pattern: string): boolean {
  if (pattern === '**') return true;
  const scope = pattern.endsWith('/**') ? pattern.slice(0, -3) : pattern;
  return scope !== '' && parseScope(scope) !== null;
}

export function patternRange(pattern: string): { scope: ScopePath; includeChildScopes: boolean } {
  if (pattern === '**') return { scope: accountScope, includeChildScopes: true };
  if (pattern.endsWith('/**')) return { scope: pattern.slice(0, -3), includeChildScopes: true };
  return { scope: pattern, includeChildScopes: false };
}

export function patternMatches(pattern: string, scope: ScopePath): boolean {
  const range = patternRange(pattern);
  return range.includeChildScopes ? contains(range.scope, scope) : range.scope === scope;
}
