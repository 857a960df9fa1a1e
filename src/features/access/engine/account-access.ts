/**
 * Everything the engine keeps of one account's world. It follows each change, so a change costs what it touches:
 *
 * - `bindings`, `scopes`, `containers` and `conditional` are the world seen from subjects, scopes, members and conditions;
 * - a subject has a version, moved by every change of its own bindings, state or groups; `meaning` moves when a role or
 *   resource group that bindings name changes. What was compiled is right as long as none of these has moved since;
 * - `changes` moves with any of them: where it has not moved, nothing has to be compared.
 */
import type { Kinds } from '#kernel/kind.ts';
import type { EntryChange, Follower } from '#kernel/follower.ts';
import type { World } from '#kernel/world.ts';
import { BindingShelf } from './binding-shelf.ts';
import { grown } from './columns.ts';
import { ConditionalGroups } from './conditional-groups.ts';
import { Containers } from './containers.ts';
import { Engine } from './engine.ts';
import { ScopeTree } from './scope-tree.ts';
import { sessionKinds, touchedSubjects, touchesEverybody } from './touched.ts';

const key = Symbol('access of an account');

/** Of a world that is no overlay. */
export function accountAccess(world: World): AccountAccess {
  return world.follow(key, (root) => new AccountAccess(root));
}

/** Takes the place of role bindings before any are loaded, so that they never are a million objects. */
export function shelveBindings(world: World): BindingShelf {
  return world.shelf('role_binding', () => new BindingShelf());
}

export class AccountAccess implements Follower {
  readonly world: World;
  readonly bindings: BindingShelf;
  readonly scopes: ScopeTree;
  readonly containers = new Containers();
  readonly conditional = new ConditionalGroups();
  #changes = 0;
  #meaning = 0;
  #sessionChanges = 0;
  #versions = new Int32Array(16);
  #engine: Engine | null = null;
  #engineKinds: Kinds | null = null;

  constructor(world: World) {
    this.world = world;
    this.bindings = shelveBindings(world);
    this.scopes = new ScopeTree(world);
    for (const after of world.list('user_group')) this.containers.changed({ before: undefined, after });
    for (const after of world.list('resource_group')) this.conditional.changed({ before: undefined, after });
  }

  get bytes(): number {
    return this.scopes.bytes + this.containers.bytes + this.#versions.byteLength + (this.#engine?.bytes ?? 0);
  }

  get changes(): number {
    return this.#changes;
  }

  get meaning(): number {
    return this.#meaning;
  }

  /** Moves with whatever the grants of sessions are made from. */
  get sessionChanges(): number {
    return this.#sessionChanges;
  }

  /** By the subject's number in `bindings.subjects`. */
  version(subject: number): number {
    return this.#versions[subject] ?? 0;
  }

  /** The engine for the words of the account: those of the product, of which there is one set, and its own. */
  engine(kinds: Kinds): Engine {
    if (this.#engineKinds === kinds && this.#engine?.vocabulary.isCurrent === true) return this.#engine;
    this.#engine = new Engine(this, kinds.of(this.world));
    this.#engineKinds = kinds;
    return this.#engine;
  }

  changed(change: EntryChange): void {
    const { kind } = (change.after ?? change.before)!;
    if (kind === 'organization' || kind === 'project') this.scopes.changed(change);
    if (kind === 'user_group') this.containers.changed(change);
    if (kind === 'resource_group') this.conditional.changed(change);
    if (kind === 'resource_type') this.#engine = null;
    const subjects = touchedSubjects(change);
    for (const uid of subjects) this.#move(this.bindings.subjects.find(uid));
    const everybody = touchesEverybody(change, this.bindings);
    if (everybody) this.#meaning += 1;
    if (everybody || subjects.length > 0) this.#changes += 1;
    if (sessionKinds.includes(kind)) this.#sessionChanges += 1;
  }

  /** Nothing compiled may go on naming scopes that are not there. */
  forgetMissingScopes(): void {
    this.scopes.forgetMissing();
    this.#meaning += 1;
    this.#changes += 1;
    this.#sessionChanges += 1;
  }

  /** One that has no number is in nothing compiled. */
  #move(subject: number): void {
    if (subject < 0) return;
    if (subject >= this.#versions.length) this.#versions = grown(this.#versions, subject + 1);
    this.#versions[subject]! += 1;
  }
}
