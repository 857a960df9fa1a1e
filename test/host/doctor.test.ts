import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { copyOf, newPlace, sallyport, serve, steadyData } from './sallyport.ts';
import type { Steady } from './sallyport.ts';

let steady: Steady;
before(async () => void (steady = await steadyData()));

interface Examined {
  readonly code: number | null;
  readonly ok: boolean;
  /** `level: text` by name of the check. */
  readonly findings: Readonly<Record<string, string>>;
}

async function doctor(...flags: string[]): Promise<Examined> {
  const ended = await sallyport(['doctor', '--json', ...flags]);
  assert.equal(ended.stderr, '');
  const { ok, findings } = JSON.parse(ended.stdout) as { ok: boolean; findings: { check: string; level: string; says: string }[] };
  return { code: ended.code, ok, findings: Object.fromEntries(findings.map(({ check, level, says }) => [check, `${level}: ${says}`])) };
}

test('doctor finds nothing that fails on good data, and warns while key and data share a directory', async () => {
  const data = copyOf(steady);
  const { code, ok, findings } = await doctor('--data', data);
  assert.deepEqual([code, ok], [0, true], JSON.stringify(findings));
  assert.match(findings['root key place']!, /^warn: .*lies in the data directory/);
  assert.match(findings['root key']!, /^ok: /);
  assert.match(findings['audit']!, /^ok: /);
  assert.match(findings['application role']!, /^ok: /);
  assert.ok('isolation' in findings && 'embedded database' in findings && 'disk' in findings);

  const elsewhere = newPlace('root.key');
  copyFileSync(join(data, 'root.key'), elsewhere);
  rmSync(join(data, 'root.key'));
  const moved = await doctor('--data', data, '--root-key-file', elsewhere, '--no-runner');
  assert.match(moved.findings['root key place']!, /^ok: /);
  assert.match(moved.findings['isolation']!, /^ok: no local runner/);
});

test('doctor works beside a running server and sees it', async () => {
  const data = copyOf(steady);
  const server = await serve({ data });
  const { code, findings } = await doctor('--data', data, '--no-runner');
  assert.equal(code, 0, JSON.stringify(findings));
  assert.equal(findings['nodes'], 'ok: 1 server works on this database');
  await server.stop();
});

test('doctor prints a line per check for people', async () => {
  const ended = await sallyport(['doctor', '--data', copyOf(steady), '--no-runner']);
  assert.equal(ended.code, 0);
  const lines = ended.stdout.trimEnd().split('\n');
  assert.ok(lines.length > 8);
  for (const line of lines) assert.match(line, /^(ok|warn|fail)\s+[a-zA-Z ]+\s{2,}\S/);
});

test('doctor makes nothing where nothing was started', async () => {
  const data = newPlace('nothing');
  const { code, findings } = await doctor('--data', data, '--no-runner');
  assert.equal(code, 0);
  assert.equal(findings['database'], 'warn: nothing was started here yet');
  assert.ok(!existsSync(data));
});

test('doctor fails on a root key that is missing, open to others, or another one, and makes none', async () => {
  const data = copyOf(steady);
  const key = join(data, 'root.key');
  chmodSync(key, 0o644);
  assert.match((await doctor('--data', data, '--no-runner')).findings['root key']!, /^fail: .*set its mode to 0600/);
  chmodSync(key, 0o600);
  writeFileSync(key, `sallyport-root-key-v1:${Buffer.alloc(32, 5).toString('base64url')}\n`);
  const wrong = await doctor('--data', data, '--no-runner');
  assert.deepEqual([wrong.code, wrong.ok], [1, false]);
  assert.match(wrong.findings['root key']!, /^fail: this data was sealed with the root key/);
  rmSync(key);
  assert.match((await doctor('--data', data, '--no-runner')).findings['root key']!, /^fail: .*is missing/);
  assert.ok(!existsSync(key));
});

test('doctor says which setting is not safe, and which database does not answer', async () => {
  const url = 'postgres://nobody@127.0.0.1:9/nothing';
  const unsafe = await doctor('--data', newPlace(), '--database-url', url);
  assert.equal(unsafe.code, 1);
  assert.match(unsafe.findings['settings']!, /^fail: .*the root key must not lie in the data directory/);
  const away = await doctor('--data', newPlace(), '--database-url', url, '--root-key-file', join(steady.data, 'root.key'), '--no-runner');
  assert.equal(away.code, 1);
  assert.match(away.findings['database']!, /^fail: .*ECONNREFUSED/);
});
