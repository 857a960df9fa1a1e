/** The words of OpenID AuthZEN Authorization API 1.0. What is not known here is ignored, as the standard says. */
import { z } from 'zod';

const word = z.string().max(600);
const properties = z.record(z.string(), z.unknown()).optional();

/** In UTF-8; what another system calls its things is opaque. */
const resourceId = z.string().refine((text) => new TextEncoder().encode(text).length <= 512, { error: 'must have at most 512 bytes' });

const subject = z.object({ type: word, id: word, properties });
const action = z.object({ name: word, properties });
const resource = z.object({ type: word, id: resourceId, properties });
const context = z.record(z.string(), z.unknown());

/** §6.1. */
export const evaluationBody = z.object({ subject, action, resource, context: context.optional() });
export type EvaluationBody = z.infer<typeof evaluationBody>;

const maxEvaluations = 1_000;

const entity = z.record(z.string(), z.unknown()).optional();

/** §7.1: entities at the top are defaults; what an item is, is looked at item by item. */
export const evaluationsBody = z.object({
  subject: entity, action: entity, resource: entity, context: entity,
  evaluations: z.array(z.unknown()).max(maxEvaluations, { error: `must have at most ${maxEvaluations} items` }).optional(),
  options: z.object({ evaluations_semantic: z.enum(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit']).optional() }).optional(),
});
export type EvaluationsBody = z.infer<typeof evaluationsBody>;

const page = z.object({ token: z.string().max(2_048).optional(), limit: z.number().int().min(1).optional() }).optional();

/** §8: the id of what is searched for is ignored. */
export const subjectSearchBody = z.object({ subject: z.object({ type: word, properties }), action, resource, context: context.optional(), page });
export const resourceSearchBody = z.object({ subject, action, resource: z.object({ type: word, properties }), context: context.optional(), page });
export const actionSearchBody = z.object({ subject, resource, context: context.optional(), page });

export const decisionAnswer = z.object({ decision: z.boolean(), context: z.record(z.string(), z.unknown()).optional() });
export type DecisionAnswer = z.infer<typeof decisionAnswer>;

/** One decision when no evaluations were asked for. */
export const evaluationsAnswer = z.union([z.object({ evaluations: z.array(decisionAnswer) }), decisionAnswer]);

const pageAnswer = z.object({ next_token: z.string().describe('empty at the end') });
const entityAnswer = z.object({ type: z.string(), id: z.string() });
export const entitiesAnswer = z.object({ results: z.array(entityAnswer), page: pageAnswer });
export const actionsAnswer = z.object({ results: z.array(z.object({ name: z.string() })), page: pageAnswer });
