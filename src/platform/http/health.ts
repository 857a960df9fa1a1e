/** Liveness, readiness and metrics. */
import { sql } from 'kysely';
import { z } from 'zod';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import type { Database } from '../database/database.ts';
import { open, operation } from '../call.ts';
import type { Metrics } from '../metrics.ts';

export function healthOperations({ database, metrics }: { database: Database; metrics: Metrics }): AnyOperation[] {
  const status = z.strictObject({ status: z.string() });
  const live = operation({
    name: 'health.live', summary: 'The process answers', method: 'GET', path: '/healthz', input: {}, output: status,
    access: open('liveness of the process, tells nothing'), audit: null, dialect: 'api',
    prepare: async () => ({ status: 'ok' }),
  });
  const ready = operation({
    name: 'health.ready', summary: 'The server can serve: the database answers', method: 'GET', path: '/readyz', input: {}, output: status,
    access: open('readiness for load balancers, tells nothing'), audit: null, dialect: 'api',
    prepare: async () => {
      await sql`select 1`.execute(database.read);
      return { status: 'ready' };
    },
  });
  const scrape = operation({
    name: 'health.metrics', summary: 'Metrics in the Prometheus text format', method: 'GET', path: '/metrics', input: {}, output: null,
    access: open('counters without names, for the scraper next to the server'), audit: null, dialect: 'page',
    prepare: async () => new Reply(await metrics.registry.metrics(), { headers: { 'content-type': metrics.registry.contentType } }),
  });
  return [live, ready, scrape];
}
