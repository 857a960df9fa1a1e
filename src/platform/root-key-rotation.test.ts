import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { Refusal } from '#kernel/errors.ts';
import { testDatabase } from '#test/database/database.ts';
import { until } from '#test/until.ts';
import { systemClock, systemRandomness } from './clock.ts';
import type { Database } from './database/database.ts';
import { openDatabase } from './database/database.ts';
import type { Keyring } from './keyring.ts';
import { openKeyring } from './keyring.ts';
import { joinNodes, liveNodes, nodeGoneMs } from './nodes.ts';
import type { Node } from './nodes.ts';
import { rotateRootKey } from './root-key-rotation.ts';
import type { RotationOptions } from './root-key-rotation.ts';
import type { DataKey } from './sealing.ts';

let database: Database;
before(async () => {
  const { application } = await testDatabase();
  database = await openDatabase({ login: { ...application }, maxConnections: 6, onError: () => {} });
});
after(() => database.close());

const services = { clock: systemClock, randomness: systemRandomness };
const newRootKey = (): DataKey => ({ id: randomUUID(), bytes: randomBytes(32) });
const keyringWith = (rootKey: DataKey): Promise<Keyring> => openKeyring({ ...services, database, rootKey });
const join = (): Promise<Node> => joinNodes(database, { ...services, alone: false });

async function newAccount(): Promise<string> {
  const id = systemRandomness.uid();
  await database.read.insertInto('account').values({ id, identifier: `a${id.replaceAll('-', '')}`, name: null, revision: 0, disabled: false, created_at: systemClock.now() }).execute();
  return id;
}

const refusedWith = (code: string, text: string) => (error: unknown) => {
  assert.ok(error instanceof Refusal, String(error));
  assert.deepEqual([error.code, error.say?.includes(text)], [code, true], `\`${error.say}\` says \`${text}\``);
  return true;
};

// One root key after the other, as in one installation.
let present = newRootKey();
async function rotate(options: Partial<RotationOptions> = {}): Promise<DataKey> {
  const node = await join();
  const newKey = newRootKey();
  try {
    await rotateRootKey({ ...services, database, oldKey: present, newKey, nodeId: node.id, alsoWrite: async () => {}, ...options });
    return (present = options.newKey ?? newKey);
  } finally {
    await node.leave();
  }
}

describe('after a rotation', () => {
  test('the new key opens what was sealed under the old one, and the old one is refused', async () => {
    const old = present;
    const accounts = [await newAccount(), await newAccount()];
    const before = await keyringWith(old);
    const sealed = await Promise.all(accounts.map((account) => before.seal(account, 'place', Buffer.from(`of ${account}`))));
    await rotate();
    const keyring = await keyringWith(present);
    for (const [n, account] of accounts.entries()) assert.equal(String(await keyring.open(account, 'place', sealed[n]!)), `of ${account}`);
    await assert.rejects(keyringWith(old), refusedWith('keys.wrong_root', `\`${present.id}\`, not with \`${old.id}\``));
  });

  test('a server that outlived it goes on with what it knows, and wraps nothing more with the old key', async () => {
    const account = await newAccount();
    const outlived = await keyringWith(present);
    const sealed = await outlived.seal(account, 'place', Buffer.from('known'));
    await rotate();
    assert.equal(String(await outlived.open(account, 'place', sealed)), 'known');
    await assert.rejects(outlived.seal(await newAccount(), 'place', Buffer.from('new')), refusedWith('keys.wrong_root', 'was retired'));
  });
});

describe('a rotation', () => {
  test('is refused while a node is alive, and not because of one that is gone', async () => {
    const server = await join();
    await assert.rejects(rotate(), refusedWith('host.in_use', 'a server works on this database'));
    const seen = new Date(systemClock.now().getTime() - nodeGoneMs);
    await database.read.updateTable('node').set({ seen_at: sql<Date>`now() - interval '31 seconds'`, started_at: seen }).where('id', '=', server.id).execute();
    await rotate();
    await server.heartbeat.run(new AbortController().signal);
    await assert.rejects(rotate(), refusedWith('host.in_use', 'a server works on this database'));
    await server.leave();
  });

  test('makes a server that starts meanwhile wait, and refuses it the old key then', async () => {
    const old = present;
    let starting: Promise<unknown> = Promise.resolve();
    await rotate({
      alsoWrite: async () => {
        starting = join().then(async (node) => {
          await assert.rejects(keyringWith(old), refusedWith('keys.wrong_root', 'not with'));
          await node.leave();
        });
        await until(async () => {
          const { rows } = await sql`select 1 from pg_locks where not granted and relation = 'node'::regclass`.execute(database.read);
          return rows.length > 0;
        }, 'the starting server to wait');
      },
    });
    await starting;
  });

  test('that fails at its end leaves the old key in force', async () => {
    const account = await newAccount();
    const sealed = await (await keyringWith(present)).seal(account, 'place', Buffer.from('kept'));
    await assert.rejects(rotate({ alsoWrite: () => Promise.reject(new Error('disk full')) }), /disk full/);
    assert.equal(String(await (await keyringWith(present)).open(account, 'place', sealed)), 'kept');
  });

  test('tells which accounts it concerns, and takes no key twice', async () => {
    const account = await newAccount();
    const old = present;
    const told: string[] = [];
    await rotate({ alsoWrite: async (_tx, accountIds) => void told.push(...accountIds) });
    assert.ok(told.includes(account));
    await assert.rejects(rotate({ newKey: present }), refusedWith('keys.wrong_root', 'is the present one'));
    await assert.rejects(rotate({ newKey: old }), refusedWith('keys.wrong_root', 'was retired before'));
    await assert.rejects(rotate({ oldKey: old }), refusedWith('keys.wrong_root', 'was retired already'));
  });
});

describe('nodes', () => {
  test('are listed while they live; one that is alone forgets what a crash left behind', async () => {
    const left = await join();
    const [seen] = await liveNodes(database.read);
    assert.equal(seen?.id, left.id);
    const alone = await joinNodes(database, { ...services, alone: true });
    assert.deepEqual((await liveNodes(database.read)).map(({ id }) => id), [alone.id]);
    assert.deepEqual(await liveNodes(database.read, alone.id), []);
    await alone.leave();
    assert.deepEqual(await liveNodes(database.read), []);
  });
});
