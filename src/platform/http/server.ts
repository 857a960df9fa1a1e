/** Bridges sockets to operations: strict headers, body and time bounds, request ids, graceful drain. */
import Fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { AnyOperation, Reply } from '#kernel/operation.ts';
import type { Level, ScopePath } from '#kernel/scope.ts';
import { levels, parseScope } from '#kernel/scope.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import { describeError } from '../log.ts';
import type { Rates } from './limits.ts';
import type { PipelineServices } from './pipeline.ts';
import { perform } from './pipeline.ts';
import { problemOf, toRefusal } from './problem.ts';

export interface ServerServices extends PipelineServices {
  readonly config: Config;
  readonly log: Log;
  readonly rates: Rates;
}

export interface HttpServer {
  readonly fastify: FastifyInstance;
  listen(): Promise<{ readonly url: string }>;
  /** Answers what is in flight, refuses the rest, then closes. */
  drain(): Promise<void>;
}

const maxHeaderBytes = 32 * 1024;
const defaultBodyBytes = 1024 * 1024;
const applyBodyBytes = 4 * 1024 * 1024 + 64 * 1024;
const jsonLimits = { maxDepth: 64, maxNodes: 400_000 };
/** Parameters RFC 8693 §2.1 and RFC 8707 §2 allow more than once. */
const repeatable = new Set(['audience', 'resource']);

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

export function createServer(services: ServerServices, operations: readonly AnyOperation[]): HttpServer {
  const { config, log } = services;
  const fastify = Fastify({
    logger: false,
    trustProxy: false,
    bodyLimit: applyBodyBytes,
    connectionTimeout: config.requestTimeoutMs + 10_000,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 512 },
    return503OnClosing: false,
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: 10_000 },
    genReqId: () => services.randomness.uid(),
  });
  let inFlight = 0;
  let draining = false;

  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  fastify.setErrorHandler((error, request, reply) => sendError(services, request, reply, null, fromFastify(error)));
  fastify.setNotFoundHandler((request, reply) => sendError(services, request, reply, null, refusal('access.not_found')));

  const handle = async (operation: AnyOperation, levelsOfPath: readonly string[], request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const started = services.clock.monotonicMs();
    const signal = AbortSignal.timeout(config.requestTimeoutMs);
    inFlight += 1;
    try {
      if (draining) throw refusal('server.draining', { retryAfterSeconds: 1 });
      if (inFlight > config.maxInFlight) throw refusal('server.busy', { retryAfterSeconds: 1 });
      const result = await withDeadline(signal, perform(services, operation, readRequest(services, operation, levelsOfPath, request, signal)));
      services.metrics.requests.inc({ operation: operation.name, status: String(result.status) });
      return send(reply, request, result);
    } catch (error) {
      return sendError(services, request, reply, operation, error);
    } finally {
      inFlight -= 1;
      services.metrics.requestSeconds.observe({ operation: operation.name }, (services.clock.monotonicMs() - started) / 1_000);
    }
  };

  for (const operation of operations) {
    for (const route of routesOf(operation)) {
      fastify.route({
        method: operation.method,
        url: route.url,
        bodyLimit: operation.name === 'manifest.apply' ? applyBodyBytes : defaultBodyBytes,
        handler: (request, reply) => handle(operation, route.levels, request, reply),
      });
    }
  }

  return {
    fastify,
    async listen() {
      await fastify.listen({ host: config.host, port: config.port });
      const address = fastify.server.address();
      const port = typeof address === 'object' && address !== null ? address.port : config.port;
      return { url: `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}` };
    },
    async drain() {
      draining = true;
      log.info('draining');
      const grace = services.clock.monotonicMs() + 10_000;
      while (inFlight > 0 && services.clock.monotonicMs() < grace) await new Promise((wake) => setTimeout(wake, 20));
      await fastify.close();
    },
  };
}

const scopePaths: Readonly<Record<Level, string>> = {
  account: '/api/v1/accounts/:account',
  org: '/api/v1/accounts/:account/orgs/:org',
  project: '/api/v1/accounts/:account/orgs/:org/projects/:project',
};

/** The Fastify routes of an operation; `{name}` in a path becomes a parameter. */
export function routesOf(operation: AnyOperation): readonly { readonly url: string; readonly levels: readonly string[] }[] {
  const fill = (prefix: string, rest: string): string => prefix + rest.replaceAll(':', '::').replaceAll(/\{(\w+)\}/g, ':$1');
  if (operation.path.startsWith('{scope}')) {
    return (operation.levels ?? levels).map((level) => ({ url: fill(scopePaths[level], operation.path.slice(7)), levels: [level] }));
  }
  if (operation.path.startsWith('{account}')) return [{ url: fill(scopePaths.account, operation.path.slice(9)), levels: ['account'] }];
  if (operation.path.startsWith('{issuer}')) return [{ url: fill('/accounts/:account', operation.path.slice(8)), levels: ['account'] }];
  return [{ url: fill('', operation.path), levels: [] }];
}

