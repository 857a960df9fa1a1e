/**
 * Use from below: a resource is used in its own scope, and in the scopes below that its `usableFrom` names. The right to
 * use it is `<kind>.access` on it as if it lay in the scope that uses it, or where it lies.
 */
import type { Bound } from '#kernel/caller.ts';
import type { Question, Target } from '#kernel/decision.ts';
import type { Given } from '#kernel/kind.ts';
import { contains, patternMatches, patternRange } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';

/** What the snapshot holds of every kind that says `usableFrom`. */
export interface UsableFacts {
  readonly usableFrom: readonly string[];
}

/** A scope that is not named is refused whatever the caller holds. */
export function isUsableFrom(entry: Entry, scope: ScopePath): boolean {
  if (entry.scope === scope) return true;
  if (!contains(entry.scope, scope)) return false;
  return (entry.facts as UsableFacts).usableFrom.some((pattern) => patternMatches(pattern, scope));
}

/** Any one of these allows the use. */
export function useQuestions(entry: Entry, scope: ScopePath): Question[] {
  const permission = `${entry.kind}.access`;
  const here: Target = { kind: entry.kind, scope, identifier: entry.identifier, tags: entry.tags, attributes: entry.attributes };
  return entry.scope === scope ? [{ permission, target: here }] : [{ permission, target: here }, { permission, target: { ...here, scope: entry.scope } }];
}

/** Naming a scope gives `<kind>.access` there (CONTRACTS §5); only what was not named before is given. */
export function usableFromGives({ before, after }: { before: Entry | null; after: Entry | null }): Given[] {
  if (after === null) return [];
  const known = new Set(before === null ? [] : (before.facts as UsableFacts).usableFrom);
  return (after.facts as UsableFacts).usableFrom
    .map((pattern, i) => ({ pattern, i }))
    .filter(({ pattern }) => !known.has(pattern))
    .map(({ pattern, i }) => {
      const extent = { ...patternRange(pattern), resources: [{ type: after.kind, identifiers: [after.identifier] }] };
      const bound: Bound = { permissions: [`${after.kind}.access`], extent };
      return { bound, why: `naming \`${pattern}\` gives \`${after.kind}.access\` there`, pointer: `/usableFrom/${i}` };
    });
}
