import { z } from 'zod';
import type { ConnectorType } from './words.ts';
import { algorithm, audience, endpoint, mintPolicy, subject, ttl, usableFrom } from './words.ts';

const path = z.string().max(256).regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/, { error: 'must be a path such as `jwt` or `teams/jwt`' }).refine((text) => !text.split('/').some((part) => /^\.+$/.test(part)), { error: 'must not have parts that are only dots' });

export const vaultSpec = z.strictObject({
  type: z.literal('vault_jwt'),
  address: endpoint.describe('of Vault or OpenBao, such as `https://vault.example:8200`'),
  mount: path.default('jwt').describe('where the JWT auth method is mounted'),
  role: z.string().min(1).max(128).regex(/^[\w.-]+$/, { error: 'must be the name of a role' }),
  namespace: path.optional(),
  audience: audience.optional().describe('one of the role’s `bound_audiences`; by default the address'),
  ttl,
  algorithm,
  subject,
  usableFrom,
  mintPolicy,
});
export type VaultSpec = z.infer<typeof vaultSpec>;

/** Vault or OpenBao, by their JWT auth method. */
export const vaultType: ConnectorType<VaultSpec> = { category: 'SECRET_STORE', audiences: (spec) => [spec.audience ?? spec.address], endpoints: ['address'] };
