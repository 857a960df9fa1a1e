/**
 * Session tokens: `at+jwt` (RFC 9068), ES256, signed with a key of their own. Verified like any outside token, by the same
 * function; what was verified is remembered by its hash, and says nothing about whether the session still lives.
 */
import { hash, sign } from 'node:crypto';
import { Refusal } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Keyring, SigningKey } from '#platform/keyring.ts';
import { maxSessionSeconds } from './schema.ts';
import { compileKeySet, hasKeyFor, readToken, verifyToken } from './verify.ts';
import type { KeySet, TokenPreview } from './verify.ts';

export interface SessionTokens {
  issuerOf(accountIdentifier: string): string;
  /** True when the token says that it is one of ours; nothing of it is verified. */
  isOurs(token: string): boolean;
  sign(accountId: string, content: SessionTokenContent): Promise<string>;
  /** Id of the session, or null for whatever is not a valid token of this account. */
  verify(accountId: string, token: string, now: Date): Promise<string | null>;
}

export interface SessionTokenContent {
  readonly issuer: string;
  readonly workloadId: string;
  readonly sessionId: string;
  readonly issuedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

interface Verified {
  readonly accountId: string;
  readonly sessionId: string;
  readonly expiresAtMs: number;
}

interface AccountKeys {
  readonly issuer: string;
  readonly set: KeySet;
  readonly loadedMs: number;
}

const maxRemembered = 20_000;
const reloadMs = 1_000;
/** Clocks of nodes differ a little; when a session ends is said by its row. */
const skewSeconds = 5;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function createSessionTokens(services: { keyring: Keyring; database: Database; clock: Clock; publicUrl: () => string }): SessionTokens {
  const { keyring, database, clock, publicUrl } = services;
  const verified = new Map<string, Verified>();
  const accounts = new Map<string, AccountKeys>();

  const issuerOf = (identifier: string): string => `${publicUrl()}/accounts/${identifier}`;

  async function keysOf(accountId: string, preview: TokenPreview): Promise<AccountKeys | null> {
    const known = accounts.get(accountId);
    if (known !== undefined && (hasKeyFor(preview, known.set) || clock.monotonicMs() - known.loadedMs < reloadMs)) return known;
    const account = await database.read.selectFrom('account').select('identifier').where('id', '=', accountId).executeTakeFirst();
    if (account === undefined) return null;
    const loadedMs = clock.monotonicMs();
    const set = compileKeySet({ keys: await keyring.publicKeys(accountId, 'session') });
    const loaded = { issuer: issuerOf(account.identifier), set, loadedMs };
    accounts.set(accountId, loaded);
    return loaded;
  }

  async function check(accountId: string, token: string, now: Date): Promise<Verified | null> {
    const preview = readToken(token);
    const keys = await keysOf(accountId, preview);
    if (keys === null) return null;
    const rules = {
      issuer: keys.issuer, audiences: [keys.issuer], algorithms: ['ES256'], typ: ['at+jwt'], allowOtherAudiences: false,
      clockSkewSeconds: skewSeconds, maxLifetimeSeconds: maxSessionSeconds,
    };
    const { tokenId, expiresAtSeconds } = await verifyToken(preview, rules, keys.set, now);
    if (tokenId === undefined || !uuid.test(tokenId)) return null;
    return { accountId, sessionId: tokenId, expiresAtMs: expiresAtSeconds * 1_000 };
  }

  return {
    issuerOf,
    isOurs(token) {
      return token.startsWith('eyJ') && (verified.has(hashOf(token)) || looksOurs(token, `${publicUrl()}/accounts/`));
    },
    async sign(accountId, content) {
      return signed(await keyring.signingKey(accountId, 'session'), content);
    },
    async verify(accountId, token, now) {
      const hash = hashOf(token);
      let known = verified.get(hash) ?? null;
      if (known === null) {
        known = await check(accountId, token, now).catch(nullIfRefused);
        if (known === null) return null;
        if (verified.size >= maxRemembered) verified.delete(verified.keys().next().value!);
        verified.set(hash, known);
      }
      return known.accountId === accountId && now.getTime() < known.expiresAtMs ? known.sessionId : null;
    },
  };
}

/** The six claims RFC 9068 §2.2 asks for, and `client_id`, which is the workload itself. */
function signed(key: SigningKey, content: SessionTokenContent): string {
  const { issuer, workloadId, sessionId } = content;
  const header = { alg: key.algorithm, typ: 'at+jwt', kid: key.id };
  const payload = {
    iss: issuer, aud: issuer, sub: workloadId, client_id: workloadId, iat: content.issuedAtSeconds, exp: content.expiresAtSeconds, jti: sessionId,
  };
  const input = `${encoded(header)}.${encoded(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function looksOurs(token: string, prefix: string): boolean {
  try {
    const { header, unverifiedIssuer } = readToken(token);
    return header.typ?.toLowerCase().replace(/^application\//, '') === 'at+jwt' && unverifiedIssuer.startsWith(prefix) && isIdentifier(unverifiedIssuer.slice(prefix.length));
  } catch (error) {
    return nullIfRefused(error) !== null;
  }
}

function nullIfRefused(error: unknown): null {
  if (error instanceof Refusal && error.code.startsWith('trust.')) return null;
  throw error;
}

function hashOf(token: string): string {
  return hash('sha256', token, 'base64');
}
