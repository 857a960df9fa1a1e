/**
 * Decision tables at the doors of a running server: their worlds are applied, their sessions exchanged and their questions
 * asked over HTTP. What a door has no words for it says, and why, so that it can be counted.
 */
import assert from 'node:assert/strict';
import { keepBootstrapToken } from '#features/credentials/feature.ts';
import { collectionOf } from '#kernel/kind.ts';
import { contains, parseResourcePath, parseScope } from '#kernel/scope.ts';
import { systemRandomness } from '#platform/clock.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import type { BuiltWorld, Case, CaseAnswer, CaseFile } from './world.ts';

/** `reasons: null` = the door tells none here; `why` says so. */
export type DoorAnswer =
  | { readonly allowed: boolean; readonly reason: CaseAnswer; readonly why: null }
  | { readonly allowed: boolean; readonly reason: null; readonly why: string }
  | { readonly allowed: null; readonly reason: null; readonly why: string };

export const doorNames = ['check', 'explain', 'authzen'] as const;
export type Door = (typeof doorNames)[number];

type Document = Record<string, unknown>;

interface Session {
  readonly id: string;
  readonly isLive: boolean;
}

interface Doors {
  readonly server: TestServer;
  readonly account: string;
  readonly adminToken: string;
  /** The same world as the engine has it, to know what is an external kind. */
  readonly built: BuiltWorld;
  readonly sessions: ReadonlyMap<string, Session>;
}

const key = issuerKey('ES256', 'of-the-tables');
const audience = 'https://sallyport.example';
const everySecondAnHour = 3_600;
const farthest = Date.parse('2099-01-01T00:00:00Z');
const hello = { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'true' } } }] } } } }] } };

/** Specs of kinds whose stand-ins in the tables say nothing. */
const specs: Readonly<Record<string, (document: Document) => object>> = {
  Secret: () => ({ type: 'text', value: 'correct horse battery' }),
  Pipeline: () => hello,
  Connector: () => ({ type: 'jwt', audiences: ['https://partner.example'] }),
  TrustedIssuer: ({ identifier }) => ({ issuer: issuerUrl(String(identifier)), audiences: [audience], keys: { jwks: { keys: [key.jwk] } }, algorithms: ['ES256'] }),
};

function issuerUrl(identifier: string): string {
  return `https://${identifier}.example`;
}

/** Null = it cannot be saved, so no door sees it. Time is stretched: the tables' seconds are hours from now. */
function savable(document: Document, { now, present }: { readonly now: string; readonly present: Date }): Document | null {
  const { kind, scope } = document;
  const spec = document['spec'] as Record<string, unknown>;
  if (kind === 'Environment' && spec['type'] === undefined) return null;
  if (kind === 'ClaimMapping') {
    const grants = spec['grants'] as readonly Record<string, unknown>[];
    if (!grants.every((grant) => isGrant(grant, String(scope ?? '/')))) return null;
  }
  const made = specs[String(kind)];
  if (made !== undefined) return { ...document, spec: made(document) };
  if (typeof spec['expiresAt'] !== 'string') return document;
  const at = present.getTime() + (Date.parse(spec['expiresAt']) - Date.parse(now)) * everySecondAnHour;
  return { ...document, spec: { ...spec, expiresAt: new Date(Math.max(0, Math.min(at, farthest))).toISOString() } };
}

function isGrant(grant: Readonly<Record<string, unknown>>, scope: string): boolean {
  return (grant['resourceGroup'] === undefined) !== (grant['resources'] === undefined) && contains(parseScope(scope)!, parseScope(String(grant['scope']))!);
}

const keeper = 'keeper_of_the_doors';

/** An administrator whom no table names. It comes by a bootstrap token, since a password takes long to hash. */
async function newAccount(server: TestServer, account: string): Promise<{ readonly api: string; readonly adminToken: string }> {
  const { account: { id }, api } = await server.addEmptyAccount(account);
  const adminToken = `${account} `.repeat(32).replaceAll(' ', '-').slice(0, 64);
  await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, id, adminToken);
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await server.call({ method, path: `${api}/${path}`, token: adminToken, ...(body === undefined ? {} : { body }) });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  const binding = { principal: { type: 'service_account', id: keeper }, role: 'account_admin', resourceGroup: 'all_resources_including_child_scopes' };
  await call('POST', 'manifests:apply', { documents: [{ kind: 'ServiceAccount', identifier: keeper, spec: {} }, { kind: 'RoleBinding', identifier: keeper, spec: binding }] });
  const made = await call('POST', 'api-tokens', { principal: { type: 'service_account', path: keeper }, name: 'of the tables', mayAdminister: true, ttl: '1d' });
  return { api, adminToken: (made as { token: string }).token };
}

