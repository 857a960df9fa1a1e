/** The only place where a failure becomes an answer. Problem details (RFC 9457), or the words of OAuth. */
import type { ZodError } from 'zod';
import type { z } from 'zod';
import type { FieldError } from '#kernel/errors.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { Dialect } from '#kernel/operation.ts';
import { asRefusal } from '../database/database.ts';

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Everything unexpected is a defect: the caller gets the request id and nothing else. */
export function toRefusal(error: unknown): Refusal {
  const known = asRefusal(error);
  return known instanceof Refusal ? known : refusal('server.defect', { because: error instanceof Error ? error.message : String(error), cause: error });
}

export function problemOf(error: Refusal, dialect: Dialect, requestId: string): Problem {
  const { record } = error;
  const headers: Record<string, string> = { ...error.headers };
  const retryAfter = error.retryAfterSeconds ?? (record.retryable ? 1 : undefined);
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  if (dialect === 'oauth') return oauthProblem(error, requestId, headers);
  if (dialect === 'authzen') return authzenProblem(error, headers);
  if (record.status === 401) headers['www-authenticate'] ??= challenge(error);
  headers['content-type'] = 'application/problem+json';
  return {
    status: record.status,
    headers,
    body: {
      type: `https://sallyport.dev/errors#${error.code}`,
      title: record.title,
      status: record.status,
      code: error.code,
      ...(error.say === undefined ? {} : { detail: error.say }),
      help: record.help,
      ...(error.errors.length === 0 ? {} : { errors: error.errors.slice(0, 100) }),
      instance: requestId,
      ...(record.retryable ? { retryable: true } : {}),
    },
  };
}

/** AuthZEN §10.1: whatever is wrong with the body is 400, and the answer is a text. */
function authzenProblem(error: Refusal, headers: Record<string, string>): Problem {
  const { status, title } = error.record;
  const isBody = status === 413 || status === 415 || status === 422;
  if (status === 401) headers['www-authenticate'] ??= challenge(error);
  const [first] = error.errors;
  const text = first === undefined ? (error.say ?? title) : `${first.pointer}: ${first.message}`;
  return { status: isBody ? 400 : status, headers, body: text };
}

/** RFC 6750 §3: a Bearer challenge has at least one parameter; §3.1: it has no error where there was no token to be wrong. */
function challenge({ code }: Refusal): string {
  return code === 'credential.invalid' ? 'Bearer realm="sallyport", error="invalid_token"' : 'Bearer realm="sallyport"';
}

/** RFC 6749 §5.2: a client that is not authenticated gets 401, every other refusal of a token request 400. */
function oauthProblem(error: Refusal, requestId: string, headers: Record<string, string>): Problem {
  const { record } = error;
  const word = record.oauth ?? (record.status >= 500 ? 'server_error' : 'invalid_request');
  const status = word === 'invalid_token' ? 401 : record.status >= 500 || record.status === 429 ? record.status : 400;
  if (status === 401) headers['www-authenticate'] ??= challenge(error);
  headers['cache-control'] = 'no-store';
  const description = error.errors[0] === undefined ? record.title : `${error.errors[0].pointer.slice(1)}: ${error.errors[0].message}`;
  return { status, headers, body: { error: word, error_description: asciiOnly(description), correlation_id: requestId } };
}

/** RFC 6749 §5.2 allows printable ASCII without `"` and `\` in error_description. */
function asciiOnly(text: string): string {
  return text.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'");
}

/** Faults of a zod parse as located errors, with «did you mean» for unknown fields. */
export function fieldErrors(error: ZodError, schema: z.ZodType, prefix: readonly PropertyKey[] = []): FieldError[] {
  return error.issues.slice(0, 100).flatMap((issue) => issueErrors(issue, schema, prefix));
}

function issueErrors(issue: z.core.$ZodIssue, schema: z.ZodType, prefix: readonly PropertyKey[]): FieldError[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(schema, issue.path);
    return issue.keys.slice(0, 20).map((key) => {
      const near = nearest(key, known);
      return {
        pointer: pointerOf([...path, key]),
        message: `unknown field \`${key.slice(0, 128)}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`,
        ...(near === undefined ? {} : { suggestion: near }),
      };
    });
  }
  if (issue.code === 'invalid_union') {
    const branches = issue.errors.filter((branch) => branch.length > 0);
    // The branch that got furthest is the one that was meant.
    const best = branches.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
    if (best !== undefined) return best.flatMap((inner) => issueErrors(inner, schema, path));
  }
  const name: unknown = issue.code === 'custom' ? issue.params?.['code'] : undefined;
  return [{ pointer: pointerOf(path), message: issue.message.charAt(0).toLowerCase() + issue.message.slice(1), ...(typeof name === 'string' ? { code: name } : {}) }];
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(...issues.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

interface ShapeDefinition {
  readonly type: string;
  readonly shape?: Record<string, z.ZodType>;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
}

/** Names of the fields a schema knows at a path; of every alternative where there are several. */
function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const def = schema._zod.def as unknown as ShapeDefinition;
  if (def.options !== undefined) return def.options.flatMap((option) => fieldsAt(option, path));
  if (def.innerType !== undefined) return fieldsAt(def.innerType, path);
  const [head, ...rest] = path;
  if (def.shape !== undefined) {
    if (head === undefined) return Object.keys(def.shape);
    const field = Object.hasOwn(def.shape, head) ? def.shape[String(head)] : undefined;
    return field === undefined ? [] : fieldsAt(field, rest);
  }
  const item = def.element ?? def.valueType;
  return item === undefined || head === undefined ? [] : fieldsAt(item, rest);
}
