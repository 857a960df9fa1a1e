/** Counters and histograms with fixed label sets; served at `/metrics`. Labels never carry what a caller sent. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'operation' | 'status'>;
  readonly requestSeconds: Histogram<'operation'>;
  readonly refusals: Counter<'code'>;
  readonly decisions: Counter<'outcome'>;
  readonly accessLagSeconds: Gauge;
  readonly auditPending: Gauge;
  readonly exchanges: Counter<'outcome'>;
  readonly mints: Counter<'outcome'>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'sallyport_' });
  const registers = [registry];
  return {
    registry,
    requests: new Counter({ name: 'sallyport_requests_total', help: 'answered requests', labelNames: ['operation', 'status'], registers }),
    requestSeconds: new Histogram({
      name: 'sallyport_request_seconds', help: 'time to answer', labelNames: ['operation'], registers,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    }),
    refusals: new Counter({ name: 'sallyport_refusals_total', help: 'refused requests by error code', labelNames: ['code'], registers }),
    decisions: new Counter({ name: 'sallyport_decisions_total', help: 'access decisions', labelNames: ['outcome'], registers }),
    accessLagSeconds: new Gauge({ name: 'sallyport_access_confirmed_age_seconds', help: 'age of the last confirmation that the access facts are current', registers }),
    auditPending: new Gauge({ name: 'sallyport_audit_pending', help: 'committed audit rows that waited for a number when the sequencer last looked', registers }),
    exchanges: new Counter({ name: 'sallyport_exchanges_total', help: 'token exchanges', labelNames: ['outcome'], registers }),
    mints: new Counter({ name: 'sallyport_mints_total', help: 'minted tokens', labelNames: ['outcome'], registers }),
  };
}
