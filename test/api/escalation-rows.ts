/** What counts as granting (CONTRACTS §5), row by row, and how somebody who lacks what is granted would go about it. */
import { createECDH } from 'node:crypto';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { Document, Place } from './escalation-world.ts';
import {
  account, binding, connector, doc, granted, group, issuer, mapping, members, resources, secret, user,
} from './escalation-world.ts';
import { pipeline, step } from './runs.ts';

/** An attempt through one apply; documents of one are tried through the endpoints of their kind too. */
export interface Applied {
  readonly how: string;
  readonly documents: readonly Document[];
  /** Where the refusal points. */
  readonly at: string;
  /** Which document of the call it points to. */
  readonly document?: number;
  /** Who holds it; absent = the holder of `treasure`. */
  readonly held?: 'admin';
}

/** An attempt through an operation of its own. */
export interface Asked {
  readonly how: string;
  readonly ask: (place: Place, token: string) => Promise<RemoteAnswer>;
  /** Action of the refusal in the audit. */
  readonly action: string;
  readonly held?: 'admin';
}

export interface Row {
  readonly write: string;
  readonly attempts: readonly (Applied | Asked)[];
}

const inPayments = { scope: 'payments' };
const inCheckout = { scope: 'payments/checkout' };
const jwk = (): object => {
  const curve = createECDH('prime256v1');
  curve.generateKeys();
  const point = curve.getPublicKey();
  return { kty: 'EC', crv: 'P-256', kid: 'mallory', alg: 'ES256', use: 'sig', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') };
};

const bindings: readonly Applied[] = [
  { how: 'binding oneself', documents: [binding('new', user('clerk'), 'treasure')], at: '/spec/role' },
  { how: 'binding somebody else', documents: [binding('new', user('guest'), 'treasure')], at: '/spec/role' },
  { how: 'binding a group one is in', documents: [binding('new', group('mine'), 'treasure')], at: '/spec/role' },
  { how: 'binding a service account', documents: [binding('new', account('bystander'), 'account.treasure', inPayments)], at: '/spec/role' },
  { how: 'binding in an org', documents: [binding('new', user('clerk'), 'account.treasure', inPayments)], at: '/spec/role' },
  { how: 'binding in a project', documents: [binding('new', user('clerk'), 'account.treasure', inCheckout)], at: '/spec/role' },
  { how: 'binding over one name', documents: [resources('one_name', { resources: [{ type: 'secret', identifiers: ['password'] }] }, 'payments'), binding('new', user('clerk'), 'account.treasure', { ...inPayments, resourceGroup: 'one_name' })], at: '/spec/role', document: 1 },
  { how: 'binding under a condition', documents: [resources('one_tag', { resources: [{ type: 'secret', where: { 'tags.a': { equals: 'b' } } }] }, 'payments'), binding('new', user('clerk'), 'account.treasure', { ...inPayments, resourceGroup: 'one_tag' })], at: '/spec/role', document: 1 },
  { how: 'binding for a moment', documents: [binding('new', user('clerk'), 'treasure', { more: { expiresAt: '2090-01-01T00:00:00Z' } })], at: '/spec/role' },
  { how: 'binding a built-in role: account_admin', documents: [binding('new', user('clerk'), 'account_admin')], at: '/spec/role', held: 'admin' },
  { how: 'binding a built-in role: org_admin', documents: [binding('new', user('clerk'), 'org_admin', inPayments)], at: '/spec/role', held: 'admin' },
  { how: 'binding a built-in role: project_admin', documents: [binding('new', user('clerk'), 'project_admin', inCheckout)], at: '/spec/role', held: 'admin' },
  { how: 'binding a built-in role: account_viewer', documents: [binding('new', user('clerk'), 'account_viewer')], at: '/spec/role', held: 'admin' },
  { how: 'binding a built-in role: pipeline_executor', documents: [binding('new', user('clerk'), 'pipeline_executor', inCheckout)], at: '/spec/role', held: 'admin' },
  { how: 'giving a binding another role', documents: [binding('plain', user('guest'), 'treasure')], at: '/spec/role' },
  { how: 'giving a binding another principal', documents: [binding('victim', user('clerk'), 'treasure')], at: '/spec/role' },
  { how: 'giving a binding another resource group', documents: [binding('narrow', user('guest'), 'account.treasure', inPayments)], at: '/spec/role' },
  { how: 'enabling a binding', documents: [binding('off', user('guest'), 'treasure')], at: '/spec/role' },
  { how: 'reviving an expired binding with a later end', documents: [binding('past', user('past'), 'treasure', { more: { expiresAt: '2090-01-01T00:00:00Z' } })], at: '/spec/role' },
  { how: 'reviving an expired binding without an end', documents: [binding('past', user('past'), 'treasure')], at: '/spec/role' },
  { how: 'putting off the end of a binding', documents: [binding('ending', user('past'), 'treasure', { more: { expiresAt: '2090-01-01T00:00:01Z' } })], at: '/spec/role' },
  { how: 'taking away the end of a binding', documents: [binding('ending', user('past'), 'treasure')], at: '/spec/role' },
  { how: 'a role made and bound in one call', documents: [doc('Role', 'own', { level: 'account', permissions: ['secret.access'] }), binding('new', user('clerk'), 'own')], at: '/spec/role', document: 1 },
  { how: 'a role bound and made in one call', documents: [binding('new', user('clerk'), 'own'), doc('Role', 'own', { level: 'account', permissions: ['secret.access'] })], at: '/spec/role' },
  { how: 'an empty role bound and filled in one call', documents: [binding('new', user('clerk'), 'plain'), doc('Role', 'plain', { level: 'account', permissions: ['role.view', 'secret.access'] })], at: '/spec/role' },
  { how: 'an org made and ruled in one call', documents: [doc('Organization', 'fresh', {}), binding('new', user('clerk'), 'org_admin', { scope: 'fresh' })], at: '/spec/role', document: 1, held: 'admin' },
  { how: 'an org ruled and made in one call', documents: [binding('new', user('clerk'), 'org_admin', { scope: 'fresh' }), doc('Organization', 'fresh', {})], at: '/spec/role', held: 'admin' },
  { how: 'a project made with a role of its own that is bound there', documents: [doc('Project', 'fresh', {}, 'payments'), doc('Role', 'own', { level: 'project', permissions: ['secret.access'] }, 'payments/fresh'), binding('new', user('clerk'), 'own', { scope: 'payments/fresh' })], at: '/spec/role', document: 2 },
  { how: 'a grant first, and what it takes after it', documents: [binding('first', user('clerk'), 'treasure'), connector('later', ['**'])], at: '/spec/role' },
  { how: 'what it takes first, and the grant after it', documents: [connector('first', ['**']), binding('later', user('clerk'), 'treasure')], at: '/spec/usableFrom/0' },
  { how: 'a kind made and bound in one call', documents: [doc('ResourceType', 'todo', { external: true, levels: ['account'], verbs: ['close'] }), doc('Role', 'closer', { level: 'account', permissions: ['todo.close'] }), binding('new', user('clerk'), 'closer')], at: '/spec/role', document: 2, held: 'admin' },
];

const mappings: readonly Applied[] = [
  { how: 'a mapping that grants it', documents: [mapping({}, 'new')], at: '/spec/grants/0' },
  { how: 'a mapping of an org', documents: [doc('ClaimMapping', 'new', { issuer: 'account.corporate', when: [{ claim: '/sub', equals: 'x' }], grants: [granted({ role: 'account.treasure' })] }, 'payments')], at: '/spec/grants/0' },
  { how: 'a grant more', documents: [mapping({ grants: [granted()] }, 'empty')], at: '/spec/grants/0' },
  { how: 'a second grant', documents: [mapping({ grants: [{ role: 'mapped', scope: 'payments', resources: [{ type: 'secret' }] }, granted({ scope: 'platform' })] }, 'modest')], at: '/spec/grants/1' },
  { how: 'another role in a grant', documents: [mapping({ grants: [granted()] }, 'modest')], at: '/spec/grants/0' },
  { how: 'another scope of a grant', documents: [mapping({ grants: [granted({ scope: 'platform' })] })], at: '/spec/grants/0' },
  { how: 'child scopes of a grant', documents: [mapping({ grants: [granted({ includeChildScopes: true })] })], at: '/spec/grants/0' },
  { how: 'more resources of a grant', documents: [mapping({ grants: [granted({ resources: [{ type: 'secret' }, { type: 'connector' }] })] })], at: '/spec/grants/0' },
  { how: 'a target of a map', documents: [mapping({ grants: [granted({ scope: { from: '/project', map: { a: 'payments', b: 'platform' } } })] }, 'new')], at: '/spec/grants/0' },
  { how: 'a target more in a map', documents: [mapping({ grants: [granted({ scope: { from: '/project', map: { a: 'payments/checkout' } } })] }, 'empty')], at: '/spec/grants/0' },
  { how: 'a scope straight from a claim', documents: [mapping({ grants: [granted({ scope: { from: '/sub' } })] }, 'new')], at: '/spec/grants/0' },
  { how: 'a scope straight from a claim, for a role of projects', documents: [mapping({ grants: [granted({ role: 'low', scope: { from: '/sub' } })] }, 'new')], at: '/spec/grants/0' },
  { how: 'a condition on a claim left out', documents: [mapping({ when: [{ claim: '/sub', equals: 'x' }] })], at: '/spec/grants/0' },
  { how: 'a condition on a claim loosened', documents: [mapping({ when: [{ claim: '/sub', exists: true }, { claim: '/env', equals: 'prod' }] })], at: '/spec/grants/0' },
  { how: 'the expression left out', documents: [mapping({ condition: undefined })], at: '/spec/grants/0' },
  { how: 'another expression', documents: [mapping({ condition: 'claims.phase == "apply" || true' })], at: '/spec/grants/0' },
  { how: 'longer sessions', documents: [mapping({ session: { ttl: '11m' } })], at: '/spec/grants/0' },
  { how: 'sessions that may administer', documents: [mapping({ mayAdminister: true })], at: '/spec/grants/0' },
  { how: 'another issuer', documents: [mapping({ issuer: 'other' })], at: '/spec/grants/0' },
  { how: 'a role, a scope and a mapping in one call', documents: [mapping({ grants: [granted({ role: 'own', scope: 'fresh' })] }, 'new'), doc('Role', 'own', { level: 'account', permissions: ['secret.access'] }), doc('Organization', 'fresh', {})], at: '/spec/grants/0' },
  { how: 'an issuer of one’s own and a mapping in one call', documents: [issuerOf('marvin'), mapping({ issuer: 'marvin' }, 'new')], at: '/spec/grants/0', document: 1 },
];

function issuerOf(identifier: string): Document {
  return { ...issuer({ issuer: `https://${identifier}.example` }), identifier };
}

const usable: readonly Applied[] = [
  { how: 'a connector for all', documents: [connector('new', ['**'])], at: '/spec/usableFrom/0' },
  { how: 'a connector for one project', documents: [connector('new', ['payments/checkout'])], at: '/spec/usableFrom/0' },
  { how: 'a connector of an org for its projects', documents: [connector('new', ['payments/**'], 'payments')], at: '/spec/usableFrom/0' },
  { how: 'a secret for all', documents: [secret('new', { usableFrom: ['**'] })], at: '/spec/usableFrom/0' },
  { how: 'a secret of an org for a project', documents: [secret('plain', { value: undefined, usableFrom: ['payments/refunds'] }, 'payments')], at: '/spec/usableFrom/0' },
  { how: 'one scope more', documents: [connector('partner', ['payments/checkout', 'payments/refunds'])], at: '/spec/usableFrom/1' },
  { how: 'a scope with all below it in place of itself', documents: [connector('partner', ['payments/**'])], at: '/spec/usableFrom/0' },
  { how: 'all in place of one', documents: [secret('password', { value: undefined, usableFrom: ['payments/**'] }, 'payments')], at: '/spec/usableFrom/0' },
  { how: 'a scope made in the call', documents: [doc('Project', 'fresh', {}, 'payments'), connector('partner', ['payments/checkout', 'payments/fresh'])], at: '/spec/usableFrom/1', document: 1 },
];

const roleEdits: readonly Applied[] = [
  { how: 'a permission more', documents: [doc('Role', 'plain', { level: 'account', permissions: ['role.view', 'secret.access'] })], at: '/spec/permissions' },
  { how: 'another permission in place of one', documents: [doc('Role', 'plain', { level: 'account', permissions: ['connector.access'] })], at: '/spec/permissions' },
  { how: 'a permission more of a role a mapping grants', documents: [doc('Role', 'mapped', { level: 'account', permissions: ['secret.view', 'secret.access'] })], at: '/spec/permissions' },
  { how: 'a higher level', documents: [doc('Role', 'low', { level: 'org', permissions: ['secret.access', 'connector.access', 'environment.access'] })], at: '/spec/permissions' },
  { how: 'one’s own role', documents: [doc('Role', 'governor', { level: 'account', permissions: ['secret.govern', 'secret.access'] })], at: '/spec/permissions' },
  { how: 'a permission of a kind made in the call', documents: [doc('ResourceType', 'todo', { external: true, levels: ['account'], verbs: ['close'] }), doc('Role', 'plain', { level: 'account', permissions: ['role.view', 'todo.close'] })], at: '/spec/permissions', document: 1, held: 'admin' },
];

const groupEdits: readonly Applied[] = [
  { how: 'another name', documents: [resources('narrow', { resources: [{ type: 'secret', identifiers: ['nothing', 'password'] }] }, 'payments')], at: '/spec' },
  { how: 'names left out', documents: [resources('narrow', { resources: [{ type: 'secret' }] }, 'payments')], at: '/spec' },
  { how: 'another kind', documents: [resources('narrow', { resources: [{ type: 'secret', identifiers: ['nothing'] }, { type: 'connector' }] }, 'payments')], at: '/spec' },
  { how: 'everything', documents: [resources('narrow', { all: true }, 'payments')], at: '/spec' },
  { how: 'child scopes', documents: [resources('narrow', { includeChildScopes: true, resources: [{ type: 'secret', identifiers: ['nothing'] }] }, 'payments')], at: '/spec' },
  { how: 'a list of scopes in place of its own', documents: [resources('narrow', { scopes: [{ scope: 'payments' }, { scope: 'payments/refunds' }], resources: [{ type: 'secret', identifiers: ['nothing'] }] }, 'payments')], at: '/spec' },
  { how: 'a scope more', documents: [resources('one_scope', { scopes: [{ scope: 'payments/checkout' }, { scope: 'payments/refunds' }], resources: [{ type: 'secret' }] }, 'payments')], at: '/spec' },
  { how: 'a scope above the one it had', documents: [resources('one_scope', { scopes: [{ scope: 'payments', includeChildScopes: true }], resources: [{ type: 'secret' }] }, 'payments')], at: '/spec' },
  { how: 'a condition left out', documents: [resources('tagged', { includeChildScopes: true, resources: [{ type: 'secret' }] })], at: '/spec' },
  { how: 'a condition with more values', documents: [resources('tagged', { includeChildScopes: true, resources: [{ type: 'secret', where: { 'tags.team': { oneOf: ['core', 'edge'] } } }] })], at: '/spec' },
  { how: 'another expression', documents: [resources('tagged', { includeChildScopes: true, resources: [{ type: 'connector', condition: 'resource.tags.team != "red"' }] })], at: '/spec' },
  { how: 'a group that a mapping’s grant names', documents: [resources('payments_group', { scopes: [{ scope: 'payments' }], resources: [{ type: 'secret' }] })], at: '/spec' },
  { how: 'a scope made in the call', documents: [doc('Project', 'fresh', {}, 'payments'), resources('one_scope', { scopes: [{ scope: 'payments/checkout' }, { scope: 'payments/fresh' }], resources: [{ type: 'secret' }] }, 'payments')], at: '/spec', document: 1 },
];

const memberships: readonly Applied[] = [
  { how: 'oneself', documents: [members('vault', [group('inner'), group('ring'), user('victim'), user('clerk')])], at: '/spec/members' },
  { how: 'somebody else', documents: [members('vault', [group('inner'), group('ring'), user('victim'), user('guest')])], at: '/spec/members' },
  { how: 'somebody in place of another', documents: [members('vault', [group('inner'), group('ring'), user('guest')])], at: '/spec/members' },
  { how: 'a service account', documents: [members('vault', [group('inner'), group('ring'), user('victim'), account('payments_robot')]), doc('ServiceAccount', 'payments_robot', {})], at: '/spec/members' },
  { how: 'a group one is in', documents: [members('vault', [group('inner'), group('ring'), user('victim'), group('mine')])], at: '/spec/members' },
  { how: 'into the group inside', documents: [members('inner', [group('innermost'), user('clerk')])], at: '/spec/members' },
  { how: 'into the group inside that', documents: [members('innermost', [user('clerk')])], at: '/spec/members' },
  { how: 'a group into the group inside that', documents: [members('innermost', [group('mine')])], at: '/spec/members' },
  { how: 'into a cycle inside', documents: [members('ring_back', [group('ring'), user('clerk')])], at: '/spec/members' },
  { how: 'into a group of the account that one of an org holds', documents: [members('outer', [user('clerk')])], at: '/spec/members' },
  { how: 'a group made in the call', documents: [members('new', [user('clerk')]), members('innermost', [group('new')])], at: '/spec/members' },
  { how: 'a group made after it in the call', documents: [members('innermost', [group('new')]), members('new', [user('clerk')])], at: '/spec/members' },
  { how: 'a cycle closed around a group one is in', documents: [members('innermost', [group('mine')]), members('mine', [user('clerk'), group('vault')])], at: '/spec/members' },
];

const trust: readonly Applied[] = [
  { how: 'its address', documents: [issuer({ issuer: 'https://mallory.example' })], at: '/spec' },
  { how: 'an audience more', documents: [issuer({ audiences: ['https://sallyport.example', 'https://mallory.example'] })], at: '/spec' },
  { how: 'other audiences beside ours', documents: [issuer({ allowOtherAudiences: true })], at: '/spec' },
  { how: 'an algorithm more', documents: [issuer({ algorithms: ['RS256', 'ES256'] })], at: '/spec' },
  { how: 'keys from elsewhere', documents: [issuer({ keys: { jwksUri: 'https://mallory.example/jwks' } })], at: '/spec' },
  { how: 'keys by discovery', documents: [issuer({ keys: { discovery: true } })], at: '/spec' },
  { how: 'keys of one’s own', documents: [issuer({ keys: { jwks: { keys: [jwk()] } }, algorithms: ['ES256'] })], at: '/spec' },
  { how: 'origins that keys may come from', documents: [issuer({ keys: { discovery: true, allowedOrigins: ['https://mallory.example'] } })], at: '/spec' },
  { how: 'a preset', documents: [issuer({ preset: 'hcp_terraform' })], at: '/spec' },
  { how: 'claims that count as immutable', documents: [issuer({ immutableClaims: ['project'] })], at: '/spec' },
  { how: 'more clock skew', documents: [issuer({ clockSkewSeconds: 60 })], at: '/spec' },
  { how: 'longer tokens', documents: [issuer({ maxLifetime: '7d' })], at: '/spec' },
  { how: 'an issuer and a grant of it in one call', documents: [mapping({ grants: [granted()] }, 'modest'), issuer({ issuer: 'https://moriarty.example' })], at: '/spec/grants/0' },
];

const post = (path: (api: string) => string, body: object) => (place: Place, token: string) => place.server.call({ method: 'POST', path: path(place.api), body, token });
const makesToken = (principal: object, more: object = {}) => ({ ask: post((api) => `${api}/api-tokens`, { principal, name: 'mine now', ...more }), action: 'api_token.create' });

const credentials: readonly (Applied | Asked)[] = [
  { how: 'a token of a user', ...makesToken({ type: 'user', path: 'victim' }) },
  { how: 'a narrow token of a user', ...makesToken({ type: 'user', path: 'victim' }, { bounds: [{ permissions: ['role.view'] }] }) },
  { how: 'a short token of a user', ...makesToken({ type: 'user', path: 'victim' }, { ttl: '1m' }) },
  { how: 'a token of a service account', ...makesToken({ type: 'service_account', path: 'payments/robot' }) },
  { how: 'a token of a disabled user', ...makesToken({ type: 'user', path: 'sleeper' }) },
  { how: 'a token of the administrator', ...makesToken({ type: 'user', path: 'admin' }, { mayAdminister: true }), held: 'admin' },
  { how: 'the e-mail address of a user', documents: [doc('User', 'victim', { email: 'mallory@example.com' })], at: '/spec/email' },
  { how: 'the e-mail address of the administrator', documents: [doc('User', 'admin', { email: 'mallory@example.com' })], at: '/spec/email', held: 'admin' },
  { how: 'enabling a user', documents: [doc('User', 'sleeper', { email: 'sleeper@example.com' })], at: '/spec/disabled' },
  { how: 'enabling a service account', documents: [doc('ServiceAccount', 'asleep', {}, 'payments')], at: '/spec/disabled' },
  { how: 'enabling a user under another address', documents: [doc('User', 'sleeper', { email: 'mallory@example.com' })], at: '/spec/disabled' },
];

const impersonates = (principal: object) => ({ ask: post((api) => `${api}/api-tokens:impersonate`, { principal, reason: 'ticket 7' }), action: 'api_token.impersonate' });
const impersonation: readonly Asked[] = [
  { how: 'acting as a user who holds more', ...impersonates({ type: 'user', path: 'victim' }) },
  { how: 'acting as a service account that holds more', ...impersonates({ type: 'service_account', path: 'payments/robot' }) },
  { how: 'acting as the administrator', ...impersonates({ type: 'user', path: 'admin' }), held: 'admin' },
];

const registers = (scope: string) => ({ ask: post((api) => `${api}${scope}/runner-registrations`, {}), action: 'runner_registration.create' });
const runners: readonly (Applied | Asked)[] = [
  { how: 'a runner of the account', ...registers('') },
  { how: 'a runner of an org', ...registers('/orgs/payments') },
  { how: 'a runner of a project', ...registers('/orgs/payments/projects/checkout') },
  { how: 'a connector that sends tokens somewhere', documents: [vault('https://mallory.example')], at: '/spec/address' },
  { how: 'a connector of a project that does', documents: [vault('https://mallory.example', 'payments/checkout')], at: '/spec/address' },
  { how: 'another place for a connector to send them', documents: [{ ...vault('https://mallory.example'), identifier: 'vault' }], at: '/spec/address' },
  { how: 'another kind of connector in place of one that sends nothing', documents: [{ ...vault('https://mallory.example'), identifier: 'partner' }], at: '/spec/address' },
];

function vault(address: string, scope?: string): Document {
  return doc('Connector', 'new', { type: 'vault_jwt', address, role: 'deploys' }, scope);
}

const tags = (values: Record<string, string>) => ({ tags: values });
const me = (name: string, changes: { readonly tags?: Record<string, string>; readonly email?: string }): Document => doc('User', name, { email: changes.email ?? `${name}@example.com` }, undefined, { tags: changes.tags ?? {} });
const governed: readonly Applied[] = [
  { how: 'a tag of a secret', documents: [{ ...secret('plain', { value: undefined }, 'payments'), ...tags({ team: 'core' }) }], at: '/tags' },
  { how: 'a secret made with the tag', documents: [{ ...secret('new', {}, 'payments'), ...tags({ team: 'core' }) }], at: '/tags' },
  { how: 'a connector made with a tag that an expression reads', documents: [{ ...connector('new', []), ...tags({ team: 'core' }) }], at: '/tags' },
  { how: 'the tag on something made in a scope of the same call', documents: [doc('Organization', 'fresh', {}), { ...secret('new', {}, 'fresh'), ...tags({ team: 'core' }) }], at: '/tags', document: 1 },
  { how: 'a tag that names an owner', documents: [{ ...secret('plain', { value: undefined }, 'payments'), ...tags({ owner: 'red' }) }], at: '/tags' },
  { how: 'an attribute', documents: [doc('Environment', 'stage', { type: 'Production' }, 'payments/checkout')], at: '/spec' },
  { how: 'something made with the attribute', documents: [doc('Environment', 'live', { type: 'Production' }, 'payments/checkout')], at: '/spec' },
  { how: 'an attribute of what another system holds', documents: [doc('ExternalResource', 'one', { type: 'record', id: 'record-1', attributes: { status: 'active' } }, 'payments')], at: '/spec' },
  { how: 'the registration of another thing under the same name', documents: [doc('ExternalResource', 'one', { type: 'record', id: 'record-2', attributes: { status: 'active' } }, 'payments')], at: '/spec' },
  { how: 'another thing registered in its place, whose values are whatever an application says', documents: [doc('ExternalResource', 'one', { type: 'record', id: 'record-2', attributes: { status: 'archived' } }, 'payments')], at: '/spec' },
  { how: 'a tag of oneself', documents: [me('clerk', { tags: { crew: 'red' } })], at: '/tags' },
  { how: 'a tag of somebody else', documents: [me('guest', { tags: { crew: 'red' } })], at: '/tags' },
  { how: 'a harmless change, and a tag in the same call', documents: [{ ...pipeline('recover', { build: [step('hello')] }), tags: {} }, { ...secret('plain', { value: undefined }, 'payments'), ...tags({ team: 'core' }) }], at: '/tags', document: 1 },
];

export const rows: readonly Row[] = [
  { write: 'role binding', attempts: bindings },
  { write: 'claim mapping grant', attempts: mappings },
  { write: '`usableFrom`', attempts: usable },
  { write: 'role edit', attempts: roleEdits },
  { write: 'resource-group edit', attempts: groupEdits },
  { write: 'adding a member to a group', attempts: memberships },
  { write: 'an issuer’s keys, issuer, audience, algorithms', attempts: trust },
  { write: 'a credential of another principal', attempts: credentials },
  { write: 'impersonation', attempts: impersonation },
  { write: 'runner registration, connector endpoint', attempts: runners },
  { write: 'a governed tag or attribute', attempts: governed },
];
