/** Tokens out: what the outside needs to verify them (OpenID Discovery 1.0, RFC 8414, RFC 7517). */
import { z } from 'zod';
import { supportedAlgorithms } from '#features/trust/schema.ts';
import type { Manifest } from '#kernel/manifest.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Call } from '#platform/call.ts';
import { open, operation } from '#platform/call.ts';
import type { Delivery, DeliveryUse, DeliveryWords } from '#platform/delivery.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Metrics } from '#platform/metrics.ts';
import { claimNames } from './claims.ts';
import { keepKeysSeconds, mintAlgorithms } from './key-life.ts';
import { keyJob, keyOperations } from './key-operations.ts';
import type { MintKeys } from './keys.ts';
import type { Minted } from './mint.ts';
import { mintAct, mintToken, recordMinted } from './mint.ts';

export { claimsOf } from './claims.ts';
export { mintedIntrospector } from './introspect.ts';
export { signingKeyNoun } from './key-operations.ts';
export { createMintKeys } from './keys.ts';
export type { MintKeys } from './keys.ts';
export { mintAct, recordMinted } from './mint.ts';
export type { Minted } from './mint.ts';

export interface MintServices {
  readonly keys: MintKeys;
  readonly database: Database;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly issuerOf: (accountIdentifier: string) => string;
  readonly account: (identifier: string) => Promise<{ readonly id: string } | null>;
}

/** What is in it changes with a release. */
const cached = { 'cache-control': 'public, max-age=300' };

export function mintFeature(services: MintServices): Manifest {
  const metadata = z.looseObject({ issuer: z.string(), jwks_uri: z.string() });
  const common = { method: 'GET' as const, input: {}, audit: null, dialect: 'page' as const };

  const discovery = (name: string, path: string): AnyOperation =>
    operation({
      ...common,
      name, path,
      summary: 'Metadata of the account as an issuer',
      output: metadata,
      access: open('verifiers of minted tokens have no credential here'),
      prepare: async (call: Call) => new Reply(metadataOf(services.issuerOf(call.account.identifier)), { headers: cached }),
    });

  const keysCached = { 'cache-control': `public, max-age=${keepKeysSeconds(services.keys.policy)}` };
  const keys = operation({
    ...common,
    name: 'issuer.keys',
    summary: 'Public keys of minted tokens',
    path: '{issuer}/jwks',
    output: z.looseObject({ keys: z.array(z.looseObject({})) }),
    access: open('verifiers of minted tokens have no credential here'),
    prepare: async (call: Call) => new Reply({ keys: await services.keys.published(call.account.id) }, { headers: keysCached }),
  });

  // RFC 8414 §3.1 puts the well-known part before the path of the issuer.
  const inserted = (name: string, path: string): AnyOperation =>
    operation({
      ...common,
      input: { params: z.strictObject({ name: z.string().max(256) }) },
      name, path,
      summary: 'Metadata of the account as an issuer, at the path RFC 8414 gives it',
      output: metadata,
      access: open('verifiers of minted tokens have no credential here'),
      prepare: async (_call: Call, { params }: { params: { name: string } }) => {
        if ((await services.account(params.name)) === null) throw refusal('access.not_found');
        return new Reply(metadataOf(services.issuerOf(params.name)), { headers: cached });
      },
    });

  return {
    name: 'mint',
    operations: [
      discovery('issuer.discovery', '{issuer}/.well-known/openid-configuration'),
      inserted('issuer.metadata', '/.well-known/oauth-authorization-server/accounts/{name}'),
      inserted('issuer.inserted_discovery', '/.well-known/openid-configuration/accounts/{name}'),
      keys,
      ...keyOperations(services),
    ],
    jobs: [keyJob(services)],
  };
}

export const getJwt = {
  name: 'secrets.getJWT',
  parameters: { min: 1, max: 2 },
  summary: 'a token minted for this step, for an audience of the connector',
  example: '<+secrets.getJWT("account.partner")>',
  kind: 'connector',
} as const satisfies DeliveryWords;

export interface MinterServices extends Pick<MintServices, 'keys' | 'issuerOf'> {
  readonly ownUrls: () => readonly string[];
  readonly uid: () => string;
  readonly metrics: Metrics;
}

/** Mints for the step that uses a connector; `audience` null = the connector's first. */
export type Minter = (use: DeliveryUse, audience: string | null) => Promise<Minted>;

export function createMinter(services: MinterServices): Minter {
  const { metrics: { mints } } = services;
  return async ({ account, entry, facts, attemptId, now }, audience) => {
    const minted = await mintToken(services.keys, {
      accountId: account.id, issuer: services.issuerOf(account.identifier), ownUrls: services.ownUrls(), connector: entry,
      audience, facts, attemptId, tokenId: services.uid(), now,
    }).catch((error: unknown) => {
      mints.inc({ outcome: error instanceof Refusal ? 'refused' : 'failed' });
      throw error;
    });
    mints.inc({ outcome: 'success' });
    return minted;
  };
}

/** `secrets.getJWT("connector"[, "audience"])`. */
export function jwtDelivery(mint: Minter): Delivery {
  return {
    ...getJwt,
    async deliver(use) {
      const minted = await mint(use, use.args[0] === undefined ? null : String(use.args[0]));
      return { value: minted.token, act: mintAct(minted), record: (tx) => recordMinted(tx, minted) };
    },
  };
}

/** OpenID Connect Discovery 1.0 §3 and RFC 8414 §2 in one; there is no authorization endpoint, as nobody logs in here. */
function metadataOf(issuer: string) {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    token_endpoint: `${issuer}/oauth/token`,
    token_endpoint_auth_methods_supported: ['none'],
    introspection_endpoint: `${issuer}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: ['Bearer'],
    revocation_endpoint: `${issuer}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: ['none'],
    grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
    authorization_details_types_supported: ['sallyport_grant'],
    dpop_signing_alg_values_supported: supportedAlgorithms,
    response_types_supported: ['id_token'],
    scopes_supported: ['openid'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: mintAlgorithms,
    claims_supported: claimNames,
  };
}
