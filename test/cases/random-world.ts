/** Random worlds and questions for properties of access: small, full of names that look alike, and mostly connected. */
import fc from 'fast-check';
import type { Manifest } from '#features/resources/schema.ts';
import type { Bound, Selector } from '#kernel/caller.ts';
import type { Question } from '#kernel/decision.ts';
import { printReference } from '#kernel/reference.ts';
import type { MatcherSpec, Scalar } from '#kernel/matcher.ts';
import { contains } from '#kernel/scope.ts';

interface Grant {
  readonly role: string;
  readonly scope: string;
  readonly resourceGroup?: string;
  readonly resources?: readonly Selector[];
  readonly includeChildScopes?: boolean;
}

export interface RandomWorld {
  readonly documents: readonly Manifest[];
  /** Documents that replace their like after sessions were opened. */
  readonly later: readonly Manifest[];
  /** Index of documents that go away then. */
  readonly gone: readonly number[];
}

export interface RandomQuestion extends Question {
  readonly who: string;
  readonly bounds: 'principal' | readonly Bound[];
}

export const sessionClaims: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  core: { ws: 'one', team: 'core' },
  edge: { ws: 'one', team: 'edge' },
  two: { ws: 'two', constructor: 'core' },
};

const scopes = ['/', 'pay', 'payments', 'pay/check', 'payments/check', 'payments/checkout', 'payments/__proto__'];
const deep = scopes.filter((scope) => scope.includes('/') && scope !== '/');

const permissions = [
  'pipeline.view', 'pipeline.execute', 'secret.view', 'secret.access', 'environment.access',
  'project.edit', 'project.view', 'organization.edit', 'account.edit', 'user.edit',
];

const base: readonly Manifest[] = [
  { kind: 'Organization', identifier: 'pay', spec: {} },
  { kind: 'Organization', identifier: 'payments', spec: {} },
  ...deep.map((path): Manifest => {
    const [scope, identifier] = path.split('/') as [string, string];
    return { kind: 'Project', scope, identifier, spec: {} };
  }),
  { kind: 'TrustedIssuer', identifier: 'hcp', spec: {} },
  { kind: 'TrustedIssuer', identifier: 'other', spec: {} },
];

const anyScope = fc.constantFrom(...scopes);
const highScope = fc.oneof({ weight: 3, arbitrary: fc.constant('/') }, { weight: 2, arbitrary: fc.constant('payments') }, { weight: 1, arbitrary: anyScope });
const index = fc.nat({ max: 30 });
const level = fc.constantFrom('account', 'account', 'account', 'account', 'org', 'project');

const team: fc.Arbitrary<MatcherSpec> = fc.oneof(
  fc.constantFrom<MatcherSpec>({ equals: 'core' }, { equals: 'Core' }, { exists: true }, { glob: 'c*' }, { glob: '?dge' }, { equalsClaim: '/team' }, { equalsClaim: '/constructor' }),
  fc.subarray(['core', 'edge']).map((oneOf): MatcherSpec => ({ oneOf })),
);

const names = fc.oneof({ weight: 3, arbitrary: fc.subarray(['a', 'b', 'constructor', '__proto__', 'check', 'payments'], { minLength: 3 }) }, { weight: 1, arbitrary: fc.constant([]) });

/** An absent field is not the same as one that is undefined. */
function some<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

export const randomSelector: fc.Arbitrary<Selector> = fc
  .record({
    type: fc.constantFrom('pipeline', 'pipeline', 'secret', 'environment', 'project', 'organization'),
    identifiers: fc.option(names, { nil: undefined, freq: 2 }),
    where: fc.option(fc.dictionary(fc.constantFrom('tags.team', 'tags.constructor'), team, { minKeys: 1, maxKeys: 2 }), { nil: undefined, freq: 2 }),
  })
  .map(some);

const selectors = fc.array(randomSelector, { maxLength: 4 });

export const randomBound: fc.Arbitrary<Bound> = fc.record({
  permissions: fc.oneof(fc.constant<'all'>('all'), fc.subarray(permissions)),
  extent: fc.record({ scope: highScope, includeChildScopes: fc.boolean(), resources: fc.oneof(fc.constant<'all'>('all'), selectors) }),
});

const role = fc.record({ scope: highScope, identifier: fc.constantFrom('r', 's', '__proto__'), spec: fc.record({ level, permissions: fc.subarray(permissions, { minLength: 4 }) }) });

const resourceGroup = fc.record({
  scope: highScope,
  identifier: fc.constantFrom('g', 'h', 'constructor'),
  spec: fc
    .record({
      includeChildScopes: fc.constantFrom(true, true, false, undefined),
      scopes: fc.option(fc.array(fc.record({ scope: anyScope, includeChildScopes: fc.boolean() }), { maxLength: 3 }), { nil: undefined, freq: 1 }),
      resources: fc.oneof(fc.constant<'all'>('all'), selectors),
    })
    .map(({ includeChildScopes, scopes: several, resources }) =>
      some({ ...(several === undefined ? { includeChildScopes } : { scopes: several }), ...(resources === 'all' ? { all: true } : { resources }) }),
    ),
});

