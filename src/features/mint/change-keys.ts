/** Changing keys by hand: the next one signs earlier, or one is revoked at once. In the transaction of the caller. */
import { refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { KeyPolicy, MintAlgorithm } from './key-life.ts';
import { soonest, standingOf } from './key-life.ts';
import type { StoredKey } from './key-store.ts';
import { insertKey, lockKeys, revokeKey, setSignsFrom } from './key-store.ts';

export interface KeyChange {
  readonly accountId: string;
  readonly policy: KeyPolicy;
  readonly now: Date;
  /** Unused key material of each algorithm that is named. */
  readonly spare: readonly StoredKey[];
}

export interface Rotated {
  readonly algorithm: MintAlgorithm;
  readonly id: string;
  readonly signsFrom: Date;
}

/** From when on another key signs: now, if one has been published for long enough; otherwise as soon as one has. */
export async function rotateKeys(tx: Tx, { accountId, policy, now, spare }: KeyChange, algorithms: readonly MintAlgorithm[]): Promise<Rotated[]> {
  const standing = standingOf(await lockKeys(tx, accountId), policy, now);
  const rotated: Rotated[] = [];
  for (const algorithm of algorithms) {
    const next = standing.find(({ row, state }) => row.algorithm === algorithm && state === 'next')?.row ?? (await taken(tx, accountId, { spare, algorithm, now, signsFrom: later(now, policy.aheadMs) }));
    const signsFrom = earlier(next.signsFrom, soonest(next, policy, now));
    await setSignsFrom(tx, accountId, next.id, signsFrom);
    rotated.push({ algorithm, id: next.id, signsFrom });
  }
  return rotated;
}

/**
 * The key is gone from `/jwks` and its tokens are dead. If it signed, the next one signs from now on: others know it
 * already, unless it had to be made now. Throws `access.not_found` for a key that is over, revoked or nobody's.
 */
export async function revokeAtOnce(tx: Tx, { accountId, policy, now, spare }: KeyChange, id: string): Promise<{ readonly was: string; readonly signsNow: string | null }> {
  const standing = standingOf(await lockKeys(tx, accountId), policy, now);
  const found = standing.find(({ row }) => row.id === id);
  if (found === undefined || found.state === 'over' || found.state === 'revoked') throw refusal('access.not_found');
  const { row: { algorithm, signsFrom: began }, state } = found;
  await revokeKey(tx, accountId, id, now);
  if (state !== 'current') return { was: state, signsNow: null };
  const next = standing.find(({ row, state: its }) => row.algorithm === algorithm && its === 'next')?.row;
  // A line of keys has one place for each moment.
  const signsFrom = now > began ? now : new Date(began.getTime() + 1);
  if (next === undefined) return { was: state, signsNow: (await taken(tx, accountId, { spare, algorithm, now, signsFrom })).id };
  await setSignsFrom(tx, accountId, next.id, signsFrom);
  return { was: state, signsNow: next.id };
}

async function taken(
  tx: Tx, accountId: string,
  { spare, algorithm, now, signsFrom }: { spare: readonly StoredKey[]; algorithm: MintAlgorithm; now: Date; signsFrom: Date },
): Promise<StoredKey> {
  const key: StoredKey = { ...spare.find((one) => one.algorithm === algorithm)!, createdAt: now, signsFrom };
  await insertKey(tx, accountId, key);
  return key;
}

function later(time: Date, ms: number): Date {
  return new Date(time.getTime() + ms);
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}
