/** Attacks on tokens, 1 to 50, and where each is tried; what had no test elsewhere is tried here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Refusal } from '#kernel/errors.ts';
import { compileMatcher, noClaims } from '#kernel/matcher.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import type { IssuerKey } from '#test/parties/tokens.ts';
import type { KeySet } from './verify.ts';
import { compileKeySet, readToken, verifyToken } from './verify.ts';
import { subjectOf } from './workload.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const verifying = 'src/features/trust/verify.test.ts';
const keySets = 'src/features/trust/key-set.test.ts';
const matching = 'src/features/trust/match.test.ts';
const fetching = 'src/features/trust/keys.test.ts';
const hostile = 'src/features/trust/hostile-issuer.test.ts';
const here50 = 'src/features/trust/attacks.test.ts';

/** Number, attack, and names of tests as they are written in their file. */
const attacks: readonly [number: number, attack: string, file: string, ...tests: string[]][] = [
  [1, 'alg none in any case mix', verifying, 'alg ${alg} with a signature', 'alg ${alg} without signature'],
  [2, 'an empty signature with a real alg', verifying, 'an empty signature with a real algorithm'],
  [3, 'HS256 with the public key as PEM, DER or JWK', verifying, 'confusion: HS256 keyed with the public key as PEM', 'confusion: HS256 keyed with the public key as DER', 'confusion: HS256 keyed with the public JWK'],
  [4, 'alg absent, a list, a number', verifying, 'no alg', 'alg as a list', 'alg as a number', 'alg null'],
  [5, 'an alg the issuer may not use', verifying, 'an algorithm not of this issuer', 'any algorithm, where the issuer lists none'],
  [6, 'an ES256 key with ES384', verifying, 'an ES256 key used with ES384'],
  [7, 'an RS256 key used as PS256', verifying, 'an RS256 key used with PS256'],
  [8, 'all-zero r and s', verifying, 'the psychic signature: r and s are zero'],
  [9, 'DER instead of raw r and s', verifying, 'a DER signature instead of r and s'],
  [10, 'low-order and non-canonical Ed25519', keySets, 'all eight Ed25519 points of small order are refused, with either sign', 'an Ed25519 key in a non-canonical encoding'],
  [11, 'RSA below 2048 bits, e of 1 or 3', keySets, 'an RSA key of 1,024 bits', 'RSA exponent 1', 'RSA exponent 3'],
  [12, 'an embedded jwk', verifying, 'an embedded key (jwk)'],
  [13, 'jku and x5u', verifying, 'a linked key set (jku)', 'a linked certificate (x5u)'],
  [14, 'x5c', verifying, 'an embedded certificate (x5c)'],
  [15, 'kid: a path, SQL, __proto__, 10 MB, NUL, a number', verifying, 'a kid that is a path', 'a kid that is SQL', 'kid __proto__', 'a kid of 10 MB', 'a kid with a NUL', 'kid as a number'],
  [16, 'a kid twice in a set', keySets, 'of keys with one kid none can be used, whatever their type'],
  [17, 'a kid of another issuer\'s key', here50, 'the key of another issuer, under the id it has there'],
  [18, 'crit: unknown, empty, no list, a registered header', verifying, 'crit with an unknown extension', 'crit that is empty', 'crit that is no list', 'crit that names a registered header'],
  [19, 'b64 false', verifying, 'b64 false', 'b64 false without crit'],
  [20, 'zip', verifying, "['zip', 'header'"],
  [21, 'a wrong typ', verifying, 'logout+jwt', 'typ JWT where the issuer is registered with at+jwt'],
  [22, 'nesting by cty', verifying, 'nesting: cty ${cty}'],
  [23, 'JSON serialization', verifying, 'JSON serialization'],
  [24, 'two, four, five parts, a trailing dot, white space', verifying, 'two parts', 'four parts', 'five parts, an encrypted token', 'a trailing dot', 'a leading space', 'a trailing line feed'],
  [25, 'base64 with another alphabet, padding, trailing bits', verifying, 'the other base64 alphabet', 'padding in the signature', 'a non-zero trailing bit', 'a length base64 cannot have'],
  [26, 'byte order marks, invalid UTF-8, lone surrogates', verifying, 'a byte order mark before the header', 'invalid UTF-8 in the payload', 'a lone surrogate in a claim'],
  [27, 'members given twice', verifying, 'duplicate alg', 'duplicate sub', 'a duplicate member deep inside'],
  [28, 'claims called __proto__ and constructor', verifying, 'claims are deep-frozen data without prototypes, hostile names included'],
  [29, 'depth, length and size', verifying, 'a depth of ten thousand', 'a list of five thousand', 'a token of 16 MB'],
  [30, 'a payload that is a list, a text or null', verifying, 'the payload \\`${payload}\\`'],
  [31, 'exp missing, text, negative, 1e400, 2^53 + 1', verifying, 'no expiry', 'a negative expiry', 'an infinite expiry, 1e400', 'an expiry of 2^53 + 1', 'times with fractions'],
  [32, 'nbf and iat in the future, a life too long', verifying, 'a token not yet valid', 'a token issued in the future', 'a lifetime a second too long'],
  [33, 'iss with a slash, in another case, a look-alike, a list', verifying, 'an issuer with a trailing slash', 'an issuer in another case', 'an issuer with a look-alike letter', 'an issuer as a list'],
  [34, 'aud nested, mixed, empty, many, a prefix', verifying, 'a nested audience', 'audiences of mixed types', 'an empty list of audiences', 'a thousand other audiences', 'an audience ours begins with'],
  [35, 'sub missing, empty, a number', here50, 'a subject that is missing, empty or no text names no workload'],
  [36, 'a jti used again', 'test/api/trust-once.test.ts', 'takes a token once: the second exchange is refused like any other, and the audit says why'],
  [37, 'a token for another account', 'test/api/trust-sessions.test.ts', 'of one account is nobody in another'],
  [38, 'claim values that are patterns', here50, 'a value with pattern characters, line ends, NUL, marks or look-alikes is compared as it is'],
  [39, 'numbers, texts and booleans', matching, 'text and number differ', 'true is not the text true', 'zero is not false'],
  [40, 'claim names with dots and slashes', matching, 'a claim with slashes in its name', 'a claim below a claim'],
  [41, 'key sets: redirect, 20 MB, drip, private and symmetric keys, rotation', hostile, 'redirects its keys to the metadata service', 'sends a set of 20 MB', 'drips a byte at a time: given up after five seconds', 'publishes a private key', 'publishes a symmetric key', 'rotates while a token is on its way'],
  [42, 'discovery of another issuer, http, rebinding', hostile, 'says that it is somebody else', 'whose name leads inside once its keys are asked for again (rebinding) is not followed there'],
  [43, 'storms of unknown kids', fetching, 'a flood of unknown keys costs one call in half a minute'],
  [44, 'claims believed before the signature', here50, 'no claim is looked at before the signature: a forged token fails by its signature, whatever else is wrong with it'],
  [45, 'errors that repeat the token', verifying, 'the token is not repeated'],
  [46, 'a name given to somebody else', 'src/features/trust/workload.test.ts', 'Terraform: ids and no names', 'Terraform: a renamed workspace stays who it is'],
  [47, 'contexts of pull requests and forks', 'src/features/trust/lint/lint.test.ts', 'of pull requests', 'of forks and merge requests'],
  [48, 'a clock that jumps', fetching, 'a clock that was set back makes no key younger'],
  [49, 'a token of single use twice at once', 'test/api/trust-once.test.ts', 'raced 200 ways on two nodes: exactly one wins'],
  [50, 'a crash while verifying', here50, 'a crash inside the verification is a refusal'],
];

