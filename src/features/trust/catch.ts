/**
 * Catch mode: for a while, the claims of an issuer's tokens are kept to write mappings by. Only of tokens that are proven
 * and meant for us; the last few; redacted as the issuer's document says; never the token. Every node knows within two
 * seconds which issuers are watched, so that all others cost nothing.
 */
import type { Refusal } from '#kernel/errors.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { Scalar } from '#kernel/matcher.ts';
import type { Call } from '#platform/call.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { activeCatches, keepCaught } from './catch-store.ts';
import type { ActiveCatch } from './catch-store.ts';
import type { Attempt, ReadySession } from './exchange.ts';
import { brief } from './storable.ts';

export interface TenantFilter {
  /** JSON Pointer. */
  readonly claim: string;
  readonly value: Scalar;
}

export interface Catching {
  /** Keeps what came if its issuer is watched; `outcome` is why it was refused, or what it became. */
  saw(call: Pick<Call, 'account' | 'now' | 'requestId' | 'uid'>, attempt: Attempt, outcome: Refusal | ReadySession): Promise<void>;
  /** Reads anew which issuers are watched. */
  reload(): Promise<void>;
}

/** How long caught claims stay after the catching ended. */
const keepCaughtMs = 3_600_000;
/** Of an issuer, by one node: the last twenty are shown, so more is work for nothing. */
const writesPerMinute = 120;
const minuteMs = 60_000;
const maxMappings = 5;

export function createCatching({ database, clock }: { readonly database: Database; readonly clock: Clock }): Catching {
  let active = new Map<string, ActiveCatch>();
  const written = new Map<string, { sinceMs: number; rows: number }>();

  function mayWrite(key: string): boolean {
    const nowMs = clock.monotonicMs();
    let window = written.get(key);
    if (window === undefined || nowMs - window.sinceMs >= minuteMs) written.set(key, (window = { sinceMs: nowMs, rows: 0 }));
    window.rows += 1;
    return window.rows <= writesPerMinute;
  }

  return {
    async saw(call, attempt, outcome) {
      const { issuer, verified, recorded, subject } = attempt;
      if (active.size === 0 || issuer === undefined || verified === undefined || recorded === undefined) return;
      const key = keyOf(call.account.id, issuer.uid);
      const watched = active.get(key);
      if (watched === undefined || watched.until <= call.now || !isOfTenant(watched.tenant, verified.claims) || !mayWrite(key)) return;
      const isSession = 'session' in outcome;
      await keepCaught(database, {
        accountId: call.account.id, issuerUid: issuer.uid, id: call.uid(), at: call.now, keepUntil: new Date(watched.until.getTime() + keepCaughtMs),
        outcome: isSession ? 'success' : 'refused', claims: brief(recorded.claims) as object,
        detail: { subject: brief(subject), requestId: call.requestId, algorithm: verified.header.alg, ...(isSession ? matchedBy(outcome) : refusedBy(outcome, attempt)) },
      });
    },
    async reload() {
      const rows = await activeCatches(database.read, clock.now());
      active = new Map(rows.map((row) => [keyOf(row.accountId, row.issuerUid), row]));
      for (const key of written.keys()) if (!active.has(key)) written.delete(key);
    },
  };
}

function keyOf(accountId: string, issuerUid: string): string {
  return `${accountId} ${issuerUid}`;
}

function isOfTenant(tenant: TenantFilter | null, claims: Readonly<Record<string, unknown>>): boolean {
  return tenant === null || readPointer(claims, tenant.claim) === tenant.value;
}

function matchedBy({ mappings }: ReadySession): object {
  return { mappings: mappings.slice(0, maxMappings).map(({ path }) => path) };
}

function refusedBy(cause: Refusal, { outcomes = [] }: Attempt): object {
  return { because: brief(cause.because ?? cause.message), mappings: outcomes.slice(0, maxMappings).map(({ mapping }) => mapping.path) };
}
