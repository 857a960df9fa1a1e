/** Credentials: API tokens of users and service accounts, setup of the first admin, the bootstrap token. */
import { z } from 'zod';
import type { Bound, Caller, Principal } from '#kernel/caller.ts';
import type { Check, Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { Reply } from '#kernel/operation.ts';
import { accountScope, parseResourcePath } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { ReadyChange, ResourceServices, Snapshots } from '#features/resources/feature.ts';
import { authorOf, writeAs } from '#features/resources/feature.ts';
import type { Call } from '#platform/call.ts';
import { open, operation } from '#platform/call.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import { refuseMissing, refuseQuestion } from '#platform/http/refuse.ts';
import type { Decide } from './impersonate.ts';
import { impersonateOperation } from './impersonate.ts';
import type { KnownTokens } from './known-tokens.ts';
import { outlives, parentOf, refuseRevoked } from './lineage.ts';
import { recognisers } from './recognise.ts';
import { boundsOf, createdToken, expiryOf, newToken, setupAnswer, setupBody, tokenTtlMs, tokenView } from './schema.ts';
import { prepareSetup, writeSetup } from './setup.ts';
import type { Credential, CredentialKind } from './store.ts';
import { findById, insertCredential, listOf, revoke } from './store.ts';
import { hashToken, makeToken } from './token-form.ts';
import { viewOf } from './token-view.ts';

export { keepBootstrapToken } from './bootstrap.ts';
export { createKnownTokens } from './known-tokens.ts';
export { makeSetupCode } from './setup.ts';

export interface CredentialServices extends ResourceServices {
  readonly snapshots: Snapshots;
  readonly tokens: KnownTokens;
  /** All that a principal holds, as bounds: what handing out its credential gives away. */
  readonly holdings: (world: World, principal: { readonly type: string; readonly uid: string }) => readonly Bound[];
  readonly decide: Decide;
}

/** What may make tokens: with a row here, so that what it made ends when it is revoked. */
const makers: ReadonlySet<string> = new Set<CredentialKind>(['personal', 'service_account', 'bootstrap']);

interface Holder {
  readonly principal: Pick<Principal, 'type' | 'uid' | 'path'>;
  readonly scope: ScopePath;
}

export function credentialsFeature(services: CredentialServices): Manifest {
  const create = operation({
    name: 'api_token.create',
    summary: 'Makes a token for the caller, or for a principal whose rights the caller holds',
    method: 'POST',
    path: '{account}/api-tokens',
    input: { body: newToken },
    output: createdToken,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: z.infer<typeof newToken> }) => {
        const holder = holderOf(call, body.principal, 'api_token.create');
        return { checks: tokenChecks(services, call, holder, body.mayAdminister), before: call.world, after: call.world.overlay([]), found: holder };
      },
    },
    audit: 'api_token.create',
    dialect: 'api',
    prepare: async (call, { body }, holder: Holder) => prepareToken(call, body, holder),
    write: async (tx, call, _input, { credential, token, scope }) => {
      await refuseRevoked(tx, call.caller);
      await insertCredential(tx, { ...credential, hash: hashToken(token) });
      const { principalUid: principal, expiresAt, mayAdminister } = credential;
      call.note({ scope, resource: { kind: 'api_token', uid: credential.id, path: credential.id }, detail: { principal, expiresAt, mayAdminister } });
      return new Reply({ ...viewOf(credential), token }, { status: 201 });
    },
  });

  const list = operation({
    name: 'api_token.list',
    summary: 'Tokens of the caller, or of a principal',
    method: 'GET',
    path: '{account}/api-tokens',
    input: { query: page.extend({ principal: z.string().max(600).optional().describe('`user:alice`, `service_account:payments/ci`; absent = the caller') }) },
    output: z.strictObject({ items: z.array(tokenView), next: z.string().nullable() }),
    access: { shape: 'self' },
    audit: null,
    dialect: 'api',
    prepare: async (call, { query }) => {
      const holder = holderOf(call, parsePrincipal(query.principal), 'api_token.view');
      const question = { permission: 'api_token.view', target: tokenTarget(holder.scope) };
      if (!call.decide(question).allowed) {
        if (!isSelf(call, holder)) throw refuseQuestion(call, question);
        if (!speaksForPrincipal(call.caller)) return { items: await itself(services, call), next: null };
      } else if (!isSelf(call, holder) || !speaksForPrincipal(call.caller)) call.used(question);
      const { items, next } = await pageOf(services.cursors, call, {
        noun: 'api_token', query,
        read: ({ after, limit }) => listOf(services.database.read, call.account.id, holder.principal, { limit, after: after ?? '' }),
        keyOf: ({ id }) => id,
      });
      return { items: items.map(viewOf), next };
    },
  });

  const remove = operation({
    name: 'api_token.delete',
    summary: 'Revokes a token at once',
    method: 'DELETE',
    path: '{account}/api-tokens/{id}',
    input: { params: z.strictObject({ id: z.uuid() }) },
    output: null,
    access: { shape: 'self' },
    audit: 'api_token.delete',
    dialect: 'api',
    prepare: async (call, { params }) => {
      const credential = await findById(services.database.read, call.account.id, params.id);
      if (credential === null || credential.kind === 'setup') throw refuseMissing(call, 'api_token.delete', null);
      const scope = call.world.get(credential.principalUid ?? '')?.scope ?? accountScope;
      const question = { permission: 'api_token.delete', target: tokenTarget(scope) };
      if (!isOwn(call, credential)) {
        if (!call.decide(question).allowed) throw refuseQuestion(call, question);
        call.used(question);
      }
      return { credential, scope };
    },
    write: async (tx, call, _input, { credential, scope }: { credential: Credential; scope: ScopePath }) => {
      await revoke(tx, call.account.id, { id: credential.id }, call.now);
      call.note({ scope, resource: { kind: 'api_token', uid: credential.id, path: credential.id }, detail: { principal: credential.principalUid } });
      call.afterCommit(() => services.tokens.doubt());
      return null;
    },
  });

  const setup = operation({
    name: 'setup.complete',
    summary: 'Makes the first administrator with the one-time setup code',
    method: 'POST',
    path: '{account}/setup',
    input: { body: setupBody },
    output: setupAnswer,
    access: open('the one-time setup code is the credential'),
    audit: 'setup.complete',
    dialect: 'api',
    prepare: (call, { body }) => prepareSetup(services, call, body),
    write: async (tx, call, _input, ready) => {
      const change = (inTx: typeof tx, inCall: Call, caller: Call['caller'], planned: ReadyChange) => writeAs(services, { tx: inTx, call: inCall, caller }, planned);
      const { user, token, expiresAt } = await writeSetup(tx, call, ready, change);
      call.afterCommit(() => services.tokens.doubt());
      return new Reply({ user, token, expiresAt: expiresAt.toISOString() }, { status: 201 });
    },
  });

  return { name: 'credentials', operations: [create, impersonateOperation(services), list, remove, setup], recognisers: recognisers(services) };
}

