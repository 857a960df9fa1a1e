/** The runner's half of request tokens: signs path and body of each request with its own key. */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { canonicalJson } from '#kernel/canonical.ts';
import type { RequestTokenClaims } from '#features/runners/schema.ts';
import { protocolLimits, requestTokenType } from '#features/runners/schema.ts';
import type { PrivateJwk } from './identity.ts';

export interface TokenRequest {
  readonly issuer: string;
  readonly audience: string;
  /** From `/api/` on. */
  readonly path: string;
  readonly body: unknown;
  /** By the server's clock. */
  readonly now: Date;
}

const header = encode({ alg: 'EdDSA', typ: requestTokenType });

export function requestToken(key: PrivateJwk, request: TokenRequest): string {
  const iat = Math.floor(request.now.getTime() / 1_000);
  const claims: RequestTokenClaims = {
    iss: request.issuer,
    aud: request.audience,
    htu: request.path,
    digest: createHash('sha256').update(canonicalJson(request.body)).digest('base64url'),
    iat,
    exp: iat + protocolLimits.requestTokenSeconds,
  };
  const signed = `${header}.${encode(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), createPrivateKey({ key, format: 'jwk' })).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
