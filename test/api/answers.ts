/** What tests look at in answers. */
import assert from 'node:assert/strict';
import type { RemoteAnswer } from '#platform/remote.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly help: string;
  readonly instance: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly pointer: string; readonly message: string; readonly suggestion?: string; readonly document?: number }[];
}

/** The problem of an answer that is one, with this status and code. */
export function problem(answer: RemoteAnswer, status: number, code: string): Problem {
  const body = answer.body as Problem | null;
  assert.deepEqual({ status: answer.status, code: body?.code }, { status, code }, JSON.stringify(body));
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json(;|$)/);
  return body!;
}

/** All a caller sees of an answer, without what tells one request from another. */
export function seen({ status, headers, body }: RemoteAnswer): unknown {
  const { date: _date, 'sallyport-request-id': _id, ...rest } = headers;
  const { instance: _instance, ...problemBody } = body as Record<string, unknown>;
  return { status, headers: rest, body: problemBody };
}