function readRequest(services: ServerServices, operation: AnyOperation, levelsOfPath: readonly string[], request: FastifyRequest, signal: AbortSignal) {
  const { account, org, project, ...params } = request.params as Record<string, string>;
  const address = clientAddress(request, services.config.trustedProxies);
  return {
    requestId: request.id,
    accountIdentifier: levelsOfPath.length === 0 && account === undefined ? null : (account ?? ''),
    scope: scopeOf(org, project),
    token: bearerToken(request),
    params,
    query: singleValues(request.query as Record<string, unknown>),
    body: readBody(operation, request),
    address,
    ifMatch: readIfMatch(request),
    minRevision: readMinRevision(request),
    signal,
    log: services.log.child({ requestId: request.id, operation: operation.name }),
    admit: (caller: Caller) =>
      services.rates.take(`caller:${caller.accountId}:${caller.principal.type}:${caller.principal.uid}`, {
        perSecond: services.config.requestsPerSecond,
        burst: services.config.requestBurst,
      }),
  };
}

function scopeOf(org: string | undefined, project: string | undefined): ScopePath | null {
  if (org === undefined) return parseScope('/');
  return parseScope(project === undefined ? org : `${org}/${project}`);
}

/** One credential, one way: a Bearer header. More than one is refused rather than chosen from. */
function bearerToken(request: FastifyRequest): string | null {
  const { authorization } = request.headers;
  if (authorization === undefined) return null;
  const found = /^Bearer ([\x21-\x7e]{1,16384})$/i.exec(authorization);
  return found === null ? '' : found[1]!;
}

function singleValues(query: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) throw refusal('request.invalid', { errors: [{ pointer: `/${name}`, message: 'is given more than once' }] });
  }
  return { ...query };
}

function readBody(operation: AnyOperation, request: FastifyRequest): unknown {
  const bytes = request.body as Buffer | undefined;
  if (bytes === undefined || bytes.length === 0) return undefined;
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (operation.dialect === 'oauth') return readForm(bytes, type);
  if (type !== 'application/json' && !type.endsWith('+json')) throw refusal('request.unsupported_type', { say: 'send `application/json`' });
  const parsed = parseJson(bytes, { maxBytes: applyBodyBytes, ...jsonLimits });
  if ('problem' in parsed) throw refusal('request.malformed', { say: `${parsed.problem} at byte ${parsed.offset}` });
  return parsed.value;
}

function readForm(bytes: Buffer, type: string): Record<string, unknown> {
  if (type !== 'application/x-www-form-urlencoded') throw refusal('request.unsupported_type', { say: 'send `application/x-www-form-urlencoded`' });
  const form: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (repeatable.has(name)) form[name] = [...((form[name] as string[] | undefined) ?? []), value];
    else if (Object.hasOwn(form, name)) throw refusal('request.invalid', { errors: [{ pointer: `/${name}`, message: 'is given more than once' }] });
    else form[name] = value;
  }
  return { ...form };
}

function readIfMatch(request: FastifyRequest): number | null {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return null;
  const found = /^"(\d{1,15})"$/.exec(header);
  if (found === null) throw refusal('resource.precondition');
  return Number(found[1]);
}

function readMinRevision(request: FastifyRequest): number | null {
  const header = request.headers['sallyport-min-revision'];
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null;
}

/** The peer, unless it is a trusted proxy: then the last address of `X-Forwarded-For` that is not one. */
function clientAddress(request: FastifyRequest, trusted: readonly string[]): string {
  const peer = request.socket.remoteAddress ?? '';
  if (trusted.length === 0 || !isTrusted(peer, trusted)) return peer;
  const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',').map((part) => part.trim()).reverse();
  return forwarded.find((address) => isIP(address) !== 0 && !isTrusted(address, trusted)) ?? peer;
}

function isTrusted(address: string, trusted: readonly string[]): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.process(address);
  return trusted.some((entry) => {
    const range = entry.includes('/') ? ipaddr.parseCIDR(entry) : null;
    if (range === null) return ipaddr.process(entry).toNormalizedString() === parsed.toNormalizedString();
    return range[0].kind() === parsed.kind() && parsed.match(range);
  });
}

function withDeadline<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(refusal('request.timeout'));
    signal.addEventListener('abort', late, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', late));
  });
}

function send(reply: FastifyReply, request: FastifyRequest, result: Reply): FastifyReply {
  reply.code(result.status).headers({ ...securityHeaders, 'sallyport-request-id': request.id, ...result.headers });
  if (result.body === null || result.body === undefined) return reply.send();
  if (typeof result.body === 'string' || Buffer.isBuffer(result.body)) return reply.send(result.body);
  if (!('content-type' in result.headers)) reply.header('content-type', 'application/json');
  return reply.send(JSON.stringify(result.body));
}

function sendError(services: ServerServices, request: FastifyRequest, reply: FastifyReply, operation: AnyOperation | null, error: unknown): FastifyReply {
  const known = toRefusal(error);
  const name = operation?.name ?? 'unknown';
  const problem = problemOf(known, operation?.dialect ?? 'api', request.id);
  services.metrics.refusals.inc({ code: known.code });
  services.metrics.requests.inc({ operation: name, status: String(problem.status) });
  const line = { requestId: request.id, operation: name, refusal: known.code, because: known.because };
  if (problem.status >= 500) services.log.error({ ...line, error: describeError(known.cause ?? known) }, 'request failed');
  else services.log.debug(line, 'request refused');
  return reply.code(problem.status).headers({ ...securityHeaders, 'sallyport-request-id': request.id, 'content-type': 'application/json', ...problem.headers }).send(JSON.stringify(problem.body));
}

function fromFastify(error: unknown): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refusal('request.too_large');
  if (code.startsWith('FST_ERR_CTP')) return refusal('request.malformed', { because: code });
  if (code === 'FST_ERR_BAD_URL') return refusal('access.not_found');
  return error;
}
