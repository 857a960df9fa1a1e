/** The OAuth endpoints of an account: exchange (RFC 8693), introspection (RFC 7662), revocation (RFC 7009). */
import { z } from 'zod';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import { open, operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import { readWish } from './ask-less.ts';
import type { ExchangeServices, ReadySession } from './exchange.ts';
import { prepareSession, writeSession } from './exchange.ts';
import type { HolderServices } from './holder.ts';
import { bindingOf, nonceHeader, spendProof } from './holder.ts';
import type { LiveServices } from './recognise.ts';
import { liveSession } from './recognise.ts';
import { maxTokenLength } from './schema.ts';
import type { SessionTokens } from './session-token.ts';
import { principalOf } from './standing.ts';
import type { StoredSession } from './store.ts';
import { findSession, revokeSessions } from './store.ts';
import type { TokenRequest } from './token-request.ts';
import { accessTokenType, jwtBearer, refuseOtherTargets, subjectTokenOf, tokenAnswer, tokenRequest } from './token-request.ts';
import { workloadId } from './workload.ts';

/** Tells of tokens that others make for the account; null = none of theirs, or not good now. */
export type Introspector = (account: Call['account'], token: string, now: Date) => Promise<z.infer<typeof introspection> | null>;

export interface TokenServices extends ExchangeServices, LiveServices, HolderServices {
  readonly database: Database;
  readonly introspectors: readonly Introspector[];
}

/** Both standards: parameters nobody knows are ignored. */
const tokenParameter = z.object({ token: z.string().max(maxTokenLength), token_type_hint: z.string().max(256).optional() });

const introspection = z.strictObject({
  active: z.boolean(),
  iss: z.string().optional(),
  aud: z.string().optional(),
  sub: z.string().optional(),
  client_id: z.string().optional(),
  username: z.string().optional().describe('label of the session'),
  token_type: z.enum(['Bearer', 'DPoP']).optional(),
  cnf: z.record(z.string(), z.string()).optional().describe('what its holder has to prove (RFC 7800)'),
  scope: z.string().optional().describe('permissions it asked to be held to'),
  authorization_details: z.array(z.unknown()).optional().describe('what it asked to be held to (RFC 9396)'),
  iat: z.number().int().optional(),
  nbf: z.number().int().optional(),
  exp: z.number().int().optional(),
  jti: z.string().optional(),
});
const inactive = { active: false };

export function tokenEndpoints(services: TokenServices): AnyOperation[] {
  const exchange = operation({
    name: 'session.create',
    summary: 'Trades the token of a trusted issuer for a session (RFC 8693, RFC 7523)',
    method: 'POST',
    path: '{issuer}/oauth/token',
    input: { body: tokenRequest },
    output: tokenAnswer,
    access: open('the subject token is the credential'),
    audit: 'session.create',
    dialect: 'oauth',
    prepare: async (call, { body }) => {
      refuseOtherTargets(body, services.tokens.issuerOf(call.account.identifier));
      const wish = readWish(body);
      const { confirmation, proof } = await bindingOf(services, { accountId: call.account.id, possession: call.possession, now: call.now });
      const ready = await prepareSession(services, call, { token: subjectTokenOf(body), wish, confirmation, isAssertion: body.grant_type === jwtBearer, isDirect: false });
      return { ready, proof, headers: proof === null ? {} : await nonceHeader(services.proofs, { accountId: call.account.id, now: call.now }) };
    },
    write: async (tx, call, { body }, { ready, proof, headers }) => {
      if (proof !== null) await spendProof(tx, proof);
      await writeSession(tx, call, ready, services);
      call.afterCommit(() => services.met.remember(call.account.id, ready.mappings));
      call.afterCommit(() => services.metrics.exchanges.inc({ outcome: 'success' }));
      return new Reply(answerOf(ready, body), { headers });
    },
  });

  const introspect = operation({
    name: 'session.introspect',
    summary: 'Whether a session token, or a token minted for a step, is good now (RFC 7662)',
    method: 'POST',
    path: '{issuer}/oauth/introspect',
    input: { body: tokenParameter },
    output: introspection,
    access: { shape: 'self' },
    audit: null,
    dialect: 'oauth',
    prepare: async (call, { body }) => {
      const id = await services.tokens.verify(call.account.id, body.token, call.now);
      const live = id === null ? null : await liveSession(services, call.account.id, id, call.now);
      if (live !== null) return activeView(services.tokens, call, live.session);
      const told = await Promise.all(services.introspectors.map((tell) => tell(call.account, body.token, call.now)));
      return told.find((one) => one !== null) ?? inactive;
    },
  });

  const revoke = operation({
    name: 'session.give_back',
    summary: 'Ends the session whose token is sent (RFC 7009)',
    method: 'POST',
    path: '{issuer}/oauth/revoke',
    input: { body: tokenParameter },
    output: null,
    access: open('whoever holds a session token may end its session'),
    audit: null,
    dialect: 'oauth',
    prepare: async (call, { body }) => {
      const id = await services.tokens.verify(call.account.id, body.token, call.now);
      const session = id === null ? null : await findSession(services.database.read, call.account.id, id);
      // Anybody may send anything, so what ends nothing opens no transaction.
      return session === null || session.revokedAt !== null ? new Reply(null) : session;
    },
    write: async (tx, call, _input, session: StoredSession) => {
      const principal = principalOf(session);
      const ended = await revokeSessions(tx, call.account.id, { id: session.id }, { at: call.now, author: `workload:${principal.path}` });
      const resource = { kind: 'session', uid: session.id, path: session.id };
      if (ended > 0) call.note({ action: 'session.revoke', actor: principal, session: session.id, resource, claims: session.recorded?.claims ?? session.claims, detail: { sessions: ended } });
      call.afterCommit(() => services.sessions.forget());
      return new Reply(null);
    },
  });

  return [exchange, introspect, revoke];
}

function answerOf({ session, token, expiresInSeconds }: ReadySession, { grant_type: grant }: TokenRequest): z.infer<typeof tokenAnswer> {
  const issued = grant === jwtBearer ? {} : { issued_token_type: accessTokenType } as const;
  return { access_token: token, ...issued, token_type: tokenTypeOf(session), expires_in: expiresInSeconds, ...lessOf(session) };
}

/** RFC 9449 §5; a session bound to a certificate is used as a Bearer (RFC 8705 §3). */
function tokenTypeOf({ confirmation }: StoredSession): 'Bearer' | 'DPoP' {
  return confirmation !== null && 'jkt' in confirmation ? 'DPoP' : 'Bearer';
}

/** RFC 9396 §7, §9.2. */
function lessOf({ less }: StoredSession): { scope?: string; authorization_details?: unknown[] } {
  return {
    ...(less === null || less.scope === null ? {} : { scope: less.scope.join(' ') }),
    ...(less === null || less.details === null ? {} : { authorization_details: [...less.details] }),
  };
}

function activeView(tokens: SessionTokens, call: Call, session: StoredSession): z.infer<typeof introspection> {
  const issuer = tokens.issuerOf(call.account.identifier);
  const id = workloadId(session.issuer, session.subject);
  return {
    active: true, iss: issuer, aud: issuer, sub: id, client_id: id, username: session.label, token_type: tokenTypeOf(session), ...lessOf(session),
    ...(session.confirmation === null ? {} : { cnf: session.confirmation }),
    iat: Math.floor(session.createdAt.getTime() / 1_000), exp: session.expiresAt.getTime() / 1_000, jti: session.id,
  };
}
