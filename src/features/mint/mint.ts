/** Mints a token for one step: audience from the connector, claims from the execution record, signed with the account's key. */
import { sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { ConnectorFacts } from '#features/connectors/schema.ts';
import { againstPolicy, isOwnAudience } from '#features/connectors/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Act } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import type { MintedClaims } from './claims.ts';
import type { MintKeys } from './keys.ts';
import { sessionTagsOf } from './session-tags.ts';
import { claimsOf } from './claims.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';

export interface MintRequest {
  readonly accountId: string;
  /** Account issuer URL. */
  readonly issuer: string;
  /** URLs of this server, for which no token is ever minted. */
  readonly ownUrls: readonly string[];
  readonly connector: Entry;
  /** One of the connector's; absent = its only or first one. */
  readonly audience: string | null;
  readonly facts: ExecutionFacts;
  readonly attemptId: string;
  readonly tokenId: string;
  readonly now: Date;
}

export interface Minted {
  readonly token: string;
  readonly claims: MintedClaims;
  /** `kid` */
  readonly keyId: string;
  readonly request: MintRequest;
}

const signAsync = promisify(sign);

/** Signs off the main thread: an RSA signature takes about a quarter of a millisecond of a core. */
export async function mintToken(keys: MintKeys, request: MintRequest): Promise<Minted> {
  const connector = request.connector.facts as ConnectorFacts;
  const audience = request.audience ?? connector.audiences[0]!;
  if (!connector.audiences.includes(audience)) {
    throw refusal('mint.refused', { say: `the connector \`${request.connector.identifier}\` has no audience \`${audience.slice(0, 128)}\`` });
  }
  if (isOwnAudience(audience, request.ownUrls)) throw refusal('mint.refused', { say: 'a token for this server itself is never minted' });
  const against = againstPolicy(connector.spec.mintPolicy, request.facts);
  if (against !== null) throw refusal('mint.refused', { say: `the connector \`${request.connector.identifier}\` gives this step no token: ${against}` });
  if (connector.ttlSeconds * 1_000 > keys.policy.overlapMs) throw refusal('mint.refused', { say: `a token of \`${request.connector.identifier}\` would outlive its key: its \`ttl\` is longer than \`--signing-key-overlap-ms\`` });
  const key = await keys.current(request.accountId, connector.spec.algorithm ?? 'RS256');
  const said = claimsOf(request.facts, {
    issuer: request.issuer, audience, tokenId: request.tokenId, nowSeconds: Math.floor(request.now.getTime() / 1_000), ttlSeconds: connector.ttlSeconds,
    connector: { identifier: request.connector.identifier, name: request.connector.name }, subject: connector.spec.subject,
  });
  const { spec } = connector;
  const claims: MintedClaims = { ...said, ...sessionTagsOf(said, spec.type === 'aws_oidc' ? (spec.sessionTags ?? []) : []) };
  const input = `${encode({ typ: 'JWT', alg: key.algorithm, kid: key.id })}.${encode(claims)}`;
  const signature = await signAsync('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return { token: `${input}.${signature.toString('base64url')}`, claims, keyId: key.id, request };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** The ledger row; in the transaction of the audit row that `mintAct` describes. */
export async function recordMinted(tx: Tx, { claims, keyId, request }: Minted): Promise<void> {
  await tx.insertInto('minted_token').values({
    account_id: request.accountId, id: request.tokenId, connector_uid: request.connector.uid, execution_id: request.facts.executionId,
    attempt_id: request.attemptId, audience: claims.aud, subject: claims.sub, claims: JSON.stringify(claims),
    issued_at: request.now, expires_at: new Date(claims.exp * 1_000), key_id: keyId,
  }).execute();
}

/** The scope of the row is where the run is: a connector of the account is used in many. */
export function mintAct({ claims, request }: Minted) {
  const { connector } = request;
  return {
    action: 'token.mint',
    scope: `${request.facts.organization.identifier}/${request.facts.project.identifier}`,
    resource: { kind: 'connector', uid: connector.uid, path: entryPath(connector) },
    detail: { jti: claims.jti, audience: claims.aud, subject: claims.sub, expires: claims.exp, execution: request.facts.executionId, attempt: request.attemptId },
  } satisfies Act;
}