/** Makes the world of a file in an account of its own. */
export async function openDoors(server: TestServer, account: string, file: CaseFile, built: BuiltWorld): Promise<Doors> {
  const { adminToken, api } = await newAccount(server, account);
  const present = server.clock.now();
  const save = async (documents: readonly Document[]): Promise<void> => {
    const kept = documents.flatMap((document) => savable(document, { now: file.now, present }) ?? []);
    if (kept.length === 0) return;
    const answer = await server.call({ method: 'POST', path: `${api}/manifests:apply`, body: { documents: kept }, token: adminToken });
    assert.equal(answer.status, 200, `${account}: ${JSON.stringify(answer.body)}`);
  };
  await save(file.world);
  const ids = new Map<string, string>();
  for (const [name, session] of Object.entries(file.sessions)) {
    const id = await exchanged(server, account, { name, ...session });
    if (id !== null) ids.set(name, id);
  }
  await save(file.later.apply.filter((document) => !(document.kind === 'Role' && document.identifier === 'rises')));
  for (const uid of file.later.delete) {
    const answer = await server.call({ method: 'DELETE', path: `${api}/${pathOf(uid)}?cascade=true`, token: adminToken });
    assert.equal(answer.status, 204, `${uid}: ${JSON.stringify(answer.body)}`);
  }
  await save(file.later.again);
  const sessions = new Map<string, Session>();
  for (const [name, id] of ids) sessions.set(name, { id, isLive: await lives(server, { api, adminToken }, id) });
  return { server, account, adminToken, built, sessions };
}

/** Id of the session, or null when the exchange is refused. */
async function exchanged(server: TestServer, account: string, { name, issuer, claims }: { readonly name: string; readonly issuer: string; readonly claims: object }): Promise<string | null> {
  const now = Math.floor(server.clock.now().getTime() / 1_000);
  const token = issue(key, { ...claims, iss: issuerUrl(issuer), sub: name, aud: audience, iat: now, exp: now + 600 });
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
  const answer = await server.call({ method: 'POST', path: `/accounts/${account}/oauth/token`, form, token: null });
  if (answer.status !== 200) return null;
  const [row] = await server.sql<{ id: string }>(`select s.id from workload_session s join account a on a.id = s.account_id where a.identifier = $1 and s.subject = $2`, [account, name]);
  return row!.id;
}

/** A session that gives nothing any more is dead, and nobody. */
async function lives(server: TestServer, { api, adminToken }: { readonly api: string; readonly adminToken: string }, id: string): Promise<boolean> {
  const body = { principal: `session:${id}`, permission: 'role.view', resource: 'x' };
  const answer = await server.call({ method: 'POST', path: `${api}/access:check`, body, token: adminToken });
  return (answer.body as { reasons: { code: string }[] }).reasons[0]?.code !== 'unknown_principal';
}

function pathOf(uid: string): string {
  const [kind, path] = [uid.slice(0, uid.indexOf(':')), uid.slice(uid.indexOf(':') + 1)];
  const { scope, identifier } = parseResourcePath(path)!;
  const [org, project] = scope === '/' ? [] : scope.split('/');
  return `${org === undefined ? '' : `orgs/${org}/`}${project === undefined ? '' : `projects/${project}/`}${collectionOf(kind)}/${identifier}`;
}

const cannot = (why: string): DoorAnswer => ({ allowed: null, reason: null, why });

/** What of the tables no server can be brought to, whichever door is asked. */
const unreachable: Readonly<Record<string, string>> = {
  'a role whose level sank below the grant gives nothing': 'no role can sink below what grants it',
};

/** Made once for all doors. */
const askers = new WeakMap<Case, ReturnType<typeof whoAsks>>();

export async function ask(doors: Doors, door: Door, asked: Case): Promise<DoorAnswer> {
  const why = unreachable[asked.it];
  if (why !== undefined) return cannot(why);
  let asking = askers.get(asked);
  if (asking === undefined) askers.set(asked, (asking = whoAsks(doors, asked)));
  const who = await asking;
  if ('why' in who) return cannot(who.why);
  return door === 'authzen' ? askAuthzen(doors, asked, who) : askQuestion(doors, door, asked, who);
}

interface Asking {
  readonly token: string;
  /** Absent = the bearer of the token asks about itself. */
  readonly principal?: string;
  readonly subject: { readonly type: string; readonly id: string };
  /** Why reasons of a denial are not told; null = they are. */
  readonly hides: string | null;
}

