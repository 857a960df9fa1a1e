/** Audit: list, export, verify; and the work that numbers rows and writes summaries. */
import { z } from 'zod';
import type { Check } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { childScope, contains, parseResourcePath } from '#kernel/scope.ts';
import type { Call } from '#platform/call.ts';
import { on, operation } from '#platform/call.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { momentKey, momentOf, pageOf } from '#platform/http/paged.ts';
import type { Digester } from '#platform/keyring.ts';
import type { ClaimMatch } from './claim-search.ts';
import { readClaimSearch } from './claim-search.ts';
import type { RefusalCounts } from './refusals.ts';
import { formOf } from './kept.ts';
import { auditEvent, auditQuery, newestCheckpoint, verification, verificationWish } from './schema.ts';
import type { SequencerServices } from './sequencer.ts';
import { sequenceAll } from './sequencer.ts';
import type { AuditFilter, ListedEvent } from './store.ts';
import { lastCheckpoint, listEvents, trailPart } from './store.ts';
import type { VerifiableRow } from './verify.ts';
import { verifierOf } from './verify-online.ts';

export { recordByOperator } from './operator.ts';
export { createRecorder } from './record.ts';
export type { Recorder } from './record.ts';
export { createRefusalCounts } from './refusals.ts';
export type { RefusalCounts } from './refusals.ts';
export { verifyExport } from './export-file.ts';
export { digestOfClaim } from './claim-search.ts';
export { findEvent, listEvents } from './store.ts';
export { countRefusals, pastExchanges, recentExchanges } from './exchange-counts.ts';
export type { PastExchange } from './exchange-counts.ts';
export type { AuditFilter, ListedEvent } from './store.ts';
export { formOf, readKept } from './kept.ts';
export type { Kept } from './kept.ts';
export type { Verification } from './verify.ts';

export interface AuditServices extends Omit<SequencerServices, 'signed'> {
  readonly cursors: Cursors;
  readonly refusals: RefusalCounts;
  readonly sequencerMs: number;
}

const exportBatch = 1_000;

type OwnServices = AuditServices & SequencerServices;

export function auditFeature(given: AuditServices): Manifest {
  const services: OwnServices = { ...given, signed: new Map() };
  const verifyOnline = verifierOf(services);
  const list = operation({
    name: 'audit.list',
    summary: 'Audit events of a scope, newest first',
    method: 'GET',
    path: '{scope}/audit',
    input: { query: auditQuery },
    output: z.strictObject({ items: z.array(auditEvent), next: z.string().nullable() }),
    access: on('audit.view', auditTarget),
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => listPage(services, call, query),
  });

  const exported = operation({
    name: 'audit.export',
    summary: 'The numbered trail in order with its checkpoints and public keys: all that verifying needs',
    method: 'GET',
    path: '{account}/audit:export',
    input: { query: z.strictObject({ after: z.coerce.number().int().min(0).default(0) }) },
    output: z.strictObject({ account: z.uuid(), rows: z.array(z.unknown()), checkpoints: z.array(z.unknown()), keys: z.array(z.unknown()), next: z.number().int().nullable() }),
    access: { shape: 'plan', plan: async (call: Call) => ({ checks: everywhere(call), before: call.world, after: call.world.overlay([]), found: undefined }) },
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => exportBatchAfter(services, call, query.after),
  });

  const checkpoint = operation({
    name: 'audit.checkpoint',
    summary: 'The newest checkpoint with the public keys, to keep where nobody who runs the server can change it',
    method: 'GET',
    path: '{account}/audit:checkpoint',
    input: {},
    output: newestCheckpoint,
    access: on('audit.view', auditTarget),
    audit: null,
    dialect: 'api',
    prepare: async (call) => {
      const last = await lastCheckpoint(services.database.read, call.account.id);
      return { account: call.account.id, checkpoints: last === null ? [] : [formOf(last)], keys: await services.keyring.publicKeys(call.account.id, 'checkpoint') };
    },
  });

  const verify = operation({
    name: 'audit.verify',
    summary: 'Numbers what is pending, then verifies the trail, also against checkpoints that were kept elsewhere; a long one in parts',
    method: 'POST',
    path: '{account}/audit:verify',
    input: { body: verificationWish.optional() },
    output: verification,
    access: on('audit.view', auditTarget),
    audit: null,
    dialect: 'api',
    prepare: (call, { body }) => verifyOnline(call, body),
  });

  return {
    name: 'audit',
    operations: [list, exported, checkpoint, verify],
    jobs: [
      { name: 'audit.sequence', everyMs: services.sequencerMs, run: () => sequenceAll(services) },
      { name: 'audit.summarise', everyMs: 5_000, run: () => services.refusals.flush() },
    ],
  };
}

