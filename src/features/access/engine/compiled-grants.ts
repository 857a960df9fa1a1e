/**
 * Grants of one list, folded so that most questions are one look at a bit. A scope has one cell: the set of permissions
 * granted in it, the set granted below it too, and the few grants that ask more of a resource than its kind, or that
 * end. Whether some grant gives a permission is one walk from the resource's scope up to the account.
 *
 * Cells stand in one `Int32Array`, found by the number of the scope: open addressing, four integers a cell, at most two
 * thirds full. Nothing is allocated by asking.
 */
import type { Target } from '#kernel/decision.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import type { BitSets } from './bit-sets.ts';
import { emptySet } from './bit-sets.ts';
import type { ScopeNode } from './scope-tree.ts';
import type { CompiledSelector, Resources } from '../selector.ts';
import { selectorMatches } from '../selector.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What bits cannot say of a grant. */
interface Limited {
  readonly permissions: number;
  readonly includesBelow: boolean;
  /** Null = whatever has the permission's kind. */
  readonly selector: CompiledSelector | null;
  readonly expiresAtMs: number | null;
}

interface Cell {
  here: number;
  below: number;
  limited: Limited[] | null;
}

export class CompiledGrants {
  /** Scope + 1 (0 = empty), set here, set below, index into `limited` + 1. */
  readonly #cells: Int32Array;
  readonly #mask: number;
  readonly #limited: readonly (readonly Limited[])[];
  readonly #sets: BitSets;
  readonly #context: MatchContext;
  readonly bytes: number;

  /** `context`: what conditions can read of who asks. */
  constructor(cells: ReadonlyMap<number, Cell>, sets: BitSets, context: MatchContext) {
    let places = 2;
    while (3 * cells.size > 2 * places) places *= 2;
    this.#cells = new Int32Array(4 * places);
    this.#mask = places - 1;
    this.#sets = sets;
    this.#context = context;
    const limited: Limited[][] = [];
    for (const [scope, cell] of cells) {
      let at = place(scope) & this.#mask;
      while (this.#cells[4 * at] !== 0) at = (at + 1) & this.#mask;
      const index = cell.limited === null ? 0 : limited.push(cell.limited);
      this.#cells[4 * at] = scope + 1;
      this.#cells[4 * at + 1] = cell.here;
      this.#cells[4 * at + 2] = cell.below;
      this.#cells[4 * at + 3] = index;
    }
    this.#limited = limited;
    this.bytes = 200 + this.#cells.byteLength + limited.reduce((sum, list) => sum + 40 + 72 * list.length, 0);
  }

  /** True when one grant alone gives the permission to the resource, which lies in `scope`. */
  gives(bit: number, scope: ScopeNode, target: Target, nowMs: number): boolean {
    for (let at: ScopeNode | null = scope; at !== null; at = at.parent) {
      const cell = this.#find(at.number);
      if (cell < 0) continue;
      if (this.#sets.has(this.#cells[cell + (at === scope ? 1 : 2)]!, bit)) return true;
      const limited = this.#cells[cell + 3]!;
      if (limited !== 0 && this.#limitedGives(this.#limited[limited - 1]!, bit, at !== scope, target, nowMs)) return true;
    }
    return false;
  }

  /** Scopes, by their numbers, in which something is given now, and whether anything is given below them too. */
  *liveRanges(nowMs: number): Generator<{ readonly scope: number; readonly includesBelow: boolean }> {
    for (let at = 0; at < this.#cells.length; at += 4) {
      if (this.#cells[at] === 0) continue;
      const limited = (this.#limited[this.#cells[at + 3]! - 1] ?? []).filter((one) => isInTime(one, nowMs));
      if (this.#cells[at + 1] === emptySet && limited.length === 0) continue;
      yield { scope: this.#cells[at]! - 1, includesBelow: this.#cells[at + 2] !== emptySet || limited.some((one) => one.includesBelow) };
    }
  }

  /** Index of the scope's cell; -1 = it has none. */
  #find(scope: number): number {
    const cells = this.#cells;
    for (let at = place(scope) & this.#mask; ; at = (at + 1) & this.#mask) {
      const stored = cells[4 * at]!;
      if (stored === 0) return -1;
      if (stored === scope + 1) return 4 * at;
    }
  }

  #limitedGives(list: readonly Limited[], bit: number, isAbove: boolean, target: Target, nowMs: number): boolean {
    for (const one of list) {
      if ((isAbove && !one.includesBelow) || !this.#sets.has(one.permissions, bit) || !isInTime(one, nowMs)) continue;
      if (one.selector === null || selectorMatches(one.selector, target, this.#context)) return true;
    }
    return false;
  }
}

/** Collects the grants of one list. */
export class GrantFold {
  readonly #vocabulary: Vocabulary;
  readonly #cells = new Map<number, Cell>();

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** `onlyKind`: of what is selected, this kind alone. */
  add(grant: {
    readonly permissions: number;
    readonly scope: ScopeNode;
    readonly includesBelow: boolean;
    readonly resources: Resources;
    readonly onlyKind: string | null;
    readonly expiresAtMs: number | null;
  }): void {
    const { permissions, resources, onlyKind } = grant;
    if (resources === 'all') {
      this.#addSelector(grant, onlyKind === null ? permissions : this.#vocabulary.sets.meet(permissions, this.#vocabulary.ofKind(onlyKind)), null);
      return;
    }
    for (const selector of resources) {
      if (onlyKind !== null && selector.type !== onlyKind) continue;
      const isWholeKind = selector.identifiers === null && selector.conditions.length === 0;
      this.#addSelector(grant, this.#vocabulary.sets.meet(permissions, this.#vocabulary.ofKind(selector.type)), isWholeKind ? null : selector);
    }
  }

  compiled(context: MatchContext): CompiledGrants {
    return new CompiledGrants(this.#cells, this.#vocabulary.sets, context);
  }

  #addSelector(
    { scope, includesBelow, expiresAtMs }: { readonly scope: ScopeNode; readonly includesBelow: boolean; readonly expiresAtMs: number | null },
    permissions: number,
    selector: CompiledSelector | null,
  ): void {
    if (permissions === emptySet) return;
    let cell = this.#cells.get(scope.number);
    if (cell === undefined) this.#cells.set(scope.number, (cell = { here: emptySet, below: emptySet, limited: null }));
    if (selector === null && expiresAtMs === null) {
      cell.here = this.#vocabulary.sets.union(cell.here, permissions);
      if (includesBelow) cell.below = this.#vocabulary.sets.union(cell.below, permissions);
    } else (cell.limited ??= []).push({ permissions, includesBelow, selector, expiresAtMs });
  }
}

function isInTime(limited: Limited, nowMs: number): boolean {
  return limited.expiresAtMs === null || nowMs < limited.expiresAtMs;
}

function place(scope: number): number {
  const mixed = Math.imul(scope, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
