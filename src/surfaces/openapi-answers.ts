/**
 * Answers of operations in the OpenAPI document: what was asked for, or a refusal (problem details, RFC 9457; OAuth, RFC 6749
 * §5.2; a text, AuthZEN §10.1).
 */
import { catalogue } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { JsonSchema } from './json-schema.ts';

/** What only the host's own commands run into never crosses HTTP. */
const hostOnly = ['config.', 'host.', 'keys.'];
const records = Object.entries(catalogue).filter(([code]) => !hostOnly.some((area) => code.startsWith(area)));
const statuses = [...new Set(records.map(([, { status }]) => status))].toSorted((a, b) => a - b);
const oauthStatuses = [400, 401, 429, 500, 503];
const authzenStatuses = [400, 401, 403, 404, 429, 500, 503];

/** Responses by status: the answer, then the refusals that the way of every such request can end in. */
export function responsesOf(operation: AnyOperation, path: string, answer: JsonSchema | null): Readonly<Record<string, unknown>> {
  const { words, statuses: refused } = refusalsIn(operation, path);
  return {
    [successOf(operation)]: success(operation, answer),
    ...Object.fromEntries(refused.map((status) => [String(status), { $ref: `#/components/responses/${words}${status}` }])),
    default: { $ref: `#/components/responses/${words}` },
  };
}

/** In whose words an operation refuses, and with which statuses. */
function refusalsIn(operation: AnyOperation, path: string): { readonly words: string; readonly statuses: readonly number[] } {
  if (operation.dialect === 'oauth') return { words: 'OAuth', statuses: [400, 429, 500, 503] };
  if (operation.dialect !== 'authzen') return { words: 'Refused', statuses: refusalsOf(operation, path) };
  // Who asks about others without the right to is told so; whatever is wrong with a body is 400.
  const about = operation.access.shape === 'open' ? [] : [403];
  return { words: 'AuthZEN', statuses: authzenStatuses.filter((status) => [...refusalsOf(operation, path), ...about].includes(status)) };
}

/** A write may answer 200, 201 or 202; only its handler knows. OAuth says 200 whatever was done (RFC 6749 §5.1, RFC 7009 §2.2). */
function successOf({ method, output, write, dialect }: AnyOperation): string {
  if (dialect === 'oauth') return '200';
  if (output === null) return dialect === 'page' ? '200' : '204';
  return method === 'POST' && write !== undefined ? '2XX' : '200';
}

function success(operation: AnyOperation, answer: JsonSchema | null): JsonSchema {
  if (answer !== null) return { description: 'done', content: { 'application/json': { schema: answer } } };
  return operation.dialect === 'page' ? { description: 'done', content: { '*/*': {} } } : { description: 'done, nothing to say' };
}

/** Which statuses the steps before the handler can end in; what a handler refuses besides is under `default`. */
function refusalsOf({ access, input, write, versioned }: AnyOperation, path: string): number[] {
  const { shape } = access;
  const hasAccount = path.includes('{account}');
  const found = [
    400, 408, 500, 503,
    ...(shape === 'open' ? [] : [401, 429]),
    ...(shape === 'on' || shape === 'plan' ? [403] : []),
    ...(hasAccount || input.params !== undefined ? [404] : []),
    ...(shape === 'plan' || write !== undefined ? [409] : []),
    ...(versioned === true ? [412] : []),
    ...(input.body === undefined ? [] : [413, 415]),
  ];
  return found.toSorted((a, b) => a - b);
}

/** Refusals by status, those that `paths` (as JSON) refers to. */
export function sharedResponses(paths: string): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(Object.entries(allResponses()).filter(([name]) => paths.includes(`"#/components/responses/${name}"`)));
}

function allResponses(): Readonly<Record<string, JsonSchema>> {
  const problem = (description: string, schema: JsonSchema, retry: boolean): JsonSchema => ({
    description, ...(retry ? { headers: retryAfter } : {}), content: { 'application/problem+json': { schema } },
  });
  const oauth = (description: string, retry: boolean): JsonSchema => ({
    description, ...(retry ? { headers: retryAfter } : {}), content: { 'application/json': { schema: { $ref: '#/components/schemas/OAuthError' } } },
  });
  const text = (description: string, retry: boolean): JsonSchema => ({
    description, ...(retry ? { headers: retryAfter } : {}), content: { 'application/json': { schema: { $ref: '#/components/schemas/AuthZENError' } } },
  });
  return {
    Refused: problem('refused', { $ref: '#/components/schemas/Problem' }, false),
    ...Object.fromEntries(statuses.map((status) => {
      const codes = records.filter(([, record]) => record.status === status);
      const description = codes.map(([code, { title }]) => `\`${code}\`: ${title}`).join('\n\n');
      const narrowed = { properties: { status: { const: status }, code: { enum: codes.map(([code]) => code) } } };
      return [`Refused${status}`, problem(description, { $ref: '#/components/schemas/Problem', ...narrowed }, codes.some(isRetryable))];
    })),
    OAuth: oauth('refused', false),
    ...Object.fromEntries(oauthStatuses.map((status) => [`OAuth${status}`, oauth('refused', status === 429 || status >= 500)])),
    AuthZEN: text('refused', false),
    ...Object.fromEntries(authzenStatuses.map((status) => [`AuthZEN${status}`, text('refused', status === 429 || status >= 500)])),
  };
}

function isRetryable([, record]: (typeof records)[number]): boolean {
  return 'retryable' in record;
}

const retryAfter = { 'Retry-After': { description: 'seconds to wait', schema: { type: 'integer', minimum: 0 } } } as const;

export function refusalSchemas(): Readonly<Record<string, JsonSchema>> {
  const text = { type: 'string' };
  const fault = { type: 'object', required: ['pointer', 'message'], additionalProperties: false, properties: {
    pointer: { ...text, description: 'JSON Pointer (RFC 6901) of the place' },
    message: text,
    suggestion: { ...text, description: 'what was probably meant' },
    document: { type: 'integer', minimum: 0, description: 'index into `documents`' },
  } };
  return {
    Problem: { type: 'object', required: ['type', 'title', 'status', 'code', 'help', 'instance'], additionalProperties: false, properties: {
      type: { type: 'string', format: 'uri' },
      title: text,
      status: { type: 'integer' },
      code: { enum: records.map(([code]) => code) },
      detail: { ...text, description: 'what was wrong with this request' },
      help: { ...text, description: 'what can be done' },
      errors: { type: 'array', maxItems: 100, items: fault },
      instance: { ...text, description: 'id of the request, as in the log and the audit' },
      retryable: { const: true, description: 'the same request may succeed later' },
    } },
    OAuthError: { type: 'object', required: ['error', 'error_description', 'correlation_id'], additionalProperties: false, properties: {
      error: { enum: [...new Set(records.flatMap(([, record]) => ('oauth' in record ? [record.oauth] : [])))] },
      error_description: text,
      correlation_id: { ...text, description: 'id of the request, as in the log and the audit' },
    } },
    AuthZENError: { ...text, description: 'what was wrong, for people; never a decision' },
  };
}
