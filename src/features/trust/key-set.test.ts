import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import { compileKeySet } from '#features/trust/key-set.ts';
import { issuerKey } from '#test/parties/tokens.ts';

const ec = issuerKey('ES256', 'ec');
const rsa = issuerKey('RS256', 'rsa');
const ed = issuerKey('EdDSA', 'ed');
const good = ed.jwk;

function base64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + hex.length % 2, '0'), 'hex').toString('base64url');
}

function refuses(jwks: unknown, because: RegExp): void {
  throws(() => compileKeySet(jwks), (error: unknown) => {
    ok(error instanceof Refusal && error.code === 'trust.keys_unavailable', String(error));
    match(error.because ?? '', because);
    return error.say === undefined;
  });
}

const accepted: readonly (readonly [string, object, readonly string[]])[] = [
  ['an RSA key that names its algorithm verifies that one', rsa.jwk, ['RS256']],
  ['an RSA key without alg verifies all of RSA', { ...rsa.jwk, alg: undefined }, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
  ['an EC key without alg verifies the algorithm of its curve', { ...ec.jwk, alg: undefined }, ['ES256']],
  ['an Ed25519 key verifies EdDSA', { ...ed.jwk, use: undefined }, ['EdDSA']],
  ['key_ops may say verify instead of use', { ...ec.jwk, use: undefined, key_ops: ['verify'] }, ['ES256']],
  ['unknown members, certificates and thumbprints are passed over', { ...ec.jwk, x5c: ['x'], x5t: 'x', x5u: 'https://evil.example', issuer: 'x', ext: true }, ['ES256']],
  ['a kid is not needed', { ...ec.jwk, kid: undefined }, ['ES256']],
  ['a leading zero byte of an RSA modulus is harmless', { ...rsa.jwk, n: Buffer.concat([Buffer.alloc(1), Buffer.from(String(rsa.jwk['n']), 'base64url')]).toString('base64url') }, ['RS256']],
];

for (const [name, jwk, algorithms] of accepted) {
  test(name, () => {
    // As JSON gives it: an undefined member is no member.
    const { keys, ignored } = compileKeySet(JSON.parse(JSON.stringify({ keys: [jwk] })));
    deepStrictEqual([keys.map((key) => key.algorithms), ignored], [[algorithms], []]);
    strictEqual(keys[0]?.key.type, 'public');
  });
}

const wholeSets: readonly (readonly [string, unknown, RegExp])[] = [
  ['null', null, /no array/], ['text', 'keys', /no array/], ['a list', [good], /no array/], ['an object without keys', {}, /no array/],
  ['keys that are no list', { keys: { 0: good } }, /no array/], ['an inherited list', Object.create({ keys: [good] }), /no array/],
  ['no key', { keys: [] }, /no usable key/],
  ['51 keys', { keys: Array.from({ length: 51 }, (_, at) => ({ ...good, kid: `k${at}` })) }, /more than 50/],
  ['ten thousand keys', { keys: Array.from({ length: 10_000 }, () => good) }, /more than 50/],
  ['a symmetric key', { keys: [{ kty: 'oct', k: 'AAAA' }] }, /symmetric/],
  ['a symmetric key beside a good one', { keys: [good, { kty: 'oct', k: 'AAAA', use: 'sig' }] }, /key 1 is symmetric/],
  ['a symmetric key without its value', { keys: [good, { kty: 'oct' }] }, /symmetric/],
  ['a private EC key', { keys: [good, { ...ec.jwk, d: 'AAAA' }] }, /private member `d`/],
  ['a private RSA key', { keys: [{ ...rsa.jwk, ...rsa.privateKey.export({ format: 'jwk' }) }] }, /private member/],
  ['a private prime alone', { keys: [good, { ...rsa.jwk, p: 'AAAA' }] }, /private member `p`/],
  ['a private key of a type unknown here', { keys: [good, { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA', priv: 'AA' }] }, /private member `priv`/],
  ['a private member that is null', { keys: [{ ...ec.jwk, d: null }] }, /private member `d`/],
];

for (const [name, jwks, because] of wholeSets) {
  test(`refuses a set that is or has ${name}`, () => refuses(jwks, because));
}

const modulus = BigInt(`0x${Buffer.from(String(rsa.jwk['n']), 'base64url').toString('hex')}`);
const order2 = 2n ** 255n - 20n;
/** A modulus of the shape CVE-2017-15361 gives: a power of 65537 modulo the primes up to 167. */
const primorial = [...Array(168).keys()]
  .filter((n) => n > 1 && [...Array(n).keys()].every((m) => m < 2 || n % m !== 0))
  .reduce((product, prime) => product * BigInt(prime), 1n);
const roca = primorial * ((2n ** 2048n - 1n) / primorial - 5n) + (65537n ** 11n % primorial);

const ignoredKeys: readonly (readonly [string, unknown, RegExp])[] = [
  ['null', null, /not an object/], ['a list', [], /not an object/], ['text', 'key', /not an object/],
  ['a key of unknown type', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }, /no supported algorithm/],
  ['a key without type', { ...ec.jwk, kty: undefined }, /no supported algorithm/],
  ['a key of type __proto__', { ...ec.jwk, kty: '__proto__' }, /no supported algorithm/],
  ['an X25519 key', { kty: 'OKP', crv: 'X25519', x: good['x'] }, /no supported algorithm/],
  ['an Ed448 key', { kty: 'OKP', crv: 'Ed448', x: good['x'] }, /no supported algorithm/],
  ['a secp256k1 key', { ...ec.jwk, crv: 'secp256k1', alg: 'ES256K' }, /no supported algorithm/],
  ['an EC key without curve', { ...ec.jwk, crv: undefined }, /no supported algorithm/],
  ['a P-256 key that says ES384', { ...ec.jwk, alg: 'ES384' }, /no supported algorithm/],
  ['an RSA key that says ES256', { ...rsa.jwk, alg: 'ES256' }, /no supported algorithm/],
  ['an RSA key that says HS256', { ...rsa.jwk, alg: 'HS256' }, /no supported algorithm/],
  ['an RSA key that says none', { ...rsa.jwk, alg: 'none' }, /no supported algorithm/],
  ['an RSA key whose alg is null', { ...rsa.jwk, alg: null }, /no supported algorithm/],
  ['an encryption key', { ...rsa.jwk, use: 'enc' }, /`use`/], ['a use in another case', { ...rsa.jwk, use: 'SIG' }, /`use`/],
  ['key_ops for signing only', { ...ec.jwk, key_ops: ['sign'] }, /`key_ops`/], ['empty key_ops', { ...ec.jwk, key_ops: [] }, /`key_ops`/],
  ['key_ops that are text', { ...ec.jwk, key_ops: 'verify' }, /`key_ops`/], ['use sig with key_ops encrypt', { ...ec.jwk, key_ops: ['encrypt'] }, /`key_ops`/],
  ['an empty kid', { ...ec.jwk, kid: '' }, /`kid`/], ['a kid that is a number', { ...ec.jwk, kid: 1 }, /`kid`/],
  ['an RSA key of 1,024 bits', issuerKey('RS256', 'small', { bits: 1024 }).jwk, /1024 bits/],
  ['an RSA key of 2,047 bits', { ...rsa.jwk, n: base64url(modulus >> 1n | 1n) }, /2047 bits/],
  ['an RSA key of 2,047 bits behind zeros', { ...rsa.jwk, n: Buffer.concat([Buffer.alloc(8), Buffer.from(base64url(modulus >> 1n | 1n), 'base64url')]).toString('base64url') }, /2047 bits/],
  ['an RSA key of 8,193 bits', { ...rsa.jwk, n: base64url(2n ** 8192n + 1n) }, /8193 bits/],
  ['an RSA key of a megabyte', { ...rsa.jwk, n: 'A'.repeat(1_000_000) }, /not strict base64url/],
  ['an even RSA modulus', { ...rsa.jwk, n: base64url(modulus & ~1n) }, /even/],
  ['RSA exponent 1', { ...rsa.jwk, e: 'AQ' }, /exponent/], ['RSA exponent 0', { ...rsa.jwk, e: 'AA' }, /exponent/],
  ['RSA exponent 3', issuerKey('RS256', 'three', { exponent: 3 }).jwk, /exponent/],
  ['an even RSA exponent', { ...rsa.jwk, e: base64url(65538n) }, /exponent/],
  ['an RSA exponent beyond 32 bits', { ...rsa.jwk, e: base64url(2n ** 32n + 1n) }, /exponent/],
  ['an RSA key that can be factored (ROCA)', { ...rsa.jwk, n: base64url(roca) }, /ROCA/],
  ['an RSA key without exponent', { ...rsa.jwk, e: undefined }, /missing/], ['an RSA modulus with padding', { ...rsa.jwk, n: `${String(rsa.jwk['n'])}==` }, /strict base64url/],
  ['a point off the curve', { ...ec.jwk, y: ec.jwk['x'] }, /no valid public key/],
  ['the point at infinity', { ...ec.jwk, x: Buffer.alloc(32).toString('base64url'), y: Buffer.alloc(32).toString('base64url') }, /no valid public key/],
  ['coordinates of another curve', { ...ec.jwk, crv: 'P-384', alg: 'ES384' }, /48 bytes/],
  ['coordinates that are too long', { ...ec.jwk, x: Buffer.alloc(33).toString('base64url') }, /32 bytes/],
  ['an EC key with one coordinate', { ...ec.jwk, y: undefined }, /`y`/], ['coordinates that are numbers', { ...ec.jwk, x: 1 }, /`x`/],
  ['an Ed25519 key of 31 bytes', { ...good, x: Buffer.alloc(31, 9).toString('base64url') }, /32 bytes/],
  ['an Ed25519 key in a non-canonical encoding', { ...good, x: Buffer.alloc(32, 255).toString('base64url') }, /non-canonical/],
  ['an Ed25519 key of small order', { ...good, x: littleEndian(1n) }, /small order/],
];

for (const [name, jwk, because] of ignoredKeys) {
  test(`ignores ${name} and keeps the good key beside it`, () => {
    const { keys, ignored } = compileKeySet(JSON.parse(JSON.stringify({ keys: [jwk, { ...good, kid: 'good' }] })));
    deepStrictEqual([keys.map(({ kid }) => kid), ignored.map(({ index }) => index)], [['good'], [0]]);
    match(ignored[0]?.because ?? '', because);
    refuses(JSON.parse(JSON.stringify({ keys: [jwk] })), /no usable key; key 0: /);
  });
}

test('of keys with one kid none can be used, whatever their type', () => {
  const { keys, ignored } = compileKeySet({ keys: [{ ...ec.jwk, kid: 'x' }, good, { ...rsa.jwk, kid: 'x' }] });
  deepStrictEqual([keys.map(({ kid }) => kid), ignored.map(({ index }) => index)], [['ed'], [0, 2]]);
  refuses({ keys: [ec.jwk, ec.jwk] }, /same `kid`/);
});

test('a kid shared with a key that is of no use here stays usable', () => {
  const { keys } = compileKeySet({ keys: [ec.jwk, { ...rsa.jwk, kid: 'ec', use: 'enc' }] });
  deepStrictEqual(keys.map(({ kid }) => kid), ['ec']);
});

test('all eight Ed25519 points of small order are refused, with either sign', () => {
  const ys = ['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a']
    .map((hex) => Buffer.from(hex, 'hex'));
  for (const y of [...ys, ...[0n, 1n, order2].map((value) => Buffer.from(littleEndian(value), 'base64url'))]) {
    for (const sign of [0, 0x80]) {
      const x = Buffer.concat([y.subarray(0, 31), Buffer.of((y[31] ?? 0) | sign)]).toString('base64url');
      refuses({ keys: [{ kty: 'OKP', crv: 'Ed25519', x }] }, /small order/);
    }
  }
});

test('no JSON makes it fail in any way but a refusal', () => {
  const jwk = fc.record({
    kty: fc.constantFrom('RSA', 'EC', 'OKP'), crv: fc.constantFrom('P-256', 'Ed25519', 1), n: fc.base64String(), e: fc.constantFrom('AQAB', 1),
    x: fc.oneof(fc.base64String(), fc.jsonValue()), y: fc.base64String(), key_ops: fc.jsonValue(), kid: fc.jsonValue(),
  }, { requiredKeys: [] });
  fc.assert(fc.property(fc.oneof(fc.jsonValue(), fc.record({ keys: fc.array(fc.oneof(jwk, fc.jsonValue()), { maxLength: 4 }) })), (jwks) => {
    try {
      compileKeySet(jwks);
    } catch (error) {
      ok(error instanceof Refusal && error.code === 'trust.keys_unavailable', String(error));
    }
  }), { numRuns: 500, verbose: true });
});

function littleEndian(value: bigint): string {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse().toString('base64url');
}
