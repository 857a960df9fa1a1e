import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Refusal } from '#kernel/errors.ts';
import { testDatabase } from '#test/database/database.ts';
import { systemClock, systemRandomness } from './clock.ts';
import type { Database } from './database/database.ts';
import { openDatabase } from './database/database.ts';
import type { Keyring } from './keyring.ts';
import { loadRootKey, openKeyring } from './keyring.ts';
import type { DataKey } from './sealing.ts';

const base = mkdtempSync(join(tmpdir(), 'keyring-'));
after(() => rmSync(base, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(base, String(++files), 'root.key');
const load = (path: string, create: boolean) => loadRootKey(path, { create, randomness: systemRandomness });

const refusedWith = (code: string, text: string) => (error: unknown) => {
  assert.ok(error instanceof Refusal, String(error));
  assert.deepEqual([error.code, error.say?.includes(text)], [code, true], `\`${error.say}\` says \`${text}\``);
  return true;
};

describe('the file of the root key', () => {
  test('is made once, for its owner alone, and read again as the same key', async () => {
    const path = newPath();
    const made = await load(path, true);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(made.bytes.length, 32);
    assert.deepEqual(await load(path, true), made);
    assert.deepEqual(await load(path, false), made);
    assert.notDeepEqual((await load(newPath(), true)).id, made.id);
  });

  test('is one key for all who make it at the same time, and nothing is left beside it', async () => {
    const path = newPath();
    const keys = await Promise.all(Array.from({ length: 8 }, () => load(path, true)));
    assert.equal(new Set(keys.map(({ id }) => id)).size, 1);
    assert.deepEqual(readdirSync(join(path, '..')), ['root.key']);
  });

  test('is not made where one must be there', async () => {
    const path = newPath();
    await assert.rejects(load(path, false), refusedWith('keys.wrong_root', 'is missing'));
    assert.ok(!existsSync(path));
  });

  const faults: [string, (path: string, text: string) => void, string, string][] = [
    ['that everybody may read', (path) => chmodSync(path, 0o604), 'config.unsafe', 'set its mode to 0600'],
    ['that the group may read', (path) => chmodSync(path, 0o640), 'config.unsafe', 'set its mode to 0600'],
    ['that others may write', (path) => chmodSync(path, 0o602), 'config.unsafe', 'set its mode to 0600'],
    ['that is empty', (path) => writeFileSync(path, ''), 'keys.wrong_root', 'does not hold a root key'],
    ['of another format', (path, text) => writeFileSync(path, text.replace('-v1:', '-v2:')), 'keys.wrong_root', 'does not hold a root key'],
    ['of a key that is too short', (path, text) => writeFileSync(path, text.slice(0, -3)), 'keys.wrong_root', 'does not hold a root key'],
    ['of a key that is too long', (path, text) => writeFileSync(path, `${text}AAAA`), 'keys.wrong_root', 'does not hold a root key'],
  ];
  for (const [which, damage, code, says] of faults) {
    test(`${which} is refused and left as it is`, async () => {
      const path = newPath();
      await load(path, true);
      damage(path, readFileSync(path, 'utf8').trim());
      const left = readFileSync(path, 'utf8');
      await assert.rejects(load(path, true), refusedWith(code, says));
      assert.equal(readFileSync(path, 'utf8'), left);
    });
  }
});

describe('the keyring', () => {
  let database: Database;
  before(async () => {
    const { application } = await testDatabase();
    database = await openDatabase({ login: { ...application }, maxConnections: 6, onError: () => {} });
  });
  after(() => database.close());

  const newKey = (): DataKey => ({ id: randomUUID(), bytes: randomBytes(32) });
  const openWith = (rootKey: DataKey) => openKeyring({ database, rootKey, clock: systemClock, randomness: systemRandomness });
  let rootKey: DataKey;
  let keyring: Keyring;

  test('takes one root key, even if nodes bring several at the first start', async () => {
    const keys = [newKey(), newKey(), newKey()];
    const opened = await Promise.allSettled(keys.map(openWith));
    const taken = opened.findIndex(({ status }) => status === 'fulfilled');
    assert.equal(opened.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const one of opened) if (one.status === 'rejected') refusedWith('keys.wrong_root', `\`${keys[taken]!.id}\`, not with`)(one.reason);
    rootKey = keys[taken]!;
    keyring = await openWith(rootKey);
  });

  test('refuses a root key of the right name with other bytes', async () => {
    await assert.rejects(openWith({ ...rootKey, bytes: randomBytes(32) }), (error) => error instanceof Refusal && error.code === 'keys.unsealable');
  });

  test('opens what it sealed, for the same account and place alone', async () => {
    const [one, other] = [await newAccount(), await newAccount()];
    const sealed = await keyring.seal(one, 'secret:1', Buffer.from('value'));
    assert.equal(String(await keyring.open(one, 'secret:1', sealed)), 'value');
    for (const [account, place] of [[one, 'secret:2'], [other, 'secret:1']] as const) {
      await assert.rejects(keyring.open(account, place, sealed), (error) => error instanceof Refusal && error.code === 'keys.unsealable');
    }
    assert.equal(String(await (await openWith(rootKey)).open(one, 'secret:1', sealed)), 'value', 'on another node too');
  });

  test('has one signing key a purpose, whoever asks first', async () => {
    const account = await newAccount();
    const nodes = await Promise.all([openWith(rootKey), openWith(rootKey), openWith(rootKey)]);
    const keys = await Promise.all(nodes.map((node) => node.signingKey(account, 'checkpoint')));
    assert.equal(new Set(keys.map(({ id }) => id)).size, 1);
    assert.equal((await keyring.publicKeys(account, 'checkpoint')).length, 1);
  });

  async function newAccount(): Promise<string> {
    const id = systemRandomness.uid();
    await database.read.insertInto('account').values({ id, identifier: `a${id.replaceAll('-', '')}`, name: null, revision: 0, disabled: false, created_at: systemClock.now() }).execute();
    return id;
  }
});
