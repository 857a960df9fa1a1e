/**
 * Random documents and random changes of them: small worlds full of names that look alike or mean something to the
 * language, groups in circles, references of every form, and whatever a deletion leaves dangling.
 */
import { builtin } from '#features/access/feature.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import type { Manifest } from '#features/resources/schema.ts';
import { builtInGroups, builtInRoles, builtInUserGroups, isAtOrBelow, isSameScope, partsOf, scopeAt, scopeItIs } from './naive-documents.ts';
import type { GrantWords, SelectorWords, Stored } from './naive-documents.ts';
import type { MatcherWords } from './naive-matcher.ts';
import type { Random } from './random.ts';

export const orgNames = ['prod', 'prod2', 'pro', 'checkout', 'constructor'];
export const projectNames = ['checkout', 'checkout2', 'prod', '__proto__', 'toString'];
const people = ['alice', 'Alice', 'bob', 'constructor', '__proto__'];
const groupNames = ['alice', 'team', 'ops', '__proto__', 'constructor'];
export const resourceNames = ['a', 'A', 'ab', 'prod', '__proto__', 'constructor', 'toString'];
export const externalKinds = ['todo', '__proto__', 'constructor'];
export const externalNames = ['a', 'a/b c', 'ü', 'u\u0308', '', '__proto__'];
export const tagKeys = ['team', 'Team', 'constructor', 'toString'];
export const tagValues = ['core', 'Core', 'edge', '', 'core-2', 'true', '5'];
export const now = Date.parse('2026-06-01T12:00:00.000Z');

export const permissions: readonly string[] = [
  'pipeline.view', 'pipeline.execute', 'pipeline.edit', 'pipeline.create', 'environment.view', 'environment.access', 'environment.edit', 'secret.view',
  'secret.access', 'secret.create', 'connector.access', 'connector.view', 'service.access', 'execution.view', 'audit.view', 'project.view', 'project.edit',
  'project.create', 'organization.view', 'organization.edit', 'organization.create', 'account.view', 'account.edit', 'user.view', 'user.edit',
  'todo.view', 'todo.edit', '__proto__.view', 'constructor.constructor', 'external_resource.view', 'user_group.edit', 'service_account.impersonate', 'role.bind', 'role.view', 'role_binding.create', 'claim_mapping.edit', 'trusted_issuer.view',
];
const selectedKinds = ['pipeline', 'pipeline', 'environment', 'secret', 'connector', 'project', 'organization', 'account', 'user_group', 'role', 'execution', 'todo', 'todo', '__proto__', 'constructor'];

export const claimSets: readonly Readonly<Record<string, unknown>>[] = [
  { ws: 'one', team: 'core', project: 'prj-A' },
  { ws: 'one', team: 'edge', nested: { id: 'core' }, project: 'prj-B' },
  { ws: 'two', team: ['core'], constructor: 'core', project: 'constructor' },
  JSON.parse('{ "ws": "two", "__proto__": { "team": "core" }, "toString": "edge", "project": 7 }') as Record<string, unknown>,
];

/** Each document once, in an order in which references lead backwards, but for groups and their members. */
export function firstWorld(random: Random): Manifest[] {
  const documents: Manifest[] = [];
  const add = (times: number, kind: string) => {
    for (let i = 0; i < times; i++) put(documents, randomDocument(random, kind, documents));
  };
  add(4, 'Organization');
  add(7, 'Project');
  add(5, 'User');
  add(5, 'ServiceAccount');
  add(8, 'UserGroup');
  add(8, 'UserGroup'); // again, so that the first can have the last as members
  add(2, 'TrustedIssuer');
  add(2, 'ResourceType');
  add(7, 'Role');
  add(8, 'ResourceGroup');
  add(22, 'RoleBinding');
  add(5, 'ClaimMapping');
  for (const kind of resourceKinds) add(4, kind);
  return documents;
}

const resourceKinds = ['Pipeline', 'Pipeline', 'Environment', 'Secret', 'Connector'];
const changing = ['RoleBinding', 'RoleBinding', 'RoleBinding', 'UserGroup', 'UserGroup', 'Role', 'Role', 'ResourceGroup', 'ResourceGroup', 'ClaimMapping', 'ClaimMapping', 'ClaimMapping', 'User',
  'ServiceAccount', 'Project', 'Organization', 'TrustedIssuer', 'ResourceType', ...resourceKinds];

export type RandomChange = { readonly put: Manifest } | { readonly remove: string };

