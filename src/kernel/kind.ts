/**
 * The kind record: describes a type of resource once. Operations, permissions, JSON Schema, references, delete
 * protection, audit diff, CLI and forms are derived from it.
 */
import type { z } from 'zod';
import type { Bound } from './caller.ts';
import type { Question } from './decision.ts';
import type { FieldError } from './errors.ts';
import { assert } from './errors.ts';
import type { Scalar } from './matcher.ts';
import type { Level, ScopePath } from './scope.ts';
import type { Entry, World } from './world.ts';

/** A word that permissions can be about. Sessions, executions and audit are nouns without documents. */
export interface Noun {
  /** Snake case, as in permissions. */
  readonly name: string;
  readonly levels: readonly Level[];
  /** All verbs, the standard four included where they apply. No verb implies another. */
  readonly verbs: readonly string[];
  /** Set for kinds whose resources another system holds: their attributes, by name. */
  readonly external?: Readonly<Record<string, 'string' | 'number' | 'boolean'>>;
}

/** Facts of an entry of kind `resource_type`: the word it adds to those of its account. */
export interface ResourceTypeFacts {
  readonly noun: Noun;
}

/** Uid a reference at this JSON Pointer of the spec was resolved to; undefined when it dangles. */
export type ResolvedRefs = (pointer: string) => string | undefined;

/** A document as it will be saved, references resolved. */
export interface Draft<S> {
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly spec: S;
  readonly refs: ResolvedRefs;
}

/** A draft as its check sees it: a secret field is told by name, its value by nobody. */
export interface CheckedDraft<S> extends Draft<S> {
  readonly isNew: boolean;
  /** JSON Pointers of secret fields the document gives a value for. */
  readonly secretsGiven: readonly string[];
}

export interface Given {
  readonly bound: Bound;
  /** Why the change gives this, for the refusal and the audit. */
  readonly why: string;
  /** A permission that allows the change without holding what it gives. */
  readonly unless?: Question;
  readonly pointer?: string;
}

export interface Kind<S = never> extends Noun {
  /** Strict zod object; fields carry marks (`ref`, `scope`, `secret`, …) from `marks.ts`. */
  readonly spec: z.ZodType<S>;
  /** Version of the stored spec; `upgraders[i]` is pure, lifts version i+1 to i+2 and leaves references where they are. */
  readonly version: number;
  readonly upgraders?: readonly ((old: unknown) => unknown)[];
  /** The identifier is never given out twice at its scope. */
  readonly retires?: true;
  /** Attributes that conditions may read, by name. */
  readonly attributes?: Readonly<Record<string, (spec: S) => Scalar | undefined>>;
  /** What the engine holds in memory of it, compiled. Pure. */
  readonly facts?: (draft: Draft<S>) => unknown;
  /** Faults of a draft against the world the call leaves; warnings let it be saved. Pure; pointers start at the spec. */
  readonly check?: (draft: CheckedDraft<S>, after: World) => readonly FieldError[];
  /** What saving it gives away (CONTRACTS §5). `before` is null on create, `after` on delete. */
  readonly gives?: (change: { before: Entry | null; after: Entry | null; worldBefore: World; worldAfter: World }) => readonly Given[];
  /** Part of trust and access: tokens change it only when made with `mayAdminister`; `by giving` = when it gives anything. */
  readonly administers?: true | 'by giving';
}

/** A kind whose spec type is nobody's business: what registries and the generic code hold. */
// The one place where a spec's type is forgotten: parsing by `spec` is what makes it true again.
export type AnyKind = Kind<any>; // oxlint-disable-line typescript/no-explicit-any

/** `role_binding` → `RoleBinding`. */
export function manifestKind(name: string): string {
  return name.split('_').map((part) => part[0]!.toUpperCase() + part.slice(1)).join('');
}

/** `role_binding` → `role-bindings`, `policy` → `policies`. */
export function collectionOf(name: string): string {
  const words = name.replaceAll('_', '-');
  return words.endsWith('y') ? `${words.slice(0, -1)}ies` : `${words}s`;
}

/** All nouns and kinds of the product, by each of their names. */
export class Kinds {
  readonly #nouns = new Map<string, Noun>();
  readonly #kinds = new Map<string, AnyKind>();
  readonly #byManifest = new Map<string, AnyKind>();

  constructor(nouns: readonly Noun[], kinds: readonly AnyKind[]) {
    this.add(nouns, kinds);
  }

  get nouns(): ReadonlyMap<string, Noun> {
    return this.#nouns;
  }

  get kinds(): ReadonlyMap<string, AnyKind> {
    return this.#kinds;
  }

  /** Only while the app is put together; a name is given once. */
  add(nouns: readonly Noun[], kinds: readonly AnyKind[]): void {
    for (const noun of [...nouns, ...kinds]) {
      assert(!this.#nouns.has(noun.name), `${noun.name} is declared twice`);
      this.#nouns.set(noun.name, noun);
    }
    for (const kind of kinds) {
      assert((kind.upgraders ?? []).length === kind.version - 1, `${kind.name} has version ${kind.version}; each version before it needs its upgrader`);
      this.#kinds.set(kind.name, kind);
      this.#byManifest.set(manifestKind(kind.name), kind);
    }
  }

  byManifest(kind: string): AnyKind | undefined {
    return this.#byManifest.get(kind);
  }

  manifestNames(): Iterable<string> {
    return this.#byManifest.keys();
  }

  /** Splits `<kind>.<verb>` when both exist; unknown permissions are nobody's. */
  permission(name: string): { noun: Noun; verb: string } | null {
    const dot = name.indexOf('.');
    const noun = this.#nouns.get(name.slice(0, dot));
    const verb = name.slice(dot + 1);
    return noun !== undefined && noun.verbs.includes(verb) ? { noun, verb } : null;
  }

  /** The words of one account: those of the product and the external kinds it has declared. */
  of(world: World): Kinds {
    return world.derive(this, ['resource_type'], (from) => this.#with(from));
  }

  #with(world: World): Kinds {
    const declared = [...world.list('resource_type')].map((entry) => (entry.facts as ResourceTypeFacts).noun);
    if (declared.length === 0) return this;
    const nouns = [...this.#nouns.values()].filter((noun) => !this.#kinds.has(noun.name));
    // A word the product took later stays the product's.
    return new Kinds([...nouns, ...declared.filter((noun) => !this.#nouns.has(noun.name))], [...this.#kinds.values()]);
  }

  *permissions(): Generator<string> {
    for (const noun of this.#nouns.values()) for (const verb of noun.verbs) yield `${noun.name}.${verb}`;
  }
}
