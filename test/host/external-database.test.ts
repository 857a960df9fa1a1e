import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import { testDatabase } from '#test/database/database.ts';
import type { TestDatabase } from '#test/database/database.ts';
import { setUpAdmin } from '#test/serve-process.ts';
import { call, newPlace, refused, resourcesOf, sallyport, serve, steadyData } from './sallyport.ts';
import type { Steady } from './sallyport.ts';

let steady: Steady;
before(async () => void (steady = await steadyData()));

/** A place for the root key, which may not lie with the data. */
function keyPlace(): string {
  const path = join(newPlace('keys'), 'root.key');
  mkdirSync(dirname(path), { mode: 0o700 });
  return path;
}

const flagsFor = (url: string, key: string) => ['--database-url', url, '--root-key-file', key];

async function ask(database: TestDatabase, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(database.owner);
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

describe('a server on an external database', () => {
  test('starts on an empty one, shares it with others, and leaves no key in its data directory', async () => {
    const database = await testDatabase({ migrated: false });
    const key = keyPlace();
    const data = newPlace();
    const first = await serve({ data, flags: flagsFor(database.ownerUrl, key) });
    const token = await setUpAdmin(first, data);
    assert.ok(existsSync(key) && !existsSync(join(data, 'root.key')));
    const second = await serve({ data: newPlace(), flags: flagsFor(database.ownerUrl, key) });
    assert.equal((await call(first, token, { method: 'POST', path: '/manifests:apply', body: { documents: [{ kind: 'Organization', identifier: 'shared', spec: {} }] } })).status, 200);
    assert.equal((await call(second, token, { method: 'GET', path: '/organizations/shared' })).status, 200);
    assert.equal((await ask(database, 'select 1 from node')).length, 2);
    await Promise.all([first.stop(), second.stop()]);
    assert.equal((await ask(database, 'select 1 from node')).length, 0);
  });

  test('serves with a login that may not change the schema, once the owner has migrated', async () => {
    const blank = await testDatabase({ migrated: false });
    const key = keyPlace();
    await refused(['serve', '--data', newPlace(), '--port', '0', ...flagsFor(blank.applicationUrl, key)], 4, 'run `sallyport migrate` with the owner');
    assert.equal((await sallyport(['migrate', '--data', newPlace(), ...flagsFor(blank.ownerUrl, key)])).code, 0);
    const data = newPlace();
    const server = await serve({ data, flags: flagsFor(blank.applicationUrl, key) });
    await setUpAdmin(server, data);
    await server.stop();
    const examined = await sallyport(['doctor', '--data', data, '--no-runner', '--json', ...flagsFor(blank.applicationUrl, key)]);
    assert.equal(examined.code, 0, examined.stdout);
    const { findings } = JSON.parse(examined.stdout) as { findings: { check: string; level: string }[] };
    assert.deepEqual(findings.filter(({ level, check }) => level !== 'ok' && check !== 'disk'), []);
  });
});

test('keys rotate is refused while any server works on the database, and until a killed one counts as gone', async () => {
  const database = await testDatabase({ migrated: false });
  const key = keyPlace();
  const server = await serve({ data: newPlace(), flags: flagsFor(database.ownerUrl, key) });
  const rotate = ['keys', 'rotate', '--data', newPlace(), ...flagsFor(database.ownerUrl, key), '--new-root-key-file', `${key}.new`];
  await refused(rotate, 3, 'a server works on this database');
  await server.kill();
  await refused(rotate, 3, 'one that was killed counts as gone after 30 s');
  await ask(database, `update node set seen_at = now() - interval '31 seconds'`);
  assert.equal((await sallyport(rotate)).code, 0);
  const again = await serve({ data: newPlace(), flags: flagsFor(database.ownerUrl, `${key}.new`) });
  await again.stop();
  const inside = join(newPlace(), 'inside.key');
  await refused(['keys', 'rotate', '--data', dirname(inside), ...flagsFor(database.ownerUrl, `${key}.new`), '--new-root-key-file', inside], 1, 'the root key must not lie in the data directory');
  assert.ok(!existsSync(inside));
});

test('a backup moves from the embedded database to an external one', async () => {
  const backup = newPlace('move.dump');
  assert.equal((await sallyport(['backup', '--data', steady.data, '--to', backup])).code, 0);
  const database = await testDatabase({ migrated: false });
  const key = keyPlace();
  copyFileSync(join(steady.data, 'root.key'), key);
  const flags = flagsFor(database.ownerUrl, key);
  const restored = await sallyport(['restore', '--data', newPlace(), '--from', backup, ...flags]);
  assert.equal(restored.code, 0, restored.stderr);
  const server = await serve({ data: newPlace(), flags });
  assert.equal((await resourcesOf(server, steady.token)).length, 6);
  const verified = await call(server, steady.token, { method: 'POST', path: '/audit:verify' });
  assert.deepEqual((verified.body as { findings: unknown[] }).findings, []);
  await server.stop();
  assert.equal(readFileSync(key, 'utf8'), readFileSync(join(steady.data, 'root.key'), 'utf8'));
});
