/**
 * Keys at rest: one root key outside the database wraps a data key per account; data keys seal everything else.
 * Signing keys are made per account and purpose and sealed the same way.
 */
import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { link, mkdir, open as openFile, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Database, Tx } from './database/database.ts';
import type { Clock, Randomness } from './clock.ts';
import type { DataKey, Sealing } from './sealing.ts';
import { createSealing, open, sealedKeyId } from './sealing.ts';

/** Of keys that stay as they are. Keys of minted tokens (`mint`) have a life, which is their feature's. */
export type Purpose = 'checkpoint' | 'session';
export type SigningAlgorithm = 'Ed25519' | 'ES256' | 'RS256';
const algorithmOf: Readonly<Record<Purpose, SigningAlgorithm>> = { checkpoint: 'Ed25519', session: 'ES256' };

export interface SigningKey {
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

export type Digester = (context: string, value: string) => Buffer;

export interface Keyring {
  /** Seals for one account; `context` names the exact place, e.g. `secret:<uid>:<version>`. */
  seal(accountId: string, context: string, plaintext: Uint8Array): Promise<Buffer>;
  open(accountId: string, context: string, sealed: Uint8Array): Promise<Buffer>;
  /** Keyed digest of a value: tells equal from changed and nothing else. */
  digest(accountId: string, context: string, value: string): Promise<Buffer>;
  /** The same for many values: the key is had once. */
  digester(accountId: string): Promise<Digester>;
  /** The current key of a purpose, made on first use. */
  signingKey(accountId: string, purpose: Purpose): Promise<SigningKey>;
  /** Public keys that verify what was signed, retired ones included, newest first. */
  publicKeys(accountId: string, purpose: Purpose): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A new private key, sealed for the account and purpose; it is nowhere yet. */
  makeKey(accountId: string, purpose: Purpose | 'mint', algorithm: SigningAlgorithm): Promise<SealedKey>;
  /** Throws `keys.unsealable` for what was not sealed for this account, purpose and id. */
  openKey(accountId: string, purpose: Purpose | 'mint', key: SealedKey): Promise<SigningKey>;
}

export interface SealedKey {
  readonly id: string;
  readonly sealed: Buffer;
}

const filePrefix = 'sallyport-root-key-v1:';
const checkText = Buffer.from('sallyport root key check');

/** Reads the root key; makes it (0600) when absent and `create` allows. Refuses a file others may read. */
export async function loadRootKey(path: string, options: { readonly create: boolean; readonly randomness: Randomness }): Promise<DataKey> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw refusal('config.unsafe', { say: `the root key \`${path}\` can be read by others; set its mode to 0600` });
    }
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (!options.create) throw refusal('keys.wrong_root', { say: `the root key \`${path}\` is missing, but the data was sealed with one; restore it` });
    text = filePrefix + options.randomness.bytes(32).toString('base64url');
    text = await writeOnce(path, text, options.randomness);
  }
  const bytes = Buffer.from(text.slice(filePrefix.length), 'base64url');
  if (!text.startsWith(filePrefix) || bytes.length !== 32) throw refusal('keys.wrong_root', { say: `the file \`${path}\` does not hold a root key` });
  return { id: keyId(bytes), bytes };
}

