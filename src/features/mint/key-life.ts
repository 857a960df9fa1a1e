/**
 * Pure: the life of keys of minted tokens. What a key is follows from its row and the time alone, so all nodes agree
 * without asking each other: published from its row on, signing from `signsFrom` until the next one does, then published
 * until the last token it can have signed is over.
 */

export const mintAlgorithms = ['RS256', 'ES256'] as const;
export type MintAlgorithm = (typeof mintAlgorithms)[number];

export interface KeyPolicy {
  /** How long a key signs. */
  readonly lifeMs: number;
  /** How long it is published before it signs, at least. */
  readonly aheadMs: number;
  /** How long it is published after it has signed. No token lives longer. */
  readonly overlapMs: number;
}

export interface KeyRow {
  readonly id: string;
  readonly algorithm: MintAlgorithm;
  readonly createdAt: Date;
  readonly signsFrom: Date;
  readonly revokedAt: Date | null;
}

export type KeyState = 'current' | 'next' | 'past' | 'over' | 'revoked';

export interface StandingKey<Row extends KeyRow = KeyRow> {
  readonly row: Row;
  readonly state: KeyState;
  /** When it leaves `/jwks`; null = not foreseen, as no other key follows it yet. */
  readonly publishedUntil: Date | null;
}

/** What each key of an account is at `now`: the ones that sign first, then those that will, then those that did. */
export function standingOf<Row extends KeyRow>(rows: readonly Row[], { overlapMs }: Pick<KeyPolicy, 'overlapMs'>, now: Date): StandingKey<Row>[] {
  const standing = mintAlgorithms.flatMap((algorithm) => {
    const line = rows.filter((row) => row.algorithm === algorithm).toSorted((a, b) => a.signsFrom.getTime() - b.signsFrom.getTime());
    const newest = line.findLastIndex((row) => row.signsFrom <= now);
    return line.map((row, i): StandingKey<Row> => {
      const follower = line[i + 1];
      const publishedUntil = follower === undefined ? null : new Date(follower.signsFrom.getTime() + overlapMs);
      if (row.revokedAt !== null) return { row, state: 'revoked', publishedUntil: row.revokedAt };
      if (i > newest) return { row, state: 'next', publishedUntil };
      // A revoked key is followed by nobody older: what was past stays past, and nothing signs until a new one does.
      if (i === newest) return { row, state: 'current', publishedUntil };
      return { row, state: publishedUntil! > now ? 'past' : 'over', publishedUntil };
    });
  });
  return standing.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

const order: readonly KeyState[] = ['current', 'next', 'past', 'over', 'revoked'];

export function isPublished({ state }: StandingKey): boolean {
  return state === 'current' || state === 'next' || state === 'past';
}

export interface PlannedKeys {
  /** Keys to be made. */
  readonly make: readonly { readonly algorithm: MintAlgorithm; readonly signsFrom: Date }[];
  /** Keys whose tokens are all over: their rows and private keys go. */
  readonly forget: readonly string[];
}

/** What is to be done so that each algorithm has a key that signs and one that is published and will. */
export function plannedKeys(rows: readonly KeyRow[], policy: KeyPolicy, now: Date): PlannedKeys {
  const standing = standingOf(rows, policy, now);
  const make = mintAlgorithms.flatMap((algorithm) => {
    const has = (state: KeyState) => standing.find(({ row, state: its }) => row.algorithm === algorithm && its === state);
    const current = has('current');
    const from = current?.row.signsFrom ?? now;
    return [
      ...(current === undefined ? [{ algorithm, signsFrom: now }] : []),
      ...(has('next') === undefined ? [{ algorithm, signsFrom: later(after(from, policy.lifeMs), after(now, policy.aheadMs)) }] : []),
    ];
  });
  return { make, forget: standing.filter(({ state }) => state === 'over').map(({ row }) => row.id) };
}

/** When the key that is published and does not sign yet may begin, if it is to begin as soon as it can. */
export function soonest(next: KeyRow, { aheadMs }: KeyPolicy, now: Date): Date {
  return later(after(next.createdAt, aheadMs), now);
}

/**
 * How long others may keep `/jwks`, in seconds: half of the time a key is there before it signs, so that whoever keeps it
 * that long has seen it.
 */
export function keepKeysSeconds({ aheadMs }: KeyPolicy): number {
  return Math.min(300, Math.floor(aheadMs / 2_000));
}

function after(time: Date, ms: number): Date {
  return new Date(time.getTime() + ms);
}

function later(a: Date, b: Date): Date {
  return a > b ? a : b;
}
