/** Organizations and projects: the scopes of an account, which are resources themselves. */
import { z } from 'zod';
import type { Kind, Noun } from '#kernel/kind.ts';

const nothing = z.strictObject({});
type Nothing = z.infer<typeof nothing>;

export const organization: Kind<Nothing> = {
  name: 'organization',
  levels: ['account'],
  verbs: ['view', 'create', 'edit', 'delete', 'govern'],
  spec: nothing,
  version: 1,
  retires: true,
};

export const project: Kind<Nothing> = {
  name: 'project',
  levels: ['org'],
  verbs: ['view', 'create', 'edit', 'delete', 'govern'],
  spec: nothing,
  version: 1,
  retires: true,
};

/** Made by the operator, so it has no document; its settings are seen and changed from inside. */
export const account: Noun = { name: 'account', levels: ['account'], verbs: ['view', 'edit'] };
