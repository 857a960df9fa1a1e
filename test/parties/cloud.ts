/**
 * What the clouds that stand in on loopback have in common: a server that knows our issuer's URL, fetches the discovery
 * document and the keys as the real ones do, and can misbehave.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';

export interface CloudRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CloudAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

/** How a cloud misbehaves at the next request. `silence` never answers. */
export type CloudTrick = CloudAnswer | 'silence' | 'redirect' | 'endless';

export interface Cloud {
  readonly url: string;
  readonly requests: readonly CloudRequest[];
  /** Claims of the tokens it believed. */
  readonly believed: readonly JWTPayload[];
  /** The issuer it was set up with; before that it believes nobody. */
  trust(issuer: string): void;
  /** For the next requests, one each. */
  trick(...tricks: readonly CloudTrick[]): void;
  stop(): Promise<void>;
}

/** Throws when the token is not good for the audience. */
export type Verify = (token: string, audience: string) => Promise<JWTPayload>;

export async function startCloud(answer: (request: CloudRequest, verify: Verify) => Promise<CloudAnswer>): Promise<Cloud> {
  const requests: CloudRequest[] = [];
  const believed: JWTPayload[] = [];
  const tricks: CloudTrick[] = [];
  let keys: { readonly issuer: string; readonly set: ReturnType<typeof createRemoteJWKSet> } | null = null;
  let issuer: string | null = null;

  const verify: Verify = async (token, audience) => {
    if (issuer === null) throw new Error('no issuer is trusted');
    if (keys?.issuer !== issuer) {
      const said = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json() as { issuer: string; jwks_uri: string };
      if (said.issuer !== issuer) throw new Error('the discovery document is of another issuer');
      keys = { issuer, set: createRemoteJWKSet(new URL(said.jwks_uri)) };
    }
    const { payload } = await jwtVerify(token, keys.set, { issuer, audience, algorithms: ['RS256', 'ES256'], requiredClaims: ['sub', 'exp', 'iat', 'jti'] });
    believed.push(payload);
    return payload;
  };

  const server = createServer((request, response) => {
    void text(request).then(async (body) => {
      const asked = { path: request.url ?? '', headers: request.headers, body };
      requests.push(asked);
      const trick = tricks.shift();
      if (trick === 'silence') return;
      if (trick === 'redirect') return void response.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' }).end();
      if (trick === 'endless') return void response.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(1_000_000));
      const { status, type = 'application/json', body: said } = trick ?? (await answer(asked, verify));
      response.writeHead(status, { 'content-type': type }).end(said);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests, believed,
    trust: (url) => void (issuer = url),
    trick: (...more) => void tricks.push(...more),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