/** `retired`: what can never be made again, as `keyOf` writes it. Null when the draw came to nothing. */
export function randomChange(random: Random, stored: readonly Stored[], retired: ReadonlySet<string>): RandomChange | null {
  const kind = random.pick(changing);
  const ofKind = stored.filter(({ document }) => document.kind === kind);
  if (random.chance(['Organization', 'Project', 'User'].includes(kind) ? 0.15 : 0.35)) {
    const gone = random.maybe(ofKind);
    return gone === undefined ? null : { remove: gone.uid };
  }
  const document = randomDocument(random, kind, stored.map((each) => each.document));
  return document === null || retired.has(keyOf(document)) ? null : { put: document };
}

export function keyOf({ kind, scope, identifier }: Manifest): string {
  return `${kind} ${scopeAt(partsOf(scope))} ${identifier}`;
}

export function scopesOf(documents: readonly Manifest[]): string[] {
  return ['/', ...documents.flatMap((document) => scopeItIs(document) ?? [])];
}

function put(documents: Manifest[], document: Manifest | null): void {
  if (document === null) return;
  const at = documents.findIndex((other) => keyOf(other) === keyOf(document));
  if (at === -1) documents.push(document);
  else documents[at] = document;
}

function randomDocument(random: Random, kind: string, all: readonly Manifest[]): Manifest | null {
  switch (kind) {
    case 'Organization': return { kind, identifier: random.pick(orgNames), ...tags(random), spec: {} };
    case 'Project': return projectDocument(random, all);
    case 'User': {
      const identifier = random.pick(people);
      return { kind, identifier, ...tags(random), spec: { email: `${identifier.replaceAll('_', 'x')}@example.com`, ...(random.chance(0.08) ? { disabled: true } : {}) } };
    }
    case 'ServiceAccount': return { kind, scope: anyScope(random, all), identifier: random.pick(people), ...tags(random), spec: random.chance(0.08) ? { disabled: true } : {} };
    case 'UserGroup': return groupDocument(random, all);
    case 'Role': return roleDocument(random, all);
    case 'ResourceGroup': return resourceGroupDocument(random, all);
    case 'RoleBinding': return bindingDocument(random, all);
    case 'ResourceType': return typeDocument(random);
    case 'TrustedIssuer': return issuerDocument(random);
    case 'ClaimMapping': return mappingDocument(random, all);
    default: return resourceDocument(random, kind, all);
  }
}

function projectDocument(random: Random, all: readonly Manifest[]): Manifest | null {
  const org = random.maybe(scopesOf(all).filter((scope) => partsOf(scope).length === 1));
  return org === undefined ? null : { kind: 'Project', scope: org, identifier: random.pick(projectNames), ...tags(random), spec: {} };
}

function groupDocument(random: Random, all: readonly Manifest[]): Manifest {
  const scope = highScope(random, all);
  const members = random.times(0, 4, () => subject(random, all, scope) ?? []).flat();
  return { kind: 'UserGroup', scope, identifier: random.pick(groupNames), spec: { members } };
}

function roleDocument(random: Random, all: readonly Manifest[]): Manifest {
  const level = random.pick(['account', 'account', 'account', 'org', 'project']);
  return { kind: 'Role', scope: highScope(random, all), identifier: random.pick(['reader', 'r2', 'constructor', '__proto__']), spec: { level, permissions: random.some(permissions, 0.4) } };
}

function resourceGroupDocument(random: Random, all: readonly Manifest[]): Manifest {
  const scope = highScope(random, all);
  const inside = scopesOf(all).filter((other) => isAtOrBelow(other, scope));
  const spec = random.chance(0.3)
    ? { scopes: random.times(0, 3, () => ({ scope: random.pick(inside), ...childScopes(random) })) }
    : childScopes(random);
  const resources = random.chance(0.4) ? { all: true } : { resources: selectors(random) };
  return { kind: 'ResourceGroup', scope, identifier: random.pick(['g', 'h', 'prod', 'constructor']), spec: { ...spec, ...resources } };
}

function bindingDocument(random: Random, all: readonly Manifest[]): Manifest | null {
  const scope = highScope(random, all);
  const principal = random.chance(0.15) ? allUsers(random, scope) : subject(random, all, scope);
  if (principal === null) return null;
  const life = {
    ...(random.chance(0.07) ? { disabled: true } : {}),
    ...(random.chance(0.2) ? { expiresAt: random.pick(['2026-06-01T11:59:59Z', '2026-06-01T12:00:00Z', '2026-06-01T14:00:01+02:00', '2026-06-01T12:00:00.001Z', '2099-01-01T00:00:00Z']) } : {}),
  };
  const spec = { principal, role: role(random, all, scope), resourceGroup: resourceGroup(random, all, scope), ...life };
  return { kind: 'RoleBinding', scope, identifier: `b${random.whole(30)}`, spec };
}

