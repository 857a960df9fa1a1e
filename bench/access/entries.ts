/** Records as entries of a world, their facts compiled by the product's own kinds. */
import { access } from '#features/access/feature.ts';
import { people } from '#features/people/feature.ts';
import type { AnyKind, Kinds, ResolvedRefs } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import type { AccessRecords, BindingRecord, GroupRecord, PrincipalRecord, ResourceGroupRecord, RoleRecord, ScopeRecord } from './records.ts';

interface Document {
  readonly uid: string;
  readonly scope: ScopePath;
  readonly identifier: string;
}

/** Bindings last. Built-in roles and resource groups are no entries. */
export function* entriesOf(records: AccessRecords, kinds: Kinds): Generator<Entry> {
  const make = new EntryMaker(kinds);
  for (const scope of records.scopes) yield scopeEntry(scope);
  for (const principal of records.principals) yield make.principal(principal);
  for (const group of records.groups) yield make.group(group);
  for (const role of records.roles) if (!role.builtIn) yield make.role(role);
  for (const group of records.resourceGroups) if (!group.builtIn) yield make.resourceGroup(group);
  for (const binding of records.bindings()) yield make.binding(binding);
}

/** Makes entries of documents with resolved references, as when they are saved. */
export class EntryMaker {
  readonly #kinds: ReadonlyMap<string, AnyKind>;

  constructor(kinds: Kinds) {
    const manifests = [access(() => kinds), people(() => kinds)];
    this.#kinds = new Map(manifests.flatMap((manifest) => manifest.kinds ?? []).map((kind) => [kind.name, kind]));
  }

  principal(record: PrincipalRecord): Entry {
    return this.#entry(record.type, record, { email: `${record.identifier}@example.com`, ...(record.enabled ? {} : { disabled: true }) });
  }

  group(record: GroupRecord): Entry {
    const members = record.members.map(({ type }) => ({ type, id: 'x' }));
    return this.#entry('user_group', record, { members }, (pointer) => record.members[Number(pointer.split('/')[2])]?.uid);
  }

  role({ level, permissions, ...record }: RoleRecord): Entry {
    return this.#entry('role', { ...record, scope: accountScope }, { level, permissions });
  }

  resourceGroup({ ranges, resources, ...record }: ResourceGroupRecord): Entry {
    return this.#entry('resource_group', record, { scopes: ranges, ...(resources === 'all' ? { all: true } : { resources }) });
  }

  /** What is not said is left out, as in most documents. */
  binding(record: BindingRecord): Entry {
    const { principal: { type, uid }, roleUid, resourceGroupUid, disabled, expiresAtMs } = record;
    const expiresAt = expiresAtMs === null ? {} : { expiresAt: new Date(expiresAtMs).toISOString() };
    const refs: Readonly<Record<string, string>> = { '/principal/id': uid, '/role': roleUid, '/resourceGroup': resourceGroupUid };
    return this.#entry('role_binding', record, { principal: { type, id: 'x' }, ...(disabled ? { disabled } : {}), ...expiresAt }, (pointer) => refs[pointer]);
  }

  #entry(kind: string, { uid, scope, identifier }: Document, spec: unknown, refs: ResolvedRefs = () => undefined): Entry {
    const facts: unknown = this.#kinds.get(kind)!.facts!({ scope, identifier, tags: noTags, spec, refs });
    return { uid, kind, scope, identifier, name: null, version: 1, tags: noTags, attributes: noTags, facts };
  }
}

const noTags = {};

function scopeEntry({ uid, kind, scope, identifier }: ScopeRecord): Entry {
  return { uid, kind, scope, identifier, name: null, version: 1, tags: noTags, attributes: noTags, facts: undefined };
}
