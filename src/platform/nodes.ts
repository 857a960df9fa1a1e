/**
 * Which processes work on the database with the root key in memory: a row each, renewed while they run. All times are the
 * database's, so that hosts need not agree on theirs. Every process joins before it reads the root key's row, and a
 * rotation of that key locks the table first, so each sees the other.
 */
import { sql } from 'kysely';
import type { BackgroundJob } from '#kernel/manifest.ts';
import type { Randomness } from './clock.ts';
import type { Database, Reader, Tx } from './database/database.ts';

export interface Node {
  readonly id: string;
  /** For those that run longer than a command. */
  readonly heartbeat: BackgroundJob;
  leave(): Promise<void>;
}

const heartbeatMs = 5_000;
/** After so long without a heartbeat a node counts as gone. */
export const nodeGoneMs = 30_000;

/** `alone`: nobody else can be working on this database, so what is listed is left over from a crash. */
export async function joinNodes(database: Database, { randomness, alone }: { readonly randomness: Randomness; readonly alone: boolean }): Promise<Node> {
  const id = randomness.uid();
  if (alone) await database.read.deleteFrom('node').execute();
  await beat(database, id);
  return {
    id,
    heartbeat: { name: 'nodes.heartbeat', everyMs: heartbeatMs, run: () => beat(database, id) },
    leave: async () => void (await database.read.deleteFrom('node').where('id', '=', id).execute()),
  };
}

async function beat(database: Database, id: string): Promise<void> {
  await database.read.insertInto('node').values({ id, started_at: sql<Date>`now()`, seen_at: sql<Date>`now()` })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: sql<Date>`now()` })).execute();
  await database.read.deleteFrom('node').where('seen_at', '<', ago(10 * nodeGoneMs)).execute();
}

export interface SeenNode {
  readonly id: string;
  readonly startedAt: Date;
  readonly seenSecondsAgo: number;
}

/** Nodes that are not gone, other than `except`. */
export async function liveNodes(reader: Reader | Tx, except?: string): Promise<SeenNode[]> {
  const rows = await reader.selectFrom('node')
    .select(['id', 'started_at', sql<number>`extract(epoch from now() - seen_at)::float`.as('seconds')])
    .where('seen_at', '>', ago(nodeGoneMs)).orderBy('started_at').execute();
  return rows.filter(({ id }) => id !== except).map(({ id, started_at, seconds }) => ({ id, startedAt: started_at, seenSecondsAgo: Math.max(0, Math.round(seconds)) }));
}

/** No node joins, and none renews its row, until the transaction ends. */
export async function lockNodes(tx: Tx): Promise<void> {
  await sql`lock table node in share row exclusive mode`.execute(tx);
}

function ago(ms: number) {
  return sql<Date>`now() - ${ms} * interval '1 millisecond'`;
}