/** The trail of a scope is seen with `audit.view` there; account-wide work needs it at the account. */
async function auditTarget(call: Call) {
  if (!call.world.hasScope(call.scope)) return null;
  return { target: auditAt(call.scope), found: undefined };
}

function auditAt(scope: string) {
  return { kind: 'audit', scope, identifier: null, tags: {}, attributes: {} };
}

async function listPage(services: AuditServices, call: Call, query: z.infer<typeof auditQuery>) {
  const filter: AuditFilter = {
    since: query.since, until: query.until, action: query.action, resource: query.resource, outcome: query.outcome, session: query.session, requestId: query.requestId,
    actor: query.actor === undefined ? undefined : actorUid(call, query.actor),
    claims: query.claim === undefined ? undefined : claimFilter(query.claim, await services.keyring.digester(call.account.id)),
    tokenSha256: query.tokenSha256,
    scope: call.scope,
    below: query.below === 'true' && seesAllBelow(call),
  };
  const { items, next } = await pageOf(services.cursors, call, {
    noun: 'audit', query,
    read: ({ after, limit }) => listEvents(services.database.read, call.account.id, filter, { limit, before: after === null ? null : momentOf(after) }),
    keyOf: ({ event }) => momentKey(event),
  });
  return { items: items.map(viewOf), next };
}

/** The whole trail is for those who may see all of it, scope by scope. */
function everywhere(call: Call): Check[] {
  const below = ['organization', 'project'].flatMap((kind) => [...call.world.list(kind)].map((entry) => childScope(entry.scope, entry.identifier)));
  return ['/', ...below].map((scope): Check => ({ ask: 'permission', permission: 'audit.view', target: auditAt(scope), world: 'before' }));
}

/** Events below are shown only to one who may see the audit of every scope there; otherwise scope by scope. */
function seesAllBelow(call: Call): boolean {
  for (const kind of ['organization', 'project']) {
    for (const entry of call.world.list(kind)) {
      const scope = childScope(entry.scope, entry.identifier);
      if (contains(call.scope, scope) && !call.decide({ permission: 'audit.view', target: auditAt(scope) }).allowed) return false;
    }
  }
  return true;
}

function actorUid(call: Call, text: string): string {
  const colon = text.indexOf(':');
  const place = parseResourcePath(text.slice(colon + 1));
  const kind = text.slice(0, colon);
  if ((kind !== 'user' && kind !== 'service_account') || place === null) return text;
  return call.world.find(kind, place.scope, place.identifier)?.uid ?? text;
}

function claimFilter(text: string, digest: Digester): readonly ClaimMatch[] {
  const matches = readClaimSearch(text, digest);
  if (matches !== null) return matches;
  throw refusal('request.invalid', { errors: [{ pointer: '/claim', message: 'must be like `/terraform_workspace_id=ws-123`, `/run:number=5` or `{"sub":"…"}`' }] });
}

function viewOf({ event, personal, commitments, seq }: ListedEvent): z.infer<typeof auditEvent> {
  const actor = personal.actor?.value as { path: string; by?: string } | undefined;
  const erased = Object.keys(commitments).filter((field) => !(field in personal));
  return {
    id: event.id,
    seq,
    at: event.at.toISOString(),
    actor: event.actorType === null ? null : { type: event.actorType, uid: event.actorUid ?? '', path: actor?.path ?? null, ...(actor?.by === undefined ? {} : { by: actor.by }) },
    via: event.via,
    action: event.action,
    resource: event.resourceKind === null ? null : { kind: event.resourceKind, uid: event.resourceUid ?? '', path: event.resourcePath },
    scope: event.scope,
    outcome: event.outcome,
    ...(event.sessionId === null ? {} : { session: event.sessionId }),
    ...(personal.claims === undefined ? {} : { claims: personal.claims.value }),
    ...(personal.diff === undefined ? {} : { diff: personal.diff.value }),
    ...(event.detail === null || event.detail === undefined ? {} : { detail: event.detail }),
    ...(personal.address === undefined ? {} : { address: String(personal.address.value) }),
    ...(erased.length === 0 ? {} : { erased }),
    requestId: event.requestId,
  };
}

async function exportBatchAfter(services: AuditServices, { account: { id: accountId } }: Call, after: number) {
  const { rows, checkpoints } = await trailPart(services.database.read, accountId, { after, through: Number.MAX_SAFE_INTEGER }, exportBatch);
  return {
    account: accountId,
    rows: rows.map(exportedRow),
    checkpoints: checkpoints.map(formOf),
    keys: await services.keyring.publicKeys(accountId, 'checkpoint'),
    next: rows.length === exportBatch ? rows.at(-1)!.seq : null,
  };
}

function exportedRow(row: VerifiableRow): unknown {
  return { ...row, link: row.link.toString('hex') };
}

