/** Introspection of minted tokens (RFC 7662): good while the signature counts, the time runs, and the attempt goes on. */
import { createPublicKey, verify } from 'node:crypto';
import { parseJson } from '#kernel/json.ts';
import type { Database } from '#platform/database/database.ts';
import type { MintKeys } from './keys.ts';

export interface ActiveToken {
  readonly active: true;
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
}

/** Null = not one of ours, or not good now. Who asks learns nothing more. */
export type Introspector = (account: { readonly id: string; readonly identifier: string }, token: string, now: Date) => Promise<ActiveToken | null>;

const limits = { maxBytes: 16 * 1_024, maxDepth: 8, maxNodes: 500 };
const compact = /^([\w-]{1,1000})\.([\w-]{1,12000})\.([\w-]{1,1000})$/;

export function mintedIntrospector({ keys, database, issuerOf }: { keys: MintKeys; database: Database; issuerOf: (account: string) => string }): Introspector {
  return async (account, token, now) => {
    const [, header, payload, signature] = compact.exec(token) ?? [];
    const said = objectIn(header);
    if (said === null || said['typ'] !== 'JWT' || typeof said['kid'] !== 'string') return null;
    const key = await keys.verifying(account.id, said['kid']);
    if (key === null || said['alg'] !== key.algorithm) return null;
    const publicKey = createPublicKey(key.privateKey);
    if (!verify('sha256', Buffer.from(`${header}.${payload}`), { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature!, 'base64url'))) return null;
    const claims = objectIn(payload) as unknown as ActiveToken;
    if (claims.iss !== issuerOf(account.identifier) || now.getTime() >= claims.exp * 1_000) return null;
    if (!(await attemptGoesOn(database, account.id, claims.jti))) return null;
    const { iss, aud, sub, iat, nbf, exp, jti } = claims;
    return { active: true, iss, aud, sub, iat, nbf, exp, jti };
  };
}

function objectIn(part: string | undefined): Readonly<Record<string, unknown>> | null {
  if (part === undefined) return null;
  const { value } = parseJson(Buffer.from(part, 'base64url'), limits);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : null;
}

/** A token whose row is not there never left. */
async function attemptGoesOn({ read }: Database, accountId: string, tokenId: string): Promise<boolean> {
  const row = await read.selectFrom('minted_token as t')
    .innerJoin('attempt as a', (join) => join.onRef('a.account_id', '=', 't.account_id').onRef('a.id', '=', 't.attempt_id'))
    .select('a.status').where('t.account_id', '=', accountId).where('t.id', '=', tokenId).executeTakeFirst();
  return row !== undefined && ['leased', 'started'].includes(row.status);
}
