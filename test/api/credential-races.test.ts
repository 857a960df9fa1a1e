/** A token that is revoked while it makes another one, on two nodes and in every order the database allows. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import type { Made } from './principals.ts';
import { makeToken } from './principals.ts';

let revoking: TestServer;
let making: TestServer;

before(async () => {
  revoking = await startTestServer();
  making = await startTestServer({ beside: revoking });
});

const admin = { type: 'user', path: 'admin' } as const;
const api = (path: string): string => `${revoking.api}/${path}`;
const revoke = (id: string): Promise<RemoteAnswer> => revoking.call({ method: 'DELETE', path: api(`api-tokens/${id}`) });
const makeWith = (token: string): Promise<RemoteAnswer> => making.call({ method: 'POST', path: api('api-tokens'), body: { name: 'child' }, token });
const tokenOf = (answer: RemoteAnswer): string => (answer.body as { token: string }).token;
const isAlive = async (token: string): Promise<boolean> => (await revoking.call({ method: 'GET', path: api('api-tokens'), token })).status === 200;

/** Another session of the database, in a transaction that ends when the test says so. */
async function inTransaction(work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ ...revoking.rows.owner });
  await client.connect();
  try {
    await client.query('begin');
    await work(client);
  } finally {
    await client.end();
  }
}

/** Until a statement waits for a lock, or the request that asks it is answered without. */
async function waits(statement: RegExp, answer: Promise<unknown>): Promise<void> {
  let answered = false;
  void answer.finally(() => (answered = true));
  await until(async () => {
    const rows = await revoking.sql<{ query: string }>(`select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
    return answered || rows.some(({ query }) => statement.test(query));
  }, `${statement} waits`);
}

describe('a token that is being revoked', () => {
  test('makes none on a node that knew it a moment ago', async () => {
    const parent = await makeToken(revoking, admin, { ttl: '2h' });
    assert.equal((await making.call({ method: 'GET', path: api('api-tokens'), token: parent.token })).status, 200);
    await inTransaction(async (client) => {
      await client.query('update credential set revoked_at = now() where id = $1', [parent.tokenId]);
      const answer = makeWith(parent.token);
      await waits(/from "credential" .* for share/, answer);
      await client.query('commit');
      problem(await answer, 401, 'credential.invalid');
    });
    assert.deepEqual(await revoking.sql('select 1 from credential where parent_id = $1', [parent.tokenId]), []);
  });

  const families: readonly (readonly [says: string, generations: number])[] = [['the token that makes it', 1], ['the one that made that', 2], ['an ancestor further up', 3]];
  for (const [says, generations] of families) {
    test(`takes with it what is made at that very moment: ${says}`, async () => {
      const line: Made[] = [await makeToken(revoking, admin, { ttl: '2h' })];
      for (let i = 1; i < generations; i++) {
        const { token, id } = (await makeWith(line.at(-1)!.token)).body as { token: string; id: string };
        line.push({ identifier: 'admin', token, tokenId: id });
      }
      await inTransaction(async (client) => {
        // Whoever made the row holds it until its audit row is in, which is not before this table is free.
        await client.query('lock table audit_event in share row exclusive mode');
        const child = makeWith(line.at(-1)!.token);
        await waits(/insert into "audit_event"/, child);
        const end = revoke(line[0]!.tokenId);
        await waits(/update credential/, end);
        await client.query('commit');
        const made = await child;
        assert.equal(made.status, 201, JSON.stringify(made.body));
        assert.equal((await end).status, 204);
        assert.equal(await isAlive(tokenOf(made)), false);
      });
    });
  }
});
