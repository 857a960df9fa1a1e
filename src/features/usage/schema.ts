/** The words of what was not used. */
import { z } from 'zod';
import { scopePath } from '#kernel/marks.ts';

const day = z.iso.date();

export const unusedBody = z.strictObject({
  days: z.number().int().min(1).max(365).default(90),
  scope: scopePath.optional().describe('bindings and mappings of this scope and of those below it; absent = the account'),
  limit: z.number().int().min(1).max(200).default(50),
  cursor: z.string().max(4_096).optional(),
});

const unusedItem = z.strictObject({
  type: z.enum(['role_binding', 'claim_mapping']),
  path: z.string(),
  principal: z.string().optional().describe('of a binding: `user:alice`, `user_group:oncall`, `service_account:payments/ci`'),
  role: z.string(),
  scope: z.string().describe('in which, or below which, it would have been used'),
  permissions: z.array(z.strictObject({ permission: z.string(), lastUsed: day.nullable() })).describe('those that were not used; null = never while it was recorded'),
  all: z.boolean().describe('nothing of it was used'),
  createdAt: z.iso.datetime(),
  youngerThan: z.boolean().describe('it was made less than `days` ago, so there was less time to use it'),
});
export type UnusedItem = z.infer<typeof unusedItem>;

export const unusedAnswer = z.strictObject({
  items: z.array(unusedItem).describe('a page may be short; there is more as long as `next` is not null'),
  next: z.string().nullable(),
  days: z.number().int(),
  observedSince: day.describe('nothing is known of what was used before'),
  observedDays: z.number().int().describe('whole days since then; where they are fewer than `days`, «not used» is said of these alone'),
  revision: z.number().int(),
});
