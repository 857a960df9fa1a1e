/** The words of people: users, service accounts and the groups that bindings can name. */
import { z } from 'zod';
import { principalReference } from '#features/access/schema.ts';
import type { PrincipalFacts } from '#features/access/schema.ts';

const maxMembers = 5_000;

export const userSpec = z.strictObject({
  email: z.email({ error: 'must be an e-mail address' }).max(254),
  /** A disabled user holds nothing and cannot log in; what is bound to it stays. */
  disabled: z.boolean().optional(),
});
export type UserSpec = z.infer<typeof userSpec>;

/**
 * What the snapshot holds of a user: the engine reads `enabled`; whoever changes the e-mail address can take the user
 * over, and minted tokens tell it.
 */
export interface UserFacts extends PrincipalFacts {
  readonly email: string;
}

export const serviceAccountSpec = z.strictObject({
  disabled: z.boolean().optional(),
});
export type ServiceAccountSpec = z.infer<typeof serviceAccountSpec>;

export const userGroupSpec = z.strictObject({
  members: z.array(principalReference).max(maxMembers),
});
export type UserGroupSpec = z.infer<typeof userGroupSpec>;
