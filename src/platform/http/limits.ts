/**
 * Rates per caller and per address, right across nodes: every node draws tokens from a shared bucket in the database in
 * small batches and spends them from memory, so no request waits for a row of its own.
 */
import { sql } from 'kysely';
import { refusal } from '#kernel/errors.ts';
import type { Database } from '../database/database.ts';
import type { Clock } from '../clock.ts';

export interface RateRule {
  readonly perSecond: number;
  readonly burst: number;
}

export interface Rates {
  /** Takes one token or refuses with the seconds to wait. `key` is hashed text, never a secret. */
  take(key: string, rule: RateRule): Promise<void>;
  /** Whether the bucket is empty, without taking: for keys that only refusals empty. */
  exhausted(key: string, rule: RateRule): Promise<boolean>;
  sweep(): Promise<void>;
}

interface Purse {
  tokens: number;
  emptyUntilMs: number;
  drawing: Promise<void> | null;
}

const maxPurses = 50_000;

export function createRates(database: Database, clock: Clock): Rates {
  const purses = new Map<string, Purse>();

  function purseOf(key: string): Purse {
    let purse = purses.get(key);
    if (purse === undefined) {
      if (purses.size >= maxPurses) purses.delete(purses.keys().next().value!);
      purses.set(key, (purse = { tokens: 0, emptyUntilMs: 0, drawing: null }));
    }
    return purse;
  }

  async function draw(key: string, purse: Purse, rule: RateRule): Promise<void> {
    const batch = Math.max(1, Math.min(Math.floor(rule.burst / 10), 50));
    const got = await drawFromBucket(database, key, rule, batch, clock.now());
    purse.tokens += got;
    if (got === 0) purse.emptyUntilMs = clock.monotonicMs() + Math.max(50, 1_000 / rule.perSecond);
  }

  /** Those who wait for the same draw may spend more than it brings, so the last of them draw again. */
  async function fill(key: string, rule: RateRule): Promise<Purse> {
    const purse = purseOf(key);
    while (purse.tokens < 1 && clock.monotonicMs() >= purse.emptyUntilMs) {
      purse.drawing ??= draw(key, purse, rule).finally(() => (purse.drawing = null));
      await purse.drawing;
    }
    return purse;
  }

  return {
    async take(key, rule) {
      const purse = purses.get(key);
      const filled = purse !== undefined && purse.tokens >= 1 ? purse : await fill(key, rule);
      if (filled.tokens < 1) throw refusal('request.rate_limited', { retryAfterSeconds: Math.max(1, Math.ceil(1 / rule.perSecond)) });
      filled.tokens -= 1;
    },
    async exhausted(key, rule) {
      return (await fill(key, rule)).tokens < 1;
    },
    async sweep() {
      await database.read.deleteFrom('rate_bucket').where('updated_at', '<', new Date(clock.now().getTime() - 3_600_000)).execute();
    },
  };
}

/** One statement: refills by the time that went by, then gives at most `wanted` whole tokens. */
async function drawFromBucket(database: Database, key: string, rule: RateRule, wanted: number, now: Date): Promise<number> {
  const { rows } = await sql<{ given: number }>`
    with old as (
      insert into rate_bucket as b (key, tokens, updated_at) values (${key}, ${rule.burst}, ${now})
      on conflict (key) do update set
        tokens = least(${rule.burst}, b.tokens + greatest(0, extract(epoch from (${now}::timestamptz - b.updated_at))) * ${rule.perSecond}),
        updated_at = greatest(b.updated_at, ${now}::timestamptz)
      returning tokens
    )
    select least(${wanted}, floor(tokens))::int as given from old`.execute(database.read);
  const given = rows[0]!.given;
  if (given <= 0) return 0;
  const { numUpdatedRows } = await database.read.updateTable('rate_bucket')
    .set((e) => ({ tokens: e('tokens', '-', given) }))
    .where('key', '=', key).where('tokens', '>=', given).executeTakeFirst();
  return numUpdatedRows === 1n ? given : 0;
}
