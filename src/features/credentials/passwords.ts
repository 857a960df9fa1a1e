/** Password hashes: Argon2id of Node's crypto in PHC form, 64 MiB, 3 passes (OWASP asks for at least 19 MiB, 2 passes). */
import { argon2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const parameters = { parallelism: 1, tagLength: 32, memory: 65_536, passes: 3 } as const;
const derive = promisify(argon2);

export async function hashPassword(password: string, random: (bytes: number) => Buffer): Promise<string> {
  const nonce = random(16);
  const tag = await derive('argon2id', { message: password, nonce, ...parameters });
  const { memory, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(nonce)}$${unpadded(tag)}`;
}

export async function verifyPassword(password: string, phc: string): Promise<boolean> {
  const found = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc);
  if (found === null) return false;
  const want = Buffer.from(found[5]!, 'base64');
  const tag = await derive('argon2id', {
    message: password, nonce: Buffer.from(found[4]!, 'base64'),
    memory: Number(found[1]), passes: Number(found[2]), parallelism: Number(found[3]), tagLength: want.length,
  });
  return timingSafeEqual(Buffer.from(tag), want);
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
