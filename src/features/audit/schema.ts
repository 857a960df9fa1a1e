/** The words of the audit: what an event looks like from outside, and how it is asked for. */
import { z } from 'zod';
import type { Noun } from '#kernel/kind.ts';
import { page } from '#platform/http/paged.ts';

export const auditNoun: Noun = { name: 'audit', levels: ['account', 'org', 'project'], verbs: ['view'] };

const time = z.iso.datetime({ precision: 3 });

export const auditEvent = z.strictObject({
  id: z.uuid(),
  seq: z.number().int().nullable().describe('place in the chain; null until it is numbered, within a second'),
  at: time,
  actor: z.strictObject({ type: z.string(), uid: z.string(), path: z.string().nullable(), by: z.string().optional() }).nullable(),
  via: z.string().nullable(),
  action: z.string(),
  resource: z.strictObject({ kind: z.string(), uid: z.string(), path: z.string().nullable() }).nullable(),
  scope: z.string(),
  outcome: z.enum(['success', 'refused', 'failed']),
  session: z.string().optional(),
  claims: z.unknown().optional(),
  diff: z.unknown().optional(),
  detail: z.unknown().optional(),
  address: z.string().optional(),
  erased: z.array(z.string()).optional().describe('personal fields that were erased'),
  requestId: z.string(),
});

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const auditQuery = z.strictObject({
  since: instant.optional(),
  until: instant.optional(),
  actor: z.string().max(1_024).optional().describe('uid, or `user:alice`, `service_account:payments/ci`'),
  action: z.string().max(128).optional(),
  resource: z.string().max(1_024).optional().describe('uid or path'),
  outcome: z.enum(['success', 'refused', 'failed']).optional(),
  session: z.uuid().optional(),
  requestId: z.string().max(128).optional(),
  claim: z.string().max(4_096).optional().describe('a verified claim: `/terraform_workspace_id=ws-123`, `/run:number=5`, `/protected:boolean=true`; or a JSON object whose members must all be there'),
  tokenSha256: z.string().regex(/^[0-9a-f]{64}$/).optional().describe('of the outside token of an exchange, in hex'),
  below: z.enum(['true', 'false']).default('true').describe('also what happened in scopes below'),
  ...page.shape,
});

/** Kept checkpoints one verification takes. */
export const maxKept = 1_000;

/** A checkpoint outside the database: what an export has of it, and what is given back to be compared. */
export const checkpointForm = z.strictObject({
  seq: z.number().int().positive(),
  link: z.string().regex(/^[0-9a-f]{64}$/).describe('in hex'),
  at: time,
  keyId: z.string().min(1).max(128),
  signature: z.base64url().max(128),
});

export const newestCheckpoint = z.strictObject({
  account: z.uuid(),
  checkpoints: z.array(checkpointForm).describe('the newest; none before the first second of an account'),
  keys: z.array(z.record(z.string(), z.unknown())).describe('public keys, as JWKs'),
});

/** Rows one request verifies: some seconds of work. */
export const maxVerified = 100_000;

export const verificationWish = z.strictObject({
  after: z.number().int().min(0).optional().describe('begin behind the row of this number, and verify a part; absent = all, which is refused when it is too long'),
  limit: z.number().int().min(1).max(maxVerified).optional().describe('rows to verify at most'),
  account: z.uuid().optional().describe('whose the checkpoints are'),
  checkpoints: z.array(checkpointForm).min(1).max(maxKept).optional().describe('kept elsewhere; the trail must still be the one they were signed over'),
});

export const verification = z.strictObject({
  rows: z.number().int(),
  checkpoints: z.number().int(),
  erasedFields: z.number().int(),
  findings: z.array(z.strictObject({ seq: z.number().int(), problem: z.string() })),
  next: z.number().int().nullable().describe('where to go on; null when all was verified to the end'),
});
