/**
 * The program behind `oidc-provider.ts`: certified provider software on loopback. Reads its clients as JSON from standard
 * input, prints its URL as one line of JSON, and ends when standard input does, so that it never outlives who started it.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';
import type { OutsideClient, OutsideIssuer, ProviderOrder } from './oidc-provider.ts';

/** As short as those of HCP Terraform, longer than any test. */
const tokenSeconds = 300;

interface Token {
  header: Record<string, unknown> | undefined;
  payload: Record<string, unknown>;
}

/** A run's token: `typ: JWT`, a subject of names, valid five seconds before it was made, and no client. */
function asTerraform(token: Token, { subject, claims }: OutsideClient): void {
  const { client_id: _client, scope: _scope, ...payload } = token.payload;
  token.header = { typ: 'JWT' };
  token.payload = { ...payload, sub: subject, nbf: Number(payload['iat']) - 5, terraform_run_id: `run-${randomUUID().slice(0, 16)}`, ...claims };
}

/** RFC 9068: `typ: at+jwt`, `client_id`, and what the directory knows of the client. */
function asAccessToken(token: Token, { subject, claims }: OutsideClient): void {
  token.payload = { ...token.payload, ...(subject === undefined ? {} : { sub: subject }), ...claims };
}

const shapes: Readonly<Record<OutsideIssuer, (token: Token, client: OutsideClient) => void>> = { terraform: asTerraform, corporate: asAccessToken };

function createProvider(issuer: string, shape: (token: Token, client: OutsideClient) => void, clients: readonly OutsideClient[]): Provider {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const byId = new Map(clients.map((client) => [client.clientId, client]));
  return new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' }] },
    clients: clients.map(({ clientId, clientSecret }) => ({
      client_id: clientId, client_secret: clientSecret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    })),
    ttl: { ClientCredentials: tokenSeconds },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, audience: string) => ({
          audience, scope: '', accessTokenTTL: tokenSeconds, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    formats: {
      customizers: { jwt: (_context: unknown, { clientId }: { clientId: string }, token: Token) => shape(token, byId.get(clientId)!) },
    },
  });
}

async function main(): Promise<void> {
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const order = JSON.parse(String((await input.next()).value)) as ProviderOrder;
  const mounts = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  const server = createServer((request, response) => {
    const [, mount, rest] = /^(\/[^/?]+)(.*)$/.exec(request.url ?? '') ?? [];
    const handler = mounts.get(mount ?? '');
    if (handler === undefined) return void response.writeHead(404).end();
    // What was asked for stays readable: the provider derives its own URLs from it.
    Object.assign(request, { originalUrl: request.url, url: rest === '' ? '/' : rest });
    return handler(request, response);
  });
  server.listen(order.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const name of ['terraform', 'corporate'] as const) mounts.set(`/${name}`, createProvider(`${url}/${name}`, shapes[name], order.clients[name]).callback());
  process.stdout.write(`${JSON.stringify({ url })}\n`);
  await input.next(); // nothing more is said; the end of it is the end of this process
  process.exit(0);
}

await main();
