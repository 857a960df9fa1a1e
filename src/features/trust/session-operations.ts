/** Sessions of an account: list, end one, end many. */
import { z } from 'zod';
import { authorOf } from '#features/resources/feature.ts';
import type { Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { on, operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import type { SessionView } from './schema.ts';
import { sessionView } from './schema.ts';
import type { Sessions } from './sessions.ts';
import type { RevocationSelector, StoredSession } from './store.ts';
import { findSession, listSessions, revokeSessions } from './store.ts';

export interface SessionServices {
  readonly database: Database;
  readonly cursors: Cursors;
  readonly sessions: Sessions;
}

const selectors = {
  subject: z.string().min(1).max(1_000).optional().describe('sessions of every workload with this subject'),
  issuer: z.string().min(1).max(128).optional().describe('identifier of a TrustedIssuer, or the uid of one that is gone'),
  mapping: z.string().min(1).max(400).optional().describe('path of a ClaimMapping, or the uid of one that is gone'),
};

const sessionQuery = page.extend({ ...selectors, all: z.enum(['true', 'false']).default('false').describe('also those that are over or revoked') });

const revocation = z
  .strictObject(selectors)
  .refine((body) => Object.values(body).filter((value) => value !== undefined).length === 1, { error: 'name exactly one of `subject`, `issuer` and `mapping`' });

export function sessionOperations(services: SessionServices): AnyOperation[] {
  const { database, sessions } = services;
  const common = { dialect: 'api' as const };

  const list = operation({
    ...common,
    name: 'session.list',
    summary: 'Sessions of workloads, newest first',
    method: 'GET',
    path: '{account}/sessions',
    input: { query: sessionQuery },
    output: z.strictObject({ items: z.array(sessionView), next: z.string().nullable() }),
    access: on('session.view', async () => ({ target: sessionTarget(null), found: undefined })),
    audit: null,
    prepare: (call, { query }) => listPage(services, call, query),
  });

  const remove = operation({
    ...common,
    name: 'session.delete',
    summary: 'Ends a session at once',
    method: 'DELETE',
    path: '{account}/sessions/{id}',
    input: { params: z.strictObject({ id: z.uuid() }) },
    output: null,
    access: on('session.delete', async (call: Call, { params }: { params: { id: string } }) => {
      const session = await findSession(database.read, call.account.id, params.id);
      return session === null ? null : { target: sessionTarget(session.id), found: session };
    }),
    audit: 'session.revoke',
    prepare: async (_call, _input, session: StoredSession) => session,
    write: async (tx, call, _input, session) => {
      const ended = await revokeSessions(tx, call.account.id, { id: session.id }, { at: call.now, author: authorOf(call.caller) });
      call.note({ resource: { kind: 'session', uid: session.id, path: session.id }, detail: { sessions: ended } });
      call.afterCommit(() => sessions.forget());
      return null;
    },
  });

  const revoke = operation({
    ...common,
    name: 'session.revoke',
    summary: 'Ends all sessions of a subject, an issuer or a mapping at once',
    method: 'POST',
    path: '{account}/sessions:revoke',
    input: { body: revocation },
    output: z.strictObject({ revoked: z.number().int() }),
    access: on('session.delete', async () => ({ target: sessionTarget(null), found: undefined })),
    audit: 'session.revoke',
    prepare: async (call, { body }) => selectorOf(call.world, body),
    write: async (tx, call, { body }, selector) => {
      const revoked = await revokeSessions(tx, call.account.id, selector, { at: call.now, author: authorOf(call.caller) });
      call.note({ detail: { ...body, sessions: revoked } });
      call.afterCommit(() => sessions.forget());
      return { revoked };
    },
  });

  return [list, remove, revoke];
}

function sessionTarget(identifier: string | null): Target {
  return { kind: 'session', scope: '/', identifier, tags: {}, attributes: {} };
}

async function listPage(services: SessionServices, call: Call, query: z.infer<typeof sessionQuery>) {
  const filter = {
    subject: query.subject,
    issuerUid: query.issuer === undefined ? undefined : issuerUid(call.world, query.issuer),
    mappingUid: query.mapping === undefined ? undefined : mappingUid(call.world, query.mapping),
    liveAt: query.all === 'true' ? undefined : call.now,
  };
  const { items, next } = await pageOf(services.cursors, call, {
    noun: 'session', query,
    read: ({ after, limit }) => listSessions(services.database.read, call.account.id, filter, { limit, before: after }),
    keyOf: ({ id }) => id,
  });
  return { items: items.map((session) => viewOf(call.world, session)), next };
}

function viewOf(world: World, session: StoredSession): SessionView {
  const issuer = world.get(session.issuerUid);
  return {
    id: session.id,
    issuer: issuer === undefined ? session.issuer : entryPath(issuer),
    subject: session.subject,
    label: session.label,
    claims: session.recorded?.claims ?? session.claims,
    mappings: session.mappings.map(({ mappingUid: uid, version, expiresAtMs }) => {
      const mapping = world.get(uid);
      return { uid, path: mapping === undefined ? null : entryPath(mapping), version, expiresAt: new Date(expiresAtMs).toISOString() };
    }),
    ...heldTo(session),
    createdAt: session.createdAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    revokedAt: session.revokedAt?.toISOString() ?? null,
    revokedBy: session.revokedBy,
  };
}

function heldTo({ less, confirmation, isDirect }: StoredSession): Partial<SessionView> {
  return {
    ...(less === null || less.scope === null ? {} : { scope: less.scope.join(' ') }),
    ...(less === null || less.details === null ? {} : { authorizationDetails: [...less.details] }),
    ...(confirmation === null ? {} : { boundTo: 'jkt' in confirmation ? 'key' as const : 'certificate' as const }),
    ...(isDirect ? { direct: true as const } : {}),
  };
}

function selectorOf(world: World, body: z.infer<typeof revocation>): RevocationSelector {
  if (body.subject !== undefined) return { subject: body.subject };
  return body.issuer === undefined ? { mappingUid: mappingUid(world, body.mapping!) } : { issuerUid: issuerUid(world, body.issuer) };
}

function issuerUid(world: World, text: string): string {
  return world.find('trusted_issuer', '/', text)?.uid ?? uidIn(text, 'issuer', 'TrustedIssuer');
}

function mappingUid(world: World, text: string): string {
  const place = parseResourcePath(text);
  const entry = place === null ? undefined : world.find('claim_mapping', place.scope, place.identifier);
  return entry?.uid ?? uidIn(text, 'mapping', 'ClaimMapping');
}

/** A uid outlives its document, so sessions of what was deleted can still be found. */
function uidIn(text: string, field: string, kind: string): string {
  if (z.uuid().safeParse(text).success) return text;
  throw refusal('request.invalid', { errors: [{ pointer: `/${field}`, message: `there is no ${kind} \`${text}\`` }] });
}
