/**
 * Bindings of a person, folded straight from the rows of the shelf: no grant and no entry is made. It says in numbers
 * what `grants.ts`, `memberships.ts` and `narrowTo` say in objects (CONTRACTS §4 rules 1–8), and the two are held
 * together by tests.
 */
import { accountScope, depthOf } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import type { AccountAccess } from './account-access.ts';
import { allUsersUid } from '../all-users.ts';
import { contextOfPerson } from '../asker-values.ts';
import type { CompiledGrants } from './compiled-grants.ts';
import { GrantFold } from './compiled-grants.ts';
import { isNamersRange } from '../extent.ts';
import { groupsAround, resourceGroupFacts, roleFacts } from '../lookup.ts';
import { scopeKind } from '../places.ts';
import type { NamersRange, ResourceGroupFacts } from '../schema.ts';
import type { ScopeNode } from './scope-tree.ts';
import { isWithin } from './scope-tree.ts';
import type { Resources } from '../selector.ts';
import type { Vocabulary } from './vocabulary.ts';

interface NumberedRole {
  readonly depth: number;
  readonly permissions: number;
}

interface NumberedRange {
  readonly scope: ScopeNode;
  readonly includesBelow: boolean;
}

interface NumberedGroup {
  readonly ranges: readonly NumberedRange[];
  /** Of a built-in group, which lies where the binding does. */
  readonly namers: NamersRange | null;
  readonly resources: Resources;
}

/** Until when (ms) somebody is one of the users of a scope; infinite = for good. */
type Stays = Map<ScopeNode, number>;

interface NumberedSubject {
  readonly number: number;
  readonly type: string;
  /** Its own scope, outside of which it does not count. */
  readonly outer: ScopeNode;
  readonly untilMs: number;
  /** Told of what its bindings make somebody a user of; null = they make nobody one. */
  readonly stays: Stays | null;
}

export class BindingCompiler {
  readonly #account: AccountAccess;
  readonly #vocabulary: Vocabulary;
  /** By the shelf's numbers; null = dangles. Right until `meaning` moves. */
  #roles: (NumberedRole | null | undefined)[] = [];
  #groups: (NumberedGroup | null | undefined)[] = [];
  #paths: (ScopeNode | undefined)[] = [];
  /** By the numbers of scopes. */
  #usersOf: (number | undefined)[] = [];
  #meaning = -1;

  constructor(account: AccountAccess, vocabulary: Vocabulary) {
    this.#account = account;
    this.#vocabulary = vocabulary;
  }

  /** The folded bindings of a person and its groups, and the numbers of all these subjects. */
  compile(person: Entry): { readonly grants: CompiledGrants; readonly subjects: readonly number[] } {
    if (this.#meaning !== this.#account.meaning) {
      [this.#roles, this.#groups, this.#paths, this.#usersOf] = [[], [], [], []];
      this.#meaning = this.#account.meaning;
    }
    const { bindings, world } = this.#account;
    const fold = new GrantFold(this.#vocabulary);
    const stays: Stays = new Map([[this.#account.scopes.node(accountScope), Infinity]]);
    const subjects = groupsAround(world, person).map(({ entry }) => {
      const number = bindings.subjects.number(entry.uid);
      this.#addRows(fold, { number, type: entry.kind, outer: this.#account.scopes.node(entry.scope), untilMs: Infinity, stays });
      return number;
    });
    if (person.kind === 'user') {
      for (const [outer, untilMs] of stays) {
        const number = this.#allUsers(outer);
        this.#addRows(fold, { number, type: 'user_group', outer, untilMs, stays: null });
        subjects.push(number);
      }
    }
    return { grants: fold.compiled(contextOfPerson(person)), subjects };
  }

  #addRows(fold: GrantFold, { number, type, outer, untilMs, stays }: NumberedSubject): void {
    const { bindings } = this.#account;
    for (let row = bindings.firstOf(number); row >= 0; row = bindings.after('subject', row)) {
      if (bindings.isDisabled(row) || bindings.subjectType(row) !== type) continue;
      const scope = this.#scope(bindings.path(row));
      if (!isWithin(outer, scope)) continue;
      const role = this.#role(bindings.role(row));
      const group = this.#group(bindings.resourceGroup(row));
      if (role === null || group === null) continue;
      const endsAtMs = bindings.expiresAtMs(row) ?? Infinity;
      if (stays !== null) join(stays, scope, endsAtMs);
      if (scope.depth < role.depth) continue;
      const lastsMs = Math.min(endsAtMs, untilMs);
      addNarrowed(fold, { permissions: role.permissions, scope, group, expiresAtMs: lastsMs === Infinity ? null : lastsMs });
    }
  }

  /** The number of the built-in group of all users of a scope. */
  #allUsers({ number, path }: ScopeNode): number {
    return (this.#usersOf[number] ??= this.#account.bindings.subjects.number(allUsersUid(path)));
  }

  #scope(path: number): ScopeNode {
    return (this.#paths[path] ??= this.#account.scopes.node(this.#account.bindings.paths.word(path)));
  }

  #role(number: number): NumberedRole | null {
    let role = this.#roles[number];
    if (role === undefined) {
      const facts = roleFacts(this.#account.world, this.#account.bindings.roles.word(number));
      role = facts === null ? null : { depth: depthOf(facts.level), permissions: this.#vocabulary.ofRole(facts) };
      this.#roles[number] = role;
    }
    return role;
  }

  #group(number: number): NumberedGroup | null {
    let group = this.#groups[number];
    if (group === undefined) {
      const facts = resourceGroupFacts(this.#account.world, this.#account.bindings.resourceGroups.word(number));
      group = facts === null ? null : this.#numbered(facts);
      this.#groups[number] = group;
    }
    return group;
  }

  #numbered({ ranges, resources }: ResourceGroupFacts): NumberedGroup {
    if (isNamersRange(ranges)) return { ranges: [], namers: ranges, resources };
    const numbered = ranges.map((range) => ({ scope: this.#account.scopes.node(range.scope), includesBelow: range.includeChildScopes }));
    return { ranges: numbered, namers: null, resources };
  }
}

/** A binding makes a user of its own scope and of the organization around it; everybody is one of the account already. */
function join(stays: Stays, scope: ScopeNode, endsAtMs: number): void {
  for (let at = scope; at.parent !== null; at = at.parent) stays.set(at, Math.max(stays.get(at) ?? -Infinity, endsAtMs));
}

interface NumberedGrant {
  readonly permissions: number;
  /** Of the binding. */
  readonly scope: ScopeNode;
  readonly group: NumberedGroup;
  readonly expiresAtMs: number | null;
}

function addNarrowed(fold: GrantFold, { permissions, scope, group, expiresAtMs }: NumberedGrant): void {
  const { ranges, namers, resources } = group;
  if (namers !== null && (namers.onlyAt === null || depthOf(namers.onlyAt) === scope.depth)) {
    fold.add({ permissions, scope, includesBelow: namers.includeChildScopes, resources, onlyKind: null, expiresAtMs });
  }
  for (const range of ranges) {
    if (isWithin(scope, range.scope)) fold.add({ permissions, ...range, resources, onlyKind: null, expiresAtMs });
    else if (range.includesBelow && isWithin(range.scope, scope)) {
      fold.add({ permissions, scope, includesBelow: true, resources, onlyKind: null, expiresAtMs });
    } else if (range.scope === scope.parent) {
      fold.add({ permissions, scope, includesBelow: false, resources, onlyKind: scopeKind(scope.path), expiresAtMs });
    }
  }
}
