/** Who holds a key and proves it (RFC 9449), or says so and cheats: every member of a proof can be written otherwise. */
import { createHash, randomUUID } from 'node:crypto';
import type { IssuerKey } from './tokens.ts';
import { compactJws, issuerKey, signature } from './tokens.ts';

export interface Holder {
  readonly key: IssuerKey;
  proof(request: ProofRequest, changes?: { readonly header?: object; readonly claims?: object; readonly without?: readonly string[]; readonly signer?: IssuerKey }): string;
}

export interface ProofRequest {
  readonly method: string;
  readonly url: string;
  readonly nowSeconds: number;
  readonly nonce?: string | undefined;
  /** The token it goes with. */
  readonly token?: string;
}

export function newHolder(alg = 'ES256'): Holder {
  const key = issuerKey(alg, 'holder');
  const jwk = key.publicKey.export({ format: 'jwk' });
  return {
    key,
    proof({ method, url, nowSeconds, nonce, token }, { header = {}, claims = {}, without = [], signer = key } = {}) {
      const all: Record<string, unknown> = {
        jti: randomUUID(), htm: method, htu: url, iat: nowSeconds, ...(nonce === undefined ? {} : { nonce }),
        ...(token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }), ...claims,
      };
      for (const name of without) delete all[name];
      return compactJws({ typ: 'dpop+jwt', alg, jwk, ...header }, all, (input) => signature(signer, input));
    },
  };
}