type Wanted = { readonly type: 'user' | 'service_account'; readonly path: string } | 'bootstrap';

function parsePrincipal(text: string | undefined): Wanted | undefined {
  if (text === undefined) return undefined;
  // So that it can be found and revoked.
  if (text === 'system:bootstrap') return 'bootstrap';
  const colon = text.indexOf(':');
  const type = text.slice(0, colon);
  if (type !== 'user' && type !== 'service_account') throw refusal('request.invalid', { errors: [{ pointer: '/principal', message: 'must be `user:…` or `service_account:…`' }] });
  return { type, path: text.slice(colon + 1) };
}

function holderOf(call: Call, wanted: Wanted | undefined, permission: string): Holder {
  const { principal } = call.caller;
  if (wanted === 'bootstrap') return { principal: { type: 'system', uid: 'bootstrap', path: 'bootstrap' }, scope: accountScope };
  if (wanted === undefined) {
    if (principal.type !== 'user' && principal.type !== 'service_account') {
      throw refusal('request.invalid', { errors: [{ pointer: '/principal', message: `a ${principal.type} has no tokens; name a user or service account` }] });
    }
    return { principal, scope: call.world.get(principal.uid)?.scope ?? accountScope };
  }
  const place = parseResourcePath(wanted.path);
  const entry = place === null ? undefined : call.world.find(wanted.type, place.scope, place.identifier);
  if (entry === undefined) throw refuseMissing(call, permission, null);
  return { principal: { type: wanted.type, uid: entry.uid, path: entryPath(entry) }, scope: entry.scope };
}