/** Complete or not there at all, whoever is killed when: written aside, then linked to its name. Returns what is there then. */
async function writeOnce(path: string, text: string, randomness: Randomness): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${randomness.uid()}.new`;
  const file = await openFile(aside, 'wx', 0o600);
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another node was first, and it is its key
  } finally {
    await rm(aside);
  }
  return (await readFile(path, 'utf8')).trim();
}

/** A UUID made from the key's hash: tells which key it is without telling the key. */
function keyId(bytes: Buffer): string {
  const hex = createHash('sha256').update('sallyport root key id').update(bytes).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export async function openKeyring(services: { database: Database; rootKey: DataKey; clock: Clock; randomness: Randomness }): Promise<Keyring> {
  const sealing = createSealing(services.randomness.bytes);
  await confirmRootKey(services, sealing);
  const dataKeys = new Map<string, Promise<Map<string, DataKey>>>();
  const signing = new Map<string, Promise<SigningKey>>();
  const published = new Map<string, { readonly sealed: Buffer; readonly jwk: Readonly<Record<string, unknown>> }>();

  function keysOf(accountId: string): Promise<Map<string, DataKey>> {
    return once(dataKeys, accountId, () => loadDataKeys(services, sealing, accountId));
  }

  async function current(accountId: string): Promise<DataKey> {
    return [...(await keysOf(accountId)).values()].at(-1)!;
  }

  const keyring: Keyring = {
    async seal(accountId, context, plaintext) {
      return sealing.seal(await current(accountId), `${accountId}:${context}`, plaintext);
    },
    async open(accountId, context, sealed) {
      const id = sealedKeyId(sealed);
      let key = (await keysOf(accountId)).get(id);
      if (key === undefined) {
        dataKeys.delete(accountId);
        key = (await keysOf(accountId)).get(id);
      }
      if (key === undefined) throw refusal('keys.unsealable', { because: `the data key ${id} is not known` });
      return open(key, `${accountId}:${context}`, sealed);
    },
    async digest(accountId, context, value) {
      return (await keyring.digester(accountId))(context, value);
    },
    async digester(accountId) {
      const [first] = (await keysOf(accountId)).values();
      return (context, value) => createHmac('sha256', first!.bytes).update('digest\0').update(context).update('\0').update(value).digest();
    },
    signingKey: (accountId, purpose) =>
      once(signing, `${accountId}:${purpose}`, () => loadSigningKey(services, keyring, accountId, purpose)),
    async publicKeys(accountId, purpose) {
      await keyring.signingKey(accountId, purpose);
      const rows = await services.database.read
        .selectFrom('signing_key').select(['id', 'sealed'])
        .where('account_id', '=', accountId).where('purpose', '=', purpose)
        .orderBy('created_at', 'desc').execute();
      const keys = await Promise.all(rows.map((row) => publicKeyOf(accountId, purpose, row)));
      return keys.filter((key) => key !== null);
    },
    async makeKey(accountId, purpose, algorithm) {
      const id = services.randomness.bytes(16).toString('base64url');
      return { id, sealed: await keyring.seal(accountId, signingContext(purpose, id), await newPrivateKey(algorithm)) };
    },
    openKey: (accountId, purpose, key) => openSigningKey(keyring, { accountId, purpose, ...key }),
  };
  return keyring;

  /**
   * Null for a row that is not ours. A public key is what belongs to a private key we sealed, whatever the table says of
   * it: otherwise whoever can write a row could have their own signatures accepted.
   */
  async function publicKeyOf(accountId: string, purpose: Purpose, row: { readonly id: string; readonly sealed: Buffer }) {
    const name = `${accountId}:${purpose}:${row.id}`;
    const known = published.get(name);
    if (known?.sealed.equals(row.sealed) === true) return known.jwk;
    try {
      const { publicJwk } = await openSigningKey(keyring, { accountId, purpose, ...row });
      published.set(name, { sealed: row.sealed, jwk: publicJwk });
      return publicJwk;
    } catch (error) {
      if (error instanceof Refusal && error.code === 'keys.unsealable') return null;
      throw error;
    }
  }
}

/** Single flight; a failure is not kept. */
function once<T>(kept: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let value = kept.get(key);
  if (value === undefined) {
    value = make();
    kept.set(key, value);
    value.catch(() => kept.delete(key));
  }
  return value;
}

/** The first start records which key this is; every later start must bring the same. */
async function confirmRootKey({ database, rootKey, clock }: { database: Database; rootKey: DataKey; clock: Clock }, sealing: Sealing): Promise<void> {
  await database.transaction(async (tx) => {
    const present = () => tx.selectFrom('root_key').selectAll().where('retired_at', 'is', null).execute();
    let rows = await present();
    if (rows.length === 0) {
      await sql`lock table root_key in share row exclusive mode`.execute(tx); // two nodes at their first start, with two keys
      rows = await present();
    }
    if (rows.length > 0) return checkRootKey(rootKey, rows);
    await tx.insertInto('root_key').values(rootKeyRow(rootKey, sealing, clock.now())).execute();
  });
}

/** `rows`: those of `root_key` that are not retired, at least one. Refuses with `keys.wrong_root` unless the key is one of theirs. */
export function checkRootKey(rootKey: DataKey, rows: readonly { readonly id: string; readonly check_value: Buffer }[]): void {
  const own = rows.find((row) => row.id === rootKey.id);
  if (own === undefined) {
    throw refusal('keys.wrong_root', { say: `this data was sealed with the root key \`${rows[0]!.id}\`, not with \`${rootKey.id}\`; start with the right \`--root-key-file\`` });
  }
  open(rootKey, rootKeyContext(rootKey.id), own.check_value);
}

/** The row by which a later start recognises the key. */
export function rootKeyRow(rootKey: DataKey, sealing: Sealing, now: Date) {
  return { id: rootKey.id, check_value: sealing.seal(rootKey, rootKeyContext(rootKey.id), checkText), created_at: now, retired_at: null };
}

