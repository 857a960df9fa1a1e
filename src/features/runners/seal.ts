/** Seals what one runner alone may read: compact JWE (RFC 7516), ECDH-ES with X25519 (RFC 8037) and A256GCM. */
import { CompactEncrypt, importJWK } from 'jose';
import { sealedType } from './schema.ts';
import type { SealingJwk } from './schema.ts';

/** `content` becomes JSON. Throws for a key no secret can be agreed on with (a point of small order). */
export async function sealFor(runner: { readonly id: string; readonly sealingKey: SealingJwk }, content: unknown): Promise<string> {
  const key = await importJWK(runner.sealingKey, 'ECDH-ES');
  return new CompactEncrypt(Buffer.from(JSON.stringify(content)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: sealedType, kid: runner.id })
    .encrypt(key);
}