function typeDocument(random: Random): Manifest {
  const levels = random.pick([['account', 'org', 'project'], ['org', 'project'], ['project'], ['account']]);
  const verbs = ['view', ...random.some(['edit', 'constructor', 'share'], 0.7)];
  return { kind: 'ResourceType', identifier: random.pick(externalKinds), spec: { external: true, levels, verbs, attributes: { owner: 'string', done: 'boolean', priority: 'number' } } };
}

function issuerDocument(random: Random): Manifest {
  const identifier = random.pick(['hcp', 'constructor']);
  const spec = { issuer: `https://${identifier}.example`, audiences: ['https://sallyport.example'], keys: { discovery: true }, algorithms: ['RS256'] };
  return { kind: 'TrustedIssuer', identifier, spec };
}

function mappingDocument(random: Random, all: readonly Manifest[]): Manifest | null {
  const scope = highScope(random, all);
  const issuer = random.maybe(all.filter(({ kind }) => kind === 'TrustedIssuer'));
  if (issuer === undefined) return null;
  const inside = scopesOf(all).filter((other) => isAtOrBelow(other, scope));
  const grants = random.times(1, 4, (): GrantWords => {
    const fixed = random.pick(inside);
    const at = random.chance(0.25) ? { from: '/project', map: { 'prj-A': fixed, 'prj-B': random.pick(inside), toString: random.pick(inside) } } : fixed;
    const common = { role: role(random, all, fixed, scope), scope: at };
    return random.chance(0.5) ? { ...common, resourceGroup: resourceGroup(random, all, fixed, scope) } : { ...common, resources: selectors(random), ...childScopes(random) };
  });
  const conditions = [
    { claim: '/ws', equals: 'one' }, { claim: '/ws', oneOf: ['one', 'two'] }, { claim: '/ws', glob: 't*' }, { claim: '/ws', exists: true },
    { claim: '/nested/id', equals: 'core' }, { claim: '/__proto__/team', exists: true }, { claim: '/constructor', exists: true },
  ];
  const when = [random.pick(conditions.slice(0, 4)), ...(random.chance(0.15) ? [random.pick(conditions)] : [])];
  return { kind: 'ClaimMapping', scope, identifier: `m${random.whole(3)}`, spec: { issuer: reference(random, issuer, scope), when, grants } };
}

function resourceDocument(random: Random, kind: string, all: readonly Manifest[]): Manifest | null {
  const projects = scopesOf(all).filter((scope) => partsOf(scope).length === 2);
  const scope = kind === 'Pipeline' ? random.maybe(projects) : anyScope(random, all);
  const step = { step: { identifier: 'one', type: 'Run', spec: { command: 'true' } } };
  const stages = [{ stage: { identifier: 's', type: 'CI', spec: { execution: { steps: [step] } } } }];
  const specs: Record<string, object> = {
    Pipeline: { pipeline: { stages } },
    Environment: { type: random.pick(['Production', 'PreProduction']) },
    Secret: { type: 'text' },
    Connector: { type: 'jwt', audiences: ['https://partner.example'] },
  };
  return scope === undefined ? null : { kind, scope, identifier: random.pick(resourceNames), ...tags(random), spec: specs[kind]! };
}

export function selectors(random: Random): SelectorWords[] {
  return random.times(0, 3, () => selector(random));
}

/** Names that things of a kind have; of scopes also those that are gone or never were. */
export function namesOf(kind: string): readonly string[] {
  if (externalKinds.includes(kind)) return externalNames;
  return kind === 'project' ? projectNames : kind === 'organization' ? orgNames : resourceNames;
}

function selector(random: Random): SelectorWords {
  const type = random.pick(selectedKinds);
  const names = namesOf(type);
  const isExternal = externalKinds.includes(type);
  const own = isExternal ? ['owner', 'owner', 'done', 'priority', 'action.soft', 'principal.team'] : ['environment', 'connector'].includes(type) ? ['type', 'type', 'type'] : [];
  const keys = [...tagKeys.map((key) => `tags.${key}`), ...own, 'principal.type', 'principal.email', 'principal.tags.team', 'principal.identifier'];
  return {
    type,
    ...(random.chance(0.35) ? { identifiers: random.some(names, 0.4) } : {}),
    ...(random.chance(0.5) ? { where: Object.fromEntries(random.times(1, 2, () => [random.pick(keys), matcher(random)])) } : {}),
  };
}