function rootKeyContext(id: string): string {
  return `root-key:${id}`;
}

interface KeyServices {
  readonly database: Database;
  readonly rootKey: DataKey;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

async function loadDataKeys(services: KeyServices, sealing: Sealing, accountId: string): Promise<Map<string, DataKey>> {
  const { database, rootKey, clock, randomness } = services;
  const rows = await database.transaction(async (tx) => {
    await lockAccount(tx, accountId);
    const found = await tx.selectFrom('data_key').selectAll().where('account_id', '=', accountId).orderBy('created_at').orderBy('id').execute();
    if (found.length > 0) return found;
    await refuseRetired(tx, rootKey);
    const id = randomness.uid();
    const wrapped = sealing.seal(rootKey, dataKeyContext(accountId, id), randomness.bytes(32));
    const row = { account_id: accountId, id, root_key_id: rootKey.id, wrapped, created_at: clock.now(), retired_at: null };
    await tx.insertInto('data_key').values(row).execute();
    return [row];
  });
  return new Map(rows.map((row) => [row.id, { id: row.id, bytes: open(rootKey, dataKeyContext(accountId, row.id), row.wrapped) }]));
}

/** A server that outlived a rotation must wrap nothing more with the old key. The lock makes a rotation wait for us. */
async function refuseRetired(tx: Tx, rootKey: DataKey): Promise<void> {
  const row = await tx.selectFrom('root_key').select('id').where('id', '=', rootKey.id).where('retired_at', 'is', null).forShare().executeTakeFirst();
  if (row === undefined) throw refusal('keys.wrong_root', { say: `the root key \`${rootKey.id}\` was retired; start the server with the new one` });
}

/** Where a wrapped data key is kept, for `Sealing`. */
export function dataKeyContext(accountId: string, id: string): string {
  return `data-key:${accountId}:${id}`;
}

async function loadSigningKey(services: KeyServices, keyring: Keyring, accountId: string, purpose: Purpose): Promise<SigningKey> {
  const algorithm = algorithmOf[purpose];
  const find = (reader: Database['read'] | Tx) =>
    reader.selectFrom('signing_key').selectAll()
      .where('account_id', '=', accountId).where('purpose', '=', purpose).where('retired_at', 'is', null)
      .executeTakeFirst();
  let row = await find(services.database.read);
  if (row === undefined) {
    // Key work stays outside the transaction; two nodes may both make one and the row of the first is used by both.
    const { id, sealed } = await keyring.makeKey(accountId, purpose, algorithm);
    row = await services.database.transaction(async (tx) => {
      await lockAccount(tx, accountId);
      const existing = await find(tx);
      if (existing !== undefined) return existing;
      return tx.insertInto('signing_key')
        .values({ account_id: accountId, id, purpose, algorithm, sealed, created_at: services.clock.now(), retired_at: null, signs_from: null, revoked_at: null })
        .returningAll().executeTakeFirstOrThrow();
    });
  }
  return openSigningKey(keyring, { accountId, purpose, id: row.id, sealed: row.sealed });
}

async function openSigningKey(keyring: Keyring, { accountId, purpose, id, sealed }: SealedKey & { accountId: string; purpose: Purpose | 'mint' }): Promise<SigningKey> {
  const der = await keyring.open(accountId, signingContext(purpose, id), sealed);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const type = privateKey.asymmetricKeyType;
  const algorithm = type === 'ed25519' ? 'Ed25519' : type === 'ec' ? 'ES256' : 'RS256';
  const publicJwk = { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid: id, use: 'sig', alg: algorithm === 'Ed25519' ? 'EdDSA' : algorithm };
  return { id, algorithm, privateKey, publicJwk };
}

function signingContext(purpose: Purpose | 'mint', id: string): string {
  return `signing-key:${purpose}:${id}`;
}

const generate = promisify(generateKeyPair);

/** PKCS #8. Off the main thread: an RSA key takes a tenth of a second. */
async function newPrivateKey(algorithm: SigningAlgorithm): Promise<Buffer> {
  const { privateKey } =
    algorithm === 'Ed25519' ? await generate('ed25519')
    : algorithm === 'ES256' ? await generate('ec', { namedCurve: 'P-256' })
    : await generate('rsa', { modulusLength: 2048 });
  return privateKey.export({ format: 'der', type: 'pkcs8' });
}

/** Serialises the makers of an account's keys; they are rare. */
async function lockAccount(tx: Tx, accountId: string): Promise<void> {
  await tx.selectFrom('account').select('id').where('id', '=', accountId).forUpdate().execute();
}
