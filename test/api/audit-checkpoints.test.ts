/** What the holder of the checkpoint key rewrites is found by whoever kept a checkpoint; and what a kept file can be. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkpointText, leafOf, linkOf, zeroLink } from '#features/audit/leaf.ts';
import type { AuditEvent } from '#features/audit/leaf.ts';
import type { Terminal } from '#surfaces/command-line.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { commands } from '../../src/commands.ts';
import { problem } from './answers.ts';

interface Batch {
  readonly account: string;
  rows: { seq: number; event: Record<string, unknown>; commitments: Record<string, string>; personal: object; link: string }[];
  checkpoints: { seq: number; link: string; at: string; keyId: string; signature: string }[];
  keys: Record<string, unknown>[];
}

interface Ended {
  readonly code: number;
  readonly out: readonly string[];
}

const directory = mkdtempSync(join(tmpdir(), 'sallyport-kept-'));
after(() => rmSync(directory, { recursive: true, force: true }));

let server: TestServer;
/** Has signed nothing and so remembers nothing. */
let fresh: TestServer;

/** A command as the program runs it. */
async function command(name: string, options: Record<string, unknown> = {}, on: TestServer = server): Promise<Ended> {
  const out: string[] = [];
  const terminal: Terminal = { print: (line) => void out.push(line), warn: (line) => void out.push(line), progress: () => undefined, isTerminal: false };
  const code = await commands.find((one) => one.name === name)!.run({ args: [], options: { url: on.url, tokenFile, ...options }, terminal, json: false });
  return { code: code ?? 0, out };
}

