/** The words of credentials: API tokens, and the first administrator's setup. */
import { z } from 'zod';
import { selectorList } from '#features/access/schema.ts';
import { displayName } from '#features/resources/schema.ts';
import type { Noun } from '#kernel/kind.ts';
import type { Bound } from '#kernel/caller.ts';
import { duration, durationSeconds, scopePath } from '#kernel/marks.ts';
import { parseScope } from '#kernel/scope.ts';

export const apiToken: Noun = { name: 'api_token', levels: ['account', 'org', 'project'], verbs: ['view', 'create', 'delete'] };

const day = 86_400;
export const tokenTtlMs = 30 * day * 1_000;
export const impersonationTtlMs = 900_000;

/** One thing the token may do at most; several are or-ed. */
const boundSchema = z.strictObject({
  permissions: z.union([z.literal('all'), z.array(z.string().max(260)).min(1).max(500)]),
  scope: scopePath.default('/'),
  includeChildScopes: z.boolean().default(false),
  resources: z.union([z.literal('all'), selectorList]).default('all'),
});

const principalNamed = z.strictObject({ type: z.enum(['user', 'service_account']), path: z.string().min(1).max(512).describe('`alice`, `payments/ci`') });

export const newToken = z.strictObject({
  principal: principalNamed.optional().describe('absent = the caller itself'),
  name: displayName,
  ttl: duration({ minSeconds: 60, maxSeconds: 365 * day }).optional().describe('absent = 30 days, or until the credential that makes it ends'),
  bounds: z.array(boundSchema).min(1).max(50).optional().describe('absent = as far as the principal reaches'),
  mayAdminister: z.boolean().default(false).describe('may change issuers, mappings, bindings, roles and runner registrations'),
});

export const impersonation = z.strictObject({
  principal: principalNamed,
  reason: z.string().min(1).max(200).describe('why; the audit keeps it'),
  ttl: duration({ minSeconds: 60, maxSeconds: 3_600 }).optional().describe('absent = 15 minutes, or until the credential that makes it ends'),
});

export function boundsOf(body: z.infer<typeof newToken>): readonly Bound[] | 'principal' {
  if (body.bounds === undefined) return 'principal';
  return body.bounds.map(({ permissions, scope, includeChildScopes, resources }) => ({ permissions, extent: { scope: parseScope(scope)!, includeChildScopes, resources } }));
}

/** Null = it would outlive the credential that makes it, which ends at `notAfter`; null there = it does not end. */
export function expiryOf({ ttl }: { readonly ttl?: string | undefined }, { now, notAfter, defaultMs }: { now: Date; notAfter: Date | null; defaultMs: number }): Date | null {
  const wanted = new Date(now.getTime() + (ttl === undefined ? defaultMs : durationSeconds(ttl) * 1_000));
  if (notAfter === null || wanted <= notAfter) return wanted;
  return ttl === undefined ? notAfter : null;
}

const time = z.iso.datetime({ precision: 3 });

export const tokenView = z.strictObject({
  id: z.uuid(),
  kind: z.enum(['personal', 'service_account', 'impersonation', 'bootstrap']),
  principal: z.strictObject({ type: z.string(), uid: z.string() }).nullable(),
  actor: z.strictObject({ type: z.string(), uid: z.string() }).optional().describe('who acts as the principal'),
  name: z.string().nullable(),
  mayAdminister: z.boolean(),
  bounded: z.boolean(),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
});

export const createdToken = tokenView.extend({ token: z.string().describe('shown once') });

export const setupBody = z.strictObject({
  code: z.string().min(1).max(128),
  email: z.email().max(254),
  identifier: z.string().max(128).optional().describe('of the user; absent = made from the e-mail address'),
  password: z.string().min(15).max(1_024),
});

export const setupAnswer = z.strictObject({ user: z.string(), token: z.string().describe('personal access token, shown once'), expiresAt: time });
