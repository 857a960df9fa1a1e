/**
 * Refused tokens: the caller learns nothing but a correlation id, the administrator everything. A verified token has a row
 * of its own; one that only names a registered issuer is counted, and recorded as long as that stays few; for an unknown
 * issuer there is a count and nothing else.
 */
import type { Recorder } from '#features/audit/feature.ts';
import type { Refusal } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { Act, Call } from '#platform/call.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Rates } from '#platform/http/limits.ts';
import { createRefusalRate } from '#platform/http/refusal-rate.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { Attempt } from './exchange.ts';
import type { MappingOutcome } from './match.ts';
import { principalOf } from './standing.ts';
import { brief, isStorable } from './storable.ts';
import { unmetUses } from './token-use.ts';
import type { TokenEvidence } from './verify.ts';

export interface RefusalServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly rates: Rates;
  readonly metrics: Pick<Metrics, 'exchanges'>;
  readonly record: Recorder;
  readonly refusals: { count(refused: { accountId: string | null; code: string; address: string; operation: string }): void };
  /** Per address. */
  readonly refusedExchangesPerMinute: number;
}

export interface RefusedExchanges {
  /** Refuses an address that has used up its refusals; costs a well-behaved one nothing. */
  admit(address: string): Promise<void>;
  /** Records the refusal and gives what the caller is told instead of it. */
  record(call: Pick<Call, 'account' | 'now' | 'address' | 'requestId'>, attempt: Attempt, cause: Refusal): Promise<Refusal>;
}

const rowsPerMinute = 20;
const minuteMs = 60_000;
const maxIssuers = 10_000;
const maxOutcomes = 20;

export function createRefusedExchanges(services: RefusalServices): RefusedExchanges {
  const rate = createRefusalRate(services.rates, { purpose: 'exchange', perMinute: services.refusedExchangesPerMinute });
  const written = new Map<string, { sinceMs: number; rows: number }>();

  function mayWrite(key: string): boolean {
    const nowMs = services.clock.monotonicMs();
    let window = written.get(key);
    if (window === undefined || nowMs - window.sinceMs >= minuteMs) {
      if (written.size >= maxIssuers) written.delete(written.keys().next().value!);
      written.set(key, (window = { sinceMs: nowMs, rows: 0 }));
    }
    window.rows += 1;
    return window.rows <= rowsPerMinute;
  }

  return {
    admit: (address) => rate.admit(address),
    async record(call, attempt, cause) {
      const { issuer, verified } = attempt;
      const isAskedTooMuch = verified !== undefined && cause.code.startsWith('oauth.');
      if (!cause.code.startsWith('trust.') && !isAskedTooMuch) return cause;
      services.metrics.exchanges.inc({ outcome: 'refused' });
      if (verified === undefined) {
        const check = checkOf(cause);
        services.refusals.count({ accountId: call.account.id, address: call.address, operation: issuer?.path ?? 'unknown issuer', code: check === undefined ? cause.code : `${cause.code}/${check}` });
      }
      if (issuer !== undefined && (verified !== undefined || mayWrite(`${call.account.id} ${issuer.uid}`))) {
        const context = { accountId: call.account.id, now: call.now, caller: null, address: call.address, requestId: call.requestId, action: 'session.refused' };
        await services.database.transaction((tx) => services.record(tx, context, [actOf(attempt, cause)]));
      }
      await rate.count(call.address);
      // The one exception tells that the issuer is registered, to nobody while its keys can be had: a workload must know to try again.
      if (cause.code === 'trust.keys_unavailable' || isAskedTooMuch) return cause;
      return refusal('trust.refused', { because: `${cause.code}: ${cause.because ?? cause.message}`, cause });
    },
  };
}

/** What values a claim had is personal; which rule refused is not. */
function actOf(attempt: Attempt, cause: Refusal): Act {
  const { tokenHash, issuer, recorded, subject, outcomes } = attempt;
  const check = checkOf(cause);
  const principal = issuer === undefined || subject === undefined ? undefined : principalOf({ issuer: issuer.facts.rules.issuer, subject, label: subject });
  const evidence = cause.evidence === undefined ? {} : { evidence: brief(cause.evidence) };
  const mappings = outcomes === undefined ? {} : { mappings: outcomes.slice(0, maxOutcomes).map((outcome) => failuresOf(outcome, attempt)) };
  return {
    outcome: 'refused',
    ...(principal === undefined ? {} : { actor: principal }),
    ...(issuer === undefined ? {} : { resource: { kind: 'trusted_issuer', uid: issuer.uid, path: issuer.path } }),
    ...(recorded === undefined ? {} : { claims: isStorable(recorded.claims) ? recorded.claims : brief(recorded.claims) }),
    detail: { code: cause.code, ...(check === undefined ? {} : { check }), because: brief(cause.because ?? cause.message), tokenSha256: tokenHash.toString('hex'), ...(recorded === undefined || recorded.redacted.length === 0 ? {} : { redacted: recorded.redacted }) },
    diff: { ...evidence, ...mappings },
  };
}

function failuresOf({ mapping, conditions, expression, scopes }: MappingOutcome, { verified, recorded, use }: Attempt): unknown {
  const uses = verified === undefined ? [] : unmetUses(mapping.facts.use, verified.claims, use);
  return {
    mapping: mapping.path,
    uid: mapping.uid,
    version: mapping.version,
    failed: conditions.filter(({ holds }) => !holds).map(({ claim, expected }) => ({ claim, expected: brief(expected), actual: brief(readPointer(recorded?.claims, claim)) })),
    ...(expression === null || expression.because === null ? {} : { condition: { expression: brief(expression.source), because: expression.because } }),
    ...(uses.length === 0 ? {} : { uses }),
    ...(scopes.length === 0 ? {} : { scopes }),
  };
}

function checkOf({ evidence }: Refusal): string | undefined {
  return typeof evidence === 'object' && evidence !== null && 'check' in evidence ? (evidence as TokenEvidence).check : undefined;
}
