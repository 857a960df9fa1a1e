/**
 * The bootstrap token of an unattended installation: read at the first start only, kept as a hash. Its principal is
 * `system:bootstrap`; it ends at revocation, when `setup` has made the first admin, or after 24 h.
 */
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { refusal } from '#kernel/errors.ts';
import { looksLikeJwt } from './recognise.ts';
import { insertCredential } from './store.ts';
import { hashToken, isOurs } from './token-form.ts';

const bootstrapMs = 86_400_000;

export async function keepBootstrapToken(services: { database: Database; clock: Clock; randomness: Randomness }, accountId: string, token: string): Promise<void> {
  if (isOurs(token) || looksLikeJwt(token) || !/^[\x21-\x7e]+$/.test(token)) {
    throw refusal('config.unsafe', { say: 'the bootstrap token must be printable, and look neither like a token of ours nor like a JWT' });
  }
  const now = services.clock.now();
  await services.database.transaction((tx) =>
    insertCredential(tx, {
      accountId, id: services.randomness.uid(), kind: 'bootstrap', principalType: 'system', principalUid: 'bootstrap', name: 'bootstrap', hash: hashToken(token),
      bounds: 'principal', mayAdminister: true, createdAt: now, createdBy: 'system:operator', parentId: null, expiresAt: new Date(now.getTime() + bootstrapMs),
    }),
  );
}
