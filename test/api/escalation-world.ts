/** A world in which somebody may edit everything access is made of and lacks one role, `treasure`, that others hold. */
import assert from 'node:assert/strict';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { pipeline, step } from './runs.ts';

export type Document = Record<string, unknown>;

/** One way in: an account with its administrator. */
export interface Place {
  readonly server: TestServer;
  readonly api: string;
  readonly adminToken: string;
}

export interface Peopled extends Place {
  /** May create, edit and delete everything, may not use what `treasure` gives, and governs nothing. */
  readonly clerk: string;
  /** The clerk's rights and `treasure` over everything. */
  readonly holder: string;
  /** The clerk's rights and `govern` of every kind. */
  readonly governor: string;
  /** Another account admin. */
  readonly deputy: string;
  /** The clerk's rights and `treasure` in the project `payments/checkout` alone. */
  readonly local: string;
}

export const everything = 'all_resources_including_child_scopes';
export const doc = (kind: string, identifier: string, spec: object, scope?: string, more: object = {}): Document => ({ kind, ...(scope === undefined ? {} : { scope }), identifier, ...more, spec });
export const user = (id: string) => ({ type: 'user', id });
export const account = (id: string) => ({ type: 'service_account', id });
export const group = (id: string) => ({ type: 'user_group', id });
export const binding = (identifier: string, principal: object, role: string, where: { readonly resourceGroup?: string; readonly scope?: string; readonly more?: object } = {}): Document =>
  doc('RoleBinding', identifier, { principal, role, resourceGroup: where.resourceGroup ?? everything, ...where.more }, where.scope);
export const issuer = (changes: object = {}): Document =>
  doc('TrustedIssuer', 'corporate', { issuer: 'https://corporate.example', audiences: ['https://sallyport.example'], keys: { jwksUri: 'https://corporate.example/jwks' }, algorithms: ['RS256'], ...changes });
export const mapping = (changes: object = {}, identifier = 'robots'): Document =>
  doc('ClaimMapping', identifier, { issuer: 'corporate', when: [{ claim: '/sub', equals: 'x' }, { claim: '/env', equals: 'prod' }], condition: 'claims.phase == "apply"', grants: [granted()], session: { ttl: '10m' }, ...changes });
export const granted = (changes: object = {}) => ({ role: 'treasure', scope: 'payments', resources: [{ type: 'secret' }], ...changes });
export const members = (identifier: string, list: readonly object[], scope?: string): Document => doc('UserGroup', identifier, { members: list }, scope);
export const resources = (identifier: string, spec: object, scope?: string): Document => doc('ResourceGroup', identifier, spec, scope);
export const connector = (identifier: string, usableFrom: readonly string[], scope?: string): Document => doc('Connector', identifier, { type: 'jwt', audiences: ['https://partner.example'], usableFrom }, scope);
export const secret = (identifier: string, more: object = {}, scope?: string): Document => doc('Secret', identifier, { type: 'text', value: 'correct horse battery', ...more }, scope);

const documentKinds = [
  'organization', 'project', 'user', 'service_account', 'user_group', 'role', 'resource_group', 'role_binding', 'trusted_issuer', 'claim_mapping', 'connector', 'secret', 'pipeline',
  'environment', 'service', 'resource_type', 'external_resource',
];
const crud = (kind: string): string[] => ['view', 'create', 'edit', 'delete'].map((verb) => `${kind}.${verb}`);
export const clerkPermissions = [
  ...documentKinds.flatMap(crud), ...crud('runner'), 'api_token.view', 'api_token.create', 'api_token.delete', 'user.impersonate', 'service_account.impersonate', 'session.view', 'session.delete',
];
const treasure = ['secret.access', 'connector.access', 'environment.access'];

const roles: readonly Document[] = [
  doc('Role', 'clerk', { level: 'account', permissions: clerkPermissions }),
  doc('Role', 'governor', { level: 'account', permissions: documentKinds.map((kind) => `${kind}.govern`) }),
  doc('Role', 'treasure', { level: 'account', permissions: treasure }),
  doc('Role', 'plain', { level: 'account', permissions: ['role.view'] }),
  doc('Role', 'mapped', { level: 'account', permissions: ['secret.view'] }),
  doc('Role', 'low', { level: 'project', permissions: treasure }),
];

