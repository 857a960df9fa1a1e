/** OpenID AuthZEN Authorization API 1.0, §6 and §7: decisions for applications, one or many. */
import type { z } from 'zod';
import { holds } from '#features/access/feature.ts';
import type { Bound } from '#kernel/caller.ts';
import type { Question } from '#kernel/decision.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { parseResourcePath, parseScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { answerTo, mayExplain, noteAsked, readable, rightToAsk } from './ask.ts';
import { nearestScope, permissionMeant, resourceMeant, saidOf, scopeSaid, subjectMeant } from './authzen-question.ts';
import type { DecisionAnswer, EvaluationBody, EvaluationsBody } from './authzen-schema.ts';
import { decisionAnswer, evaluationBody, evaluationsAnswer, evaluationsBody } from './authzen-schema.ts';
import type { CheckServices } from './check.ts';

/** About others it takes `access.check` where the resource lies, which is asked item by item. */
const shared = { method: 'POST' as const, access: { shape: 'self' as const }, audit: null, dialect: 'authzen' as const };

export function evaluationOperations(services: CheckServices): AnyOperation[] {
  const single = operation({
    ...shared,
    name: 'authzen.evaluation',
    summary: 'AuthZEN access evaluation',
    path: '{issuer}/access/v1/evaluation',
    input: { body: evaluationBody },
    output: decisionAnswer,
    prepare: async (call, { body }) => evaluated(services, call, body),
  });

  const many = operation({
    ...shared,
    name: 'authzen.evaluations',
    summary: 'AuthZEN access evaluations: entities at the top are defaults',
    path: '{issuer}/access/v1/evaluations',
    input: { body: evaluationsBody },
    output: evaluationsAnswer,
    prepare: async (call, { body }) => evaluatedAll(services, call, body),
  });

  return [single, many];
}

async function evaluated(services: CheckServices, call: Call, body: EvaluationBody): Promise<DecisionAnswer> {
  const asker = await subjectMeant(services, call, body.subject);
  const isSelf = asker !== null && asker.principal.uid === call.caller.principal.uid;
  if (!isSelf) refuseUnlessAsking(call, services, scopeAsked(call, services, body.resource));
  const words = services.kinds.of(call.world);
  const target = resourceMeant(call.world, words, body.resource, saidOf(body.subject.properties, body.action.properties));
  if (target === null) return { decision: false };
  // Whoever asks about itself is held to the bounds of its credential.
  const who = isSelf ? call.caller : asker;
  const question = { permission: permissionMeant(body.resource.type, body.action.name), target };
  const decision = answerTo(call, services.kinds, who, question);
  noteAsked(services, call, who, question, decision);
  if (body.context?.['reasons'] !== true || !mayExplain(call, target.scope)) return { decision: decision.allowed };
  return { decision: decision.allowed, context: { reasons: decision.reasons.map((reason) => readable(call.world, reason)) } };
}

/** §7: a failed item is a plain no with its error; only a body that is broken as a whole is refused. */
async function evaluatedAll(services: CheckServices, call: Call, body: EvaluationsBody): Promise<z.infer<typeof evaluationsAnswer>> {
  const items = body.evaluations ?? [];
  if (items.length === 0) {
    const alone = evaluationBody.safeParse(body);
    if (!alone.success) throw refusal('request.invalid', { errors: [{ pointer: pointerOf(alone.error), message: alone.error.issues[0]!.message }] });
    return evaluated(services, call, alone.data);
  }
  const semantic = body.options?.evaluations_semantic ?? 'execute_all';
  const evaluations: DecisionAnswer[] = [];
  for (const item of items) {
    const answer = await evaluatedItem(services, call, withDefaults(body, item));
    evaluations.push(answer);
    if (semantic === (answer.decision ? 'permit_on_first_permit' : 'deny_on_first_deny')) break;
  }
  return { evaluations };
}

async function evaluatedItem(services: CheckServices, call: Call, item: unknown): Promise<DecisionAnswer> {
  const read = evaluationBody.safeParse(item);
  if (!read.success) return failed(400, `${pointerOf(read.error)}: ${read.error.issues[0]!.message}`);
  try {
    return await evaluated(services, call, read.data);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'access.denied') return failed(403, error.say!);
    throw error;
  }
}

function failed(status: number, message: string): DecisionAnswer {
  return { decision: false, context: { error: { status, message } } };
}

/** An entity of an item replaces the default as a whole; only what every such entity must have falls back to it. */
function withDefaults(defaults: EvaluationsBody, item: unknown): unknown {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
  const own = item as Record<string, unknown>;
  return {
    subject: entityOr(defaults.subject, own['subject'], ['type', 'id']),
    action: entityOr(defaults.action, own['action'], ['name']),
    resource: entityOr(defaults.resource, own['resource'], ['type', 'id']),
    ...('context' in own || defaults.context !== undefined ? { context: own['context'] ?? defaults.context } : {}),
  };
}

function entityOr(fallback: Readonly<Record<string, unknown>> | undefined, own: unknown, required: readonly string[]): unknown {
  if (own === undefined) return fallback;
  if (fallback === undefined || typeof own !== 'object' || own === null) return own;
  const missing = required.filter((name) => !Object.hasOwn(own, name) && Object.hasOwn(fallback, name));
  return { ...own, ...Object.fromEntries(missing.map((name) => [name, fallback[name]])) };
}

/**
 * One who may not ask learns the same of scopes that are there and of those that are not: about what would lie in one that is
 * not, may ask who may ask about everything below the nearest that is.
 */
export function refuseUnlessAsking(call: Call, { kinds }: CheckServices, scope: ScopePath): void {
  const at = nearestScope(call.world, scope);
  const right = rightToAsk(call, at);
  const reaches = at === scope || (right !== null && holds(call.world, kinds.of(call.world), call.caller, everywhereBelow(right), call.now));
  if (right !== null && reaches) return call.used(right);
  const evidence = { permission: 'access.check', kind: 'access', scope: at, identifier: null };
  throw refusal('access.denied', { say: 'asking about others takes `access.check` there', evidence });
}

function everywhereBelow({ permission, target }: Question): Bound {
  return { permissions: [permission], extent: { scope: target.scope, includeChildScopes: true, resources: [{ type: target.kind }] } };
}

/** Where the thing would lie, whether it is there or not. */
export function scopeAsked(call: Call, { kinds }: CheckServices, { type, id, properties }: EvaluationBody['resource']): ScopePath {
  const noun = kinds.of(call.world).nouns.get(type);
  if (noun === undefined || noun.external !== undefined) return scopeSaid(properties) ?? '/';
  return (kinds.kinds.has(type) ? parseResourcePath(id)?.scope : parseScope(id)) ?? '/';
}

function pointerOf(error: z.ZodError): string {
  return `/${(error.issues[0]?.path ?? []).map(String).join('/')}`;
}