describe('each attack of the list has its test', () => {
  test('1 to 50', () => assert.deepEqual(attacks.map(([number]) => number), Array.from({ length: 50 }, (_, at) => at + 1)));
  for (const [number, attack, file, ...names] of attacks) {
    test(`${number} ${attack}`, () => {
      const written = readFileSync(join(root, file), 'utf8');
      assert.ok(names.length > 0);
      for (const name of names) assert.ok(written.includes(name) || written.includes(name.replaceAll("'", "\\'")), `${file} has no «${name}»`);
    });
  }
});

const own = issuerKey('ES256', 'own');
const stranger = issuerKey('ES256', 'stranger');
const rules = { issuer: 'https://issuer.example', audiences: ['us'], algorithms: ['ES256'], allowOtherAudiences: false, clockSkewSeconds: 30, maxLifetimeSeconds: 3_600 };
const now = new Date('2026-06-01T12:00:00Z');
const nowSeconds = now.getTime() / 1_000;
const honest = { iss: rules.issuer, aud: 'us', sub: 'x', iat: nowSeconds, exp: nowSeconds + 300 };
const checkOf = async (token: string, keys: KeySet = compileKeySet({ keys: [own.jwk] })): Promise<string> => {
  try {
    await verifyToken(readToken(token), rules, keys, now);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refusal) return (error.evidence as { check?: string } | undefined)?.check ?? error.code;
    throw error;
  }
};

