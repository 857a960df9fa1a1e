/** Records as entries of a world, their facts compiled by the product's own kinds. */
import { access } from '#features/access/feature.ts';
import type { Subject } from '#features/access/schema.ts';
import { people } from '#features/people/feature.ts';
import type { AnyKind, Kinds } from '#kernel/kind.ts';
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
  const entry = entryMaker(kinds);
  for (const scope of records.scopes) yield scopeEntry(scope);
  for (const principal of records.principals) yield entry(principal.type, principal, principalSpec(principal));
  for (const group of records.groups) yield entry('user_group', group, groupSpec(group), (pointer) => group.members[Number(pointer.split('/')[2])]?.uid);
  for (const role of records.roles) if (!role.builtIn) yield entry('role', { ...role, scope: accountScope }, roleSpec(role));
  for (const group of records.resourceGroups) if (!group.builtIn) yield entry('resource_group', group, resourceGroupSpec(group));
  const one = bindingEntryMaker(kinds);
  for (const binding of records.bindings()) yield one(binding);
}

/** Makes the entry of a binding, as when it is saved. */
function bindingEntryMaker(kinds: Kinds): (binding: BindingRecord) => Entry {
  const entry = entryMaker(kinds);
  return (binding) => {
    const refs: Readonly<Record<string, string>> = { '/principal/id': binding.principal.uid, '/role': binding.roleUid, '/resourceGroup': binding.resourceGroupUid };
    return entry('role_binding', binding, bindingSpec(binding), (pointer) => refs[pointer]);
  };
}

function entryMaker(kinds: Kinds): (kind: string, document: Document, spec: unknown, refs?: (pointer: string) => string | undefined) => Entry {
  const manifests = [access(() => kinds), people(() => kinds)];
  const known = new Map<string, AnyKind>(manifests.flatMap((manifest) => manifest.kinds ?? []).map((kind) => [kind.name, kind]));
  return (kind, { uid, scope, identifier }, spec, refs = () => undefined) => {
    const facts: unknown = known.get(kind)!.facts!({ scope, identifier, tags: noTags, spec, refs });
    return { uid, kind, scope, identifier, name: null, version: 1, tags: noTags, attributes: noTags, facts };
  };
}

const noTags = {};

function scopeEntry({ uid, kind, scope, identifier }: ScopeRecord): Entry {
  return { uid, kind, scope, identifier, name: null, version: 1, tags: noTags, attributes: noTags, facts: undefined };
}

function principalSpec({ identifier, enabled }: PrincipalRecord): unknown {
  return { email: `${identifier}@example.com`, ...(enabled ? {} : { disabled: true }) };
}

function groupSpec({ members }: GroupRecord): unknown {
  return { members: members.map(({ type }: Subject) => ({ type, id: 'x' })) };
}

function roleSpec({ level, permissions }: RoleRecord): unknown {
  return { level, permissions };
}

function resourceGroupSpec({ ranges, resources }: ResourceGroupRecord): unknown {
  return { scopes: ranges, ...(resources === 'all' ? { all: true } : { resources }) };
}

/** What is not said is left out, as in most documents. */
function bindingSpec({ principal, disabled, expiresAtMs }: BindingRecord): unknown {
  return {
    principal: { type: principal.type, id: 'x' },
    ...(disabled ? { disabled } : {}),
    ...(expiresAtMs === null ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
  };
}