const binding = fc.record({
  scope: highScope,
  subject: index,
  role: index,
  resourceGroup: index,
  disabled: fc.constantFrom(undefined, undefined, undefined, false, true),
  expiresAt: fc.constantFrom(undefined, undefined, undefined, '2026-06-01T12:00:00Z', '2026-06-01T12:00:01Z'),
});

const grant = fc.record({
  role: index,
  scope: highScope,
  resourceGroup: fc.option(index, { nil: undefined, freq: 2 }),
  resources: fc.option(selectors, { nil: undefined, freq: 8 }),
  includeChildScopes: fc.constantFrom(true, true, false, undefined),
});

const mapping = fc.record({
  scope: fc.constantFrom('/', '/', 'payments'),
  identifier: fc.constantFrom('m', 'n'),
  issuer: fc.constantFrom('hcp', 'hcp', 'hcp', 'hcp', 'hcp', 'other'),
  equals: fc.constantFrom('one', 'one', 'two'),
  grants: fc.array(grant, { minLength: 1, maxLength: 5 }),
});

const parts = fc.record({
  disabled: fc.constantFrom<string[][]>([], [], [], [], [], [], ['alice'], ['bob']),
  machines: fc.subarray(['/', 'payments', 'pay/check'], { minLength: 1 }),
  groups: fc.array(fc.record({ scope: highScope, identifier: fc.constantFrom('team', 'alice', '__proto__'), members: fc.array(index, { maxLength: 5 }) }), { maxLength: 5 }),
  roles: fc.array(role, { minLength: 1, maxLength: 4 }),
  resourceGroups: fc.array(resourceGroup, { maxLength: 4 }),
  bindings: fc.array(binding, { minLength: 6, maxLength: 20 }),
  mappings: fc.array(mapping, { minLength: 2, maxLength: 4 }),
});

export const randomWorld: fc.Arbitrary<RandomWorld> = fc
  .tuple(parts, parts, fc.array(fc.nat({ max: 60 }), { maxLength: 3 }), fc.boolean())
  .map(([first, second, gone, changes]) => {
    const documents = documentsOf(first);
    const known = new Set(documents.map(key));
    const replaced = documentsOf({ ...first, roles: second.roles, resourceGroups: second.resourceGroups, mappings: second.mappings });
    const later = changes ? replaced.filter((d) => ['Role', 'ResourceGroup', 'ClaimMapping'].includes(d.kind) && known.has(key(d))) : [];
    // Scopes stay: none is deleted without what is in it. Issuers may go.
    const removable = gone.filter((i) => i >= base.length - 2 && i < documents.length && !later.some((d) => key(d) === key(documents[i]!)));
    return { documents, later: later.filter((d) => isClosed(d, documents)), gone: removable };
  });

/** A world and documents that are saved into it: all of it or parts drawn anew. Roles may be bound anywhere. */
export const randomChange: fc.Arbitrary<{ readonly documents: readonly Manifest[]; readonly apply: readonly Manifest[] }> = fc
  .tuple(parts, parts, fc.subarray<keyof Parts>(['disabled', 'groups', 'roles', 'resourceGroups', 'bindings'], { minLength: 1 }))
  .map(([first, second, anew]) => {
    const changed: Parts = anew.reduce((merged, part) => ({ ...merged, [part]: second[part] }), first);
    const apply = documentsOf(changed).filter((d) => ['User', 'UserGroup', 'Role', 'ResourceGroup', 'RoleBinding'].includes(d.kind));
    return { documents: documentsOf(first).map(boundAnywhere), apply: apply.map(boundAnywhere) };
  });

function boundAnywhere(document: Manifest): Manifest {
  return document.kind === 'Role' ? { ...document, spec: { ...(document.spec as object), level: 'account' } } : document;
}

export const randomQuestion: fc.Arbitrary<RandomQuestion> = fc
  .record({
    who: fc.constantFrom(
      ...Array.from({ length: 4 }, () => ['user:alice', 'user:bob']).flat(), 'user:nobody', 'service_account:ci', 'service_account:ci', 'service_account:payments/ci',
      'service_account:pay/check/ci', 'user_group:team', 'session:core', 'session:core', 'session:edge', 'session:two',
    ),
    bounds: fc.oneof({ weight: 4, arbitrary: fc.constant<'principal'>('principal') }, { weight: 1, arbitrary: fc.array(randomBound, { maxLength: 2 }) }),
    permission: fc.constantFrom(...permissions, 'secret.shout'),
    otherKind: fc.constantFrom(...Array.from({ length: 11 }, () => undefined), 'secret'),
    scope: fc.constantFrom(...scopes, ...scopes, 'payments', 'payments/nowhere'),
    identifier: fc.constantFrom('a', 'b', 'constructor', '__proto__', 'check', 'check', 'payments', 'payments', null),
    tags: fc.constantFrom<Record<string, string>[]>({}, { team: 'core' }, { team: 'core' }, { team: 'edge' }, { team: 'Core' }, { team: 'core', constructor: 'core' }),
    type: fc.constantFrom<(Scalar | undefined)[]>(undefined, 'Production'),
  })
  .map(({ who, bounds, permission, otherKind, scope, identifier, tags, type }) => {
    const kind = otherKind ?? permission.split('.')[0]!;
    // Scopes are asked about where they can be.
    const at = kind === 'organization' || kind === 'account' || kind === 'user' ? '/' : kind === 'project' && scope.includes('/') ? scope.split('/')[0]! : scope;
    return { who, bounds, permission, target: { kind, scope: at === '' ? '/' : at, identifier, tags, attributes: { type } } };
  });

