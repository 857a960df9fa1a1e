import { test } from 'node:test';
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Refusal } from '#kernel/errors.ts';
import { readCompact } from '#features/trust/jwt.ts';
import { compileKeySet, supportedAlgorithms } from '#features/trust/key-set.ts';
import { verifySignature } from '#features/trust/signature.ts';

/** The JOSE vectors of the C2SP Wycheproof project (Apache-2.0), when they are at hand. */
const folder = new URL('../../../../shared/vectors/wycheproof/', import.meta.url);

interface Vector { readonly tcId: number; readonly comment: string; readonly jws: unknown; readonly result: 'valid' | 'invalid' }
interface Group { readonly comment: string; readonly public?: object; readonly private: object; readonly tests: readonly Vector[] }

/** Vectors that are called valid and are refused here, each for one of these reasons. */
const symmetric = 'HMAC: an outside issuer never shares a key with us';
const unregistered = 'the key names `ES521`, which is no registered algorithm';
const otherAlg = 'the key names PS256 and the token uses PS384; a key is for the algorithm it names';

const files: Readonly<Record<string, { readonly vectors: number; readonly refused: Readonly<Record<string, readonly number[]>> }>> = {
  'json_web_signature_test.json': {
    vectors: 401,
    refused: {
      [symmetric]: [1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
      [unregistered]: [347, 351],
      [otherAlg]: [346, 350],
    },
  },
  'json_web_key_test.json': { vectors: 26, refused: { [symmetric]: [2, 13, 14, 15] } },
};

for (const [file, { vectors, refused }] of Object.entries(files)) {
  const path = new URL(file, folder);
  const skip = existsSync(path) ? false : 'needs: vectors';
  test(`Wycheproof ${file}: every invalid vector is refused, every valid one accepted or listed`, { skip }, async () => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: readonly Group[] };
    const wronglyAccepted: string[] = [];
    const refusedValid: Record<string, number[]> = {};
    let seen = 0;
    for (const group of testGroups) {
      for (const vector of group.tests) {
        seen += 1;
        const isAccepted = await accepts(group, vector);
        if (isAccepted && vector.result === 'invalid') wronglyAccepted.push(`${vector.tcId} ${vector.comment}`);
        if (!isAccepted && vector.result === 'valid') (refusedValid[reason(group, vector)] ??= []).push(vector.tcId);
      }
    }
    deepStrictEqual(wronglyAccepted, []);
    deepStrictEqual(refusedValid, refused);
    strictEqual(seen, vectors);
  });
}

async function accepts(group: Group, { jws }: Vector): Promise<boolean> {
  try {
    const jwks = group.public ?? group.private;
    const keys = compileKeySet('keys' in jwks ? jwks : { keys: [jwks] });
    await verifySignature(readCompact(jws as string), supportedAlgorithms, keys);
    return true;
  } catch (error) {
    ok(error instanceof Refusal, String(error));
    return false;
  }
}

/** Why a valid vector is refused; anything else than the known reasons shows up as itself. */
function reason(group: Group, vector: Vector): string {
  const keys = JSON.stringify(group.public ?? group.private);
  if (keys.includes('"kty":"oct"')) return symmetric;
  if (keys.includes('"alg":"ES521"')) return unregistered;
  if (keys.includes('"alg":"PS256"') && vector.comment === 'Figure20') return otherAlg;
  return `${vector.tcId} ${vector.comment}`;
}