async function whoAsks(doors: Doors, { who, within }: Case): Promise<Asking | { readonly why: string }> {
  const [type, name] = [who.slice(0, who.indexOf(':')), who.slice(who.indexOf(':') + 1)];
  const { adminToken, sessions } = doors;
  if (type === 'session') {
    if (within !== undefined) return { why: 'bounds of a session are asked for at its exchange' };
    const session = sessions.get(name);
    if (session === undefined) return { why: 'the exchange is refused: there is no such session' };
    return { token: adminToken, principal: `session:${session.id}`, subject: { type: 'workload', id: session.id }, hides: session.isLive ? null : 'a session that gives nothing is nobody' };
  }
  const subject = { type, id: name };
  if (type !== 'user' && type !== 'service_account') return { token: adminToken, principal: who, subject, hides: null };
  if (within === undefined) return { token: adminToken, principal: who, subject, hides: null };
  const token = await boundToken(doors, { type, path: name }, within);
  return token === null ? { why: 'a token has a bound at least' } : { token, subject, hides: 'about itself a bounded caller is not told why not' };
}

async function boundToken({ server, account, adminToken }: Doors, principal: object, bounds: readonly object[]): Promise<string | null> {
  if (bounds.length === 0) return null;
  const answer = await server.call({ method: 'POST', path: `/api/v1/accounts/${account}/api-tokens`, body: { principal, bounds, name: 'bounded' }, token: adminToken });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return (answer.body as { token: string }).token;
}

async function askQuestion(doors: Doors, door: 'check' | 'explain', asked: Case, who: Asking): Promise<DoorAnswer> {
  if (!['user', 'service_account', 'workload'].includes(who.subject.type)) return cannot('only users, service accounts and sessions can be named');
  const resource = resourceOf(asked);
  if ('why' in resource) return cannot(resource.why);
  const body = { ...(who.principal === undefined ? {} : { principal: who.principal }), permission: asked.may, resource: resource.words };
  const answer = await doors.server.call({ method: 'POST', path: `/api/v1/accounts/${doors.account}/access:${door}`, body, token: who.token });
  if (asked.denied === 'unknown_scope' && answer.status === 404) return cannot('a scope that is not there is not found');
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { allowed, reasons } = answer.body as { allowed: boolean; reasons: Told[] };
  return read(allowed, reasons, allowed ? null : who.hides);
}

function resourceOf({ may, on, create, change }: Case): { readonly words: unknown } | { readonly why: string } {
  if (change !== undefined) return { why: 'what is stored is asked about as it is stored' };
  if (create !== undefined) return { words: create };
  if (typeof on === 'string') return { words: on };
  return on!.kind === may.slice(0, may.indexOf('.')) ? { words: on!.path } : { why: 'the kind is that of the permission' };
}

async function askAuthzen(doors: Doors, asked: Case, who: Asking): Promise<DoorAnswer> {
  if (who.subject.id === 'bootstrap') return cannot('what is no principal of the account cannot be named');
  const resource = entityOf(doors, asked);
  if ('why' in resource) return cannot(resource.why);
  const body = { subject: who.subject, action: { name: asked.may }, resource, context: { reasons: true } };
  const answer = await doors.server.call({ method: 'POST', path: `/accounts/${doors.account}/access/v1/evaluation`, body, token: who.token });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { decision, context } = answer.body as { decision: boolean; context?: { reasons: Told[] } };
  const untold = who.principal === undefined ? 'a bounded caller may not explain' : 'what is unknown makes no question';
  return read(decision, context?.reasons ?? [], context === undefined ? untold : decision ? null : who.hides);
}

function entityOf({ built }: Doors, { may, on, create, change }: Case): { readonly type: string; readonly id: string; readonly properties?: object } | { readonly why: string } {
  const kind = typeof on === 'object' ? on.kind : may.split('.')[0]!;
  if (change !== undefined) return { why: 'what is stored is asked about as it is stored' };
  if (on !== undefined) return { type: kind, id: typeof on === 'string' ? on : on.path };
  const { scope, identifier, tags, attributes } = create!;
  if (identifier === undefined) return { why: 'a resource has an id' };
  if (built.kinds.of(built.world).nouns.get(kind)?.external !== undefined) return { type: kind, id: identifier, properties: { ...attributes, scope, ...(tags === undefined ? {} : { tags }) } };
  if (tags !== undefined || attributes !== undefined) return { why: 'what is said of our own kinds does not count' };
  return { type: kind, id: parseScope(scope) === '/' ? identifier : `${scope}/${identifier}` };
}

interface Told {
  readonly code: string;
  readonly binding?: string;
  readonly groupPath?: readonly string[];
}

function read(allowed: boolean, reasons: readonly Told[], why: string | null): DoorAnswer {
  if (why !== null) return { allowed, reason: null, why };
  const [first] = reasons;
  assert.ok(first !== undefined, 'a reason is told');
  return { allowed, reason: { allowed, code: first.code, via: first.binding ?? null, through: first.groupPath ?? [] }, why: null };
}
