/** Grants that were made as objects, folded: those of sessions, which are few. */
import type { MatchContext } from '#kernel/matcher.ts';
import { GrantFold } from './compiled-grants.ts';
import type { CompiledGrants } from './compiled-grants.ts';
import type { Grant } from '../grants.ts';
import type { ScopeTree } from './scope-tree.ts';
import type { Vocabulary } from './vocabulary.ts';

export function foldGrants(grants: readonly Grant[], context: MatchContext, { vocabulary, scopes }: { readonly vocabulary: Vocabulary; readonly scopes: ScopeTree }): CompiledGrants {
  const fold = new GrantFold(vocabulary);
  for (const { disabled, role, extents, expiresAtMs } of grants) {
    if (disabled) continue;
    const permissions = vocabulary.ofRole(role);
    for (const { scope, includeChildScopes, resources } of extents) {
      fold.add({ permissions, scope: scopes.node(scope), includesBelow: includeChildScopes, resources, onlyKind: null, expiresAtMs });
    }
  }
  return fold.compiled(context);
}