test('the key of another issuer, under the id it has there', async () => {
  assert.equal(await checkOf(issue(own, honest)), 'accepted');
  assert.equal(await checkOf(issue(stranger, honest)), 'key');
});

test('no claim is looked at before the signature: a forged token fails by its signature, whatever else is wrong with it', async () => {
  const forged: IssuerKey = { ...stranger, kid: own.kid };
  const wrongs = [{}, { aud: 'them' }, { exp: 1 }, { exp: 'x' }, { iat: nowSeconds + 9_999 }, { nbf: nowSeconds + 9_999 }, { sub: 7 }, { jti: 7 }, { iss: 'https://evil.example' }];
  for (const wrong of wrongs) assert.equal(await checkOf(issue(forged, { ...honest, ...wrong })), 'signature', JSON.stringify(wrong));
  for (const wrong of wrongs.slice(1)) assert.notEqual(await checkOf(issue(own, { ...honest, ...wrong })), 'accepted');
});

test('a subject that is missing, empty or no text names no workload', () => {
  for (const claims of [{}, { sub: '' }, { sub: 7 }, { sub: null }, { sub: ['x'] }, { sub: 'x'.repeat(1_001) }]) assert.equal(subjectOf({ subjectClaims: null }, claims), null, JSON.stringify(claims));
});

test('a value with pattern characters, line ends, NUL, marks or look-alikes is compared as it is', () => {
  const equals = compileMatcher({ equals: 'main' });
  const glob = compileMatcher({ glob: 'refs/heads/*' });
  for (const value of ['*', 'm?in', 'mai[n]', '.*', 'main\n', 'main\0', '\u202emain', 'Main', 'ma\u0456n', 'ｍａｉｎ', 'main ', ' main']) assert.equal(equals(value, noClaims), false, JSON.stringify(value));
  for (const value of ['*', 'refs/heads', 'x\nrefs/heads/main', 'REFS/HEADS/main', 'refs\\heads\\main', '\u202erefs/heads/main']) assert.equal(glob(value, noClaims), false, JSON.stringify(value));
});

test('a crash inside the verification is a refusal', async () => {
  const [key] = compileKeySet({ keys: [own.jwk] }).keys;
  const broken = new Proxy(key!.key, { get: () => { throw new Error('the library fell over'); } });
  assert.equal(await checkOf(issue(own, honest), { keys: [{ ...key!, key: broken }], ignored: [] }), 'signature');
});
