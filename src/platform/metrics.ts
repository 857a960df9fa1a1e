/** Counters and histograms with fixed label sets; served at `/metrics`. Labels never carry what a caller sent. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** Counts a request that was answered. */
  answered(operation: string, status: number): void;
  /** Counts how long one took, whatever the answer. */
  took(operation: string, seconds: number): void;
  readonly refusals: Counter<'code'>;
  decided(isAllowed: boolean): void;
  readonly accessLagSeconds: Gauge;
  readonly auditPending: Gauge;
  readonly exchanges: Counter<'outcome'>;
  /** Names that came with another id than the one they are pinned to. */
  readonly idDrifts: Counter;
  /** Claims of accepted tokens that neither the preset nor the issuer's document knows. */
  readonly unknownClaims: Counter;
  readonly mints: Counter<'outcome'>;
  /** From a revocation to when this node, which has the session in use, sees it. */
  readonly revocationSeconds: Histogram;
  readonly keyFetches: Counter<'outcome'>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'sallyport_' });
  const registers = [registry];
  const requests = inBatches<{ operation: string; status: number }>((tell) => {
    const counter = new Counter({ name: 'sallyport_requests_total', help: 'answered requests', labelNames: ['operation', 'status'], registers, collect: tell });
    return ({ operation, status }) => counter.inc({ operation, status: String(status) });
  });
  const times = inBatches<{ operation: string; seconds: number }>((tell) => {
    const histogram = new Histogram({
      name: 'sallyport_request_seconds', help: 'time to answer', labelNames: ['operation'], registers, collect: tell,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    });
    return ({ operation, seconds }) => histogram.observe({ operation }, seconds);
  });
  const decisions = inBatches<boolean>((tell) => {
    const counter = new Counter({ name: 'sallyport_decisions_total', help: 'access decisions', labelNames: ['outcome'], registers, collect: tell });
    return (isAllowed) => counter.inc({ outcome: isAllowed ? 'allow' : 'deny' });
  });
  return {
    registry,
    answered: (operation, status) => requests({ operation, status }),
    took: (operation, seconds) => times({ operation, seconds }),
    decided: decisions,
    refusals: new Counter({ name: 'sallyport_refusals_total', help: 'refused requests by error code', labelNames: ['code'], registers }),
    accessLagSeconds: new Gauge({ name: 'sallyport_access_confirmed_age_seconds', help: 'age of the last confirmation that the access facts are current', registers }),
    auditPending: new Gauge({ name: 'sallyport_audit_pending', help: 'committed audit rows that waited for a number when the sequencer last looked', registers }),
    exchanges: new Counter({ name: 'sallyport_exchanges_total', help: 'token exchanges', labelNames: ['outcome'], registers }),
    revocationSeconds: new Histogram({ name: 'sallyport_revocation_seen_seconds', help: 'from the revocation of a session in use here to when this node saw it', registers, buckets: [0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 5] }),
    keyFetches: new Counter({ name: 'sallyport_issuer_key_fetches_total', help: 'key sets asked of issuers', labelNames: ['outcome'], registers }),
    idDrifts: new Counter({ name: 'sallyport_id_drift_total', help: 'names that came with another id than the one they are pinned to', registers }),
    unknownClaims: new Counter({ name: 'sallyport_unknown_claims_total', help: 'claims of accepted tokens that nobody has told of', registers }),
    mints: new Counter({ name: 'sallyport_mints_total', help: 'minted tokens', labelNames: ['outcome'], registers }),
  };
}

const batch = 200;

/**
 * For what happens with every request: kept, and counted two hundred at a time or when somebody reads. `make` gets what it
 * has to call before it is read, and gives what counts one.
 */
function inBatches<Event>(make: (tell: () => void) => (event: Event) => void): (event: Event) => void {
  let kept: Event[] = [];
  const tell = (): void => {
    const events = kept;
    kept = [];
    for (const event of events) count(event);
  };
  const count = make(tell);
  return (event) => {
    if (kept.push(event) >= batch) tell();
  };
}
