/** The door of trust: claims in. */
import type { Recorder } from '#features/audit/feature.ts';
import type { ChangeRules, Snapshots } from '#features/resources/feature.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import type { RateRule, Rates } from '#platform/http/limits.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { Outbound } from '#platform/outbound.ts';
import { createCatching } from './catch.ts';
import { sweepCaught } from './catch-store.ts';
import { explainOperation } from './explain-operation.ts';
import { idDriftOperations } from './id-drift-operations.ts';
import type { IssuerKindOptions } from './issuer-kind.ts';
import { trustedIssuerKind } from './issuer-kind.ts';
import { issuerOperations } from './issuer-operations.ts';
import { createIssuerKeys } from './keys.ts';
import { createMetVersions } from './met-versions.ts';
import { claimMappingKind } from './mapping-kind.ts';
import { outsideRecogniser } from './direct.ts';
import { createProofs } from './dpop.ts';
import { sessionRecogniser } from './recognise.ts';
import { createRefusedExchanges } from './refused-exchanges.ts';
import { sessionNoun } from './schema.ts';
import { sessionOperations } from './session-operations.ts';
import { createSessionTokens } from './session-token.ts';
import { createSessions } from './sessions.ts';
import { shadowOperation } from './shadow-operation.ts';
import { sweepSessions } from './store.ts';
import type { Introspector } from './token-endpoints.ts';
import { tokenEndpoints } from './token-endpoints.ts';
import { sweepUses } from './used-once.ts';

export { sessionStands } from './store.ts';

export interface TrustServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly kinds: Kinds;
  readonly rules: ChangeRules;
  readonly snapshots: Snapshots;
  readonly cursors: Cursors;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly metrics: Metrics;
  readonly outbound: Outbound;
  readonly rates: Rates;
  readonly record: Recorder;
  readonly introspectors: readonly Introspector[];
  readonly refusals: { count(refused: { accountId: string | null; code: string; address: string; operation: string }): void };
  /** URL of this server as callers know it; `{publicUrl}/accounts/{account}` is the issuer of the account's sessions. */
  readonly publicUrl: () => string;
  readonly callerRate: RateRule;
  readonly issuerRate: RateRule;
  /** Per address. */
  readonly refusedExchangesPerMinute: number;
}

const keepEndedMs = 7 * 86_400_000;

/** Nouns and kinds; they need no service. */
export function trust(options: IssuerKindOptions): Manifest {
  return { name: 'trust', nouns: [sessionNoun], kinds: [trustedIssuerKind(options), claimMappingKind(options.kinds)] };
}

export function trustFeature(services: TrustServices): Manifest {
  const { database, clock } = services;
  const tokens = createSessionTokens(services);
  const sessions = createSessions(services);
  const keys = createIssuerKeys(services);
  const refused = createRefusedExchanges(services);
  const catching = createCatching(services);
  const shared = { ...services, tokens, sessions, keys, refused, catching, proofs: createProofs(services), met: createMetVersions() };
  return {
    name: 'trust',
    operations: [...tokenEndpoints(shared), ...sessionOperations(shared), explainOperation(shared), ...issuerOperations(shared), ...idDriftOperations(shared), shadowOperation(shared)],
    recognisers: [sessionRecogniser(shared), outsideRecogniser(shared)],
    jobs: [
      { name: 'trust.sweep', everyMs: 3_600_000, run: (signal) => sweepSessions(database, new Date(clock.now().getTime() - keepEndedMs), signal) },
      { name: 'trust.catch', everyMs: 2_000, run: () => catching.reload() },
      { name: 'trust.sweep_caught', everyMs: 60_000, run: () => sweepCaught(database, clock.now()) },
      { name: 'trust.sweep_used', everyMs: 600_000, run: (signal) => sweepUses(database, clock.now(), signal) },
    ],
  };
}
