/** An account's access as plain records: what every engine in the benchmark is loaded from. */
import type { NamersRange, Range, Subject } from '#features/access/schema.ts';
import type { Selector } from '#kernel/caller.ts';
import type { Noun } from '#kernel/kind.ts';
import type { Level, ScopePath } from '#kernel/scope.ts';

/** An organization or project. */
export interface ScopeRecord {
  readonly uid: string;
  readonly kind: 'organization' | 'project';
  /** Where it lies. */
  readonly scope: ScopePath;
  readonly identifier: string;
  /** What it opens. */
  readonly path: ScopePath;
}

export interface PrincipalRecord {
  readonly uid: string;
  readonly type: 'user' | 'service_account';
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly enabled: boolean;
}

/** Counts at its own scope and below; a member above, below or beside that does not count. Groups may be members. */
export interface GroupRecord {
  readonly uid: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly members: readonly Subject[];
}

/** All lie in the account. Above its level a role gives nothing. Those built in have their permissions spelled out here. */
export interface RoleRecord {
  readonly uid: string;
  readonly identifier: string;
  readonly level: Level;
  readonly permissions: readonly string[];
  readonly builtIn: boolean;
}

export interface ResourceGroupRecord {
  readonly uid: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  /** Of those built in: where the binding lies. */
  readonly ranges: readonly Range[] | NamersRange;
  readonly resources: 'all' | readonly Selector[];
  readonly builtIn: boolean;
}

export interface BindingRecord {
  readonly uid: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly principal: Subject;
  readonly roleUid: string;
  readonly resourceGroupUid: string;
  readonly disabled: boolean;
  readonly expiresAtMs: number | null;
}

export interface AccessRecords {
  readonly accountId: string;
  readonly nouns: readonly Noun[];
  readonly scopes: readonly ScopeRecord[];
  readonly principals: readonly PrincipalRecord[];
  readonly groups: readonly GroupRecord[];
  readonly roles: readonly RoleRecord[];
  readonly resourceGroups: readonly ResourceGroupRecord[];
  /** New ones every time it is asked, the same ones every time; kept by nobody. */
  readonly bindings: () => Iterable<BindingRecord>;
}

/** Where a group lies as the binding at `scope` sees it. */
export function rangesSeenFrom(group: ResourceGroupRecord, scope: ScopePath, level: Level): readonly Range[] {
  if (!('onlyAt' in group.ranges)) return group.ranges;
  const { onlyAt, includeChildScopes } = group.ranges;
  return onlyAt === null || onlyAt === level ? [{ scope, includeChildScopes }] : [];
}
