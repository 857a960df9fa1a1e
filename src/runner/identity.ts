/** Who this runner is: its two key pairs, and what the server called it. Kept in its work directory, mode 0600. */
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import { registered, sealingJwk, signingJwk } from '#features/runners/schema.ts';
import type { SealingJwk, SigningJwk } from '#features/runners/schema.ts';
import { writeWhole } from './whole-file.ts';

const privatePart = { d: z.string().min(1).max(64) };
const keys = { signingKey: signingJwk.extend(privatePart), sealingKey: sealingJwk.extend(privatePart) };

const identityFile = z.strictObject({
  format: z.literal(1),
  ...keys,
  /** Null from the making of the keys until the server has answered. */
  registration: registered.omit({ protocol: true }).extend({ account: z.string().min(1).max(128) }).nullable(),
});

export type PrivateJwk = z.infer<typeof keys.signingKey> | z.infer<typeof keys.sealingKey>;
export type Identity = z.infer<typeof identityFile>;
export type RegisteredIdentity = Identity & { readonly registration: NonNullable<Identity['registration']> };

export function makeIdentity(): Identity {
  const signing = privateJwk(generateKeyPairSync('ed25519').privateKey);
  const sealing = privateJwk(generateKeyPairSync('x25519').privateKey);
  return identityFile.parse({ format: 1, signingKey: signing, sealingKey: sealing, registration: null });
}

/** Null when there is none yet. Refuses a file others may read. */
export async function readIdentity(path: string): Promise<Identity | null> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw refusal('config.unsafe', { say: `the runner's key \`${path}\` can be read by others; remove it and register anew` });
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return identityFile.parse(JSON.parse(text));
  } catch (cause) {
    throw refusal('config.invalid', { say: `the file \`${path}\` does not hold a runner's key; remove it and register anew`, cause });
  }
}

export async function keepIdentity(path: string, identity: Identity): Promise<void> {
  await writeWhole(path, JSON.stringify(identity));
}

export function publicSigningKey({ signingKey: { kty, crv, x } }: Identity): SigningJwk {
  return { kty, crv, x };
}

export function publicSealingKey({ sealingKey: { kty, crv, x } }: Identity): SealingJwk {
  return { kty, crv, x };
}

function privateJwk(key: KeyObject): Record<string, unknown> {
  return key.export({ format: 'jwk' }) as Record<string, unknown>;
}
