/** The keys of minted tokens at work: which one signs now, which are published, and what is remembered of them. */
import type { Clock } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Keyring, SigningKey } from '#platform/keyring.ts';
import type { KeyPolicy, MintAlgorithm, PlannedKeys, StandingKey } from './key-life.ts';
import { isPublished, plannedKeys, standingOf } from './key-life.ts';
import type { StoredKey } from './key-store.ts';
import { forgetKeys, insertKey, listKeys, lockKeys } from './key-store.ts';

export type PublicJwk = Readonly<Record<string, unknown>>;

export interface MintKeys {
  readonly policy: KeyPolicy;
  /** The key that signs now; the keys of an account are made when the first is asked for. */
  current(accountId: string, algorithm: MintAlgorithm): Promise<SigningKey>;
  /** Public keys, those that sign first. The same array while nothing changes. */
  published(accountId: string): Promise<readonly PublicJwk[]>;
  /** A key whose signatures count now; null = there is none of that name, or it is over or revoked. */
  verifying(accountId: string, id: string): Promise<SigningKey | null>;
  /** Read now, not remembered. */
  standing(accountId: string): Promise<readonly StandingKey<StoredKey>[]>;
  /** Key material for a transaction that may need it: one key of each. */
  spare(accountId: string, algorithms: readonly MintAlgorithm[]): Promise<readonly StoredKey[]>;
  /** What is remembered of the account is read again. */
  forget(accountId: string): void;
  /** Makes and forgets what is due. True = something was made. */
  tend(accountId: string, written?: KeysWritten): Promise<boolean>;
}

/** In the transaction in which keys were made. */
export type KeysWritten = (tx: Tx, made: readonly StoredKey[], forgotten: readonly string[]) => Promise<void>;

export interface KeyServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly policy: KeyPolicy;
}

/** A key that was revoked on another node signs here, and stays in our `/jwks`, no longer than this. */
const believedMs = 500;
const maxAccounts = 10_000;

interface Known {
  readonly rows: readonly StoredKey[];
  readonly readMs: number;
  /** Opened keys that sign, each until the next one does. */
  readonly signing: Map<MintAlgorithm, { readonly key: SigningKey; readonly fromMs: number; readonly untilMs: number }>;
}

interface Listed {
  readonly ids: string;
  readonly keys: readonly PublicJwk[];
}