function matcher(random: Random): MatcherWords {
  return random.pick<MatcherWords>([
    { equals: random.pick(tagValues) }, { equals: 'Production' }, { equals: 'core' }, { equals: random.pick([5, true]) }, { oneOf: random.some([...tagValues, 'PreProduction', 'jwt', 5], 0.4) },
    { glob: random.pick(['c*', '*', '?ore', '*o*e*', 'core', 'P*ion', '**-?', 'Prod*']) }, { exists: true }, { exists: true },
    { equals: random.pick(['user', 'alice', 'workload', 'alice@example.com', true, 5]) }, { notEquals: random.pick([...tagValues, 'user', 5, true]) },
    { notOneOf: random.some([...tagValues, 'Production', 'user', 5], 0.3) }, { notGlob: random.pick(['c*', '*', 'P*', 'a*']) },
    { equalsPrincipal: random.pick(['email', 'identifier', 'tags.team', 'tags.constructor', 'type', 'issuer', 'team', 'absent', 'constructor']) },
    { equalsClaim: random.pick(['/team', '/nested/id', '/constructor', '/toString', '/__proto__/team', '/absent']) },
  ]);
}

function tags(random: Random): { tags?: Record<string, string> } {
  return random.chance(0.3) ? {} : { tags: Object.fromEntries(random.times(0, 3, () => [random.pick(tagKeys), random.pick(tagValues)])) };
}

function childScopes(random: Random): { includeChildScopes?: boolean } {
  return random.pick([{ includeChildScopes: true }, { includeChildScopes: true }, { includeChildScopes: false }, {}]);
}

function anyScope(random: Random, all: readonly Manifest[]): string {
  return random.pick(scopesOf(all));
}

function highScope(random: Random, all: readonly Manifest[]): string {
  return random.chance(0.4) ? '/' : anyScope(random, all);
}

/** Of the scope or of one above it. */
function allUsers(random: Random, from: string): { type: string; id: string } {
  const named = Object.keys(builtInUserGroups).filter((name) => builtInUserGroups[name]! <= partsOf(from).length);
  return { type: 'user_group', id: random.pick(named) };
}

function subject(random: Random, all: readonly Manifest[], from: string): { type: string; id: string } | null {
  const types: Record<string, string> = { User: 'user', ServiceAccount: 'service_account', UserGroup: 'user_group' };
  const kind = random.pick(['User', 'User', 'ServiceAccount', 'UserGroup', 'UserGroup']);
  const found = random.maybe(all.filter((document) => document.kind === kind && isAtOrBelow(from, document.scope)));
  return found === undefined ? null : { type: types[kind]!, id: reference(random, found, from) };
}

/** Mostly a role that may be bound there; a document that was saved before its role sank is met too. */
function role(random: Random, all: readonly Manifest[], at: string, from = at): string {
  const depth = partsOf(at).length;
  const fits = (level: string) => depth >= ['account', 'org', 'project'].indexOf(level) || random.chance(0.1);
  if (random.chance(0.35)) return random.maybe(builtInRoles.filter((name) => fits(levelOfBuiltIn(name)))) ?? 'account_viewer';
  const custom = all.filter((document) => document.kind === 'Role' && isAtOrBelow(from, document.scope) && fits((document.spec as { level: string }).level));
  const found = random.maybe(custom);
  return found === undefined ? 'account_viewer' : reference(random, found, from);
}

function levelOfBuiltIn(name: string): string {
  return (builtin('role', name)!.facts as RoleFacts).level;
}

function resourceGroup(random: Random, all: readonly Manifest[], at: string, from = at): string {
  const builtIns = builtInGroups.filter((name) => name.startsWith(`all_${['account', 'org', 'project'][partsOf(at).length]}`) || name.includes('child') || random.chance(0.1));
  const custom = random.maybe(all.filter((document) => document.kind === 'ResourceGroup' && isAtOrBelow(from, document.scope)));
  return custom === undefined || random.chance(0.45) ? random.pick(builtIns) : reference(random, custom, from);
}

/** Any form that means the target from there. */
function reference(random: Random, target: Manifest, from: string): string {
  if (target.kind === 'User') return target.identifier;
  const level = ['account', 'org'][partsOf(target.scope).length];
  const prefixed = level === undefined ? [] : [`${level}.${target.identifier}`];
  return random.pick([...prefixed, ...(isSameScope(target.scope, from) ? [target.identifier] : [])]);
}
