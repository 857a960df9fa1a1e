/** The keys of minted tokens, seen and changed by an administrator; and the work that keeps them fresh by itself. */
import { z } from 'zod';
import { recordByOperator } from '#features/audit/feature.ts';
import type { Noun } from '#kernel/kind.ts';
import type { BackgroundJob } from '#kernel/manifest.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import { on, operation } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { revokeAtOnce, rotateKeys } from './change-keys.ts';
import { mintAlgorithms } from './key-life.ts';
import { untendedAccounts } from './key-store.ts';
import type { KeyServices, MintKeys } from './keys.ts';

export const signingKeyNoun: Noun = { name: 'signing_key', levels: ['account'], verbs: ['view', 'rotate', 'revoke'] };

const time = z.iso.datetime({ precision: 3 });
const algorithm = z.enum(mintAlgorithms);
const id = z.string().min(1).max(64).describe('`kid`');

const keyView = z.strictObject({
  id, algorithm,
  state: z.enum(['current', 'next', 'past', 'over', 'revoked']),
  createdAt: time,
  signsFrom: time,
  publishedUntil: time.nullable().describe('null = no other key follows it yet'),
});

const rotated = z.strictObject({ items: z.array(z.strictObject({ algorithm, id, signsFrom: time })) });

const target = (identifier: string | null) => ({ kind: 'signing_key', scope: accountScope, identifier, tags: {}, attributes: {} });

export function keyOperations({ keys }: { readonly keys: MintKeys }): AnyOperation[] {
  const list = operation({
    name: 'signing_key.list',
    summary: 'Keys that minted tokens are, were and will be signed with',
    method: 'GET',
    path: '{account}/signing-keys',
    input: {},
    output: z.strictObject({ items: z.array(keyView) }),
    access: on('signing_key.view', async () => ({ target: target(null), found: undefined })),
    audit: null,
    dialect: 'api',
    prepare: async (call) => ({
      items: (await keys.standing(call.account.id)).map(({ row, state, publishedUntil }) => ({
        id: row.id, algorithm: row.algorithm, state, createdAt: row.createdAt.toISOString(), signsFrom: row.signsFrom.toISOString(), publishedUntil: publishedUntil?.toISOString() ?? null,
      })),
    }),
  });

  const rotate = operation({
    name: 'signing_key.rotate',
    summary: 'Lets the next key sign as soon as it has been published for long enough',
    method: 'POST',
    path: '{account}/signing-keys:rotate',
    input: { body: z.strictObject({ algorithms: z.array(algorithm).min(1).max(mintAlgorithms.length).default([...mintAlgorithms]) }) },
    output: rotated,
    access: on('signing_key.rotate', async () => ({ target: target(null), found: undefined })),
    audit: 'signing_key.rotate',
    dialect: 'api',
    prepare: (call, { body }) => keys.spare(call.account.id, [...new Set(body.algorithms)]),
    write: async (tx, call, { body }, spare) => {
      const done = await rotateKeys(tx, { accountId: call.account.id, policy: keys.policy, now: call.now, spare }, [...new Set(body.algorithms)]);
      for (const key of done) call.note({ resource: resourceOf(key.id), detail: { algorithm: key.algorithm, signsFrom: key.signsFrom.toISOString() } });
      call.afterCommit(() => keys.forget(call.account.id));
      return { items: done.map((key) => ({ ...key, signsFrom: key.signsFrom.toISOString() })) };
    },
  });

  const revoke = operation({
    name: 'signing_key.revoke',
    summary: 'Takes a key out of `/jwks` at once; its tokens are dead, and the next key signs',
    method: 'POST',
    path: '{account}/signing-keys/{id}/revoke',
    input: { params: z.strictObject({ id }) },
    output: z.strictObject({ was: z.enum(['current', 'next', 'past']), signsNow: z.string().nullable().describe('null = the key did not sign') }),
    access: on('signing_key.revoke', async (_call, { params }: { params: { id: string } }) => ({ target: target(params.id), found: undefined })),
    audit: 'signing_key.revoke',
    dialect: 'api',
    prepare: (call) => keys.spare(call.account.id, mintAlgorithms),
    write: async (tx, call, { params }, spare) => {
      const done = await revokeAtOnce(tx, { accountId: call.account.id, policy: keys.policy, now: call.now, spare }, params.id);
      call.note({ resource: resourceOf(params.id), detail: done });
      call.afterCommit(() => keys.forget(call.account.id));
      return done as { was: 'current' | 'next' | 'past'; signsNow: string | null };
    },
  });

  return [list, rotate, revoke];
}

function resourceOf(kid: string) {
  return { kind: 'signing_key', uid: kid, path: kid };
}

const system = { type: 'system', uid: 'rotation', path: 'rotation' };
const accountsAtOnce = 50;

/** Makes the key that will follow as soon as there is none, and forgets those whose tokens are all over. */
export function keyJob({ keys, database, clock, randomness }: Pick<KeyServices, 'database'> & { readonly keys: MintKeys; readonly clock: Clock; readonly randomness: Randomness; readonly database: Database }): BackgroundJob {
  return {
    name: 'mint.keys',
    everyMs: 60_000,
    async run(signal) {
      const now = clock.now();
      for (const accountId of await untendedAccounts(database.read, { now, overAt: new Date(now.getTime() - keys.policy.overlapMs), limit: accountsAtOnce })) {
        if (signal.aborted) return;
        await keys.tend(accountId, async (tx, made, forgotten) => {
          for (const { id: kid, algorithm: its, signsFrom } of made) {
            await recordByOperator(tx, { clock, randomness }, accountId, { actor: system, action: 'signing_key.create', resource: resourceOf(kid), detail: { algorithm: its, signsFrom: signsFrom.toISOString() } });
          }
          for (const kid of forgotten) await recordByOperator(tx, { clock, randomness }, accountId, { actor: system, action: 'signing_key.delete', resource: resourceOf(kid) });
        });
      }
    },
  };
}
