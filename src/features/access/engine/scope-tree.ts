/**
 * Scopes as numbered nodes with their parents, so that walking up from one builds no text. A node of a path is the same
 * as long as anything compiled may name it, whether the scope is there, not yet there or gone; `exists` says which.
 */
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, depthOf, levelOf, parentOf } from '#kernel/scope.ts';
import type { EntryChange } from '#kernel/follower.ts';
import type { World } from '#kernel/world.ts';
import { openedScope } from '#kernel/world.ts';

export interface ScopeNode {
  readonly number: number;
  readonly path: ScopePath;
  /** 0 account, 1 org, 2 project. */
  readonly depth: number;
  readonly parent: ScopeNode | null;
  exists: boolean;
}

/** Paths that name no scope come from claims and from what was deleted; more are forgotten. */
const maxMissing = 20_000;

export class ScopeTree {
  readonly #nodes = new Map<ScopePath, ScopeNode>();
  readonly #numbered = new Map<number, ScopeNode>();
  #next = 0;
  #missing = 0;

  constructor(world: World) {
    this.#set(accountScope, true);
    for (const kind of ['organization', 'project']) for (const entry of world.list(kind)) this.changed({ before: undefined, after: entry });
  }

  get bytes(): number {
    return this.#nodes.size * 240;
  }

  /** True when nodes that stand for nothing are so many that whoever compiled with them should start again. */
  get isCrowded(): boolean {
    return this.#missing > maxMissing;
  }

  /** Undefined = nothing compiled here names it and it is no scope. */
  find(path: ScopePath): ScopeNode | undefined {
    return this.#nodes.get(path);
  }

  node(path: ScopePath): ScopeNode {
    let node = this.#nodes.get(path);
    if (node === undefined) {
      node = this.#made(path, this.#next++);
      this.#nodes.set(path, node);
      this.#numbered.set(node.number, node);
      this.#missing += 1;
    }
    return node;
  }

  /** Of a node that has not been forgotten. */
  numbered(number: number): ScopeNode {
    return this.#numbered.get(number)!;
  }

  /** A node to walk up from, for a scope that a call makes: not kept, and in nothing compiled unless by its path. */
  passing(path: ScopePath): ScopeNode {
    return this.#nodes.get(path) ?? this.#made(path, -1);
  }

  changed({ before, after }: EntryChange): void {
    const [gone, come] = [before === undefined ? undefined : openedScope(before), after === undefined ? undefined : openedScope(after)];
    if (gone !== undefined && gone !== come) this.#set(gone, false);
    if (come !== undefined) this.#set(come, true);
  }

  /** Nodes that were handed out must be forgotten with it. */
  forgetMissing(): void {
    const above = new Set([...this.#nodes.values()].map((node) => (node.exists ? node.parent : null)));
    for (const [path, node] of this.#nodes) {
      if (node.exists || above.has(node)) continue;
      this.#nodes.delete(path);
      this.#numbered.delete(node.number);
    }
    this.#missing = [...above].filter((node) => node?.exists === false).length;
  }

  #set(path: ScopePath, exists: boolean): void {
    const node = this.node(path);
    if (node.exists === exists) return;
    node.exists = exists;
    this.#missing += exists ? -1 : 1;
  }

  #made(path: ScopePath, number: number): ScopeNode {
    const parent = parentOf(path);
    const node = { number, path, depth: depthOf(levelOf(path)), exists: false };
    return { ...node, parent: parent === null ? null : number < 0 ? this.passing(parent) : this.node(parent) };
  }
}

/** True when `inner` is `outer` or lies below it. */
export function isWithin(outer: ScopeNode, inner: ScopeNode): boolean {
  return outer === inner || outer.depth === 0 || inner.parent === outer;
}
