/** The question why: of a token that is pasted, or of an exchange of the past. */
import { z } from 'zod';
import type { Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { ExplainServices } from './explain.ts';
import { explainToken } from './explain.ts';
import { explainPast } from './explain-past.ts';
import { maxTokenLength } from './schema.ts';
import { trace } from './trace.ts';

const question = z
  .strictObject({
    token: z.string().min(1).max(maxTokenLength).optional(),
    event: z.uuid().optional().describe('id of an audit event: an exchange, or what a session did'),
    correlationId: z.string().min(1).max(128).optional().describe('what the refused caller was given'),
  })
  .refine((body) => Object.values(body).filter((value) => value !== undefined).length === 1, { error: 'name exactly one of `token`, `event` and `correlationId`' });

/**
 * At the account for those who see issuers; in an organization or project for those who see its mappings: they get what
 * concerns the mappings they may view, and of an exchange of the past no claims beside.
 */
export function explainOperation(services: ExplainServices & { readonly database: Database }): AnyOperation {
  return operation({
    name: 'token.explain',
    summary: 'Why an outside token is accepted or refused, or was, check by check; grants nothing and keeps nothing',
    method: 'POST',
    path: '{scope}/sessions:explain',
    input: { body: question },
    output: trace,
    access: {
      shape: 'plan',
      plan: async (call: Call) => {
        if (!call.world.hasScope(call.scope)) throw refusal('access.not_found');
        const kind = call.scope === accountScope ? 'trusted_issuer' : 'claim_mapping';
        const target: Target = { kind, scope: call.scope, identifier: null, tags: {}, attributes: {} };
        return { checks: [{ ask: 'permission', permission: `${kind}.view`, target, world: 'before' }], before: call.world, after: call.world.overlay([]), found: undefined };
      },
    },
    audit: null,
    dialect: 'api',
    prepare: (call, { body }) => {
      if (body.token !== undefined) return explainToken(services, call, body.token);
      return explainPast(services, call, body.event === undefined ? { correlationId: body.correlationId! } : { event: body.event });
    },
  });
}
