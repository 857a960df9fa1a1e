/** What may make credentials, and that nothing made outlives what it was made with. */
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import type { Refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import { keepsUnrevoked } from './store.ts';

/** What the bootstrap token makes is meant to outlive it. */
export function parentOf({ credential }: Caller): string | null {
  return credential.kind === 'bootstrap' ? null : credential.id;
}

/** Who calls was read before the transaction, perhaps from memory; a revocation since then must not leave a child behind. */
export async function refuseRevoked(tx: Tx, { accountId, credential }: Caller): Promise<void> {
  if (!(await keepsUnrevoked(tx, accountId, credential.id))) throw refusal('credential.invalid', { because: 'it was revoked while it made a token' });
}

export function outlives({ expiresAt }: Caller): Refusal {
  return refusal('request.invalid', { errors: [{ pointer: '/ttl', message: `the new token would outlive the credential that makes it, which ends at ${expiresAt!.toISOString()}` }] });
}
