/**
 * Somebody outside whom pipelines call with minted tokens. Knows nothing of us but the issuer's URL and its own name, and
 * finds everything else out by discovery, with libraries of its own.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { None, allowInsecureRequests, discovery } from 'openid-client';

/** A request whose token was good. */
export interface PartnerRequest {
  /** Path that was called, without its slash. */
  readonly path: string;
  readonly token: string;
  readonly claims: JWTPayload;
}

export interface Partner {
  /** `host:port`. */
  readonly address: string;
  readonly accepted: readonly PartnerRequest[];
  /** Why tokens were not accepted. */
  readonly refused: readonly string[];
  stop(): Promise<void>;
}

export interface PartnerOptions {
  readonly issuer: string;
  readonly audience: string;
}

/** Takes the token as the body of a POST: 204 if it is good, 401 if it is not. */
export async function startPartner({ issuer, audience }: PartnerOptions): Promise<Partner> {
  const configuration = await discovery(new URL(issuer), 'partner', undefined, None(), { execute: [allowInsecureRequests] });
  const { jwks_uri: jwksUri } = configuration.serverMetadata();
  if (jwksUri === undefined) throw new Error('the issuer does not say where its keys are');
  const keys = createRemoteJWKSet(new URL(jwksUri));
  const accepted: PartnerRequest[] = [];
  const refused: string[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<number> => {
      const token = await text(request);
      const { payload: claims } = await jwtVerify(token, keys, { issuer, audience, typ: 'JWT', algorithms: ['RS256'], requiredClaims: ['sub', 'exp', 'jti'] });
      accepted.push({ path: (request.url ?? '/').slice(1), token, claims });
      return 204;
    };
    const refuse = (error: unknown): number => {
      refused.push(String(error));
      return 401;
    };
    void answer().catch(refuse).then((status) => response.writeHead(status).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted,
    refused,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
