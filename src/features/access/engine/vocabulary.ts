/** The permissions of some kinds as numbers, and roles and selectors as sets of them. */
import type { Kinds, Noun } from '#kernel/kind.ts';
import { BitSets, emptySet } from './bit-sets.ts';
import { roleHas } from '../roles.ts';
import type { RoleFacts } from '../schema.ts';

export interface Permission {
  readonly bit: number;
  readonly noun: Noun;
  /** Resources of its kind may open a scope, in which they lie too. */
  readonly opensScopes: boolean;
}

export class Vocabulary {
  readonly kinds: Kinds;
  readonly sets: BitSets;
  readonly #permissions = new Map<string, Permission>();
  readonly #ofKind = new Map<string, number>();
  /** Kinds are only ever added. */
  readonly #nouns: number;

  constructor(kinds: Kinds) {
    this.kinds = kinds;
    this.#nouns = kinds.nouns.size;
    for (const noun of kinds.nouns.values()) {
      const opensScopes = noun.name === 'organization' || noun.name === 'project';
      for (const verb of noun.verbs) this.#permissions.set(`${noun.name}.${verb}`, { bit: this.#permissions.size, noun, opensScopes });
    }
    this.sets = new BitSets(this.#permissions.size);
    for (const noun of kinds.nouns.values()) {
      this.#ofKind.set(noun.name, this.sets.of(noun.verbs.map((verb) => this.#permissions.get(`${noun.name}.${verb}`)!.bit)));
    }
  }

  /** False when kinds have been added since. */
  get isCurrent(): boolean {
    return this.#nouns === this.kinds.nouns.size;
  }

  permission(name: string): Permission | undefined {
    return this.#permissions.get(name);
  }

  /** All permissions of a kind; none if nobody knows it. */
  ofKind(kind: string): number {
    return this.#ofKind.get(kind) ?? emptySet;
  }

  /** Permissions a role names that no kind has are nobody's. */
  ofRole(role: RoleFacts): number {
    const held: number[] = [];
    for (const [name, { bit, noun }] of this.#permissions) if (roleHas(role, name, noun)) held.push(bit);
    return this.sets.of(held);
  }
}
