/**
 * The floor of the access benchmark: a bare index that says yes or no. Texts are interned to integers; on the first
 * question of a principal its grants are folded into bits of permissions per scope, what is left is a short list.
 */
import type { Target } from '#kernel/decision.ts';
import { parentOf } from '#kernel/scope.ts';
import type { PlainGrant } from '../access/grants.ts';
import { PlainGrants } from '../access/grants.ts';
import type { Ask } from '../access/questions.ts';
import type { AccessRecords } from '../access/records.ts';

/** Permissions held at the scope alone, at it and below it, and those under conditions. */
interface Cell { readonly here: Int32Array; readonly below: Int32Array; readonly others: Restricted[] }
interface Restricted { readonly bits: Int32Array; readonly isDeep: boolean; readonly names: ReadonlySet<string> | null; readonly where: readonly Condition[]; readonly untilMs: number }
interface Condition { readonly tag: string | null; readonly key: string; readonly values: ReadonlySet<unknown> }

export class AccessIndex {
  readonly #parents: number[] = [-1];
  readonly #scopes = new Map<string, number>([['/', 0]]);
  readonly #permissions = new Map<string, { readonly bit: number; readonly kind: string }>();
  readonly #grants: PlainGrants;
  readonly #folded = new Map<string, Map<number, Cell>>();

  constructor(records: AccessRecords) {
    for (const { path } of records.scopes) this.#scopes.set(path, this.#parents.push(this.#scopes.get(parentOf(path)!)!) - 1);
    for (const { name, verbs } of records.nouns) for (const verb of verbs) this.#permissions.set(`${name}.${verb}`, { bit: this.#permissions.size, kind: name });
    this.#grants = new PlainGrants(records);
  }

  allows({ asker: { principal }, question: { permission, target } }: Ask, nowMs: number): boolean {
    const cells = this.#folded.get(principal.uid) ?? this.#fold(principal.uid, principal.type);
    const asked = this.#permissions.get(permission);
    const at = this.#scopes.get(target.scope);
    if (cells === null || asked === undefined || asked.kind !== target.kind || at === undefined) return false;
    if (this.#finds(cells, at, asked.bit, target, nowMs)) return true;
    if (target.kind !== 'organization' && target.kind !== 'project') return false;
    const own = this.#scopes.get(at === 0 ? String(target.identifier) : `${target.scope}/${target.identifier}`);
    return own !== undefined && this.#finds(cells, own, asked.bit, target, nowMs);
  }

  #finds(cells: ReadonlyMap<number, Cell>, start: number, bit: number, target: Target, nowMs: number): boolean {
    const word = bit >> 5;
    for (let at = start; at !== -1; at = this.#parents[at]!) {
      const cell = cells.get(at);
      if (cell === undefined) continue;
      if (((cell.below[word]! | (at === start ? cell.here[word]! : 0)) >>> (bit & 31)) & 1) return true;
      for (const grant of cell.others) if ((grant.isDeep || at === start) && (grant.bits[word]! >>> (bit & 31)) & 1 && nowMs < grant.untilMs && selects(grant, target)) return true;
    }
    return false;
  }

  #fold(uid: string, type: string): Map<number, Cell> | null {
    const grants = this.#grants.of(uid, type);
    if (grants === null) return null;
    const cells = new Map<number, Cell>();
    for (const grant of grants) {
      const place = this.#scopes.get(grant.scope)!;
      let cell = cells.get(place);
      if (cell === undefined) cells.set(place, (cell = { here: new Int32Array(8), below: new Int32Array(8), others: [] }));
      this.#add(cell, grant);
    }
    this.#folded.set(uid, cells);
    return cells;
  }

  #add(cell: Cell, { selectors, role, includeChildScopes: isDeep, binding: { expiresAtMs } }: PlainGrant): void {
    for (const { type, identifiers, where = {} } of selectors ?? [{ type: null, identifiers: undefined }]) {
      const held = role.permissions.map((name) => this.#permissions.get(name)!).filter(({ kind }) => type === null || kind === type);
      const isPlain = identifiers === undefined && Object.keys(where).length === 0 && expiresAtMs === null;
      const bits = isPlain ? (isDeep ? cell.below : cell.here) : new Int32Array(8);
      for (const { bit } of held) bits[bit >> 5]! |= 1 << (bit & 31);
      const conditions = Object.entries(where).map(([key, spec]) => ({ tag: key.startsWith('tags.') ? key.slice(5) : null, key, values: new Set<unknown>('oneOf' in spec ? spec.oneOf : 'equals' in spec ? [spec.equals] : []) }));
      if (!isPlain && held.length > 0) cell.others.push({ bits, isDeep, names: identifiers === undefined ? null : new Set(identifiers), where: conditions, untilMs: expiresAtMs ?? Infinity });
    }
  }
}

function selects({ names, where }: Restricted, target: Target): boolean {
  return (names === null || (target.identifier !== null && names.has(target.identifier))) && where.every(({ tag, key, values }) => values.has(tag === null ? target.attributes[key] : target.tags[tag]));
}