export function createMintKeys(services: KeyServices): MintKeys {
  const { database, keyring, clock, policy } = services;
  const known = new Map<string, Known>();
  const reading = new Map<string, Promise<readonly StoredKey[]>>();
  const opened = new Map<string, { readonly sealed: Buffer; readonly key: SigningKey }>();
  const listed = new Map<string, Listed>();
  let forgotten = 0;

  async function rowsOf(accountId: string, isFresh = false): Promise<readonly StoredKey[]> {
    const found = known.get(accountId);
    if (!isFresh && found !== undefined && clock.monotonicMs() - found.readMs < believedMs) return found.rows;
    const under = isFresh ? undefined : reading.get(accountId);
    if (under !== undefined) return under;
    const asked = read(accountId);
    reading.set(accountId, asked);
    try {
      return await asked;
    } finally {
      if (reading.get(accountId) === asked) reading.delete(accountId);
    }
  }

  async function read(accountId: string): Promise<readonly StoredKey[]> {
    const readMs = clock.monotonicMs();
    const since = forgotten;
    const rows = await listKeys(database.read, accountId);
    // Something was changed meanwhile, or somebody read after us: what we read may be what was before.
    if (forgotten !== since || (known.get(accountId)?.readMs ?? -Infinity) > readMs) return rows;
    known.delete(accountId);
    if (rows.length > 0) known.set(accountId, { rows, readMs, signing: new Map() });
    if (known.size > maxAccounts) drop(known.keys().next().value!);
    return rows;
  }

  function drop(accountId: string): void {
    known.delete(accountId);
    listed.delete(accountId);
    for (const name of opened.keys()) if (name.startsWith(`${accountId}:`)) opened.delete(name);
  }

  /** A public key is what belongs to a private key we sealed, whatever the table says of it. */
  async function open(accountId: string, row: StoredKey): Promise<SigningKey> {
    const name = `${accountId}:${row.id}`;
    const before = opened.get(name);
    if (before?.sealed.equals(row.sealed) === true) return before.key;
    const key = await keyring.openKey(accountId, 'mint', row);
    opened.set(name, { sealed: row.sealed, key });
    return key;
  }

  async function openIfOurs(accountId: string, row: StoredKey): Promise<SigningKey | null> {
    try {
      return await open(accountId, row);
    } catch (error) {
      if (error instanceof Refusal && error.code === 'keys.unsealable') return null;
      throw error;
    }
  }

  /** Those of an account without any, and those an older release did not make, are made now. */
  async function standingNow(accountId: string): Promise<StandingKey<StoredKey>[]> {
    const standing = standingOf(await rowsOf(accountId), policy, clock.now());
    if (standing.filter(({ state }) => state === 'current').length === 2) return standing;
    // Only those that sign: whoever waits for a token does not wait for the keys of the time to come, too.
    await carriedOut(accountId, (planned) => ({ make: planned.make.filter(({ signsFrom }) => signsFrom <= clock.now()), forget: [] }), undefined);
    return standingOf(await rowsOf(accountId, true), policy, clock.now());
  }

  async function carriedOut(accountId: string, due: (planned: PlannedKeys) => PlannedKeys, written: KeysWritten | undefined): Promise<boolean> {
    const planned = due(plannedKeys(await rowsOf(accountId, true), policy, clock.now()));
    if (planned.make.length + planned.forget.length === 0) return false;
    // Key work stays outside the transaction; two nodes may both make one, and the row of the first is used by both.
    const spare = await made(services, accountId, planned.make);
    await database.transaction(async (tx) => carryOut(tx, accountId, { planned: due(plannedKeys(await lockKeys(tx, accountId), policy, clock.now())), spare, now: clock.now(), written }));
    mintKeys.forget(accountId);
    return spare.length > 0;
  }

  const mintKeys: MintKeys = {
    policy,
    async current(accountId, algorithm) {
      const remembered = known.get(accountId);
      if (remembered !== undefined && clock.monotonicMs() - remembered.readMs < believedMs) {
        const signing = remembered.signing.get(algorithm);
        const nowMs = clock.now().getTime();
        if (signing !== undefined && nowMs >= signing.fromMs && nowMs < signing.untilMs) return signing.key;
      }
      const now = (await standingNow(accountId)).find(({ row, state }) => row.algorithm === algorithm && state === 'current');
      if (now === undefined) throw refusal('keys.unsealable', { because: `the account has no ${algorithm} key that signs` });
      const key = await open(accountId, now.row);
      const next = now.publishedUntil === null ? Infinity : now.publishedUntil.getTime() - policy.overlapMs;
      // Only of the rows it was found in.
      const read = known.get(accountId);
      if (read?.rows.includes(now.row) === true) read.signing.set(algorithm, { key, fromMs: now.row.signsFrom.getTime(), untilMs: next });
      return key;
    },
    async published(accountId) {
      const rows = (await standingNow(accountId)).filter(isPublished).map(({ row }) => row);
      const ids = rows.map(({ id }) => id).join(' ');
      const before = listed.get(accountId);
      if (before?.ids === ids) return before.keys;
      const keys = (await Promise.all(rows.map((row) => openIfOurs(accountId, row)))).flatMap((key) => (key === null ? [] : [key.publicJwk]));
      listed.set(accountId, { ids, keys });
      return keys;
    },
    async verifying(accountId, id) {
      const find = async (isFresh: boolean) =>
        standingOf(await rowsOf(accountId, isFresh), policy, clock.now()).find((key) => key.row.id === id);
      const found = (await find(false)) ?? (await find(true));
      return found === undefined || !['current', 'past'].includes(found.state) ? null : openIfOurs(accountId, found.row);
    },
    async standing(accountId) {
      await standingNow(accountId);
      return standingOf(await rowsOf(accountId, true), policy, clock.now());
    },
    spare: (accountId, algorithms) => made(services, accountId, algorithms.map((algorithm) => ({ algorithm, signsFrom: clock.now() }))),
    forget: (accountId) => {
      forgotten += 1;
      reading.delete(accountId);
      known.delete(accountId);
      listed.delete(accountId);
    },
    tend: (accountId, written) => carriedOut(accountId, (planned) => planned, written),
  };
  return mintKeys;
}

async function made({ keyring, clock }: KeyServices, accountId: string, make: PlannedKeys['make']): Promise<StoredKey[]> {
  return Promise.all(make.map(async ({ algorithm, signsFrom }) => ({
    ...(await keyring.makeKey(accountId, 'mint', algorithm)), algorithm, createdAt: clock.now(), signsFrom, revokedAt: null,
  })));
}

/** What is planned under the lock, with the key material that was made before. */
async function carryOut(
  tx: Tx, accountId: string,
  { planned, spare, now, written }: { planned: PlannedKeys; spare: readonly StoredKey[]; now: Date; written: KeysWritten | undefined },
): Promise<void> {
  const left = [...spare];
  const inserted: StoredKey[] = [];
  for (const { algorithm, signsFrom } of planned.make) {
    const at = left.findIndex((key) => key.algorithm === algorithm);
    if (at === -1) continue;
    const key: StoredKey = { ...left.splice(at, 1)[0]!, createdAt: now, signsFrom };
    await insertKey(tx, accountId, key);
    inserted.push(key);
  }
  await forgetKeys(tx, accountId, planned.forget);
  await written?.(tx, inserted, planned.forget);
}
