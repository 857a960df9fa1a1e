/** A token as its list shows it, without what it consists of. */
import type { z } from 'zod';
import type { tokenView } from './schema.ts';
import type { Credential } from './store.ts';

export function viewOf(credential: Credential): z.infer<typeof tokenView> {
  return {
    id: credential.id,
    kind: credential.kind as Exclude<Credential['kind'], 'setup'>,
    principal: credential.principalType === null ? null : { type: credential.principalType, uid: credential.principalUid ?? '' },
    ...(credential.actor === null ? {} : { actor: credential.actor }),
    name: credential.name,
    mayAdminister: credential.mayAdminister,
    bounded: credential.bounds !== 'principal',
    createdAt: credential.createdAt.toISOString(),
    createdBy: credential.createdBy,
    expiresAt: credential.expiresAt?.toISOString() ?? null,
    revokedAt: credential.revokedAt?.toISOString() ?? null,
  };
}
