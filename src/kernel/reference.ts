/** References, by which one document names another: `x` same scope, `org.x`, `account.x`; own scope or above only. */
import type { Level, ScopePath } from './scope.ts';
import { accountScope, depthOf, levelOf, upwards } from './scope.ts';

export const referencePattern = /^(?:(?:account|org)\.)?[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Where a reference written in `from` points, or null when it cannot point anywhere (`org.x` at the account). */
export function resolveReference(reference: string, from: ScopePath): { scope: ScopePath; identifier: string } | null {
  if (!referencePattern.test(reference)) return null;
  const dot = reference.indexOf('.');
  if (dot === -1) return { scope: from, identifier: reference };
  const level = reference.slice(0, dot) as Level;
  if (depthOf(level) > depthOf(levelOf(from))) return null;
  const scope = level === 'account' ? accountScope : upwards(from).find((s) => levelOf(s) === 'org');
  return scope === undefined ? null : { scope, identifier: reference.slice(dot + 1) };
}

/** How a document in `from` refers to a resource in `scope` (its own or one above). */
export function printReference(scope: ScopePath, identifier: string, from: ScopePath): string {
  return scope === from ? identifier : `${levelOf(scope)}.${identifier}`;
}
