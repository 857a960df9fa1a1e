/** The floor of a token exchange: one RS256 signature verified and one ES256 signature made, with the bare primitives. */
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Verifies the compact JWS `token` and signs `claims`; both on this thread, nothing else is looked at. */
export function verifyAndSign(token: string, issuerKey: KeyObject, claims: string, ownKey: KeyObject): string {
  const end = token.lastIndexOf('.');
  if (!verify('sha256', Buffer.from(token.slice(0, end)), issuerKey, Buffer.from(token.slice(end + 1), 'base64url'))) throw new Error('the signature is wrong');
  return `${claims}.${sign('sha256', Buffer.from(claims), { key: ownKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
