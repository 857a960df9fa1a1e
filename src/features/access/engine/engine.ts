/** What callers of one account hold, compiled against one set of kinds, when it is first asked for. */
import type { WorkloadEvidence } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { AccountAccess } from './account-access.ts';
import { foldGrants } from './compile-grants.ts';
import type { CompiledGrants } from './compiled-grants.ts';
import type { Way } from '../grants.ts';
import { bootstrapWays, makeSessionWays } from '../grants.ts';
import { HeldPeople } from './held-people.ts';
import type { Range } from '../schema.ts';
import type { ScopeNode } from './scope-tree.ts';
import { Vocabulary } from './vocabulary.ts';

/** The lists of a way, folded; a grant of each must give what is asked. */
export type CompiledWay = readonly CompiledGrants[];

export class Engine {
  readonly vocabulary: Vocabulary;
  readonly #account: AccountAccess;
  readonly #people: HeldPeople;
  #sessions = new WeakMap<WorkloadEvidence, readonly CompiledWay[]>();
  #sessionsOf = 0;

  constructor(account: AccountAccess, kinds: Kinds) {
    this.#account = account;
    this.vocabulary = new Vocabulary(kinds);
    this.#people = new HeldPeople(account, this.vocabulary);
  }

  get bytes(): number {
    return this.vocabulary.sets.bytes + this.#people.bytes;
  }

  /** Null = nobody the account knows by this type and uid, or somebody disabled. */
  person(type: 'user' | 'service_account', uid: string): CompiledGrants | null {
    return this.#people.find(type, uid);
  }

  /** Where something is given to a person now. */
  *liveRanges(type: 'user' | 'service_account', uid: string, nowMs: number): Generator<Range> {
    for (const { scope, includesBelow } of this.person(type, uid)?.liveRanges(nowMs) ?? []) {
      yield { scope: this.#account.scopes.numbered(scope).path, includeChildScopes: includesBelow };
    }
  }

  /** Uids of a person and its groups; none of one whom nothing is compiled for. */
  subjectsOf(person: 'user' | 'service_account', uid: string): readonly string[] {
    this.person(person, uid);
    return this.#people.subjectsOf(uid).map((subject) => this.#account.bindings.subjects.word(subject));
  }

  /** Kept for as long as the evidence is held and nothing its grants are made from has changed. */
  session(evidence: WorkloadEvidence): readonly CompiledWay[] {
    if (this.#sessionsOf !== this.#account.sessionChanges) {
      this.#sessions = new WeakMap();
      this.#sessionsOf = this.#account.sessionChanges;
    }
    let ways = this.#sessions.get(evidence);
    if (ways === undefined) this.#sessions.set(evidence, (ways = this.#compiled(makeSessionWays(this.#account.world, evidence))));
    return ways;
  }

  bootstrap(): readonly CompiledWay[] {
    return this.#compiled(bootstrapWays(this.#account.world));
  }

  scope(path: ScopePath): ScopeNode | undefined {
    return this.#account.scopes.find(path);
  }

  /** For a scope that the world does not have, or not yet. */
  passingScope(path: ScopePath): ScopeNode {
    return this.#account.scopes.passing(path);
  }

  #compiled(ways: readonly Way[]): readonly CompiledWay[] {
    const { vocabulary } = this;
    const { scopes } = this.#account;
    return ways.map(({ lists, context }) => lists.map((list) => foldGrants(list, context, { vocabulary, scopes })));
  }
}
