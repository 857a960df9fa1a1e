import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { base, call, copyOf, newPlace, refused, resourcesOf, sallyport, serve, steadyData } from './sallyport.ts';
import type { Steady } from './sallyport.ts';

let steady: Steady;
/** Made beside a running server. */
let backup: string;
let resources: unknown[];
const key = () => join(steady.data, 'root.key');

before(async () => {
  steady = await steadyData();
  const data = copyOf(steady);
  const server = await serve({ data });
  resources = await resourcesOf(server, steady.token);
  backup = newPlace('steady.dump');
  const ended = await sallyport(['backup', '--data', data, '--to', backup, '--json']);
  assert.equal(ended.code, 0, ended.stderr);
  const said = JSON.parse(ended.stdout) as { file: string; rows: number; bytes: number };
  assert.deepEqual([said.file, said.bytes, said.rows > 10], [backup, statSync(backup).size, true]);
  await server.stop();
});

const restore = (data: string, from: string, ...more: string[]) => ['restore', '--data', data, '--from', from, ...more];

describe('a backup', () => {
  test('holds neither the root key nor any secret, token, code or database password, in whatever form', () => {
    const bytes = gunzipSync(readFileSync(backup));
    const text = bytes.toString('latin1').toLowerCase();
    const passwords = Object.values(JSON.parse(readFileSync(join(steady.data, 'postgres.json'), 'utf8')) as Record<string, unknown>).filter((value) => typeof value === 'string');
    const setupCode = readFileSync(join(steady.data, 'setup-code'), 'utf8').trim();
    const rootKey = Buffer.from(readFileSync(key(), 'utf8').trim().split(':')[1]!, 'base64url');
    assert.equal(rootKey.length, 32);
    const sought = [rootKey, ...[...steady.secrets, setupCode, ...passwords].map((value) => Buffer.from(value))];
    assert.equal(sought.length, 6);
    for (const value of sought) {
      assert.equal(bytes.indexOf(value), -1);
      for (const form of ['hex', 'base64', 'base64url', 'latin1'] as const) assert.ok(!text.includes(value.toString(form).replace(/=+$/, '').toLowerCase()), form);
    }
    assert.ok(text.includes('db_password'), 'it does hold what surrounds them');
  });

  test('is a file of its owner alone, and no other is overwritten by it', async () => {
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    const before = readFileSync(backup);
    await refused(['backup', '--data', steady.data, '--to', backup], 1, 'exists and is not overwritten');
    assert.deepEqual(readFileSync(backup), before);
  });

  test('is not made of a place without data, which stays as it is', async () => {
    const data = newPlace('mistyped');
    await refused(['backup', '--data', data, '--to', newPlace('x.dump'), '--root-key-file', key()], 1, 'holds no data');
    assert.ok(!existsSync(data));
  });

  test('is not made with a root key that is not the data’s, since nobody could restore it', async () => {
    const wrong = newPlace('wrong.key');
    writeFileSync(wrong, `sallyport-root-key-v1:${Buffer.alloc(32, 9).toString('base64url')}\n`, { mode: 0o600 });
    const to = newPlace('x.dump');
    await refused(['backup', '--data', steady.data, '--root-key-file', wrong, '--to', to], 1, 'sealed with the root key');
    assert.ok(!existsSync(to));
  });
});

describe('a restore', () => {
  test('with the copied root key brings back the same resources, tokens and an unchanged trail', async () => {
    const data = newPlace('restored');
    mkdirSync(data, { mode: 0o700 });
    copyFileSync(key(), join(data, 'root.key'));
    const ended = await sallyport(restore(data, backup));
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /^\d+ rows restored/);

    const server = await serve({ data });
    assert.deepEqual(await resourcesOf(server, steady.token), resources);
    const verified = await sallyport(['audit', 'verify', '--url', server.url, '--json'], { SALLYPORT_TOKEN: steady.token });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.deepEqual((JSON.parse(verified.stdout) as { findings: unknown[] }).findings, []);
    const audit = await call(server, steady.token, { method: 'GET', path: '/audit?action=account.restore' });
    assert.equal((audit.body as { items: unknown[] }).items.length, 1);
    const applied = await call(server, steady.token, { method: 'POST', path: '/manifests:apply', body: { documents: [{ kind: 'Organization', identifier: 'after', spec: {} }] } });
    assert.equal(applied.status, 200);
    assert.ok(!existsSync(join(data, 'setup-code')), 'it is no first start');
    await server.stop();
  });

  test('without the root key, or with another, is refused before anything is written', async () => {
    const data = newPlace('never');
    await refused(restore(data, backup), 1, 'a backup never holds the root key');
    const wrong = newPlace('wrong.key');
    writeFileSync(wrong, `sallyport-root-key-v1:${Buffer.alloc(32, 9).toString('base64url')}\n`, { mode: 0o600 });
    await refused(restore(data, backup, '--root-key-file', wrong), 1, /sealed with the root key `[0-9a-f-]{36}`, not with `[0-9a-f-]{36}`/);
    assert.ok(!existsSync(data));
  });

  test('of a cut or altered file is refused before anything is written', async () => {
    const data = newPlace('never');
    const bytes = readFileSync(backup);
    const cut = newPlace('cut.dump');
    writeFileSync(cut, bytes.subarray(0, -100));
    const altered = newPlace('altered.dump');
    writeFileSync(altered, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1));
    await refused(restore(data, cut, '--root-key-file', key()), 1, 'it was cut off');
    await refused(restore(data, altered, '--root-key-file', key()), 1, 'the backup cannot be used');
    await refused(restore(data, join(base, 'absent.dump'), '--root-key-file', key()), 1, 'absent.dump` cannot be read');
    assert.ok(!existsSync(data));
  });

  test('over existing data is refused, and the data stays', async () => {
    const data = copyOf(steady);
    await refused(restore(data, backup), 1, 'restore into a new data directory');
    const server = await serve({ data });
    await refused(restore(data, backup), 3, 'in use by process');
    assert.deepEqual(await resourcesOf(server, steady.token), resources);
    await server.stop();
  });

  test('of a backup made before a rotation needs the old key', async () => {
    const data = copyOf(steady);
    const fresh = newPlace('new.key');
    assert.equal((await sallyport(['keys', 'rotate', '--data', data, '--new-root-key-file', fresh])).code, 0);
    const later = newPlace('later.dump');
    assert.equal((await sallyport(['backup', '--data', data, '--root-key-file', fresh, '--to', later])).code, 0);
    const restored = newPlace('restored');
    assert.equal((await sallyport(restore(restored, backup, '--root-key-file', key()))).code, 0);
    const server = await serve({ data: restored, flags: ['--root-key-file', key()] });
    assert.deepEqual(await resourcesOf(server, steady.token), resources);
    await server.stop();
    assert.equal((await sallyport(restore(newPlace('restored'), later, '--root-key-file', fresh))).code, 0);
    await refused(restore(newPlace('never'), later, '--root-key-file', key()), 1, 'a backup never holds the key');
  });
});
