/** The floor of minting: one RS256 signature over a text of the same length, with the bare primitive in the thread pool. */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(sign);

export async function signOnly(input: string, key: KeyObject): Promise<string> {
  return `${input}.${(await signAsync('sha256', Buffer.from(input), key)).toString('base64url')}`;
}
