/** The floor of minting: one signature over a text of the same length, with the bare primitive: RS256 in the thread pool, ES256 here. */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(sign);

export async function signOnly(input: string, key: KeyObject): Promise<string> {
  return `${input}.${(await signAsync('sha256', Buffer.from(input), key)).toString('base64url')}`;
}

export function signHere(input: string, key: KeyObject): Promise<string> {
  return Promise.resolve(`${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`);
}