function isSelf(call: Call, holder: Holder): boolean {
  return holder.principal.uid === call.caller.principal.uid && holder.principal.type === call.caller.principal.type;
}

/** What a token that does not speak for its principal sees without the permission to see more. */
async function itself({ database }: CredentialServices, call: Call): Promise<z.infer<typeof tokenView>[]> {
  const credential = await findById(database.read, call.account.id, call.caller.credential.id);
  return credential === null ? [] : [viewOf(credential)];
}

/** Not what is narrowed to less than its principal, or acts as it. */
function speaksForPrincipal({ bounds, actor }: Caller): boolean {
  return bounds === 'principal' && actor === undefined;
}

/** A token that does not speak for its principal is about itself, not about the principal's other tokens. */
function isOwn({ caller }: Call, credential: Credential): boolean {
  if (credential.id === caller.credential.id) return true;
  return speaksForPrincipal(caller) && credential.principalType === caller.principal.type && credential.principalUid === caller.principal.uid;
}

function tokenTarget(scope: ScopePath): Target {
  return { kind: 'api_token', scope, identifier: null, tags: {}, attributes: {} };
}

function tokenChecks(services: CredentialServices, call: Call, holder: Holder, mayAdminister: boolean): Check[] {
  const checks: Check[] = mayAdminister ? [{ ask: 'administer', kind: 'api_token' }] : [];
  if (isSelf(call, holder)) return checks;
  checks.push({ ask: 'permission', permission: 'api_token.create', target: tokenTarget(holder.scope), world: 'before' });
  const why = `you must hold all that \`${holder.principal.path}\` holds to make a token for it`;
  for (const given of services.holdings(call.world, holder.principal)) checks.push({ ask: 'holds', given, why });
  return checks;
}

function prepareToken(call: Call, body: z.infer<typeof newToken>, holder: Holder) {
  const { caller } = call;
  // A session ends in many ways (revoked, its mapping or issuer gone or narrowed), and no token would end with it.
  if (!makers.has(caller.credential.kind)) throw refusal('access.denied', { say: `${caller.actor === undefined ? `a ${caller.credential.kind}` : 'who acts as another'} makes no tokens; use an API token of your own` });
  const self = isSelf(call, holder);
  if (self && caller.bounds !== 'principal' && body.bounds !== undefined) {
    throw refusal('request.invalid', { errors: [{ pointer: '/bounds', message: 'a bounded token makes tokens with its own bounds' }] });
  }
  // An unattended installation leaves service accounts behind that go on without it (CONTRACTS §1), and nobody else.
  const mayOutlive = caller.credential.kind === 'bootstrap' && holder.principal.type === 'service_account';
  const expiresAt = expiryOf(body, { now: call.now, notAfter: mayOutlive ? null : caller.expiresAt, defaultMs: tokenTtlMs });
  if (expiresAt === null) throw outlives(caller);
  const kind = holder.principal.type === 'user' ? ('personal' as const) : ('service_account' as const);
  const credential: Credential = {
    id: call.uid(), accountId: call.account.id, kind, principalType: holder.principal.type, principalUid: holder.principal.uid, actor: null, name: body.name,
    bounds: self && caller.bounds !== 'principal' ? caller.bounds : boundsOf(body),
    mayAdminister: body.mayAdminister, createdAt: call.now, createdBy: authorOf(call.caller), parentId: parentOf(caller), expiresAt, revokedAt: null,
  };
  return { credential, token: makeToken(kind, (bytes) => call.random(bytes)), scope: holder.scope };
}
