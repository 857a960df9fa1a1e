import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
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

const ask = (database: TestDatabase, text: string) => askAs(database.owner, text);

async function askAs(login: TestDatabase['owner'], text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(login);
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/** What `doctor --json` says of these checks. */
function levelsOf(printed: string, ...checks: string[]): (string | undefined)[] {
  const { findings } = JSON.parse(printed) as { findings: { check: string; level: string }[] };
  return checks.map((check) => findings.find((each) => each.check === check)?.level);
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

  test('is served, backed up and restored with the roles docs/operations.md makes, none of which is a superuser', async () => {
    const { owner } = await testDatabase();
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const name = `docs_${randomBytes(6).toString('hex')}`;
    const sql = /```sql\n([^`]+)```/.exec(page)![1]!.replaceAll(/sallyport_(owner|server)/g, `${name}_$1`).replaceAll(/database sallyport\b/g, `database ${name}`);
    // The server of the tests has the role of the application, as every server that was migrated once.
    for (const statement of sql.trim().split('\n').filter((line) => !line.startsWith('create role sallyport_app'))) await askAs(owner, statement);
    const url = (who: string, password: string) => `postgres://${name}_${who}:${password}@/${name}?${new URLSearchParams({ host: owner.host, port: String(owner.port) })}`;
    const [ownerUrl, serverUrl] = [url('owner', 'first-password'), url('server', 'second-password')];
    try {
      const key = keyPlace();
      copyFileSync(join(steady.data, 'root.key'), key);
      const backup = newPlace('docs.dump');
      assert.equal((await sallyport(['backup', '--data', steady.data, '--to', backup])).code, 0);
      const restored = await sallyport(['restore', '--data', newPlace(), '--from', backup, ...flagsFor(ownerUrl, key)]);
      assert.equal(restored.code, 0, restored.stderr);
      assert.equal((await sallyport(['migrate', '--data', newPlace(), ...flagsFor(ownerUrl, key)])).code, 0);
      const server = await serve({ data: newPlace(), flags: flagsFor(serverUrl, key) });
      assert.equal((await resourcesOf(server, steady.token)).length, 6);
      const again = await sallyport(['backup', '--data', newPlace(), '--to', newPlace('docs-again.dump'), ...flagsFor(serverUrl, key)]);
      assert.equal(again.code, 0, again.stderr);
      const examined = await sallyport(['doctor', '--data', newPlace(), '--no-runner', '--json', ...flagsFor(serverUrl, key)]);
      assert.deepEqual(levelsOf(examined.stdout, 'database login', 'application role', 'audit'), ['ok', 'ok', 'ok'], examined.stdout);
      await server.stop();
    } finally {
      await askAs(owner, `drop database if exists ${name} with (force)`);
      for (const role of ['owner', 'server']) await askAs(owner, `drop role if exists ${name}_${role}`);
    }
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
    assert.deepEqual(levelsOf(examined.stdout, 'migrations', 'root key', 'database login'), ['ok', 'ok', 'ok'], examined.stdout);
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
