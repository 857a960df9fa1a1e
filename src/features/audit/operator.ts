/** Rows for what the operator does on the host: nobody's call, without an address, under a request id of its own. */
import type { Act } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Tx } from '#platform/database/database.ts';
import { createRecorder } from './record.ts';

const operator = { type: 'system', uid: 'operator', path: 'operator' } as const;

/** One row in the trail of the account, in the transaction of the act. */
export async function recordByOperator(tx: Tx, { clock, randomness }: { readonly clock: Clock; readonly randomness: Randomness }, accountId: string, act: Act & { readonly action: string }): Promise<void> {
  const context = { accountId, now: clock.now(), caller: null, address: null, requestId: randomness.uid(), action: act.action };
  await createRecorder(randomness)(tx, context, [{ actor: operator, ...act }]);
}