let files = 0;
function file(lines: readonly string[]): string {
  const path = join(directory, `file-${files++}.jsonl`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

async function numbered(): Promise<void> {
  const answer = await server.call({ method: 'POST', path: `${server.api}/audit:verify` });
  assert.deepEqual((answer.body as { findings: unknown[] }).findings, []);
}

let tokenFile: string;
let early: { readonly seq: number; readonly checkpoint: string; readonly export: readonly string[] };

before(async () => {
  server = await startTestServer();
  await numbered();
  tokenFile = file([server.adminToken]);
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Organization', identifier: 'platform', spec: {} }]);
  await numbered();
  const { out: [checkpoint] } = await command('audit checkpoint');
  early = { seq: (JSON.parse(checkpoint!) as Batch).checkpoints[0]!.seq, checkpoint: checkpoint!, export: (await command('audit export')).out };
  await server.apply([{ kind: 'Organization', identifier: 'later', spec: {} }]);
  await numbered();
  fresh = await startTestServer({ beside: server });
});

/** Changes a row and makes everything that depends on it anew: leaf, links, and the checkpoints after it, signed with `key`. */
function rewritten(lines: readonly string[], seq: number, key: { readonly id: string; readonly privateKey: KeyObject }): Batch[] {
  const batches = lines.map((line) => JSON.parse(line) as Batch);
  const links = new Map<number, Buffer>();
  let link: Buffer = zeroLink;
  for (const row of batches.flatMap((batch) => batch.rows)) {
    if (row.seq === seq) row.event['action'] = 'harmless.read';
    const event = { ...row.event, at: new Date(String(row.event['at'])) } as unknown as Omit<AuditEvent, 'personal'>;
    link = linkOf(link, row.seq, leafOf(event, row.commitments));
    row.link = link.toString('hex');
    links.set(row.seq, link);
  }
  for (const checkpoint of batches.flatMap((batch) => batch.checkpoints).filter((one) => one.seq >= seq)) {
    const at = new Date(checkpoint.at);
    Object.assign(checkpoint, {
      link: links.get(checkpoint.seq)!.toString('hex'), keyId: key.id,
      signature: sign(null, checkpointText({ accountId: batches[0]!.account, seq: checkpoint.seq, link: links.get(checkpoint.seq)!, at }), key.privateKey).toString('base64url'),
    });
  }
  return batches;
}

describe('the holder of the checkpoint key rewrites row 3 in the database, with all that follows from it', () => {
  before(async () => {
    const key = await server.keyring.signingKey(server.account.id, 'checkpoint');
    for (const { rows, checkpoints } of rewritten((await command('audit export')).out, 3, key)) {
      for (const { seq, event, link, commitments } of rows) {
        const leaf = leafOf({ ...event, at: new Date(String(event['at'])) } as unknown as Omit<AuditEvent, 'personal'>, commitments);
        await server.sql('update audit_event set action = $1, leaf = $2 where id = $3', [event['action'], leaf, event['id']]);
        await server.sql('update audit_leaf set leaf = $1, link = $2 where seq = $3', [leaf, Buffer.from(link, 'hex'), seq]);
        await server.sql('update audit_head set link = $1 where seq = $2', [Buffer.from(link, 'hex'), seq]);
      }
      for (const { seq, link, signature } of checkpoints) {
        await server.sql('update audit_checkpoint set link = $1, signature = $2 where seq = $3', [Buffer.from(link, 'hex'), Buffer.from(signature, 'base64url'), seq]);
      }
    }
  });

  const found = (): string => `  row ${early.seq}: the trail is not the one the checkpoint kept elsewhere was signed over`;

  test('verification alone finds nothing, with the server and without it', async () => {
    const online = await command('audit verify', {}, fresh);
    assert.deepEqual([online.code, online.out.length, /unchanged$/.test(online.out[0]!)], [0, 1, true], online.out.join('\n'));
    const offline = await command('audit verify', { file: file((await command('audit export')).out) });
    assert.deepEqual([offline.code, offline.out], [0, online.out]);
  });

  const keeping: readonly [what: string, lines: () => readonly string[]][] = [
    ['a checkpoint', () => [early.checkpoint]],
    ['an export', () => early.export],
    ['a file to which a line was added now and then', () => ['', early.checkpoint, '', early.checkpoint]],
  ];
  for (const [what, lines] of keeping) {
    test(`who kept ${what} is told up to which row nothing can be believed`, async () => {
      const checkpoint = file(lines());
      for (const ended of [await command('audit verify', { checkpoint }, fresh), await command('audit verify', { checkpoint, file: file((await command('audit export')).out) })]) {
        assert.equal(ended.code, 1);
        assert.match(ended.out[0]!, /CHANGED$/);
        assert.deepEqual([...new Set(ended.out.slice(1))], [found()]);
      }
    });
  }

  test('a checkpoint taken after that fits what was made of the trail, and both together say between which', async () => {
    const late = (await command('audit checkpoint')).out[0]!;
    assert.equal((await command('audit verify', { checkpoint: file([late]) }, fresh)).code, 0);
    assert.deepEqual((await command('audit verify', { checkpoint: file([early.checkpoint, late]) }, fresh)).out.slice(1), [found()]);
  });
});

describe('an export that somebody made with a key of their own', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const forged = (): readonly string[] => rewritten(early.export, 1, { id: 'mine', privateKey }).map((batch) => JSON.stringify({ ...batch, keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'mine' }] }));

  test('agrees with itself, and not with the keys and links of a kept checkpoint', async () => {
    const forgery = file(forged());
    assert.equal((await command('audit verify', { file: forgery })).code, 0);
    const { code, out } = await command('audit verify', { file: forgery, checkpoint: file([early.checkpoint]) });
    assert.equal(code, 1);
    assert.ok(out.includes(`  row ${early.seq}: the trail is not the one the checkpoint kept elsewhere was signed over`), out.join('\n'));
    assert.ok(out.some((line) => line.endsWith('the signature of the checkpoint is not valid')), out.join('\n'));
  });

  test('does so no better under the name of our key', async () => {
    const kid = (JSON.parse(early.checkpoint) as Batch).keys[0]!['kid'];
    const named = forged().map((line) => line.replaceAll('"mine"', JSON.stringify(kid)));
    assert.equal((await command('audit verify', { file: file(named) })).code, 0);
    assert.equal((await command('audit verify', { file: file(named), checkpoint: file([early.checkpoint]) })).code, 1);
  });

  test('that ends before what was kept lacks rows', async () => {
    const short = early.export.map((line) => {
      const batch = JSON.parse(line) as Batch;
      const last = batch.checkpoints.at(-2)!.seq;
      return JSON.stringify({ ...batch, rows: batch.rows.filter(({ seq }) => seq <= last), checkpoints: batch.checkpoints.filter(({ seq }) => seq <= last) });
    });
    assert.equal((await command('audit verify', { file: file(short) })).code, 0);
    const { code, out } = await command('audit verify', { file: file(short), checkpoint: file([early.checkpoint]) });
    assert.deepEqual([code, out.slice(1)], [1, [`  row ${early.seq}: the rows up to the checkpoint kept elsewhere are missing`]]);
  });
});

