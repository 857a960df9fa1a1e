/** What is sealed to this runner: opened here, and what it must remember sealed the same way to itself. */
import { createPrivateKey } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import type { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import { sealedType } from '#features/runners/schema.ts';
import { publicSealingKey } from './identity.ts';
import type { Identity } from './identity.ts';
import type { LeasePlace } from './transport.ts';

const algorithms = { keyManagementAlgorithms: ['ECDH-ES'], contentEncryptionAlgorithms: ['A256GCM'] };

/** Refuses with `runner.protocol` what is not sealed to this runner, not of this form or meant for another lease. */
export async function openSealed<T extends LeasePlace>(identity: Identity, sealed: string, schema: z.ZodType<T>, place: LeasePlace): Promise<T> {
  let text: string;
  try {
    const key = createPrivateKey({ key: identity.sealingKey, format: 'jwk' });
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, algorithms);
    if (protectedHeader.typ !== sealedType) throw new Error(`its type is ${String(protectedHeader.typ)}`);
    text = Buffer.from(plaintext).toString('utf8');
  } catch (cause) {
    throw refusal('runner.protocol', { say: 'what the server sealed cannot be opened with this runner\'s key', cause });
  }
  // Never the words of a parser: they may quote a secret.
  const read = schema.safeParse(parsedOrNull(text));
  if (!read.success) throw refusal('runner.protocol', { say: `what the server sealed is not of the form this runner knows: ${read.error.issues[0]?.path.join('.')}` });
  if (read.data.attemptId !== place.attemptId || read.data.fence !== place.fence) throw refusal('runner.protocol', { say: 'what the server sealed is for another lease' });
  return read.data;
}

export async function sealToSelf(identity: Identity, content: object): Promise<string> {
  const key = await importJWK(publicSealingKey(identity), 'ECDH-ES');
  return new CompactEncrypt(Buffer.from(JSON.stringify(content))).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: sealedType }).encrypt(key);
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
