/** The rules read off the records, binding by binding, without any index: what the answers are compared with. */
import type { Question, Target } from '#kernel/decision.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { AccessRecords, BindingRecord, GroupRecord, PrincipalRecord, ResourceGroupRecord, RoleRecord } from './records.ts';
import type { Ask } from './questions.ts';

export class BruteForce {
  readonly #records: AccessRecords;
  readonly #bindings: readonly BindingRecord[];
  readonly #roles: ReadonlyMap<string, RoleRecord>;
  readonly #groups: ReadonlyMap<string, ResourceGroupRecord>;

  constructor(records: AccessRecords) {
    this.#records = records;
    this.#bindings = [...records.bindings()];
    this.#roles = new Map(records.roles.map((role) => [role.uid, role]));
    this.#groups = new Map(records.resourceGroups.map((group) => [group.uid, group]));
  }

  allows({ asker, question }: Ask, nowMs: number): boolean {
    const { nouns, principals, scopes } = this.#records;
    const principal = principals.find(({ uid, type }) => uid === asker.principal.uid && type === asker.principal.type);
    const [kind, verb] = question.permission.split('.');
    const noun = nouns.find(({ name }) => name === kind);
    const { target } = question;
    if (principal === undefined || !principal.enabled || kind !== target.kind || !noun?.verbs.includes(verb!)) return false;
    if (target.scope !== '/' && !scopes.some(({ path }) => path === target.scope)) return false;
    const subjects = this.#subjectsOf(principal);
    const places = this.#placesOf(target);
    return this.#bindings.some((binding) => {
      const subject = subjects.get(binding.principal.uid);
      return subject !== undefined && isWithin(binding.scope, subject) && this.#gives(binding, question, places, nowMs);
    });
  }

  #gives(binding: BindingRecord, { permission, target }: Question, places: readonly ScopePath[], nowMs: number): boolean {
    if (binding.disabled || (binding.expiresAtMs !== null && binding.expiresAtMs <= nowMs)) return false;
    const role = this.#roles.get(binding.roleUid)!;
    if (!role.permissions.includes(permission) || depth(binding.scope) < ['account', 'org', 'project'].indexOf(role.level)) return false;
    const group = this.#groups.get(binding.resourceGroupUid)!;
    if (!places.some((place) => isWithin(place, binding.scope))) return false;
    if (!places.some((place) => liesIn(group, place, binding.scope))) return false;
    return group.resources === 'all' || group.resources.some(({ type, identifiers, where }) => {
      if (type !== target.kind || (identifiers !== undefined && !identifiers.some((name) => name === target.identifier))) return false;
      return Object.entries(where ?? {}).every(([key, spec]) => {
        const value = key.startsWith('tags.') ? target.tags[key.slice('tags.'.length)] : target.attributes[key];
        const wanted: readonly unknown[] = 'oneOf' in spec ? spec.oneOf : 'equals' in spec ? [spec.equals] : [];
        return value !== undefined && wanted.includes(value);
      });
    });
  }

  /** The principal and the groups it is in, by groups too, with the scope each counts in. */
  #subjectsOf(principal: PrincipalRecord): Map<string, ScopePath> {
    const found = new Map<string, ScopePath>();
    const add = (subject: PrincipalRecord | GroupRecord): void => {
      if (found.has(subject.uid)) return;
      found.set(subject.uid, subject.scope);
      for (const group of this.#records.groups) {
        if (isWithin(group.scope, subject.scope) && group.members.some(({ uid }) => uid === subject.uid)) add(group);
      }
    };
    add(principal);
    return found;
  }

  /** An organization or project lies where it stands and is the scope it opens. */
  #placesOf({ kind, scope, identifier }: Target): ScopePath[] {
    const own = this.#records.scopes.find((one) => one.kind === kind && one.scope === scope && one.identifier === identifier);
    return own === undefined ? [scope] : [scope, own.path];
  }
}

function liesIn({ ranges }: ResourceGroupRecord, place: ScopePath, binding: ScopePath): boolean {
  if ('onlyAt' in ranges) {
    const level = ['account', 'org', 'project'][depth(binding)];
    return (ranges.onlyAt === null || ranges.onlyAt === level) && (ranges.includeChildScopes ? isWithin(place, binding) : place === binding);
  }
  return ranges.some((range) => (range.includeChildScopes ? isWithin(place, range.scope) : place === range.scope));
}

function depth(scope: ScopePath): number {
  return scope === '/' ? 0 : scope.split('/').length;
}

function isWithin(inner: ScopePath, outer: ScopePath): boolean {
  return outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
}
