/** How it stands with an issuer: its keys, who was refused lately and by what, and claims nobody has told of. */
import { z } from 'zod';
import { countRefusals, recentExchanges } from '#features/audit/feature.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import { accountFor } from './account-for-claims.ts';
import type { TrustedIssuer } from './account-trust.ts';
import type { IssuerKeys, KeyHealth } from './keys.ts';
import { isShared, tenantClaimsOf } from './presets.ts';

const time = z.iso.datetime({ precision: 3 });

export const issuerStatus = z.strictObject({
  issuer: z.string(),
  shared: z.boolean().describe('customers who have nothing to do with each other get tokens of it'),
  tenantClaims: z.array(z.string()).describe('which tell them apart'),
  keys: z.strictObject({
    from: z.enum(['inline', 'jwks', 'discovery']),
    state: z.enum(['good', 'stale', 'none']).describe('`stale`: they are still believed, and the issuer did not give them again when it was asked'),
    fetchedAt: time.nullable(),
    askedAt: time.nullable().describe('when this node asked last'),
    because: z.string().nullable().describe('what went wrong when this node asked last'),
    refreshAt: time.nullable().describe('from when on the next token has them asked for again'),
    believedUntil: time.nullable(),
    keys: z.array(z.strictObject({ kid: z.string().nullable(), algorithms: z.array(z.string()) })),
    ignored: z.array(z.strictObject({ index: z.number().int(), because: z.string() })).describe('entries of the set that cannot be used'),
  }),
  refusals: z.strictObject({
    since: time,
    complete: z.boolean().describe('false when there were too many to count'),
    items: z.array(z.strictObject({ code: z.string(), check: z.string().nullable(), verified: z.boolean().describe('whether the tokens were proven to be the issuer\'s'), count: z.number().int() })),
  }),
  claims: z.strictObject({
    since: time,
    tokens: z.number().int().describe('proven tokens that were looked at, the newest'),
    accepted: z.number().int(),
    unknown: z.array(z.strictObject({ claim: z.string(), tokens: z.number().int() })).describe('claims neither the preset nor the document knows'),
    missing: z.array(z.strictObject({ claim: z.string(), tokens: z.number().int() })).describe('claims the preset says are always there'),
  }),
});
export type IssuerStatus = z.infer<typeof issuerStatus>;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const maxTokens = 200;
const maxClaims = 50;

export async function statusOf(services: { readonly keys: IssuerKeys; readonly database: Database }, call: Call, issuer: TrustedIssuer): Promise<IssuerStatus> {
  const { spec, preset } = issuer.facts;
  const ago = (ms: number): Date => new Date(call.now.getTime() - ms);
  const of = { accountId: call.account.id, uid: issuer.uid, path: issuer.path };
  const health = await services.keys.health({ accountId: call.account.id, ...issuer });
  const refusals = await countRefusals(services.database.read, { ...of, since: ago(hourMs) });
  const tokens = await recentExchanges(services.database.read, { ...of, since: ago(dayMs) }, maxTokens);
  const accounts = tokens.map(({ claims }) => accountFor(preset, claims as Record<string, unknown>, issuer.facts.immutableClaims));
  return {
    issuer: issuer.path, shared: isShared(preset, spec.issuer), tenantClaims: tenantClaimsOf(preset),
    keys: keysView(health, call.now),
    refusals: { since: ago(hourMs).toISOString(), complete: refusals.complete, items: refusals.items.map((item) => ({ ...item })) },
    claims: {
      since: ago(dayMs).toISOString(), tokens: tokens.length, accepted: tokens.filter(({ accepted }) => accepted).length,
      unknown: counted(accounts.flatMap(({ unknown }) => unknown)), missing: counted(accounts.flatMap(({ missing }) => missing.map(({ claim }) => claim))),
    },
  };
}

function keysView({ set, because, from, ...times }: KeyHealth, now: Date): IssuerStatus['keys'] {
  const text = (date: Date | null): string | null => date?.toISOString() ?? null;
  const isOver = times.believedUntil !== null && times.believedUntil <= now;
  return {
    from, because, state: set === null || isOver ? 'none' : because === null ? 'good' : 'stale',
    fetchedAt: text(times.fetchedAt), askedAt: text(times.askedAt), refreshAt: text(times.refreshAt), believedUntil: text(times.believedUntil),
    keys: (set?.keys ?? []).map(({ kid, algorithms }) => ({ kid: kid ?? null, algorithms: [...algorithms] })),
    ignored: (set?.ignored ?? []).map((each) => ({ ...each })),
  };
}

/** The most frequent first. */
function counted(claims: readonly string[]): { claim: string; tokens: number }[] {
  const counts = new Map<string, number>();
  for (const claim of claims) counts.set(claim, (counts.get(claim) ?? 0) + 1);
  return [...counts].map(([claim, tokens]) => ({ claim, tokens })).toSorted((a, b) => b.tokens - a.tokens || (a.claim < b.claim ? -1 : 1)).slice(0, maxClaims);
}
