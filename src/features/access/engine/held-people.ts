/**
 * Compiled holdings of people, made when somebody first asks about one. What is held is right as long as the versions of
 * the person and its groups, and the meaning of roles and resource groups, are those it was compiled from; this is
 * looked at again only after something has changed. Bounded by bytes: what was not asked for since the last sweep goes.
 */
import type { Entry } from '#kernel/world.ts';
import type { AccountAccess } from './account-access.ts';
import { BindingCompiler } from './compile-bindings.ts';
import type { CompiledGrants } from './compiled-grants.ts';
import type { PrincipalFacts } from '../schema.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Of one account. */
const maxHeldBytes = 512 * 1024 * 1024;

interface Held {
  readonly type: string;
  readonly grants: CompiledGrants;
  /** Numbers of the person and its groups, and their versions. */
  readonly subjects: readonly number[];
  readonly versions: readonly number[];
  readonly meaning: number;
  readonly bytes: number;
  /** `changes` of the account when it was last known to be right. */
  checkedAt: number;
  isUsed: boolean;
}

export class HeldPeople {
  readonly #account: AccountAccess;
  readonly #compiler: BindingCompiler;
  readonly #held = new Map<string, Held>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(account: AccountAccess, vocabulary: Vocabulary, maxBytes = maxHeldBytes) {
    this.#account = account;
    this.#compiler = new BindingCompiler(account, vocabulary);
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Null = nobody of this type and uid, or disabled. */
  find(type: 'user' | 'service_account', uid: string): CompiledGrants | null {
    const held = this.#held.get(uid);
    if (held !== undefined && held.checkedAt === this.#account.changes) {
      if (!held.isUsed) held.isUsed = true;
      return held.type === type ? held.grants : null;
    }
    return this.#findAgain(type, uid, held);
  }

  /** Numbers of the person and its groups. Only after `find` has found it. */
  subjectsOf(uid: string): readonly number[] {
    return this.#held.get(uid)?.subjects ?? [];
  }

  #findAgain(type: string, uid: string, held: Held | undefined): CompiledGrants | null {
    if (held !== undefined && this.#isRight(held)) {
      held.checkedAt = this.#account.changes;
      held.isUsed = true;
      return held.type === type ? held.grants : null;
    }
    if (held !== undefined) this.#drop(uid, held);
    const entry = this.#account.world.get(uid);
    if (entry === undefined || entry.kind !== type || !(entry.facts as PrincipalFacts).enabled) return null;
    return this.#compile(entry);
  }

  #compile(entry: Entry): CompiledGrants {
    const account = this.#account;
    if (account.scopes.isCrowded) account.forgetMissingScopes();
    const { grants, subjects } = this.#compiler.compile(entry);
    const held: Held = {
      type: entry.kind, grants, subjects, versions: subjects.map((subject) => account.version(subject)), meaning: account.meaning,
      bytes: grants.bytes + 300 + 16 * subjects.length, checkedAt: account.changes, isUsed: true,
    };
    this.#held.set(entry.uid, held);
    this.#bytes += held.bytes;
    if (this.#bytes > this.#maxBytes) this.#sweep();
    return grants;
  }

  #isRight(held: Held): boolean {
    if (held.meaning !== this.#account.meaning) return false;
    for (let i = 0; i < held.subjects.length; i++) if (held.versions[i] !== this.#account.version(held.subjects[i]!)) return false;
    return true;
  }

  /** A second chance for whoever was asked about since the last sweep; the rest goes, until there is some room. */
  #sweep(): void {
    for (const [uid, held] of [...this.#held]) {
      if (this.#bytes <= 0.9 * this.#maxBytes) return;
      if (held.isUsed) {
        held.isUsed = false;
        this.#held.delete(uid);
        this.#held.set(uid, held);
      } else this.#drop(uid, held);
    }
    // All were in use: then the oldest.
    for (const [uid, held] of [...this.#held]) {
      if (this.#bytes <= 0.9 * this.#maxBytes) return;
      this.#drop(uid, held);
    }
  }

  #drop(uid: string, held: Held): void {
    this.#held.delete(uid);
    this.#bytes -= held.bytes;
  }
}
