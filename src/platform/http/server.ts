/** Bridges sockets to operations: bounds on headers, bodies, time and concurrency, request ids, graceful drain. */
import Fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Level } from '#kernel/scope.ts';
import { levels } from '#kernel/scope.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Network } from '../networks.ts';
import { readNetwork } from '../networks.ts';
import { answerBroken, fromFastify, send, sendError } from './answers.ts';
import { createInFlight } from './in-flight.ts';
import { IncomingRequest } from './incoming-request.ts';
import type { Rates } from './limits.ts';
import type { PipelineServices } from './pipeline.ts';
import { perform } from './pipeline.ts';
import type { RefusalRate } from './refusal-rate.ts';
import { createRefusalRate } from './refusal-rate.ts';
import { createTurns } from './turns.ts';

export interface ServerServices extends PipelineServices {
  readonly config: Config;
  readonly log: Log;
  readonly rates: Rates;
}

interface RunningServices extends ServerServices {
  readonly trustedProxies: readonly Network[];
  readonly strangers: RefusalRate;
}

export interface HttpServer {
  readonly fastify: FastifyInstance;
  listen(): Promise<{ readonly url: string }>;
  /** Answers what is in flight, refuses the rest, then closes. */
  drain(): Promise<void>;
}

const maxHeaderBytes = 32 * 1024;
const maxHeaders = 100;
const maxHeadersMs = 10_000;
const drainMs = 10_000;
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
/** An orchestrator that gets no answer would end a node that is only busy. */
const unlimited = new Set(['/healthz']);

export function createServer(given: Omit<ServerServices, 'turns'>, operations: readonly AnyOperation[]): HttpServer {
  const trustedProxies = given.config.trustedProxies.map((text) => readNetwork(text)).filter((network) => network !== null);
  const strangers = createRefusalRate(given.rates, { purpose: 'credential', perMinute: given.config.refusedCredentialsPerMinute });
  const services: RunningServices = { ...given, turns: createTurns(), trustedProxies, strangers };
  const { config, log } = services;
  const fastify = newFastify(services);
  const inFlight = createInFlight(config.requestTimeoutMs);
  let draining = false;

  fastify.addHook('onRequest', (request, reply, next) => {
    inFlight.enter(reply.raw);
    if (request.raw.rawHeaders.length > 2 * maxHeaders) return next(refusal('request.headers_too_large', { say: `send at most ${maxHeaders} headers` }));
    if (draining) {
      reply.header('connection', 'close');
      return next(refusal('server.draining', { retryAfterSeconds: 1 }));
    }
    if (inFlight.count > config.maxInFlight && !unlimited.has(request.routeOptions.url ?? '')) return next(refusal('server.busy', { retryAfterSeconds: 1 }));
    next();
  });

  const handle = async (operation: AnyOperation, levelsOfPath: readonly string[], request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const started = services.clock.monotonicMs();
    if (operation.dialect === 'authzen') echoRequestId(request, reply);
    try {
      const result = await inFlight.attend(reply.raw, (awaiting) => perform(services, operation, new IncomingRequest(services, operation, { levelsOfPath, request, awaiting })));
      services.metrics.answered(operation.name, result.status);
      return send(reply, request, result);
    } catch (error) {
      return sendError(services, request, reply, { operation, error });
    } finally {
      services.metrics.took(operation.name, (services.clock.monotonicMs() - started) / 1_000);
    }
  };
  addRoutes(services, fastify, { operations, handle });

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
      const endMs = services.clock.monotonicMs() + drainMs;
      while (inFlight.count > 0 && services.clock.monotonicMs() < endMs) await sleep(20);
      // What is left had its time: a client that never finishes its request would hold the process for ever.
      const closed = fastify.close();
      fastify.server.closeAllConnections();
      await closed;
    },
  };
}

/** AuthZEN §10.1.4: the client's own id comes back beside ours. */
function echoRequestId(request: FastifyRequest, reply: FastifyReply): void {
  const given = request.headers['x-request-id'];
  if (typeof given === 'string' && /^[\x21-\x7e]{1,256}$/.test(given)) reply.header('x-request-id', given);
}

function newFastify(services: ServerServices): FastifyInstance {
  const { config } = services;
  const { requestTimeoutMs } = config;
  const fastify = Fastify({
    logger: false,
    trustProxy: false,
    connectionTimeout: requestTimeoutMs + 10_000,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 512 },
    return503OnClosing: false,
    http: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: Math.min(maxHeadersMs, requestTimeoutMs),
      // How often Node looks for requests whose time is over.
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(requestTimeoutMs / 4)),
    },
    genReqId: () => services.randomness.uid(),
    frameworkErrors: (error, request, reply) => void sendError(services, request, reply, { operation: null, error: fromFastify(error) }),
    clientErrorHandler: (error, socket) => answerBroken(services, error, socket),
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, _unread, done) => done(null));
  fastify.setErrorHandler((error, request, reply) => sendError(services, request, reply, { operation: null, error: fromFastify(error) }));
  fastify.setNotFoundHandler((request, reply) => sendError(services, request, reply, { operation: null, error: refusal('access.not_found') }));
  return fastify;
}

function unreached(): never {
  throw new Error('defect: every request is answered in its hook');
}

type Handle = (operation: AnyOperation, levelsOfPath: readonly string[], request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** The operations, and on each of their paths a refusal of every other method. */
function addRoutes(services: ServerServices, fastify: FastifyInstance, { operations, handle }: { operations: readonly AnyOperation[]; handle: Handle }): void {
  const offered = new Map<string, { readonly url: string; readonly here: string[] }>();
  for (const operation of operations) {
    for (const route of routesOf(operation)) {
      // Paths that differ in the names of parameters only are one to the router.
      const shape = route.url.replaceAll(/(?<!:):\w+/g, ':');
      offered.set(shape, { url: route.url, here: [...(offered.get(shape)?.here ?? []), operation.method] });
      fastify.route({
        method: operation.method,
        url: route.url,
        // In a hook, which comes before Fastify looks for a body: that is not its to read.
        onRequest: (request, reply) => handle(operation, route.levels, request, reply),
        handler: unreached,
      });
    }
  }
  for (const { url, here } of offered.values()) {
    fastify.route({
      method: methods.filter((method) => !here.includes(method)),
      url,
      handler: (request, reply) => sendError(services, request, reply.header('allow', here.join(', ')), { operation: null, error: refusal('request.method') }),
    });
  }
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