type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

/** Documents whose references all lead somewhere; those that cannot be written are left out. */
function documentsOf(world: Parts): Manifest[] {
  const people: Manifest[] = ['alice', 'bob'].map((identifier) => ({
    kind: 'User', identifier, spec: some({ email: `${identifier}@example.com`, disabled: world.disabled.includes(identifier) ? true : undefined }),
  }));
  const machines = world.machines.map((scope): Manifest => ({ kind: 'ServiceAccount', scope, identifier: 'ci', spec: {} }));
  const shells = world.groups.map(({ scope, identifier }): Manifest => ({ kind: 'UserGroup', scope, identifier, spec: { members: [] } }));
  const subjects = [...people, ...machines, ...distinct(shells)];
  const groups = world.groups.map(({ scope, identifier, members }): Manifest => {
    const found = members.flatMap((i) => subjectFrom(subjects[i % subjects.length]!, scope) ?? []);
    return { kind: 'UserGroup', scope, identifier, spec: { members: found } };
  });
  const roles = distinct(world.roles.map((document): Manifest => ({ kind: 'Role', ...document })));
  const resourceGroups = distinct(world.resourceGroups.map((document): Manifest => ({ kind: 'ResourceGroup', ...document })));
  const roleNames = [...roles, ...['account_admin', 'org_admin', 'project_admin', 'org_viewer'].map(builtIn)];
  const groupNames = [...resourceGroups, ...['all_resources_including_child_scopes', 'all_org_level_resources', 'all_project_level_resources'].map(builtIn)];
  const reference = (list: readonly Manifest[], i: number, from: string) => referenceTo(list[i % list.length]!, from);
  const bindings = world.bindings.flatMap((written, i): Manifest[] => {
    const { scope, disabled, expiresAt } = written;
    const principal = subjectFrom(subjects[written.subject % subjects.length]!, scope);
    const [r, g] = [reference(roleNames, written.role, scope), reference(groupNames, written.resourceGroup, scope)];
    if (principal === null || r === null || g === null) return [];
    return [{ kind: 'RoleBinding', scope, identifier: `b${i}`, spec: some({ principal, role: r, resourceGroup: g, disabled, expiresAt }) }];
  });
  const mappings = world.mappings.map(({ scope, identifier, issuer, equals, grants }): Manifest => {
    const written = grants.flatMap((one): Grant[] => {
      const r = reference(roleNames, one.role, scope);
      const g = one.resourceGroup === undefined ? undefined : reference(groupNames, one.resourceGroup, scope);
      return r === null || g === null ? [] : [some({ ...one, role: r, resourceGroup: g } as Grant)];
    });
    const spec = { issuer: scope === '/' ? issuer : `account.${issuer}`, when: [{ claim: '/ws', equals }], grants: written };
    return { kind: 'ClaimMapping', scope, identifier, spec };
  });
  return distinct([...base, ...people, ...machines, ...groups, ...roles, ...resourceGroups, ...bindings, ...mappings]);
}

function subjectFrom(subject: Manifest, from: string): { type: string; id: string } | null {
  const type = subject.kind === 'User' ? 'user' : subject.kind === 'UserGroup' ? 'user_group' : 'service_account';
  const id = type === 'user' ? subject.identifier : referenceTo(subject, from);
  return id === null ? null : { type, id };
}

function referenceTo(target: Manifest, from: string): string | null {
  if (target.kind === 'built in') return target.identifier;
  const scope = target.scope ?? '/';
  return contains(scope, from) ? printReference(scope, target.identifier, from) : null;
}

function builtIn(identifier: string): Manifest {
  return { kind: 'built in', identifier, spec: {} };
}

/** A later mapping must not name roles and groups that only the second draw had. */
function isClosed(document: Manifest, documents: readonly Manifest[]): boolean {
  if (document.kind !== 'ClaimMapping') return true;
  const { grants } = document.spec as { grants: Grant[] };
  return grants.every((one) => named('Role', one.role) && (one.resourceGroup === undefined || named('ResourceGroup', one.resourceGroup)));

  function named(kind: string, reference: string): boolean {
    if (/_(?:admin|viewer|resources|child_scopes)$/.test(reference)) return true;
    const scope = reference.startsWith('account.') ? '/' : (document.scope ?? '/');
    return documents.some((d) => d.kind === kind && (d.scope ?? '/') === scope && d.identifier === reference.split('.').at(-1));
  }
}

export function key(document: Manifest): string {
  return `${document.kind} ${document.scope ?? '/'} ${document.identifier}`;
}

function distinct(documents: readonly Manifest[]): Manifest[] {
  return [...new Map(documents.map((document) => [key(document), document])).values()];
}
