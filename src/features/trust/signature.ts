import { compactVerify } from 'jose';
import type { CompactToken, TokenHeader } from '#features/trust/jwt.ts';
import { member } from '#features/trust/jwt.ts';
import { supportedAlgorithms } from '#features/trust/key-set.ts';
import type { KeySet, VerificationKey } from '#features/trust/key-set.ts';
import { tokenRefusal } from '#features/trust/token-refusal.ts';

/**
 * Members that would let a token choose how it is verified or bring its own key (RFC 8725 §3.10). Critical extensions:
 * none is implemented, so `crit` in any form is refused (RFC 7515 §4.1.11).
 */
const forbiddenMembers = ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c'];

/**
 * Verifies header and signature of a compact JWS: algorithm both supported and allowed, exactly one key by `kid`, that
 * key made for that algorithm. Throws `trust.refused`. Says nothing about claims.
 */
export async function verifySignature(
  token: CompactToken, allowedAlgorithms: readonly string[], keys: KeySet,
): Promise<void> {
  checkHeader(token.header);
  checkAlgorithm(token.header.alg, allowedAlgorithms);
  const key = chooseKey(token.header, keys);
  try {
    await compactVerify(token.compact, key.key, { algorithms: [token.header.alg] });
  } catch {
    // Whatever went wrong inside, the token is not proven.
    throw tokenRefusal('signature', 'the signature does not fit the key and the signed bytes');
  }
}

/** Whether the set has the key the token names; when not, newer keys of the issuer may be worth asking for. */
export function hasKeyFor(token: CompactToken, keys: KeySet): boolean {
  const { kid } = token.header;
  return kid === undefined || keys.keys.some((key) => key.kid === kid);
}

function checkHeader({ members }: TokenHeader): void {
  const forbidden = forbiddenMembers.find((name) => Object.hasOwn(members, name));
  if (forbidden !== undefined) {
    throw tokenRefusal('header', `the header has \`${forbidden}\`, which a token may not bring`, { actual: forbidden });
  }
  const contentType = member(members, 'cty');
  if (contentType !== undefined && (typeof contentType !== 'string' || /^(application\/)?jwt$/i.test(contentType))) {
    throw tokenRefusal('header', 'the header says that the payload is another token', { actual: contentType });
  }
}

function checkAlgorithm(alg: string, allowed: readonly string[]): void {
  if (supportedAlgorithms.includes(alg) && allowed.includes(alg)) return;
  throw tokenRefusal('algorithm', 'the algorithm is not one this issuer may use', { expected: allowed, actual: alg });
}

function chooseKey({ alg, kid }: TokenHeader, { keys }: KeySet): VerificationKey {
  if (kid === undefined && keys.length > 1) {
    throw tokenRefusal('key', 'the token names no key (`kid`) and the issuer has several');
  }
  const key = kid === undefined ? keys[0] : keys.find((candidate) => candidate.kid === kid);
  if (key === undefined) throw tokenRefusal('key', 'the key the token names is not one of the issuer', { actual: kid });
  if (!key.algorithms.includes(alg)) {
    throw tokenRefusal('algorithm', 'the key is not made for the algorithm', { expected: key.algorithms, actual: alg });
  }
  return key;
}
