/** Shadow mode: a draft over the exchanges of past days. Nothing is written. */
import { createHash } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { z } from 'zod';
import type { PastExchange } from '#features/audit/feature.ts';
import { pastExchanges } from '#features/audit/feature.ts';
import type { ChangeServices } from '#features/resources/feature.ts';
import { reviewDocuments } from '#features/resources/feature.ts';
import { changeBody } from '#features/resources/schema.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Check } from '#kernel/decision.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { momentKey, momentOf, pageOf } from '#platform/http/paged.ts';
import type { Digester } from '#platform/keyring.ts';
import type { ClaimMappingFacts, IssuerFacts } from './schema.ts';
import type { Comparison, Recorded } from './shadow.ts';
import { compareWorlds } from './shadow.ts';

export type ShadowServices = ChangeServices & { readonly cursors: Cursors };

/** Exchanges one page looks at. */
const perPage = 2_000;
const breatheEvery = 200;
const dayMs = 86_400_000;
/** Changes of these may concern every issuer: what grants name. */
const grantedKinds = ['role', 'resource_group', 'organization', 'project'];

const question = changeBody.extend({
  days: z.number().int().min(1).max(90).default(7),
  cursor: z.string().max(1_024).optional(),
});

const time = z.iso.datetime({ precision: 3 });
const grant = z.strictObject({
  mapping: z.string(), role: z.string(), scope: z.string(), resourceGroup: z.string().optional(), resources: z.array(z.unknown()).readonly().optional(), includeChildScopes: z.boolean(),
});

const answer = z.strictObject({
  items: z.array(z.strictObject({
    workload: z.string().nullable().describe('issuer and subject; null when the token had no subject'),
    verdict: z.enum(['gains', 'loses', 'both', 'cannot_tell']),
    gains: z.array(grant).readonly(),
    loses: z.array(grant).readonly(),
    because: z.string().nullable().describe('why it cannot be told'),
    exchanges: z.number().int().describe('of this page, with this verdict'),
    last: z.strictObject({ event: z.string(), at: time }).describe('the newest of them, in the audit'),
  })),
  looked: z.number().int().describe('exchanges of this page'),
  unchanged: z.number().int().describe('those of them that would have given what they gave'),
  notes: z.array(z.string()).describe('what no exchange of the past can tell about this draft'),
  next: z.string().nullable(),
});
type Answer = z.infer<typeof answer>;

/** A draft can be written so that its outcome tells what a claim was: so whoever asks must be allowed to read the audit. */
const permissions = ['access.explain', 'audit.view', 'trusted_issuer.view'];

export function shadowOperation(services: ShadowServices): AnyOperation {
  return operation({
    name: 'trust.shadow',
    summary: 'Which workloads would have gained or lost what under drafts of mappings and issuers, by the exchanges of past days; changes nothing',
    method: 'POST',
    path: '{account}/trust:shadow',
    input: { body: question },
    output: answer,
    access: {
      shape: 'plan',
      plan: async (call: Call) => ({ checks: permissions.map(checkOf), before: call.world, after: call.world.overlay([]), found: undefined }),
    },
    audit: null,
    dialect: 'api',
    prepare: (call, { body }) => shadow(services, call, body),
  });
}

function checkOf(permission: string): Check {
  const kind = permission.slice(0, permission.indexOf('.'));
  return { ask: 'permission', permission, target: { kind, scope: accountScope, identifier: null, tags: {}, attributes: {} }, world: 'before' };
}

async function shadow(services: ShadowServices, call: Call, { days, cursor, ...body }: z.infer<typeof question>): Promise<Answer> {
  const after = await reviewDocuments(services, call, body);
  const before = call.world;
  const issuerUids = issuersConcerned(before, after);
  const since = new Date(call.now.getTime() - days * dayMs);
  const { items, next } = await pageOf(services.cursors, call, {
    noun: 'shadow', query: { limit: perPage, cursor, days, documents: createHash('sha256').update(canonicalJson(body)).digest('hex') },
    read: ({ after: behind, limit }) => pastExchanges(services.database.read, { accountId: call.account.id, issuerUids, since }, { limit, before: behind === null ? null : momentOf(behind) }),
    keyOf: momentKey,
  });
  const digest = await services.keyring.digester(call.account.id);
  const groups = new Map<string, Answer['items'][number]>();
  let unchanged = 0;
  for (const [i, exchange] of items.entries()) {
    if (i % breatheEvery === breatheEvery - 1) await breathe(undefined, { signal: call.signal });
    const { verdict, ...rest } = compareWorlds(before, after, recordedOf(exchange, digest));
    if (verdict === 'unchanged') unchanged += 1;
    else add(groups, exchange, { verdict, ...rest });
  }
  return { items: [...groups.values()], looked: items.length, unchanged, notes: notesOf(before, after), next };
}

/** One item for each workload and what it would gain and lose; the newest exchange comes first. */
function add(groups: Map<string, Answer['items'][number]>, { subject, id, at }: PastExchange, found: Comparison & { readonly verdict: Exclude<Comparison['verdict'], 'unchanged'> }): void {
  const key = canonicalJson([subject, found]);
  const known = groups.get(key);
  if (known !== undefined) known.exchanges += 1;
  else groups.set(key, { workload: subject, ...found, exchanges: 1, last: { event: id, at: at.toISOString() } });
}

function recordedOf({ at, accepted, claims, detail }: PastExchange, digest: Digester): Recorded {
  const { redacted = [], confirmation, direct } = (detail ?? {}) as { redacted?: readonly string[]; confirmation?: unknown; direct?: boolean };
  return {
    at, claims: { claims: claims as Record<string, unknown>, redacted, digest },
    use: accepted ? { isBound: confirmation !== undefined, isDirect: direct === true } : null,
  };
}

/** Whose mappings, rules or granted things differ; uids on both sides. */
function issuersConcerned(before: World, after: World): string[] {
  if (grantedKinds.some((kind) => after.changesOf(kind).size > 0)) return [...new Set([before, after].flatMap((world) => [...world.list('trusted_issuer')].map(({ uid }) => uid)))];
  const mappings = [...after.changesOf('claim_mapping').keys()].flatMap((uid) => [before.get(uid), after.get(uid)]);
  const ofMappings = mappings.flatMap((entry) => (entry?.kind === 'claim_mapping' ? [(entry.facts as ClaimMappingFacts).issuerUid] : []));
  return [...new Set([...ofMappings, ...after.changesOf('trusted_issuer').keys()])];
}

/** Tokens that failed before their mappings were looked at left no claims, so what lets more of them in cannot be seen. */
function notesOf(before: World, after: World): string[] {
  return [...after.changesOf('trusted_issuer')].flatMap(([uid, entry]): string[] => {
    if (entry === null) return [];
    const [was, would] = [before.get(uid)?.facts as IssuerFacts | undefined, entry.facts as IssuerFacts];
    const path = entryPath(entry);
    if (was === undefined) return [`\`${path}\` is new: none of its tokens was seen`];
    const isOther = (pick: (facts: IssuerFacts) => unknown): boolean => canonicalJson(pick(was)) !== canonicalJson(pick(would));
    const changed = [
      ...(isOther(({ rules }) => rules) ? ['issuer, audiences, algorithms or times'] : []),
      ...(was.keys.fingerprint === would.keys.fingerprint ? [] : ['keys']),
    ];
    return changed.length === 0 ? [] : [`\`${path}\`: ${changed.join(' and ')} change; tokens that were refused for these left no claims, so who would be let in now cannot be told`];
  });
}
