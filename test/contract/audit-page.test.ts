import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { TestServer } from '../server.ts';
import { startTestServer } from '../server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

interface Row {
  readonly seq: number;
  readonly format: number;
  readonly event: { readonly accountId: string; readonly sessionId: string | null } & Readonly<Record<string, unknown>>;
  readonly commitments: Readonly<Record<string, string>>;
  readonly personal: Readonly<Record<string, { readonly salt: string; readonly value: unknown }>>;
  readonly link: string;
}

interface Batch {
  readonly account: string;
  readonly rows: readonly Row[];
  readonly checkpoints: readonly { readonly seq: number; readonly link: string; readonly at: string; readonly keyId: string; readonly signature: string }[];
  readonly keys: readonly (Readonly<Record<string, string>> & { readonly kid: string })[];
}

const sha256 = (...parts: readonly (Buffer | string)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** RFC 8785 as far as these events need it: no numbers but whole ones. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(',')}}`;
}

test('what docs/audit.md says is enough to verify an export, without any of our code', async () => {
  await server.apply([{ kind: 'Organization', identifier: 'payments', name: 'Zahlungen «ß»', spec: {} }]);
  await server.call({ method: 'POST', path: `${server.api}/audit:verify` });
  const batch = (await server.call({ method: 'GET', path: `${server.api}/audit:export` })).body as Batch;
  assert.ok(batch.rows.length >= 3 && batch.checkpoints.length >= 1);

  const links = new Map<number, string>();
  let link: Buffer = Buffer.alloc(32);
  batch.rows.forEach((row, i) => {
    assert.equal(row.seq, i + 1);
    for (const [field, { salt, value }] of Object.entries(row.personal)) {
      assert.equal(sha256(Buffer.of(0), Buffer.from(salt, 'hex'), canonical(value)).toString('hex'), row.commitments[field]);
    }
    const { accountId, sessionId, ...alike } = row.event;
    const leaf = sha256(Buffer.of(1), canonical({ ...alike, account: accountId, session: sessionId, commitments: row.commitments }));
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(row.seq));
    link = sha256(Buffer.of(2), link, number, leaf);
    assert.equal(link.toString('hex'), row.link);
    links.set(row.seq, row.link);
  });

  for (const { seq, link: signed, at, keyId, signature } of batch.checkpoints) {
    assert.equal(signed, links.get(seq));
    const jwk = batch.keys.find(({ kid }) => kid === keyId)!;
    const text = `sallyport audit checkpoint v1\n${batch.account}\n${seq}\n${signed}\n${at}\n`;
    assert.ok(verify(null, Buffer.from(text), createPublicKey({ key: jwk as never, format: 'jwk' }), Buffer.from(signature, 'base64url')));
  }
  assert.equal(batch.checkpoints.at(-1)!.seq, batch.rows.length);
});
