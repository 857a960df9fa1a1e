import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { call, copyOf, newPlace, refused, resourcesOf, sallyport, serve, steadyData } from './sallyport.ts';
import type { Steady } from './sallyport.ts';

let steady: Steady;
before(async () => void (steady = await steadyData()));

const serveFlags = ['--port', '0', '--no-runner'];
const keyText = (path: string) => readFileSync(path, 'utf8');
const otherKey = () => `sallyport-root-key-v1:${Buffer.alloc(32, 7).toString('base64url')}\n`;

/** Starts once with these flags, looks at everything, and stops. */
async function works(data: string, flags: string[] = []): Promise<void> {
  const server = await serve({ data, flags });
  assert.equal((await resourcesOf(server, steady.token)).length, 6);
  const verified = await call(server, steady.token, { method: 'POST', path: '/audit:verify' });
  assert.deepEqual((verified.body as { findings: unknown[] }).findings, []);
  await server.stop();
}

describe('a start with a root key that does not fit', () => {
  test('is refused with the ids of both keys, and the right key works afterwards', async () => {
    const data = copyOf(steady);
    const wrong = newPlace('wrong.key');
    writeFileSync(wrong, otherKey(), { mode: 0o600 });
    await refused(['serve', '--data', data, '--root-key-file', wrong, ...serveFlags], 1, /sealed with the root key `[0-9a-f-]{36}`, not with `[0-9a-f-]{36}`/);
    await works(data);
  });

  const cases: [string, (path: string) => void, string][] = [
    ['is refused when the key is missing, which is not made anew', (path) => rmSync(path), 'root.key` is missing'],
    ['is refused when others may read the key', (path) => chmodSync(path, 0o644), 'can be read by others; set its mode to 0600'],
  ];
  for (const [says, damage, text] of cases) {
    test(says, async () => {
      const data = copyOf(steady);
      const path = join(data, 'root.key');
      damage(path);
      const left = existsSync(path) ? keyText(path) : null;
      await refused(['serve', '--data', data, ...serveFlags], 1, text);
      assert.equal(existsSync(path) ? keyText(path) : null, left);
    });
  }

  test('harms nothing: with the key put back it works', async () => {
    const data = copyOf(steady);
    const path = join(data, 'root.key');
    rmSync(path);
    await refused(['serve', '--data', data, ...serveFlags], 1, 'root.key` is missing');
    copyFileSync(join(steady.data, 'root.key'), path);
    chmodSync(path, 0o600);
    await works(data);
  });
});

test('a root key made by the operator and given by reference is used as it is', async () => {
  const data = newPlace();
  const given = newPlace('given.key');
  writeFileSync(given, otherKey(), { mode: 0o600 });
  const server = await serve({ data, flags: ['--root-key-file', given] });
  await server.stop();
  assert.equal(keyText(given), otherKey());
  assert.ok(!existsSync(join(data, 'root.key')));
});

describe('keys rotate', () => {
  const rotate = (data: string, to: string, ...more: string[]) => ['keys', 'rotate', '--data', data, '--new-root-key-file', to, ...more];

  test('wraps everything with a new key: the new one works, the old one is refused, the audit tells', async () => {
    const data = copyOf(steady);
    const old = join(data, 'root.key');
    const fresh = newPlace('new.key');
    const ended = await sallyport(rotate(data, fresh));
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(ended.stdout.includes(`--root-key-file ${fresh}`), ended.stdout);
    assert.equal(statSync(fresh).mode & 0o777, 0o600);
    assert.notEqual(keyText(fresh), keyText(old));
    assert.equal(keyText(old), keyText(join(steady.data, 'root.key')));
    await refused(['serve', '--data', data, ...serveFlags], 1, 'start with the right `--root-key-file`');

    const server = await serve({ data, flags: ['--root-key-file', fresh] });
    assert.equal((await resourcesOf(server, steady.token)).length, 6);
    const secret = { kind: 'Secret', scope: 'payments', identifier: 'later', spec: { type: 'text', value: 'sealed-after-the-rotation' } };
    assert.equal((await call(server, steady.token, { method: 'POST', path: '/manifests:apply', body: { documents: [secret] } })).status, 200);
    const audit = await call(server, steady.token, { method: 'GET', path: '/audit?action=root_key.rotate' });
    assert.deepEqual((audit.body as { items: { actor: { uid: string } }[] }).items.map(({ actor }) => actor.uid), ['operator']);
    await server.stop();
    await works(data, ['--root-key-file', fresh]);
  });

  test('is refused while a server works on the data, and makes no key', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    const fresh = newPlace('new.key');
    await refused(rotate(data, fresh), 3, 'in use by process');
    assert.ok(!existsSync(fresh));
    await server.stop();
    await works(data);
  });

  test('takes a key that is there already, so that it can be repeated after a crash', async () => {
    const data = copyOf(steady);
    const fresh = newPlace('new.key');
    writeFileSync(fresh, otherKey(), { mode: 0o600 });
    assert.equal((await sallyport(rotate(data, fresh))).code, 0);
    assert.equal(keyText(fresh), otherKey());
    await works(data, ['--root-key-file', fresh]);
  });

  test('is refused with the file of the present key', async () => {
    await refused(rotate(steady.data, join(steady.data, 'root.key')), 1, 'names the present key');
  });

  test('is refused where there is no data, and makes none', async () => {
    const data = newPlace('mistyped');
    await refused(rotate(data, newPlace('new.key')), 1, 'holds no data');
    assert.ok(!existsSync(data));
  });
});
