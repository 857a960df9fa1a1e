/**
 * Where a running step asks for tokens, in the shape `@actions/core` expects: `GET {url}&audience=…` with a bearer secret,
 * answered `{ value, count }`. On loopback, since steps share the host's network; the secret is of one attempt and dies
 * with it. The runner answers itself, so that a token is known to the masker before it leaves.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Refusal } from '#kernel/errors.ts';

export interface TokenQuestion {
  readonly identity: string | null;
  readonly audience: string | null;
}

export interface TokenEndpointOptions {
  readonly secret: string;
  /** Throws a `Refusal` that may be told to the step. */
  readonly token: (question: TokenQuestion) => Promise<string>;
}

export interface TokenEndpoint {
  /** Has a query already: clients append to it. */
  readonly url: string;
  close(): void;
}

const maxConnections = 64;
const maxUrlLength = 2_048;
/** For a client to say what it wants; the answer takes what the server takes. */
const requestMs = 10_000;

export async function openTokenEndpoint({ secret, token }: TokenEndpointOptions): Promise<TokenEndpoint> {
  const expected = hashOf(`Bearer ${secret}`);
  const server = createServer({ requestTimeout: requestMs, headersTimeout: requestMs, connectionsCheckingInterval: 1_000, maxHeaderSize: 16 * 1024, keepAliveTimeout: 1_000 }, (request, response) => {
    if (!timingSafeEqual(hashOf(request.headers.authorization ?? ''), expected)) return refuse(response, 401, 'the secret is not that of this step');
    const question = questionOf(request);
    if (question === null) return refuse(response, 400, 'ask with `GET`, `audience` and `identity` each at most once');
    token(question).then(
      (value) => send(response, 200, { value, count: value.length }),
      (error: unknown) => (error instanceof Refusal ? refuse(response, error.record.status < 500 ? error.record.status : 503, error.say ?? error.record.title) : refuse(response, 503, 'no token can be made now')),
    );
  });
  server.maxConnections = maxConnections;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token?api-version=1`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function questionOf({ method, url = '' }: IncomingMessage): TokenQuestion | null {
  if (method !== 'GET' || url.length > maxUrlLength || !URL.canParse(url, 'http://step')) return null;
  const { pathname, searchParams } = new URL(url, 'http://step');
  const one = (name: string): string | null | undefined => (searchParams.getAll(name).length > 1 ? undefined : searchParams.get(name));
  const [identity, audience] = [one('identity'), one('audience')];
  return pathname !== '/token' || identity === undefined || audience === undefined ? null : { identity, audience };
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refuse(response: ServerResponse, status: number, message: string): void {
  send(response, status, { message });
}

function send(response: ServerResponse, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, 'cache-control': 'no-store' }).end(bytes);
}
