/** Verifies the trail where it is, at most so many rows a request, one request at a time per account. */
import { refusal } from '#kernel/errors.ts';
import type { Call } from '#platform/call.ts';
import type { z } from 'zod';
import { checkpointOf } from './kept.ts';
import type { verification, verificationWish } from './schema.ts';
import { maxVerified } from './schema.ts';
import type { SequencerServices } from './sequencer.ts';
import { sequenceAccount } from './sequencer.ts';
import { headSeq, linkAt, strayEvents, trail } from './store.ts';
import { verifyTrail } from './verify.ts';

type Wish = z.infer<typeof verificationWish>;
type Answer = z.infer<typeof verification>;

export type VerifyOnline = (call: Call, wish: Wish | undefined) => Promise<Answer>;

export function verifierOf(services: SequencerServices): VerifyOnline {
  const busy = new Set<string>();
  return async (call, wish = {}) => {
    const { account: { id: accountId }, signal } = call;
    if (wish.account !== undefined && wish.account !== accountId) throw refusal('request.invalid', { errors: [{ pointer: '/account', message: 'the checkpoints are of another account' }] });
    if (busy.has(accountId)) throw refusal('server.busy', { say: 'the trail of the account is being verified already', retryAfterSeconds: 2 });
    busy.add(accountId);
    try {
      await sequenceAccount(services, accountId, { wait: true });
      return await verifyRange(services, { accountId, wish, signal });
    } finally {
      busy.delete(accountId);
    }
  };
}

async function verifyRange(services: SequencerServices, { accountId, wish, signal }: { readonly accountId: string; readonly wish: Wish; readonly signal: AbortSignal }): Promise<Answer> {
  const signed = services.signed.get(accountId);
  const keys = await services.keyring.publicKeys(accountId, 'checkpoint');
  const { after = 0, limit = maxVerified } = wish;
  // Of one moment: the sequencer goes on meanwhile.
  return services.database.transaction(async (tx) => {
    const head = await headSeq(tx, accountId);
    const through = after + limit < head ? after + limit : null;
    if (through !== null && wish.after === undefined) throw tooLong(head);
    const verified = await verifyTrail({
      accountId, keys,
      parts: trail(tx, accountId, { after, through: through ?? Number.MAX_SAFE_INTEGER, signal }),
      anchors: [...(wish.checkpoints ?? []).map(checkpointOf), ...(signed === undefined ? [] : [signed])],
      ...(after === 0 ? {} : { from: { seq: after, link: await linkAt(tx, accountId, after) } }),
      ...(through === null ? { database: { headSeq: head, strays: await strayEvents(tx, accountId) } } : { through }),
    });
    return { ...verified, findings: [...verified.findings], next: through };
  }, { isolation: 'repeatable read' });
}

/** Whoever asks for all of it must not take a part for all of it. */
function tooLong(rows: number): Error {
  const message = `the trail has ${rows} rows; begin with 0, and go on with the \`next\` of the answer until there is none`;
  return refusal('request.invalid', { say: `at most ${maxVerified} rows are verified at once`, errors: [{ pointer: '/after', message }] });
}
