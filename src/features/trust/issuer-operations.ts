/** What is asked of one issuer beside its document: how it stands, and catch mode. */
import { z } from 'zod';
import { authorOf, targetOf } from '#features/resources/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { durationSeconds } from '#kernel/marks.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import { entryPath } from '#kernel/world.ts';
import { on, operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { TrustedIssuer } from './account-trust.ts';
import type { Catching, TenantFilter } from './catch.ts';
import { findCatch, listCaught, startCatch, stopCatch } from './catch-store.ts';
import { issuerStatus, statusOf } from './issuer-status.ts';
import type { IssuerKeys } from './keys.ts';
import { isShared, tenantClaimsOf } from './presets.ts';
import { catchWish } from './schema.ts';
import type { CatchWish, IssuerFacts } from './schema.ts';

export interface IssuerServices {
  readonly database: Database;
  readonly keys: IssuerKeys;
  readonly catching: Catching;
}

const params = z.strictObject({ identifier: z.string().max(128) });
const time = z.iso.datetime({ precision: 3 });

const catchView = z.strictObject({
  until: time.nullable().describe('null when nothing is caught now'),
  tenant: z.strictObject({ claim: z.string(), value: z.unknown() }).nullable(),
  startedBy: z.string().nullable(),
  items: z.array(z.strictObject({
    id: z.uuid(), at: time, outcome: z.enum(['success', 'refused']), claims: z.unknown(),
    subject: z.string().nullable(),
    correlationId: z.string().describe('to have it explained by'),
    because: z.string().nullable().describe('why it was refused'),
    mappings: z.array(z.string()).describe('those that matched, or else the nearest'),
  })).describe('the newest first, at most twenty'),
});

export function issuerOperations(services: IssuerServices): AnyOperation[] {
  const { database, catching } = services;
  const common = { dialect: 'api' as const, path: '{account}/trusted-issuers/{identifier}/catch', access: issuerFor('edit') };

  const status = operation({
    ...common,
    name: 'trusted_issuer.status',
    summary: 'How it stands with an issuer: its keys, refusals of the last hour by check, claims nobody knows',
    method: 'GET',
    path: '{account}/trusted-issuers/{identifier}/status',
    input: { params },
    output: issuerStatus,
    access: issuerFor('view'),
    audit: null,
    prepare: (call, _input, issuer: TrustedIssuer) => statusOf(services, call, issuer),
  });

  const start = operation({
    ...common,
    name: 'trusted_issuer.catch',
    summary: 'Keeps the claims of the last twenty proven tokens of an issuer for a while, to write mappings by',
    method: 'PUT',
    input: { params, body: catchWish },
    output: z.strictObject({ until: time }),
    audit: 'trusted_issuer.catch',
    prepare: async (call, { body }, issuer: TrustedIssuer) => {
      refuseOpenCatch(issuer, body);
      return { issuer, until: new Date(call.now.getTime() + durationSeconds(body.for) * 1_000), tenant: (body.tenant ?? null) as TenantFilter | null };
    },
    write: async (tx, call, _input, { issuer, until, tenant }) => {
      await startCatch(tx, { accountId: call.account.id, issuerUid: issuer.uid, tenant, until }, { at: call.now, author: authorOf(call.caller) });
      call.note({ resource: resourceOf(issuer), detail: { until: until.toISOString(), tenantClaim: tenant?.claim ?? null } });
      call.afterCommit(() => catching.reload());
      return { until: until.toISOString() };
    },
  });

  const stop = operation({
    ...common,
    name: 'trusted_issuer.catch_stop',
    summary: 'Ends catching, and forgets what was caught',
    method: 'DELETE',
    input: { params },
    output: null,
    audit: 'trusted_issuer.catch_stop',
    prepare: async (_call, _input, issuer: TrustedIssuer) => issuer,
    write: async (tx, call, _input, issuer) => {
      const was = await stopCatch(tx, call.account.id, issuer.uid);
      call.note({ resource: resourceOf(issuer), detail: { was } });
      call.afterCommit(() => catching.reload());
      return null;
    },
  });

  const caught = operation({
    ...common,
    name: 'trusted_issuer.caught',
    summary: 'What was caught of an issuer',
    method: 'GET',
    input: { params },
    output: catchView,
    audit: null,
    prepare: (call, _input, issuer: TrustedIssuer) => caughtView(database, call, issuer),
  });

  return [status, start, stop, caught];
}

function issuerFor(verb: 'view' | 'edit') {
  return on(`trusted_issuer.${verb}`, async (call: Call, { params: { identifier } }: { params: { identifier: string } }) => {
    const entry = call.world.find('trusted_issuer', accountScope, identifier);
    if (entry === undefined) return null;
    const issuer: TrustedIssuer = { uid: entry.uid, path: entryPath(entry), facts: entry.facts as IssuerFacts };
    return { target: targetOf(entry), found: issuer };
  });
}

/** Of an issuer that others share, only what is one's own may be watched. */
function refuseOpenCatch({ facts }: TrustedIssuer, { tenant }: CatchWish): void {
  const { preset, spec } = facts;
  const claims = tenantClaimsOf(preset);
  if (!isShared(preset, spec.issuer) || (tenant !== undefined && (claims.length === 0 || claims.includes(tenant.claim)))) return;
  const which = claims.length === 0 ? 'a claim that is yours alone' : claims.map((claim) => `\`${claim}\``).join(' or ');
  throw refusal('request.invalid', { errors: [{ pointer: '/tenant', message: `others get tokens of this issuer too: name your own by ${which}` }] });
}

function resourceOf({ uid, path }: TrustedIssuer) {
  return { kind: 'trusted_issuer', uid, path };
}

async function caughtView(database: Database, call: Call, { uid }: TrustedIssuer): Promise<z.infer<typeof catchView>> {
  const running = await findCatch(database.read, call.account.id, uid);
  const isRunning = running !== null && running.until > call.now;
  const items = await listCaught(database.read, call.account.id, uid, call.now);
  return {
    until: isRunning ? running.until.toISOString() : null, tenant: running?.tenant ?? null, startedBy: running?.startedBy ?? null,
    items: items.map(({ id, at, outcome, claims, detail }) => {
      const said = detail as { subject?: string; requestId: string; because?: string; mappings?: string[] };
      return {
        id, at: at.toISOString(), outcome: outcome as 'success' | 'refused', claims, subject: said.subject ?? null,
        correlationId: said.requestId, because: said.because ?? null, mappings: said.mappings ?? [],
      };
    }),
  };
}
