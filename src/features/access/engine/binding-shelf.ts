/**
 * Role bindings in columns. An account may have a million of them, and as objects each would take about 1 KiB; a row
 * takes about 120 bytes. Uids, identifiers and flags stand in typed arrays, what bindings refer to is interned, and what
 * few have (a name, tags, an end) is kept aside.
 *
 * Finding, adding and removing a row is O(1). The rows of a subject, role, resource group or scope are linked lists, so
 * whatever is computed from them costs what they are and not what the account has. A row whose reference dangles is in
 * no list but its scope's: it gives nothing. Rows are reused, so nobody keeps the number of one across a change.
 */
import type { ScopePath } from '#kernel/scope.ts';
import type { Shelf } from '#kernel/shelf.ts';
import type { Entry } from '#kernel/world.ts';
import type { PairedRow } from './alike-rows.ts';
import { AlikeRows } from './alike-rows.ts';
import { grown } from './columns.ts';
import { IdentifierBytes } from './identifier-bytes.ts';
import { Interned } from './interned.ts';
import { RowLists } from './row-lists.ts';
import { RowTable } from './row-table.ts';
import type { BindingFacts, Subject } from '../schema.ts';
import { UidColumn } from './uid-column.ts';
import type { WantedUid } from './uid-column.ts';
import { hashText } from './uid-words.ts';

/** What few bindings have. */
interface Aside {
  /** When it is no UUID. */
  readonly uid: string | null;
  /** When it is no short ASCII. */
  readonly identifier: string | null;
  readonly name: string | null;
  readonly tags: Entry['tags'];
  readonly attributes: Entry['attributes'];
}

/** The lists a row stands in when none of its references dangles. */
export type ListedBy = 'subject' | 'role' | 'resourceGroup';

const subjectTypes: readonly Subject['type'][] = ['user', 'user_group', 'service_account'];
const typeBits = 3;
const disabledBit = 4;
const expiresBit = 8;
const asideBit = 16;
/** More than there are resource groups. */
const pairFactor = 2 ** 26;
const noTags: Entry['tags'] = Object.freeze({});
const noAttributes: Entry['attributes'] = Object.freeze({});

export class BindingShelf implements Shelf {
  /** Subjects of bindings, and others whose changes somebody counts. */
  readonly subjects = new Interned();
  readonly roles = new Interned();
  readonly resourceGroups = new Interned();
  readonly paths = new Interned();
  readonly #lists: Readonly<Record<ListedBy, RowLists>> = { subject: new RowLists(), role: new RowLists(), resourceGroup: new RowLists() };
  readonly #interned: Readonly<Record<ListedBy, Interned>> = { subject: this.subjects, role: this.roles, resourceGroup: this.resourceGroups };
  readonly #byScope = new RowLists();
  readonly #alike: AlikeRows;
  readonly #byUid = new RowTable();
  readonly #byPlace = new RowTable();
  readonly #uids = new UidColumn();
  readonly #identifiers = new IdentifierBytes();
  readonly #aside = new Map<number, Aside>();
  readonly #expires = new Map<number, number>();
  readonly #free: number[] = [];
  #rows = 0;
  /** Subject, role, resource group, scope, version: five cells a row; -1 = dangles. */
  #cells = new Int32Array(80);
  #flags = new Uint8Array(16);

  constructor(alike = new AlikeRows()) {
    this.#alike = alike;
  }

  get size(): number {
    return this.#rows - this.#free.length;
  }

