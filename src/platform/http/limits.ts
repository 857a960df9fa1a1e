/**
 * Rates per caller and per address, right across nodes: every node draws tokens from a shared bucket in the database and
 * spends them from memory. The busier the caller, the more it draws at once, so that few requests wait for a row.
 */
import { sql } from 'kysely';
import { refusal } from '#kernel/errors.ts';
import type { Database } from '../database/database.ts';
import type { Clock } from '../clock.ts';
import { withPatience } from '../patience.ts';

export interface RateRule {
  readonly perSecond: number;
  readonly burst: number;
}

export interface Rates {
  /** Takes one token or refuses with the seconds to wait. `key` is hashed text, never a secret. */
  take(key: string, rule: RateRule): Promise<void>;
  /** Whether the bucket is empty, without taking: for keys that only refusals empty. */
  exhausted(key: string, rule: RateRule): Promise<boolean>;
  /** Forgets buckets that have long been full again. */
  sweep(signal: AbortSignal): Promise<void>;
}

interface Purse {
  tokens: number;
  emptyUntilMs: number;
  drawing: Promise<void> | null;
  /** How much was drawn last, and when. */
  batch: number;
  drawnMs: number;
}

const maxPurses = 50_000;
const firstBatch = 50;
/** Who has spent a batch sooner than this draws twice as much next time. */
const soonMs = 500;
const fullAgainMs = 3_600_000;
const sweptAtOnce = 5_000;

export function createRates(database: Database, clock: Clock): Rates {
  const purses = new Map<string, Purse>();

  function purseOf(key: string): Purse {
    let purse = purses.get(key);
    if (purse === undefined) {
      if (purses.size >= maxPurses) purses.delete(purses.keys().next().value!);
      purses.set(key, (purse = { tokens: 0, emptyUntilMs: 0, drawing: null, batch: 0, drawnMs: -Infinity }));
    }
    return purse;
  }

  async function draw(key: string, purse: Purse, rule: RateRule): Promise<void> {
    const nowMs = clock.monotonicMs();
    const wanted = nowMs - purse.drawnMs < soonMs ? 2 * purse.batch : firstBatch;
    // What a node holds others lack, so it is a tenth of all at most.
    purse.batch = Math.max(1, Math.min(wanted, Math.floor(rule.burst / 10)));
    purse.drawnMs = nowMs;
    const got = await withPatience(drawFromBucket(database, { key, rule, wanted: purse.batch, now: clock.now() }));
    purse.tokens += got;
    if (got === 0) purse.emptyUntilMs = clock.monotonicMs() + Math.max(50, 1_000 / rule.perSecond);
  }

  /** One draw at a time for all who wait. */
  function drawn(key: string, purse: Purse, rule: RateRule): Promise<void> {
    return (purse.drawing ??= draw(key, purse, rule).finally(() => (purse.drawing = null)));
  }

  const isEmpty = (purse: Purse): boolean => clock.monotonicMs() < purse.emptyUntilMs;

  return {
    async take(key, rule) {
      const purse = purseOf(key);
      // Those who waited for one draw may be more than it brought, so the last of them draw again.
      while (purse.tokens < 1) {
        if (isEmpty(purse)) throw refusal('request.rate_limited', { retryAfterSeconds: Math.max(1, Math.ceil(1 / rule.perSecond)) });
        await drawn(key, purse, rule);
      }
      purse.tokens -= 1;
    },
    async exhausted(key, rule) {
      const purse = purseOf(key);
      if (purse.tokens < 1 && !isEmpty(purse)) await drawn(key, purse, rule);
      return purse.tokens < 1;
    },
    async sweep(signal) {
      const before = new Date(clock.now().getTime() - fullAgainMs);
      for (let from: string | null = ''; from !== null && !signal.aborted; ) from = await sweepPage(database, { from, before });
    },
  };
}

/** Along the keys, as there is no index by time: it would be written at every draw. Returns where the next page begins. */
async function sweepPage(database: Database, { from, before }: { readonly from: string; readonly before: Date }): Promise<string | null> {
  const { rows } = await sql<{ last: string | null }>`
    with page as (select key from rate_bucket where key > ${from} order by key limit ${sweptAtOnce}),
      swept as (delete from rate_bucket where key in (select key from page) and updated_at < ${before})
    select max(key) as last from page`.execute(database.read);
  return rows[0]!.last;
}

const maxDraws = 3;

/** At most `wanted` whole tokens; fewer when there are fewer. Another node may be quicker with the last ones: then again. */
async function drawFromBucket(database: Database, draw: { readonly key: string; readonly rule: RateRule; readonly wanted: number; readonly now: Date }): Promise<number> {
  for (let attempt = 1; attempt <= maxDraws; attempt++) {
    const given = Math.min(draw.wanted, Math.floor(await refill(database, draw)));
    if (given <= 0) return 0;
    const { numUpdatedRows } = await database.read.updateTable('rate_bucket')
      .set((e) => ({ tokens: e('tokens', '-', given) }))
      .where('key', '=', draw.key).where('tokens', '>=', given).executeTakeFirst();
    if (numUpdatedRows === 1n) return given;
  }
  return 0;
}

/** One statement: adds what the time that went by brings, and tells what is in the bucket. */
async function refill(database: Database, { key, rule, now }: { readonly key: string; readonly rule: RateRule; readonly now: Date }): Promise<number> {
  const { rows } = await sql<{ tokens: number }>`
    insert into rate_bucket as b (key, tokens, updated_at) values (${key}, ${rule.burst}, ${now})
    on conflict (key) do update set
      tokens = least(${rule.burst}, b.tokens + greatest(0, extract(epoch from (${now}::timestamptz - b.updated_at))) * ${rule.perSecond}),
      updated_at = greatest(b.updated_at, ${now}::timestamptz)
    returning tokens`.execute(database.read);
  return rows[0]!.tokens;
}