describe('a file of kept checkpoints', () => {
  const changed = (change: (batch: Batch) => unknown): string => {
    const batch = JSON.parse(early.checkpoint) as Batch;
    return JSON.stringify(change(batch) ?? batch);
  };
  const refusals: readonly [what: string, lines: () => readonly string[], says: RegExp][] = [
    ['that is empty', () => [''], /there is no checkpoint in it$/],
    ['without a checkpoint', () => [changed((batch) => void (batch.checkpoints = []))], /there is no checkpoint in it$/],
    ['that is something else', () => ['nothing of the kind'], /line 1 is neither what `audit checkpoint` prints nor part of an export$/],
    ['with a link that is none', () => [changed((batch) => void (batch.checkpoints[0]!.link = 'abc'))], /line 1 is neither/],
    ['of two accounts', () => [early.checkpoint, changed((batch) => ({ ...batch, account: '00000000-0000-7000-8000-000000000001' }))], /the checkpoints are of two accounts$/],
    ['with two keys of one name', () => [early.checkpoint, changed((batch) => void (batch.keys[0]!['x'] = 'A'.repeat(43)))], /line 2 has another key `.*` than a line before it$/],
    ['of more checkpoints than one verification takes', () => Array.from({ length: 1_001 }, () => early.checkpoint), /more than 1000 lines with checkpoints/],
  ];
  for (const [what, lines, says] of refusals) {
    test(`${what} is refused, and nothing is said of the trail`, async () => {
      const path = file(lines());
      await assert.rejects(command('audit verify', { checkpoint: path, file: file(early.export) }), (error: Error) => error.message.startsWith(`\`${path}\`: `) && says.test(error.message));
    });
  }

  test('of another account is refused by the server and by the file', async () => {
    const strange = changed((batch) => ({ ...batch, account: '00000000-0000-7000-8000-000000000001' }));
    await assert.rejects(command('audit verify', { checkpoint: file([strange]), file: file(early.export) }), /the export is of the account .*, and the checkpoints are of 00000000/);
    const { account, checkpoints } = JSON.parse(strange) as Batch;
    const refused = problem(await server.call({ method: 'POST', path: `${server.api}/audit:verify`, body: { account, checkpoints } }), 400, 'request.invalid');
    assert.deepEqual(refused.errors, [{ pointer: '/account', message: 'the checkpoints are of another account' }]);
  });

  const forgeries: readonly [what: string, change: (batch: Batch) => unknown][] = [
    ['with another signature', (batch) => void (batch.checkpoints[0]!.signature = Buffer.alloc(64).toString('base64url'))],
    ['with another link', (batch) => void (batch.checkpoints[0]!.link = '0'.repeat(64))],
    ['with another number', (batch) => void (batch.checkpoints[0]!.seq -= 1)],
    ['signed with a key that is in no list', (batch) => void (batch.checkpoints[0]!.keyId = 'another')],
  ];
  for (const [what, change] of forgeries) {
    test(`${what} proves nothing and is no silence`, async () => {
      for (const options of [{}, { file: file(early.export) }]) {
        const { code, out } = await command('audit verify', { checkpoint: file([changed(change)]), ...options }, fresh);
        assert.deepEqual([code, out.some((line) => line.endsWith('the signature of the checkpoint kept elsewhere is not valid'))], [1, true], out.join('\n'));
      }
    });
  }

  test('whose key is no key at all makes no checkpoint valid', async () => {
    const { code } = await command('audit verify', { checkpoint: file([changed((batch) => ({ ...batch, keys: [{ kid: batch.keys[0]!['kid'], kty: 'none' }] }))]), file: file(early.export) });
    assert.equal(code, 1);
  });
});
