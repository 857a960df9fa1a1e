import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { refusal } from '#kernel/errors.ts';
import { isWeakEd25519, isWeakRsa } from '#features/trust/weak-keys.ts';

/** Compiles a JWK set (RFC 7517) into keys that can verify, each bound to the algorithms it may be used with. */

interface KeyShape {
  readonly kty: 'RSA' | 'EC' | 'OKP';
  readonly crv?: string;
}

/** Every algorithm a token may be signed with, and the one kind of key it belongs to (RFC 7518 §3.1, RFC 8037). */
const algorithms: ReadonlyMap<string, KeyShape> = new Map<string, KeyShape>([
  ['RS256', { kty: 'RSA' }], ['RS384', { kty: 'RSA' }], ['RS512', { kty: 'RSA' }],
  ['PS256', { kty: 'RSA' }], ['PS384', { kty: 'RSA' }], ['PS512', { kty: 'RSA' }],
  ['ES256', { kty: 'EC', crv: 'P-256' }],
  ['ES384', { kty: 'EC', crv: 'P-384' }],
  ['ES512', { kty: 'EC', crv: 'P-521' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }],
]);

/** The names of those algorithms, e.g. for the schema of a trusted issuer. */
export const supportedAlgorithms: readonly string[] = Object.freeze([...algorithms.keys()]);

export interface VerificationKey {
  readonly kid: string | undefined;
  /** Algorithms this key verifies; several only for RSA keys that name none. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
}

/** Made by `compileKeySet` only. */
export interface KeySet {
  /** At least one; no two with the same kid. */
  readonly keys: readonly VerificationKey[];
  /** Why other entries of the set cannot be used, for an administrator. */
  readonly ignored: readonly { readonly index: number; readonly because: string }[];
}

/** RFC 7518 §6.2.1.2: coordinates keep their leading zeros. */
const coordinateBytes: ReadonlyMap<string, number> = new Map([['P-256', 32], ['P-384', 48], ['P-521', 66]]);

const maxKeys = 50;
const maxRsaBits = 8192;
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/**
 * `jwks` is parsed JSON. The whole set is refused (`trust.keys_unavailable`) when it is no set, has more than 50 keys,
 * publishes a private or symmetric key, or leaves nothing usable. Single keys that are of no use here (unknown type,
 * curve or algorithm, for encryption, weak, malformed, or sharing a kid with another) are ignored with a reason.
 */
export function compileKeySet(jwks: unknown): KeySet {
  const entries = isObject(jwks) ? own(jwks, 'keys') : undefined;
  if (!Array.isArray(entries)) throw unusable('there is no array `keys`');
  if (entries.length > maxKeys) throw unusable(`more than ${maxKeys} keys`);
  entries.forEach(refuseSecrets);
  const read = entries.map((entry, index) => ({ index, outcome: readKey(entry) }));
  const ignored: { index: number; because: string }[] = [];
  const keys: VerificationKey[] = [];
  for (const { index, outcome } of read) {
    if (typeof outcome === 'string') ignored.push({ index, because: outcome });
    // RFC 7517 §4.5: which of the two a token means nobody can tell, so it means neither.
    else if (sharesKid(outcome, read)) ignored.push({ index, because: 'another key has the same `kid`' });
    else keys.push(outcome);
  }
  if (keys.length === 0) {
    const reasons = ignored.slice(0, 5).map(({ index, because }) => `key ${index}: ${because}`);
    throw unusable(['no usable key', ...reasons].join('; '));
  }
  return Object.freeze({ keys: Object.freeze(keys), ignored: Object.freeze(ignored) });
}

/** An issuer that publishes a private or a shared key has lost control of it: nothing of the set is believed. */
function refuseSecrets(entry: unknown, index: number): void {
  if (!isObject(entry)) return;
  if (own(entry, 'kty') === 'oct') throw unusable(`key ${index} is symmetric`);
  const secret = privateMembers.find((name) => Object.hasOwn(entry, name));
  if (secret !== undefined) throw unusable(`key ${index} has the private member \`${secret}\``);
}

/** The key, or why it cannot be used. */
function readKey(entry: unknown): VerificationKey | string {
  if (!isObject(entry)) return 'not an object';
  const kid = own(entry, 'kid');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '')) return '`kid` is empty or no text';
  const purpose = wrongPurpose(entry);
  if (purpose !== undefined) return purpose;
  const names = fittingAlgorithms(entry);
  if (names.length === 0) return 'its `kty`, `crv` and `alg` fit no supported algorithm';
  const material = readMaterial(entry);
  if (typeof material === 'string') return material;
  try {
    const key = createPublicKey({ key: material, format: 'jwk' });
    return Object.freeze({ kid, algorithms: Object.freeze(names), key });
  } catch {
    return 'it is no valid public key';
  }
}

function wrongPurpose(entry: object): string | undefined {
  const use = own(entry, 'use');
  if (use !== undefined && use !== 'sig') return '`use` is not `sig`';
  const operations = own(entry, 'key_ops');
  if (operations === undefined) return undefined;
  return Array.isArray(operations) && operations.includes('verify') ? undefined : '`key_ops` does not include `verify`';
}

function fittingAlgorithms(entry: object): string[] {
  const alg = own(entry, 'alg');
  return supportedAlgorithms.filter((name) => {
    const shape = algorithms.get(name);
    return (alg === undefined || alg === name) && own(entry, 'kty') === shape?.kty
      && (shape?.crv === undefined || own(entry, 'crv') === shape.crv);
  });
}

/** Copies the public members and nothing else, checked as far as the import into the crypto library does not. */
function readMaterial(entry: object): Record<string, string> | string {
  const kty = own(entry, 'kty');
  if (kty === 'RSA') {
    const [n, e] = [number(entry, 'n'), number(entry, 'e')];
    if (n === undefined || e === undefined) return '`n` or `e` is missing or not strict base64url';
    return isWeakRsa(n.value, e.value, maxRsaBits) ?? { kty, n: n.text, e: e.text };
  }
  const crv = own(entry, 'crv');
  const [x, y] = [number(entry, 'x'), number(entry, 'y')];
  if (typeof crv !== 'string' || x === undefined) return '`x` is missing or not strict base64url';
  if (kty === 'OKP') return isWeakEd25519(x.bytes) ?? { kty, crv, x: x.text };
  if (y === undefined) return '`y` is missing or not strict base64url';
  const size = coordinateBytes.get(crv);
  if (x.bytes.length !== size || y.bytes.length !== size) return `\`x\` and \`y\` have not ${size} bytes`;
  return { kty: 'EC', crv, x: x.text, y: y.text };
}

function number(entry: object, name: string): { text: string; bytes: Buffer; value: bigint } | undefined {
  const text = own(entry, name);
  if (typeof text !== 'string' || text === '' || text.length > maxRsaBits / 4) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) return undefined;
  return { text, bytes, value: BigInt(`0x${bytes.toString('hex')}`) };
}

function sharesKid(key: VerificationKey, all: readonly { readonly outcome: VerificationKey | string }[]): boolean {
  if (key.kid === undefined) return false;
  return all.some(({ outcome }) => typeof outcome !== 'string' && outcome !== key && outcome.kid === key.kid);
}

function own(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unusable(because: string): Error {
  return refusal('trust.keys_unavailable', { because: `the key set cannot be used: ${because}` });
}