const people: readonly Document[] = [
  ...['clerk', 'holder', 'governor', 'local', 'deputy', 'victim', 'guest', 'past'].map((name) => doc('User', name, { email: `${name}@example.com` })),
  doc('User', 'sleeper', { email: 'sleeper@example.com', disabled: true }),
  doc('ServiceAccount', 'robot', {}, 'payments'),
  doc('ServiceAccount', 'asleep', { disabled: true }, 'payments'),
  doc('ServiceAccount', 'bystander', {}, 'payments', { tags: { team: 'edge' } }),
  members('vault', [group('inner'), group('ring'), user('victim')]),
  members('inner', [group('innermost')]),
  members('innermost', []),
  members('ring', [group('ring_back')]),
  members('ring_back', [group('ring')]),
  members('local_vault', [group('account.outer')], 'payments'),
  members('outer', []),
  members('mine', [user('clerk')]),
];

/** What conditions read here is governed: tags `team` and `owner`, an environment's `type`, a record's `status`, tags and e-mail addresses of users. */
const conditional: readonly Document[] = [
  doc('ResourceType', 'record', { external: true, levels: ['account', 'org'], verbs: ['read', 'write'], attributes: { status: 'string' } }),
  doc('ExternalResource', 'one', { type: 'record', id: 'record-1', attributes: { status: 'archived' } }, 'payments'),
  doc('Role', 'writer', { level: 'account', permissions: ['record.write'] }),
  doc('Environment', 'stage', { type: 'PreProduction' }, 'payments/checkout'),
  pipeline('recover', { build: [step('hello')], tags: { team: 'edge' } }),
  secret('password', { usableFrom: ['payments/checkout'] }, 'payments'),
  secret('plain', {}, 'payments'),
  resources('tagged', { includeChildScopes: true, resources: [{ type: 'secret', where: { 'tags.team': { equals: 'core' } } }, { type: 'connector', condition: 'resource.tags.team == "core"' }] }),
  resources('live', { includeChildScopes: true, resources: [{ type: 'environment', where: { type: { equals: 'Production' } } }] }),
  resources('open', { includeChildScopes: true, resources: [{ type: 'record', where: { status: { notEquals: 'archived' } } }] }),
  resources('owned', { includeChildScopes: true, resources: [{ type: 'secret', where: { 'tags.owner': { equalsPrincipal: 'tags.crew' } } }] }),
  resources('mailed', { includeChildScopes: true, resources: [{ type: 'secret', where: { 'tags.owner': { equalsPrincipal: 'email' } } }] }),
  binding('tagged', user('victim'), 'treasure', { resourceGroup: 'tagged' }),
  binding('live', user('victim'), 'treasure', { resourceGroup: 'live' }),
  binding('open', user('victim'), 'writer', { resourceGroup: 'open' }),
  // The clerks are among those who have what they own: who they are must not become theirs to say.
  members('crews', ['clerk', 'holder', 'governor', 'guest'].map(user)),
  binding('owned', group('crews'), 'treasure', { resourceGroup: 'owned' }),
  // Of e-mail addresses only the guest's: an address is who one is, and gives all of it.
  binding('mailed', user('guest'), 'treasure', { resourceGroup: 'mailed' }),
];

