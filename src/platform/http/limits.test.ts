import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from '#test/database/database.ts';
import { atEnd } from '#test/endings.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/database.ts';
import type { Rates } from './limits.ts';
import { createRates } from './limits.ts';

let database: Database;
before(async () => {
  const { application } = await testDatabase();
  database = await openDatabase({ login: { ...application }, maxConnections: 4, onError: () => undefined });
  atEnd(() => database.close());
});

/** Time stands still unless it is moved on. */
function node(): { readonly rates: Rates; pass(ms: number): void } {
  let nowMs = 0;
  const clock: Clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs };
  return { rates: createRates(database, clock), pass: (ms) => void (nowMs += ms) };
}

const rule = { perSecond: 1, burst: 1_000 };

async function left(key: string): Promise<number> {
  const row = await database.read.selectFrom('rate_bucket').select('tokens').where('key', '=', key).executeTakeFirstOrThrow();
  return row.tokens;
}

test('a busy caller draws more at once, and no node ever holds more than a tenth of the burst', async () => {
  const { rates } = node();
  const seen: number[] = [];
  for (let taken = 1; taken <= 700; taken++) {
    await rates.take('busy', rule);
    if (taken % 50 !== 1) continue;
    const bucket = await left('busy');
    assert.ok(rule.burst - bucket - taken < 100, `${rule.burst - bucket - taken} are held after ${taken}`);
    if (bucket !== seen.at(-1)) seen.push(bucket);
  }
  assert.deepEqual(seen, [950, 850, 750, 650, 550, 450, 350, 250]);
});

test('who has become calm draws little again', async () => {
  const { rates, pass } = node();
  for (let taken = 0; taken < 150; taken++) await rates.take('calming', rule);
  assert.equal(await left('calming'), 850);
  pass(10_000);
  await rates.take('calming', rule);
  assert.equal(await left('calming'), 850 + 10 - 50);
});

test('what nobody has drawn from for an hour is forgotten, page by page, and nothing else', async () => {
  const { rates, pass } = node();
  await database.read.deleteFrom('rate_bucket').execute();
  await sql`insert into rate_bucket select 'old' || i, 1, to_timestamp(0) from generate_series(1, 12000) as i`.execute(database.read);
  pass(3_600_001);
  await rates.take('new', rule);
  await rates.sweep(AbortSignal.timeout(60_000));
  assert.deepEqual((await database.read.selectFrom('rate_bucket').select('key').execute()).map(({ key }) => key), ['new']);
});

test('two nodes together give out all of the burst and no more', async () => {
  const nodes = [node(), node()];
  const outcomes = await Promise.allSettled(Array.from({ length: 1_300 }, (_, i) => nodes[i % 2]!.rates.take('shared', rule)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, rule.burst);
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal((outcome.reason as { code: string }).code, 'request.rate_limited');
});
