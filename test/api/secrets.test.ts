import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';

const value = 'tr0ub4dor-and-3-staples';
let server: TestServer;
let viewer: string;

function secret(spec: object): Record<string, unknown> {
  return { kind: 'Secret', identifier: 'password', spec: { type: 'text', ...spec } };
}

async function plan(document: object, token?: string): Promise<{ status: number; text: string }> {
  const answer = await server.call({ method: 'POST', path: `${server.api}/manifests:plan`, body: { documents: [document] }, ...(token === undefined ? {} : { token }) });
  return { status: answer.status, text: JSON.stringify({ ...(answer.body as object), instance: null }) };
}

before(async () => {
  server = await startTestServer();
  await server.apply([
    secret({ value }),
    { kind: 'User', identifier: 'vera', spec: { email: 'vera@example.com' } },
    { kind: 'RoleBinding', identifier: 'vera_views', spec: { principal: { type: 'user', id: 'vera' }, role: 'account_viewer', resourceGroup: 'all_account_level_resources' } },
  ]);
  const made = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { principal: { type: 'user', path: 'vera' }, name: 'test' } });
  viewer = (made.body as { token: string }).token;
});
after(() => server.stop());

describe('a secret', () => {
  test('is planned as changed when its value changes, and as unchanged when it does not', async () => {
    assert.match((await plan(secret({ value: 'another-value-entirely' }))).text, /"action":"update"/);
    assert.match((await plan(secret({ value }))).text, /"action":"unchanged"/);
  });

  test('keeps its value when it is applied without one', async () => {
    assert.match((await plan(secret({}))).text, /"action":"unchanged"/);
  });

  test('cannot be guessed by one who may only view it: right and wrong are told the same', async () => {
    const right = await plan(secret({ value }), viewer);
    const wrong = await plan(secret({ value: 'another-value-entirely' }), viewer);
    assert.equal(right.status, 403);
    assert.deepEqual(right, wrong);
  });

  test('that could not be masked is refused when it is saved, without a word of it', async () => {
    const answer = await plan({ ...secret({ value: 'abc' }), identifier: 'short' });
    assert.equal(answer.status, 400);
    assert.ok(!answer.text.includes('abc'));
  });

  test('without a value is refused when it is new', async () => {
    assert.equal((await plan({ ...secret({}), identifier: 'fresh' })).status, 400);
  });

  test('is in no answer, no export, no audit row and no column of the database', async () => {
    for (const path of ['secrets', 'secrets/password', 'manifests', 'audit?limit=200']) {
      const answer = await server.call({ method: 'GET', path: `${server.api}/${path}` });
      assert.equal(answer.status, 200, path);
      assert.ok(!JSON.stringify(answer.body).includes(value), path);
    }
    const client = new Client(server.rows.owner);
    await client.connect();
    try {
      const tables = await client.query<{ name: string }>(`select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`);
      for (const { name } of tables.rows) {
        const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
        const hex = Buffer.from(value).toString('hex');
        assert.ok(rows.every(({ row }) => !row.includes(value) && !row.includes(hex)), name);
      }
    } finally {
      await client.end();
    }
  });
});