const world: readonly Document[] = [
  doc('Organization', 'payments', {}),
  doc('Organization', 'platform', {}),
  doc('Project', 'checkout', {}, 'payments'),
  doc('Project', 'refunds', {}, 'payments'),
  ...roles,
  ...people,
  ...conditional,
  ...['clerk', 'holder', 'governor', 'local'].map((name) => binding(name, user(name), 'clerk')),
  binding('deputy', user('deputy'), 'account_admin'),
  binding('holder_treasure', user('holder'), 'treasure'),
  binding('holder_writer', user('holder'), 'writer'),
  binding('governor_governs', user('governor'), 'governor'),
  binding('local_treasure', user('local'), 'account.treasure', { scope: 'payments/checkout' }),
  binding('victim', user('victim'), 'treasure'),
  binding('sleeper', user('sleeper'), 'treasure'),
  binding('robot', account('robot'), 'account.treasure', { scope: 'payments' }),
  binding('asleep', account('asleep'), 'account.treasure', { scope: 'payments' }),
  binding('vault', group('vault'), 'treasure'),
  binding('local_vault', group('local_vault'), 'account.treasure', { scope: 'payments' }),
  binding('off', user('guest'), 'treasure', { more: { disabled: true } }),
  binding('past', user('past'), 'treasure', { more: { expiresAt: '2020-01-01T00:00:00Z' } }),
  binding('ending', user('past'), 'treasure', { more: { expiresAt: '2090-01-01T00:00:00Z' } }),
  binding('plain', user('guest'), 'plain'),
  binding('low', user('guest'), 'account.low', { scope: 'payments/checkout' }),
  resources('narrow', { resources: [{ type: 'secret', identifiers: ['nothing'] }] }, 'payments'),
  binding('narrow', user('guest'), 'account.treasure', { resourceGroup: 'narrow', scope: 'payments' }),
  resources('one_scope', { scopes: [{ scope: 'payments/checkout' }], resources: [{ type: 'secret' }] }, 'payments'),
  binding('one_scope', user('guest'), 'account.treasure', { resourceGroup: 'one_scope', scope: 'payments' }),
  resources('for_mapping', { resources: [{ type: 'secret', identifiers: ['nothing'] }] }, 'payments'),
  issuer(),
  doc('TrustedIssuer', 'other', { issuer: 'https://other.example', audiences: ['https://sallyport.example'], keys: { jwksUri: 'https://other.example/jwks' }, algorithms: ['RS256'] }),
  mapping(),
  mapping({ grants: [{ role: 'mapped', scope: 'payments', resources: [{ type: 'secret' }] }] }, 'modest'),
  mapping({ grants: [{ role: 'treasure', scope: 'payments', resourceGroup: 'payments_group' }] }, 'grouped'),
  mapping({ grants: [], mayAdminister: false }, 'empty'),
  resources('payments_group', { scopes: [{ scope: 'payments' }], resources: [{ type: 'secret', identifiers: ['nothing'] }] }),
  connector('partner', ['payments/checkout']),
  doc('Connector', 'vault', { type: 'vault_jwt', address: 'https://vault.example', role: 'deploys' }),
];

export async function applyAs(place: Place, documents: readonly Document[], token: string, more: object = {}, door: 'apply' | 'plan' = 'apply'): Promise<RemoteAnswer> {
  return place.server.call({ method: 'POST', path: `${place.api}/manifests:${door}`, body: { documents, ...more }, token });
}

/** As the administrator; what fails here is a fault of the test. */
export async function arrange(place: Place, documents: readonly Document[]): Promise<void> {
  const answer = await applyAs(place, documents, place.adminToken);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

export async function tokenFor(place: Place, principal: { readonly type: string; readonly path: string }, more: object = { mayAdminister: true }): Promise<string> {
  const answer = await place.server.call({ method: 'POST', path: `${place.api}/api-tokens`, body: { principal, name: 'of a test', ...more }, token: place.adminToken });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return (answer.body as { token: string }).token;
}

/** The whole world in an account of its own. */
export async function peopled(server: TestServer, identifier: string): Promise<Peopled> {
  const { api, adminToken } = await server.addAccount(identifier);
  const place = { server, api, adminToken };
  await arrange(place, world);
  const [clerk, holder, governor, local, deputy] = await Promise.all(['clerk', 'holder', 'governor', 'local', 'deputy'].map((path) => tokenFor(place, { type: 'user', path })));
  return { ...place, clerk: clerk!, holder: holder!, governor: governor!, local: local!, deputy: deputy! };
}

/** Everything an attempt could have left behind, counted; refusals leave audit rows and nothing else. */
export async function leftBehind({ server, api }: Place): Promise<unknown> {
  const [row] = await server.sql(
    `select a.revision, (select count(*)::int from resource where account_id = a.id) as resources, (select count(*)::int from credential where account_id = a.id) as credentials,
       (select count(*)::int from runner_registration where account_id = a.id) as registrations, (select count(*)::int from workload_session where account_id = a.id) as sessions
     from account a where identifier = $1`, [api.split('/').at(-1)]);
  return row;
}