  get bytes(): number {
    const words = [this.subjects, this.roles, this.resourceGroups, this.paths];
    const parts = [...words, ...Object.values(this.#lists), this.#byScope, this.#alike, this.#byUid, this.#byPlace, this.#uids, this.#identifiers];
    const columns = this.#cells.byteLength + this.#flags.byteLength;
    return columns + parts.reduce((sum, part) => sum + part.bytes, 0) + 256 * this.#aside.size + 64 * this.#expires.size + 8 * this.#free.length;
  }

  get(uid: string): Entry | undefined {
    const row = this.#rowOf(this.#uids.wanted(uid));
    return row < 0 ? undefined : this.entry(row);
  }

  find(scope: ScopePath, identifier: string): Entry | undefined {
    const path = this.paths.find(scope);
    if (path < 0) return undefined;
    const hash = hashText(identifier, path);
    for (let at = this.#byPlace.first(hash); at >= 0; at = this.#byPlace.after(at, hash)) {
      const row = this.#byPlace.row(at);
      if (this.#cells[5 * row + 3] === path && this.#isNamed(row, identifier)) return this.entry(row);
    }
    return undefined;
  }

  *list(scope?: ScopePath): Generator<Entry> {
    if (scope !== undefined) {
      for (let row = this.firstAt(scope); row >= 0; row = this.afterAt(row)) yield this.entry(row);
      return;
    }
    for (const each of this.paths.words()) yield* this.list(each);
  }

  scopes(): Iterable<ScopePath> {
    return this.paths.words();
  }

  put(entry: Entry): void {
    const uid = this.#uids.wanted(entry.uid);
    this.#removeRow(this.#rowOf(uid));
    const row = this.#free.pop() ?? this.#rows++;
    this.#makeRoom(row);
    const facts = entry.facts as BindingFacts;
    const path = this.paths.number(entry.scope);
    this.#uids.set(row, uid);
    const isShort = this.#identifiers.set(row, entry.identifier);
    const isBare = uid.isWords && isShort && entry.name === null && Object.keys(entry.tags).length + Object.keys(entry.attributes).length === 0;
    if (!isBare) {
      const { name, tags, attributes } = entry;
      this.#aside.set(row, { uid: uid.isWords ? null : entry.uid, identifier: isShort ? null : entry.identifier, name, tags, attributes });
    }
    if (facts.expiresAtMs !== null) this.#expires.set(row, facts.expiresAtMs);
    this.#flags[row] = (facts.principal === null ? 0 : subjectTypes.indexOf(facts.principal.type))
      | (facts.disabled ? disabledBit : 0) | (facts.expiresAtMs === null ? 0 : expiresBit) | (isBare ? 0 : asideBit);
    const cells = this.#cells;
    cells[5 * row] = facts.principal === null ? -1 : this.subjects.number(facts.principal.uid);
    cells[5 * row + 1] = facts.roleUid === null ? -1 : this.roles.number(facts.roleUid);
    cells[5 * row + 2] = facts.resourceGroupUid === null ? -1 : this.resourceGroups.number(facts.resourceGroupUid);
    cells[5 * row + 3] = path;
    cells[5 * row + 4] = entry.version;
    this.#byUid.add(uid.hash, row);
    this.#byPlace.add(hashText(entry.identifier, path), row);
    this.#byScope.add(path, row);
    if (!this.#isListed(row)) return;
    this.#lists.subject.add(cells[5 * row]!, row);
    this.#lists.role.add(cells[5 * row + 1]!, row);
    this.#lists.resourceGroup.add(cells[5 * row + 2]!, row);
    this.#alike.add(path, this.#paired(row));
  }

  remove(uid: string): void {
    this.#removeRow(this.#rowOf(this.#uids.wanted(uid)));
  }

  #removeRow(row: number): void {
    if (row < 0) return;
    const path = this.#cells[5 * row + 3]!;
    if (this.#isListed(row)) {
      this.#lists.subject.remove(this.#cells[5 * row]!, row);
      this.#lists.role.remove(this.#cells[5 * row + 1]!, row);
      this.#lists.resourceGroup.remove(this.#cells[5 * row + 2]!, row);
      this.#alike.remove(path, this.#paired(row));
    }
    this.#byScope.remove(path, row);
    this.#byPlace.remove(hashText(this.#identifier(row), path), row);
    const text = this.#aside.get(row)?.uid ?? null;
    this.#byUid.remove(text === null ? this.#uids.hash(row) : hashText(text, 0), row);
    this.#identifiers.forget(row);
    this.#aside.delete(row);
    this.#expires.delete(row);
    this.#free.push(row);
  }

  /** The first row that names this; -1 = none does. */
  first(by: ListedBy, uid: string): number {
    const number = this.#interned[by].find(uid);
    return number < 0 ? -1 : this.#lists[by].first(number);
  }

  /** The first row of a subject by its number; -1 = there is none. */
  firstOf(subject: number): number {
    return this.#lists.subject.first(subject);
  }

  /** The next row of the list; -1 = it was the last. */
  after(by: ListedBy, row: number): number {
    return this.#lists[by].after(row);
  }

  /** The first row of a scope; -1 = there is none. */
  firstAt(scope: ScopePath): number {
    const path = this.paths.find(scope);
    return path < 0 ? -1 : this.#byScope.first(path);
  }

  /** The next row of the scope; -1 = it was the last. */
  afterAt(row: number): number {
    return this.#byScope.after(row);
  }

  /**
   * The rows of a scope that dangle nowhere, together those that name the same role and resource group; null where there are
   * few rows, which are as quickly read one by one.
   */
  alikeAt(scope: ScopePath): Iterable<ReadonlySet<number>> | null {
    const path = this.paths.find(scope);
    return path < 0 ? null : this.#alike.of(path, this.#pairedAt(path));
  }

  /** Numbers of `subjects`, `roles`, `resourceGroups` and `paths`; -1 where a reference dangles. */
  subject(row: number): number {
    return this.#cells[5 * row]!;
  }

  subjectType(row: number): Subject['type'] {
    return subjectTypes[this.#flags[row]! & typeBits]!;
  }

  isDisabled(row: number): boolean {
    return (this.#flags[row]! & disabledBit) !== 0;
  }

  expiresAtMs(row: number): number | null {
    return (this.#flags[row]! & expiresBit) === 0 ? null : this.#expires.get(row)!;
  }

  role(row: number): number {
    return this.#cells[5 * row + 1]!;
  }

  resourceGroup(row: number): number {
    return this.#cells[5 * row + 2]!;
  }

  path(row: number): number {
    return this.#cells[5 * row + 3]!;
  }

  entry(row: number): Entry {
    const aside = this.#aside.get(row);
    return {
      uid: aside?.uid ?? this.#uids.get(row),
      kind: 'role_binding',
      scope: this.paths.word(this.path(row)),
      identifier: this.#identifier(row),
      name: aside?.name ?? null,
      version: this.#cells[5 * row + 4]!,
      tags: aside?.tags ?? noTags,
      attributes: aside?.attributes ?? noAttributes,
      facts: this.#facts(row),
    };
  }

  #facts(row: number): BindingFacts {
    const subject = this.subject(row);
    const [role, resourceGroup] = [this.role(row), this.resourceGroup(row)];
    return {
      principal: subject < 0 ? null : { type: this.subjectType(row), uid: this.subjects.word(subject) },
      roleUid: role < 0 ? null : this.roles.word(role),
      resourceGroupUid: resourceGroup < 0 ? null : this.resourceGroups.word(resourceGroup),
      disabled: this.isDisabled(row),
      expiresAtMs: this.expiresAtMs(row),
    };
  }

  /** -1 = there is none. */
  #rowOf(uid: WantedUid): number {
    for (let at = this.#byUid.first(uid.hash); at >= 0; at = this.#byUid.after(at, uid.hash)) {
      const row = this.#byUid.row(at);
      const text = (this.#flags[row]! & asideBit) === 0 ? null : this.#aside.get(row)!.uid;
      if (uid.isWords ? text === null && this.#uids.is(row, uid) : text === uid.text) return row;
    }
    return -1;
  }

  #identifier(row: number): string {
    return this.#aside.get(row)?.identifier ?? this.#identifiers.get(row);
  }

  #isNamed(row: number, identifier: string): boolean {
    const aside = (this.#flags[row]! & asideBit) === 0 ? null : this.#aside.get(row)!.identifier;
    return aside === null ? this.#identifiers.is(row, identifier) : aside === identifier;
  }

  #paired(row: number): PairedRow {
    return { row, pair: pairFactor * this.role(row) + this.resourceGroup(row) };
  }

  *#pairedAt(path: number): Generator<PairedRow> {
    for (let row = this.#byScope.first(path); row >= 0; row = this.#byScope.after(row)) if (this.#isListed(row)) yield this.#paired(row);
  }

  #isListed(row: number): boolean {
    return this.#cells[5 * row]! >= 0 && this.#cells[5 * row + 1]! >= 0 && this.#cells[5 * row + 2]! >= 0;
  }

  #makeRoom(row: number): void {
    if (row < this.#flags.length) return;
    this.#cells = grown(this.#cells, 5 * (row + 1));
    this.#flags = grown(this.#flags, row + 1);
  }
}
