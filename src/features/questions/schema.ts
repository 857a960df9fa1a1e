/** The words of questions about access, as people and scripts ask them; AuthZEN has its own. */
import { z } from 'zod';
import type { Noun } from '#kernel/kind.ts';
import { scopePath } from '#kernel/marks.ts';

/** `check` asks about others and learns the answer; `explain` learns the reasons too. */
export const accessNoun: Noun = { name: 'access', levels: ['account', 'org', 'project'], verbs: ['check', 'explain'] };

const maxChecks = 1_000;
const maxValues = 50;

const scalar = z.union([z.string().max(512), z.number(), z.boolean()]);
const values = z.record(z.string().max(128), scalar).refine((all) => Object.keys(all).length <= maxValues, { error: `must have at most ${maxValues} values` });

/** A thing by its place: for drafts, and for kinds whose names are no identifiers. What is stored of it wins. */
const placedResource = z.strictObject({
  scope: scopePath.optional(),
  identifier: z.string().max(512).optional().describe('absent = a thing without a name, or the scope for what has none, such as `audit`'),
  tags: z.record(z.string().max(128), z.string().max(256)).optional(),
  attributes: values.optional(),
});

export const resourceWords = z
  .union([z.string().max(512), placedResource])
  .describe('path, e.g. `payments/checkout/recover`, or `{ scope, identifier, tags, attributes }`');
export type ResourceWords = z.infer<typeof resourceWords>;

export const principalWords = z.string().min(1).max(600).describe('`user:alice`, `service_account:payments/ci` or `session:ID`; absent = the caller');

const permission = z.string().max(260);

export const questionWords = z.strictObject({ principal: principalWords.optional(), permission, resource: resourceWords });
export type QuestionWords = z.infer<typeof questionWords>;

export const manyWords = z.strictObject({
  principal: principalWords.optional(),
  checks: z.array(z.strictObject({ permission, resource: resourceWords })).min(1).max(maxChecks),
  semantic: z.enum(['all', 'deny_on_first', 'permit_on_first']).default('all').describe('the last two stop at the first denial or permission'),
});

export const reasonView = z.strictObject({
  code: z.string(),
  binding: z.string().optional(),
  groupPath: z.array(z.string()).optional(),
  role: z.string().optional(),
  resourceGroup: z.string().optional(),
  condition: z.string().optional(),
});

export const checkAnswer = z.strictObject({ allowed: z.boolean(), reasons: z.array(reasonView), revision: z.number().int() });

export const manyAnswer = z.strictObject({
  results: z.array(z.strictObject({ allowed: z.boolean() })).describe('in the order of the checks; shorter when it stopped'),
  revision: z.number().int(),
});

const bindingView = z.strictObject({ binding: z.string(), groupPath: z.array(z.string()), role: z.string(), resourceGroup: z.string().nullable(), scope: z.string() });

export const explainAnswer = checkAnswer.extend({
  bindings: z.array(bindingView).describe('what the principal has, whatever was asked'),
  grant: z
    .strictObject({ summary: z.string(), documents: z.array(z.record(z.string(), z.unknown())) })
    .nullable()
    .describe('the smallest grant that would change the answer; null when nothing that can be granted would'),
  correlationId: z.string().describe('by which an administrator finds the question in the audit'),
});
export type ExplainAnswer = z.infer<typeof explainAnswer>;
