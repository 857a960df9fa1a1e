/**
 * The bootstrap token of an unattended installation: read at the first start only, kept as a hash. Its principal is
 * `system:bootstrap`; it ends at revocation, when `setup` has made the first admin, or after 24 h.
 */
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { recordByOperator } from '#features/audit/feature.ts';
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
  const id = services.randomness.uid();
  const expiresAt = new Date(now.getTime() + bootstrapMs);
  await services.database.transaction(async (tx) => {
    await insertCredential(tx, {
      accountId, id, kind: 'bootstrap', principalType: 'system', principalUid: 'bootstrap', actor: null, name: 'bootstrap', hash: hashToken(token),
      bounds: 'principal', mayAdminister: true, createdAt: now, createdBy: 'system:operator', parentId: null, expiresAt,
    });
    await recordByOperator(tx, services, accountId, { action: 'api_token.create', resource: { kind: 'api_token', uid: id, path: id }, detail: { principal: 'bootstrap', expiresAt, mayAdminister: true } });
  });
}
