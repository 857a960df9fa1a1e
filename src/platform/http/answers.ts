/** How answers leave: the same headers on every one of them, whoever refused and how early. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Refusal } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation, Reply } from '#kernel/operation.ts';
import type { Randomness } from '../clock.ts';
import type { Log } from '../log.ts';
import { describeError } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { problemOf, toRefusal } from './problem.ts';

export interface AnswerServices {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly randomness: Randomness;
}

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;
const json = 'application/json; charset=utf-8';

export function send(reply: FastifyReply, request: FastifyRequest, result: Reply): FastifyReply {
  const { status, headers, body } = result;
  reply.code(status).headers(securityHeaders).header('sallyport-request-id', request.id);
  if (body === null || body === undefined) return reply.headers(headers).send();
  if (typeof body === 'string' || Buffer.isBuffer(body)) return reply.headers(headers).send(body);
  return reply.header('content-type', json).headers(headers).send(JSON.stringify(body));
}

export interface Refused {
  /** Null = no operation was matched. */
  readonly operation: AnyOperation | null;
  readonly error: unknown;
}

export function sendError(services: AnswerServices, request: FastifyRequest, reply: FastifyReply, { operation, error }: Refused): FastifyReply {
  const known = toRefusal(error);
  const name = operation?.name ?? 'unknown';
  const problem = problemOf(known, operation?.dialect ?? 'api', request.id);
  count(services.metrics, known, { operation: name, status: problem.status });
  // Whatever of the request is still to come is not waited for.
  if (known.code === 'request.timeout') reply.header('connection', 'close');
  const line = { requestId: request.id, operation: name, refusal: known.code, because: known.because };
  if (problem.status >= 500) services.log.error({ ...line, error: describeError(known.cause ?? known) }, 'request failed');
  else services.log.debug(line, 'request refused');
  return reply.code(problem.status).headers({ ...securityHeaders, 'sallyport-request-id': request.id, 'content-type': 'application/json', ...problem.headers }).send(JSON.stringify(problem.body));
}

/** Answers what never became a request: there is no reply object yet, only the socket, which is closed. */
export function answerBroken(services: AnswerServices, error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const known = brokenRefusal(error.code);
  const requestId = services.randomness.uid();
  const problem = problemOf(known, 'api', requestId);
  count(services.metrics, known, { operation: 'unknown', status: problem.status });
  services.log.debug({ requestId, refusal: known.code, because: error.code }, 'request refused');
  const body = JSON.stringify(problem.body);
  const headers = { ...securityHeaders, 'sallyport-request-id': requestId, ...problem.headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`);
}

function brokenRefusal(code: string | undefined): Refusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refusal('request.timeout');
  if (code === 'HPE_HEADER_OVERFLOW') return refusal('request.headers_too_large');
  return refusal('request.malformed');
}

function count(metrics: Metrics, { code }: Refusal, { operation, status }: { operation: string; status: number }): void {
  metrics.refusals.inc({ code });
  metrics.answered(operation, status);
}

/** What Fastify itself refuses, in our words. */
export function fromFastify(error: unknown): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refusal('request.too_large');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return refusal('request.unsupported_type');
  // The client gave up, or sent less or more than it said.
  if (code.startsWith('FST_ERR_CTP') || code === 'ECONNRESET' || code === 'ERR_HTTP_REQUEST_TIMEOUT') return refusal('request.malformed', { because: code });
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') return refusal('access.not_found');
  return error;
}
