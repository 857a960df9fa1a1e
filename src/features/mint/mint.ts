/** Mints a token for one step: audience from the connector, claims from the execution record, signed with the account's key. */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { ConnectorFacts } from '#features/connectors/schema.ts';
import { againstPolicy, isOwnAudience } from '#features/connectors/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Act } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import type { MintedClaims } from './claims.ts';
import type { SigningKey } from '#platform/keyring.ts';
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

export async function mintToken(keys: MintKeys, request: MintRequest): Promise<Minted> {
  const connector = request.connector.facts as ConnectorFacts;
  const audience = request.audience ?? connector.audiences[0]!;
  if (!connector.audiences.includes(audience)) {
    throw refusal('mint.refused', { say: `the connector \`${request.connector.identifier}\` has no audience \`${audience.slice(0, 128)}\`` });
  }
  if (isOurs(connector, audience, request.ownUrls)) throw refusal('mint.refused', { say: 'a token for this server itself is never minted' });
  const against = againstPolicy(connector.spec.mintPolicy, request.facts);
  if (against !== null) throw refusal('mint.refused', { say: `the connector \`${request.connector.identifier}\` gives this step no token: ${against}` });
  if (connector.ttlSeconds * 1_000 > keys.policy.overlapMs) throw refusal('mint.refused', { say: `a token of \`${request.connector.identifier}\` would outlive its key: its \`ttl\` is longer than \`--signing-key-overlap-ms\`` });
  const key = await keys.current(request.accountId, connector.spec.algorithm ?? 'RS256');
  const said = claimsOf(request.facts, {
    issuer: request.issuer, audience, tokenId: request.tokenId, nowSeconds: Math.floor(request.now.getTime() / 1_000), ttlSeconds: connector.ttlSeconds,
    connector: { identifier: request.connector.identifier, name: request.connector.name }, subject: connector.spec.subject,
  });
  const { spec } = connector;
  const claims: MintedClaims = spec.type === 'aws_oidc' ? { ...said, ...sessionTagsOf(said, spec.sessionTags ?? []) } : said;
  const input = `${headerOf(key)}.${encode(claims)}`;
  const signature = await signed(Buffer.from(input), key.privateKey);
  return { token: `${input}.${signature.toString('base64url')}`, claims, keyId: key.id, request };
}

/**
 * An RSA signature takes the better part of a millisecond and leaves the main thread; one of P-256 takes less than the way
 * to another thread and back.
 */
async function signed(input: Buffer, key: KeyObject): Promise<Buffer> {
  return key.asymmetricKeyType === 'rsa' ? signAsync('sha256', input, key) : sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
}

const headers = new WeakMap<SigningKey, string>();

function headerOf(key: SigningKey): string {
  let header = headers.get(key);
  if (header === undefined) headers.set(key, (header = encode({ typ: 'JWT', alg: key.algorithm, kid: key.id })));
  return header;
}

const verdicts = new WeakMap<ConnectorFacts, Map<string, boolean>>();

/** Asked once for each audience of a connector while it and our URLs stay as they are. */
function isOurs(connector: ConnectorFacts, audience: string, ownUrls: readonly string[]): boolean {
  const known = verdicts.get(connector) ?? new Map<string, boolean>();
  verdicts.set(connector, known);
  const name = `${audience} ${ownUrls.join(' ')}`;
  let verdict = known.get(name);
  if (verdict === undefined) {
    if (known.size >= maxVerdicts) known.clear();
    known.set(name, (verdict = isOwnAudience(audience, ownUrls)));
  }
  return verdict;
}

const maxVerdicts = 100;

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
