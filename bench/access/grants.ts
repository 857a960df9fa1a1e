/** A principal's grants as plain words, for floors and peers to put into a form of their own. */
import type { Subject } from '#features/access/schema.ts';
import type { Selector } from '#kernel/caller.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { contains, levelOf, parentOf } from '#kernel/scope.ts';
import type { AccessRecords, BindingRecord, ResourceGroupRecord, RoleRecord } from './records.ts';
import { rangesSeenFrom } from './records.ts';

export interface PlainGrant {
  readonly binding: BindingRecord;
  readonly role: RoleRecord;
  readonly scope: ScopePath;
  readonly includeChildScopes: boolean;
  /** Null = everything. */
  readonly selectors: readonly Selector[] | null;
}

interface SubjectRecord {
  readonly type: Subject['type'];
  readonly scope: ScopePath;
  readonly enabled: boolean;
  readonly groups: string[];
  readonly bindings: BindingRecord[];
}

export class PlainGrants {
  readonly #subjects = new Map<string, SubjectRecord>();
  readonly #roles: ReadonlyMap<string, RoleRecord>;
  readonly #groups: ReadonlyMap<string, ResourceGroupRecord>;

  constructor(records: AccessRecords) {
    this.#roles = new Map(records.roles.map((role) => [role.uid, role]));
    this.#groups = new Map(records.resourceGroups.map((group) => [group.uid, group]));
    for (const { uid, type, scope, enabled } of records.principals) this.#subjects.set(uid, { type, scope, enabled, groups: [], bindings: [] });
    for (const { uid, scope } of records.groups) this.#subjects.set(uid, { type: 'user_group', scope, enabled: true, groups: [], bindings: [] });
    for (const group of records.groups) {
      for (const { uid } of group.members) {
        const member = this.#subjects.get(uid)!;
        if (contains(member.scope, group.scope)) member.groups.push(group.uid);
      }
    }
    for (const binding of records.bindings()) if (!binding.disabled) this.#subjects.get(binding.principal.uid)!.bindings.push(binding);
  }

  /** Of the principal and the groups it is in, by groups too. Null = nobody, or somebody disabled. */
  of(uid: string, type: string): PlainGrant[] | null {
    const principal = this.#subjects.get(uid);
    if (principal?.type !== type || type === 'user_group' || !principal.enabled) return null;
    const met = new Set([uid]);
    const found: PlainGrant[] = [];
    for (const one of met) {
      const subject = this.#subjects.get(one)!;
      for (const group of subject.groups) met.add(group);
      for (const binding of subject.bindings) if (contains(subject.scope, binding.scope)) found.push(...this.#extentsOf(binding));
    }
    return found;
  }

  /** The binding's subtree and the resource group's ranges as far as they meet. */
  *#extentsOf(binding: BindingRecord): Generator<PlainGrant> {
    const { scope } = binding;
    const group = this.#groups.get(binding.resourceGroupUid)!;
    const parts = { binding, role: this.#roles.get(binding.roleUid)!, selectors: group.resources === 'all' ? null : group.resources };
    for (const range of rangesSeenFrom(group, scope, levelOf(scope))) {
      if (contains(scope, range.scope)) yield { ...parts, scope: range.scope, includeChildScopes: range.includeChildScopes };
      else if (range.includeChildScopes && contains(range.scope, scope)) yield { ...parts, scope, includeChildScopes: true };
      else if (range.scope === parentOf(scope)) {
        // The group selects the binding's own scope as a resource of the parent, and nothing else in it.
        const type = levelOf(scope) === 'org' ? 'organization' : 'project';
        const itself = parts.selectors === null ? [{ type }] : parts.selectors.filter((selector) => selector.type === type);
        yield { ...parts, scope, includeChildScopes: false, selectors: itself };
      }
    }
  }
}
