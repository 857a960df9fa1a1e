/**
 * The floor for loading and for memory: grants by subject, everything looked up and matched when somebody asks, nothing
 * folded. Slower to ask than the bare index; there is hardly anything to make before the first answer.
 */
import type { Range } from '#features/access/schema.ts';
import type { Target } from '#kernel/decision.ts';
import { contains, levelOf } from '#kernel/scope.ts';
import type { Ask } from '../access/questions.ts';
import type { AccessRecords, ResourceGroupRecord } from '../access/records.ts';
import { rangesSeenFrom } from '../access/records.ts';

interface Role { readonly bits: Int32Array }
interface Grant { readonly uid: string; readonly scope: string; readonly role: Role; readonly group: ResourceGroupRecord; readonly untilMs: number }
interface Subject { readonly type: string; readonly scope: string; readonly enabled: boolean; readonly around: Subject[]; readonly grants: Grant[] }

export class AccessLoad {
  readonly #scopes: ReadonlySet<string>;
  readonly #permissions = new Map<string, number>();
  readonly #subjects = new Map<string, Subject>();

  constructor(records: AccessRecords) {
    for (const { name, verbs } of records.nouns) for (const verb of verbs) this.#permissions.set(`${name}.${verb}`, this.#permissions.size);
    this.#scopes = new Set(['/', ...records.scopes.map(({ path }) => path)]);
    const roles = new Map(records.roles.map(({ uid, permissions }) => [uid, this.#role(permissions)]));
    const groups = new Map(records.resourceGroups.map((group) => [group.uid, group]));
    for (const { uid, type, scope, enabled } of records.principals) this.#subjects.set(uid, { type, scope, enabled, around: [], grants: [] });
    for (const { uid, scope } of records.groups) this.#subjects.set(uid, { type: 'user_group', scope, enabled: true, around: [], grants: [] });
    for (const { uid, members } of records.groups) for (const member of members) this.#subjects.get(member.uid)!.around.push(this.#subjects.get(uid)!);
    for (const { uid, principal, scope, roleUid, resourceGroupUid, disabled, expiresAtMs } of records.bindings()) {
      if (!disabled) this.#subjects.get(principal.uid)!.grants.push({ uid, scope, role: roles.get(roleUid)!, group: groups.get(resourceGroupUid)!, untilMs: expiresAtMs ?? Infinity });
    }
  }

  allows({ asker: { principal: { uid, type } }, question: { permission, target } }: Ask, nowMs: number): boolean {
    const start = this.#subjects.get(uid);
    const bit = this.#permissions.get(permission);
    if (start?.type !== type || !start.enabled || bit === undefined || !permission.startsWith(`${target.kind}.`) || !this.#scopes.has(target.scope)) return false;
    const own = target.scope === '/' ? String(target.identifier) : `${target.scope}/${target.identifier}`;
    const isScope = (target.kind === 'organization' || target.kind === 'project') && this.#scopes.has(own);
    const places = isScope ? [target.scope, own] : [target.scope];
    const met = new Set([start]);
    for (const subject of met) {
      for (const group of subject.around) if (contains(subject.scope, group.scope)) met.add(group);
      if (subject.grants.some((grant) => contains(subject.scope, grant.scope) && gives(grant, bit, target, places, nowMs))) return true;
    }
    return false;
  }

  #role(permissions: readonly string[]): Role {
    const bits = new Int32Array(8);
    for (const bit of permissions.map((permission) => this.#permissions.get(permission)!)) bits[bit >> 5]! |= 1 << (bit & 31);
    return { bits };
  }
}

function gives({ scope, role, group, untilMs }: Grant, bit: number, target: Target, places: readonly string[], nowMs: number): boolean {
  if (((role.bits[bit >> 5]! >>> (bit & 31)) & 1) === 0 || nowMs >= untilMs || !places.some((place) => contains(scope, place))) return false;
  if (!rangesSeenFrom(group, scope, levelOf(scope)).some((range) => places.some((place) => liesIn(range, place)))) return false;
  return group.resources === 'all' || group.resources.some(({ type, identifiers, where }) => {
    if (type !== target.kind || (identifiers !== undefined && (target.identifier === null || !identifiers.includes(target.identifier)))) return false;
    return Object.entries(where ?? {}).every(([key, spec]) => {
      const value = key.startsWith('tags.') ? target.tags[key.slice(5)] : target.attributes[key];
      return value !== undefined && ('oneOf' in spec ? spec.oneOf.includes(value) : 'equals' in spec && spec.equals === value);
    });
  });
}

function liesIn({ scope, includeChildScopes }: Range, place: string): boolean {
  return includeChildScopes ? contains(scope, place) : place === scope;
}
