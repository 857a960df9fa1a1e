/**
 * What stands before the application: finds the route, asks whether this person may call it at all, and turns whatever goes
 * wrong into an answer. It knows nothing of todos and could be a proxy of its own.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { DecisionPoint } from './decision-point.ts';
import { NoAnswer } from './decision-point.ts';

export interface Person {
  readonly id: string;
  readonly email: string;
}

export interface Request {
  readonly person: Person;
  /** Goes along with every question it leads to. */
  readonly requestId: string;
  /** What stood in the place of `{…}`; empty if nothing does. */
  readonly name: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly body: object;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `{…}` for one name; this is the id of the resource `route` the decision point is asked about. */
  readonly path: string;
  readonly handle: (request: Request) => Promise<Answer>;
}

export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface GatewayOptions {
  readonly routes: readonly Route[];
  readonly decisionPoint: DecisionPoint;
  /** Where the routes lie. */
  readonly scope: string;
  /** For those who run the application. */
  readonly log: (line: string) => void;
}

const maxBodyBytes = 16 * 1024;

export function gateway(options: GatewayOptions): RequestListener {
  return (request, response) => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && /^[\x21-\x7e]{1,100}$/.test(given) ? given : randomUUID();
    answerTo(options, request, requestId)
      .catch((error: unknown) => answerOfFailure(error, (line) => options.log(`${requestId} ${line}`)))
      .then(({ status, body }) => send(response, requestId, status, body))
      .catch((error: unknown) => options.log(`${requestId} ${String(error)}`));
  };
}

async function answerTo({ routes, decisionPoint, scope }: GatewayOptions, request: IncomingMessage, requestId: string): Promise<Answer> {
  const person = personOf(request);
  const url = new URL(request.url ?? '/', 'http://here');
  const found = routes.flatMap((route) => {
    const name = nameIn(route.path, url.pathname);
    return name === null ? [] : [{ route, name }];
  });
  const match = found.find(({ route }) => route.method === request.method);
  if (match === undefined) throw found.length === 0 ? new Refused(404, 'there is nothing here') : new Refused(405, 'not this method');
  const allowed = await decisionPoint.allows({
    subject: { type: 'user', id: person.id },
    action: { name: match.route.method.toLowerCase() },
    resource: { type: 'route', id: match.route.path, properties: { scope } },
  }, requestId);
  if (!allowed) throw new Refused(403, 'you may not do this here');
  return match.route.handle({ person, requestId, name: match.name, query: url.searchParams, body: await bodyOf(request) });
}

/** The proxy that logs people in says who asks. Nobody else may reach this port. */
function personOf({ headers }: IncomingMessage): Person {
  const [id, email] = [headers['x-forwarded-user'], headers['x-forwarded-email']];
  if (typeof id !== 'string' || typeof email !== 'string' || id === '' || email === '') throw new Refused(401, 'log in first');
  return { id, email };
}

/** Null when the path is another; names are small letters, digits and `_`. */
function nameIn(pattern: string, path: string): string | null {
  const [before = '', after] = pattern.split(/\{\w+\}/);
  if (after === undefined) return path === pattern ? '' : null;
  const name = path.slice(before.length);
  return path.startsWith(before) && /^[a-z][a-z0-9_]{0,63}$/.test(name) ? name : null;
}

async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Refused(413, `more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // no JSON: told below
  }
  throw new Refused(400, 'send a JSON object');
}

function answerOfFailure(error: unknown, log: (line: string) => void): Answer {
  if (error instanceof Refused) return { status: error.status, body: { error: error.message } };
  log(error instanceof Error ? `${error.message}${error.cause === undefined ? '' : `: ${String(error.cause)}`}` : String(error));
  if (error instanceof NoAnswer) return { status: 503, body: { error: 'what decides about access does not answer; try again' } };
  return { status: 500, body: { error: 'a mistake of ours' } };
}

function send(response: ServerResponse, requestId: string, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': requestId, ...(status === 503 ? { 'retry-after': '1' } : {}) });
  response.end(`${JSON.stringify(body)}\n`);
}
