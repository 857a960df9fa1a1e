import { test } from 'node:test';
import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { sign } from 'node:crypto';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import { compileKeySet, readToken, verifyToken } from '#features/trust/verify.ts';
import type { IssuerRules, TokenCheck, VerifiedToken } from '#features/trust/verify.ts';
import { compactJws, hmac, issue, issuerKey, signature } from '#test/parties/tokens.ts';

const nowSeconds = 1_800_000_000;
const now = new Date(nowSeconds * 1000);
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const rules: IssuerRules = {
  issuer: 'https://issuer.example', audiences: ['https://sallyport.example', 'sallyport'], algorithms: ['ES256', 'RS256', 'EdDSA'],
  allowOtherAudiences: false, clockSkewSeconds: 60, maxLifetimeSeconds: 3600,
};
const honest = { iss: rules.issuer, sub: 'repo:a/b', aud: 'sallyport', iat: nowSeconds - 10, exp: nowSeconds + 300 };

const ec = issuerKey('ES256', 'ec');
const rsa = issuerKey('RS256', 'rsa');
const ed = issuerKey('EdDSA', 'ed');
const stranger = issuerKey('ES256', 'ec');
const keys = compileKeySet({ keys: [ec.jwk, rsa.jwk, ed.jwk] });
const onlyEc = compileKeySet({ keys: [ec.jwk] });

interface World { readonly rules?: Partial<IssuerRules>; readonly keys?: typeof keys }

async function verify(token: string, world: World = {}): Promise<VerifiedToken> {
  return verifyToken(readToken(token), { ...rules, ...world.rules }, world.keys ?? keys, now);
}

function claims(changes: object): object {
  return { ...honest, ...changes };
}

function without(name: keyof typeof honest): object {
  return Object.fromEntries(Object.entries(honest).filter(([member]) => member !== name));
}

function raw(changes: string): string {
  return JSON.stringify(honest).replace(/\}$/, `,${changes}}`);
}

// What is accepted.

for (const alg of algorithms) {
  test(`accepts ${alg} under a key made for it`, async () => {
    const key = issuerKey(alg, 'k');
    const verified = await verify(issue(key, honest), { rules: { algorithms: [alg] }, keys: compileKeySet({ keys: [key.jwk] }) });
    deepStrictEqual([verified.issuer, verified.subject, verified.header.alg], [rules.issuer, 'repo:a/b', alg]);
  });
}

const accepted: readonly (readonly [string, () => string, World?])[] = [
  ['a token without kid when the issuer has one key', () => issue(ec, honest, { kid: undefined }), { keys: onlyEc }],
  ['a token without typ', () => issue(ec, honest, { typ: undefined })],
  ...['jwt', 'JWT', 'at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/JWT'].map((typ) => [`typ ${typ}`, () => issue(ec, honest, { typ })] as const),
  ['a typ the issuer is registered with', () => issue(ec, honest, { typ: 'wimse-id+jwt' }), { rules: { typ: ['wimse-id+jwt'] } }],
  ['header members that only describe', () => issue(ec, honest, { x5t: 'abc', 'x5t#S256': 'abc', nonce: 'n', cty: 'json' })],
  ['a list of audiences that are all ours', () => issue(ec, claims({ aud: ['sallyport', 'https://sallyport.example'] }))],
  ['another audience beside ours where the issuer may', () => issue(ec, claims({ aud: ['sallyport', 'x'] })), { rules: { allowOtherAudiences: true } }],
  ['times with fractions', () => issue(ec, claims({ exp: nowSeconds + 0.5, nbf: nowSeconds - 0.5, iat: nowSeconds - 0.25 }))],
  ['expiry within the skew', () => issue(ec, claims({ exp: nowSeconds - 59, iat: nowSeconds - 100 }))],
  ['a beginning within the skew', () => issue(ec, claims({ nbf: nowSeconds + 60, iat: nowSeconds + 60 }))],
  ['exactly the longest lifetime', () => issue(ec, claims({ iat: nowSeconds, exp: nowSeconds + 3600 }))],
  ['no iat, when it ends soon', () => issue(ec, without('iat'))],
  ['no sub', () => issue(ec, without('sub'))],
  ['200 members', () => issue(ec, claims({ more: Object.fromEntries(Array.from({ length: 194 }, (_, at) => [`m${at}`, at])) }))],
  ['a token of nearly 16 KiB', () => issue(ec, claims({ pad: 'a'.repeat(11_800) }))],
  ['a list of 300 groups', () => issue(ec, claims({ groups: Array.from({ length: 300 }, (_, at) => `g${at}`) }))],
];

for (const [name, token, world] of accepted) {
  test(`accepts ${name}`, async () => strictEqual((await verify(token(), world)).issuer, rules.issuer));
}

test('a verified token tells what was checked', async () => {
  const { header, claims: all, ...rest } = await verify(issue(ec, claims({ jti: 'j1', aud: ['sallyport'] })));
  deepStrictEqual(rest, {
    issuer: rules.issuer, subject: 'repo:a/b', audiences: ['sallyport'], tokenId: 'j1',
    expiresAtSeconds: nowSeconds + 300, issuedAtSeconds: nowSeconds - 10,
  });
  deepStrictEqual([header.alg, header.kid, header.typ, all['jti']], ['ES256', 'ec', 'JWT', 'j1']);
});

test('claims are deep-frozen data without prototypes, hostile names included', async () => {
  const token = issue(ec, raw('"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":1,"list":[{"a":1}]'));
  const verified = await verify(token);
  const visit = (value: unknown): void => {
    if (value === null || typeof value !== 'object') return;
    ok(Object.isFrozen(value));
    if (!Array.isArray(value)) strictEqual(Object.getPrototypeOf(value), null);
    Object.values(value).forEach(visit);
  };
  visit(verified.claims);
  ok(Object.isFrozen(verified) && Object.isFrozen(verified.audiences) && Object.isFrozen(verified.header));
  ok(Object.hasOwn(verified.claims, '__proto__'));
  deepStrictEqual([verified.claims['admin'], verified.claims['hasOwnProperty'], ({} as Record<string, unknown>)['admin']], [undefined, undefined, undefined]);
});

// What is not. Every row is refused, and from outside all rows of one code are the same.

type Expected = TokenCheck | 'malformed';
type Attack = readonly [string, Expected, () => string, World?];

const none = Buffer.alloc(64, 1);
const spki = (format: 'pem' | 'der') => rsa.publicKey.export({ type: 'spki', format });
const jws = (header: object | string, payload: object | string = honest) => compactJws(header, payload, (input) => signature(ec, input));
const withHeader = (header: object) => issue(ec, honest, header);
const withKid = (kid: unknown) => issue(ec, honest, { kid });
const allSupported: World = { rules: { algorithms: [...algorithms, 'HS256', 'none'] } };
const evil = 'https://evil.example/keys';

const attacks: readonly Attack[] = [
  // Algorithm
  ...['none', 'None', 'NONE', 'nOnE'].map((alg): Attack => [`alg ${alg} with a signature`, 'algorithm', () => compactJws({ alg, kid: 'ec' }, honest, () => none), allSupported]),
  ...['none', 'None', 'NONE', 'nOnE'].map((alg): Attack => [`alg ${alg} without signature`, 'malformed', () => compactJws({ alg }, honest, () => Buffer.alloc(0)), allSupported]),
  ['an empty signature with a real algorithm', 'malformed', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, () => Buffer.alloc(0))],
  ['confusion: HS256 keyed with the public key as PEM', 'algorithm', () => compactJws({ alg: 'HS256', kid: 'rsa' }, honest, hmac('HS256', spki('pem'))), allSupported],
  ['confusion: HS256 keyed with the public key as DER', 'algorithm', () => compactJws({ alg: 'HS256', kid: 'rsa' }, honest, hmac('HS256', spki('der'))), allSupported],
  ['confusion: HS256 keyed with the public JWK', 'algorithm', () => compactJws({ alg: 'HS256', kid: 'rsa' }, honest, hmac('HS256', JSON.stringify(rsa.jwk))), allSupported],
  ['confusion: HS256 keyed with a coordinate of the EC key', 'algorithm', () => compactJws({ alg: 'HS256', kid: 'ec' }, honest, hmac('HS256', Buffer.from(String(ec.jwk['x']), 'base64url'))), allSupported],
  ['confusion: HS256 keyed with nothing', 'algorithm', () => compactJws({ alg: 'HS256', kid: 'ec' }, honest, hmac('HS256', '')), allSupported],
  ['no alg', 'malformed', () => jws({ kid: 'ec' })],
  ['alg as a list', 'malformed', () => jws({ alg: ['ES256'], kid: 'ec' })],
  ['alg as a number', 'malformed', () => jws({ alg: 256, kid: 'ec' })],
  ['alg null', 'malformed', () => jws({ alg: null, kid: 'ec' })],
  ['alg in another case', 'algorithm', () => jws({ alg: 'es256', kid: 'ec' }), allSupported],
  ['alg __proto__', 'algorithm', () => jws({ alg: '__proto__', kid: 'ec' }), allSupported],
  ['alg with a trailing space', 'algorithm', () => jws({ alg: 'ES256 ', kid: 'ec' }), allSupported],
  ['an algorithm not of this issuer', 'algorithm', () => withHeader({}), { rules: { algorithms: ['RS256'] } }],
  ['any algorithm, where the issuer lists none', 'algorithm', () => withHeader({}), { rules: { algorithms: [] } }],
  ['an ES256 key used with ES384', 'algorithm', () => compactJws({ alg: 'ES384', kid: 'ec' }, honest, (input) => signature(ec, input, 'ES384')), allSupported],
  ['an RS256 key used with PS256', 'algorithm', () => compactJws({ alg: 'PS256', kid: 'rsa' }, honest, (input) => signature(rsa, input, 'PS256')), allSupported],
  ['an RS256 key used with RS512', 'algorithm', () => compactJws({ alg: 'RS512', kid: 'rsa' }, honest, (input) => signature(rsa, input, 'RS512')), allSupported],
  ['an EC key used with EdDSA', 'algorithm', () => jws({ alg: 'EdDSA', kid: 'ec' })],
  ['an RSA key used with ES256', 'algorithm', () => jws({ alg: 'ES256', kid: 'rsa' })],
  // Signature
  ['the psychic signature: r and s are zero', 'signature', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, () => Buffer.alloc(64))],
  ['a DER signature instead of r and s', 'signature', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, (input) => sign('sha256', input, ec.privateKey))],
  ['a signature with a zero byte more', 'signature', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, (input) => Buffer.concat([signature(ec, input), Buffer.alloc(1)]))],
  ['a signature with a byte less', 'signature', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, (input) => signature(ec, input).subarray(0, 63))],
  ['an Ed25519 signature with s beyond the group order', 'signature', () => compactJws({ alg: 'EdDSA', kid: 'ed' }, honest, (input) => withLargeS(signature(ed, input)))],
  ['an all-zero Ed25519 signature', 'signature', () => compactJws({ alg: 'EdDSA', kid: 'ed' }, honest, () => Buffer.alloc(64))],
  ['an all-zero RSA signature', 'signature', () => compactJws({ alg: 'RS256', kid: 'rsa' }, honest, () => Buffer.alloc(256))],
  ['an RSA signature made of the padded hash without a key', 'signature', () => compactJws({ alg: 'RS256', kid: 'rsa' }, honest, () => Buffer.concat([Buffer.of(0, 1), Buffer.alloc(254, 255)]))],
  ['the signature of other claims', 'signature', () => swapped(issue(ec, honest), issue(ec, claims({ sub: 'admin' })), 1)],
  ['the signature under another header', 'signature', () => swapped(issue(ec, honest), issue(ec, honest, { typ: 'at+jwt' }), 0)],
  ['a key of somebody else under the right kid', 'signature', () => issue(stranger, honest)],
  // Key choice and keys the token brings
  ['an unknown kid', 'key', () => withKid('other')],
  ['a kid in another case', 'key', () => withKid('EC')],
  ['a kid that is a path', 'key', () => withKid('../../dev/null')],
  ['a kid that is SQL', 'key', () => withKid("x' UNION SELECT 'k")],
  ['a kid that is a URL', 'key', () => withKid(evil)],
  ['a kid with a NUL', 'key', () => withKid('ec\0')],
  ['kid __proto__', 'key', () => withKid('__proto__')],
  ['kid constructor', 'key', () => withKid('constructor')],
  ['kid as a number', 'malformed', () => withKid(0)],
  ['kid as an object', 'malformed', () => withKid({ toString: 'ec' })],
  ['an empty kid', 'malformed', () => withKid('')],
  ['a kid of 10 MB', 'malformed', () => withKid('a'.repeat(10_000_000))],
  ['a kid of 513 bytes', 'malformed', () => withKid('a'.repeat(513))],
  ['no kid when the issuer has several keys', 'key', () => withKid(undefined)],
  ['a kid where the only key has another', 'key', () => withKid('other'), { keys: onlyEc }],
  ['an embedded key (jwk)', 'header', () => issue(stranger, honest, { jwk: stranger.jwk })],
  ['an embedded key in place of a kid', 'header', () => issue(stranger, honest, { kid: undefined, jwk: stranger.jwk }), { keys: onlyEc }],
  ['a linked key set (jku)', 'header', () => issue(stranger, honest, { jku: evil })],
  ['a linked certificate (x5u)', 'header', () => issue(stranger, honest, { x5u: evil })],
  ['an embedded certificate (x5c)', 'header', () => issue(stranger, honest, { x5c: ['MIIB'] })],
  ['a linked key set beside a good signature', 'header', () => withHeader({ jku: evil })],
  ['an embedded key that is null', 'header', () => withHeader({ jwk: null })],
  // Header members that change the meaning
  ['crit with an unknown extension', 'header', () => withHeader({ crit: ['exp2'], exp2: 1 })],
  ['crit that is empty', 'header', () => withHeader({ crit: [] })],
  ['crit that is no list', 'header', () => withHeader({ crit: 'exp' })],
  ['crit that names a registered header', 'header', () => withHeader({ crit: ['alg'] })],
  ['crit that is null', 'header', () => withHeader({ crit: null })],
  ['b64 false', 'header', () => withHeader({ b64: false, crit: ['b64'] })],
  ['b64 false without crit', 'header', () => withHeader({ b64: false })],
  ['zip', 'header', () => withHeader({ zip: 'DEF' })],
  ...['JWT', 'jwt', 'application/JWT'].map((cty): Attack => [`nesting: cty ${cty}`, 'header', () => withHeader({ cty })]),
  ['cty that is no text', 'header', () => withHeader({ cty: ['JWT'] })],
  // Type
  ...['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'id_token', 'JOSE', 'JWTx', 'application/application/jwt', 'at+jwt ', '']
    .map((typ): Attack => [`typ \`${typ}\``, 'type', () => withHeader({ typ })]),
  ['typ JWT where the issuer is registered with at+jwt', 'type', () => withHeader({ typ: 'JWT' }), { rules: { typ: ['at+jwt'] } }],
  ['no typ where the issuer is registered with at+jwt', 'type', () => withHeader({ typ: undefined }), { rules: { typ: ['at+jwt'] } }],
  ['any typ where the issuer lists none', 'type', () => withHeader({ typ: 'JWT' }), { rules: { typ: [] } }],
  ['typ as a list', 'malformed', () => withHeader({ typ: ['JWT'] })],
  // Form
  ['nothing', 'malformed', () => ''],
  ['JSON serialization', 'malformed', () => JSON.stringify({ payload: 'e30', protected: 'e30', signature: 'AA' })],
  ['two parts', 'malformed', () => issue(ec, honest).split('.').slice(0, 2).join('.')],
  ['four parts', 'malformed', () => `${issue(ec, honest)}.AAAA`],
  ['five parts, an encrypted token', 'malformed', () => 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA'],
  ['a trailing dot', 'malformed', () => `${issue(ec, honest)}.`],
  ['a leading dot', 'malformed', () => `.${issue(ec, honest)}`],
  ['a leading space', 'malformed', () => ` ${issue(ec, honest)}`],
  ['a trailing line feed', 'malformed', () => `${issue(ec, honest)}\n`],
  ['a line feed inside', 'malformed', () => issue(ec, honest).replace('.', '\n.')],
  ['padding in the signature', 'malformed', () => `${issue(ec, honest)}==`],
  ['padding in the payload', 'malformed', () => issue(ec, honest).replace(/\.([^.]*)\./, '.$1=.')],
  ['the other base64 alphabet', 'malformed', () => compactJws({ alg: 'ES256', kid: 'ec' }, honest, () => Buffer.alloc(64, 255)).replaceAll('_', '/')],
  ['a non-zero trailing bit', 'malformed', () => withTrailingBit(issue(ec, honest))],
  ['a length base64 cannot have', 'malformed', () => `${compactJws({ alg: 'ES256', kid: 'ec' }, honest, () => Buffer.alloc(63))}A`],
  ['a letter beyond ASCII', 'malformed', () => `${issue(ec, honest)}\u0410`],
  ['a token of 16 MB', 'malformed', () => 'a'.repeat(16_000_000)],
  ['a token of 16 KiB and a byte', 'malformed', () => `${'a'.repeat(16_382)}.a.`],
  ['a well-formed token over 16 KiB', 'malformed', () => issue(ec, claims({ pad: 'a'.repeat(12_400) }))],
  ['sixteen thousand parts', 'malformed', () => '.'.repeat(16_384)],
  // JSON inside
  ['a byte order mark before the header', 'malformed', () => jws(`\ufeff{"alg":"ES256","kid":"ec"}`)],
  ['a byte order mark before the payload', 'malformed', () => issue(ec, `\ufeff${JSON.stringify(honest)}`)],
  ['invalid UTF-8 in the payload', 'malformed', () => issue(ec, Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')]))],
  ['a lone surrogate in a claim', 'malformed', () => issue(ec, raw('"a":"\\ud800"'))],
  ['duplicate alg', 'malformed', () => jws('{"alg":"none","alg":"ES256","kid":"ec"}')],
  ['duplicate alg spelled with an escape', 'malformed', () => jws('{"alg":"ES256","\\u0061lg":"none","kid":"ec"}')],
  ['duplicate sub', 'malformed', () => issue(ec, raw('"sub":"admin"'))],
  ['duplicate aud spelled with an escape', 'malformed', () => issue(ec, raw('"\\u0061ud":"other"'))],
  ['a duplicate member deep inside', 'malformed', () => issue(ec, raw('"a":[{"b":{"c":1,"c":2}}]'))],
  ['a depth of ten thousand', 'malformed', () => issue(ec, `${'['.repeat(5_000)}${']'.repeat(5_000)}`)],
  ['a depth of 17', 'malformed', () => issue(ec, raw(`"a":${'['.repeat(16)}${']'.repeat(16)}`))],
  ['201 members', 'malformed', () => issue(ec, claims({ more: Object.fromEntries(Array.from({ length: 195 }, (_, at) => [`m${at}`, at])) }))],
  ['201 members of the header', 'malformed', () => withHeader(Object.fromEntries(Array.from({ length: 198 }, (_, at) => [`m${at}`, at])))],
  ['a list of five thousand', 'malformed', () => issue(ec, raw(`"a":[${'1,'.repeat(5_000)}1]`))],
  ...['[]', '"text"', 'null', '1', 'true', '', '{}x'].map((payload): Attack => [`the payload \`${payload}\``, 'malformed', () => issue(ec, payload)]),
  ...['[]', '"ES256"', 'null'].map((header): Attack => [`the header \`${header}\``, 'malformed', () => jws(header)]),
  // Times
  ['an expired token', 'expiry', () => issue(ec, claims({ exp: nowSeconds - 60 }))],
  ['no expiry', 'expiry', () => issue(ec, without('exp'))],
  ['an infinite expiry, 1e400', 'malformed', () => issue(ec, JSON.stringify(without('exp')).replace(/\}$/, ',"exp":1e400}'))],
  ['an expiry beyond all calendars', 'expiry', () => issue(ec, claims({ exp: 1e300 }))],
  ['an expiry of 2^53 + 1', 'expiry', () => issue(ec, raw('"x":1').replace(/"exp":\d+/, '"exp":9007199254740993'))],
  ['an expiry in milliseconds', 'expiry', () => issue(ec, claims({ exp: nowSeconds * 1000 }))],
  ['a negative expiry', 'expiry', () => issue(ec, claims({ exp: -1 }))],
  ...[null, String(nowSeconds + 300), [nowSeconds + 300], {}, true].map((exp): Attack => [`exp ${JSON.stringify(exp)}`, 'expiry', () => issue(ec, claims({ exp }))]),
  ['a token not yet valid', 'not_before', () => issue(ec, claims({ nbf: nowSeconds + 61 }))],
  ['nbf as text', 'not_before', () => issue(ec, claims({ nbf: '0' }))],
  ['nbf null', 'not_before', () => issue(ec, claims({ nbf: null }))],
  ['a token issued in the future', 'issued_at', () => issue(ec, claims({ iat: nowSeconds + 61 }))],
  ['iat as text', 'issued_at', () => issue(ec, claims({ iat: '0' }))],
  ['a token issued after its end', 'issued_at', () => issue(ec, claims({ iat: nowSeconds + 30, exp: nowSeconds + 20 }))],
  ['a lifetime a second too long', 'lifetime', () => issue(ec, claims({ iat: nowSeconds, exp: nowSeconds + 3601 }))],
  ['an old token with a long life', 'lifetime', () => issue(ec, claims({ iat: nowSeconds - 86_400 }))],
  ['a token without iat that ends too late', 'lifetime', () => issue(ec, { ...without('iat'), exp: nowSeconds + 3601 })],
  // Issuer
  ['another account\u2019s issuer', 'issuer', () => issue(ec, claims({ iss: 'https://issuer.example/accounts/other' }))],
  ['an issuer with a trailing slash', 'issuer', () => issue(ec, claims({ iss: 'https://issuer.example/' }))],
  ['an issuer in another case', 'issuer', () => issue(ec, claims({ iss: 'https://Issuer.example' }))],
  ['an issuer with a look-alike letter', 'issuer', () => issue(ec, claims({ iss: 'https://\u0456ssuer.example' }))],
  ['an issuer with a trailing space', 'issuer', () => issue(ec, claims({ iss: 'https://issuer.example ' }))],
  ['an issuer as a list', 'malformed', () => issue(ec, claims({ iss: [rules.issuer] }))],
  ['no issuer', 'malformed', () => issue(ec, without('iss'))],
  ['an empty issuer', 'malformed', () => issue(ec, claims({ iss: '' }))],
  ['an issuer of 1,001 bytes', 'malformed', () => issue(ec, claims({ iss: 'a'.repeat(1001) }))],
  // Audience
  ['a wrong audience', 'audience', () => issue(ec, claims({ aud: 'https://other.example' }))],
  ['a missing audience', 'audience', () => issue(ec, without('aud'))],
  ['an audience where the issuer lists none', 'audience', () => issue(ec, honest), { rules: { audiences: [] } }],
  ['no audience where the issuer lists none', 'audience', () => issue(ec, without('aud')), { rules: { audiences: [], allowOtherAudiences: true } }],
  ['a nested audience', 'audience', () => issue(ec, claims({ aud: [['sallyport']] }))],
  ['an audience as an object', 'audience', () => issue(ec, claims({ aud: { 0: 'sallyport' } }))],
  ['audiences of mixed types', 'audience', () => issue(ec, claims({ aud: ['sallyport', 1] })), { rules: { allowOtherAudiences: true } }],
  ['an empty list of audiences', 'audience', () => issue(ec, claims({ aud: [] }))],
  ['an empty audience', 'audience', () => issue(ec, claims({ aud: '' }))],
  ['an empty audience beside ours', 'audience', () => issue(ec, claims({ aud: ['sallyport', ''] })), { rules: { allowOtherAudiences: true } }],
  ['audience null', 'audience', () => issue(ec, claims({ aud: null }))],
  ['an audience ours begins with', 'audience', () => issue(ec, claims({ aud: 'sally' }))],
  ['an audience that begins with ours', 'audience', () => issue(ec, claims({ aud: 'sallyport.evil.example' }))],
  ['audiences joined in one text', 'audience', () => issue(ec, claims({ aud: 'sallyport other' }))],
  ['an audience in another case', 'audience', () => issue(ec, claims({ aud: 'Sallyport' }))],
  ['another audience beside ours', 'audience', () => issue(ec, claims({ aud: ['sallyport', 'https://other.example'] }))],
  ['a thousand other audiences', 'audience', () => issue(ec, claims({ aud: Array.from({ length: 1000 }, (_, at) => `a${at}`) })), { rules: { allowOtherAudiences: true } }],
  // Subject and token id
  ...['sub', 'jti'].flatMap((name) => ['', 1, null, ['a'], {}, 'a'.repeat(1001)].map((value): Attack => [
    `${name} ${JSON.stringify(value).slice(0, 10)}`, name === 'sub' ? 'subject' : 'token_id', () => issue(ec, claims({ [name]: value })),
  ])),
];

const publicForms = new Map<string, Set<string>>();

for (const [name, expected, token, world] of attacks) {
  test(`refuses ${name}`, async () => {
    const text = token();
    await rejects(verify(text, world), (error: unknown) => {
      ok(error instanceof Refusal, String(error));
      const seen = error.code === 'trust.malformed' ? 'malformed' : (error.evidence as { check: TokenCheck }).check;
      strictEqual(seen, expected, error.message);
      ok((error.because ?? '').length > 0, 'an administrator learns the cause');
      const last = text.slice(-60);
      ok(last.length < 20 || !JSON.stringify([error.because, error.message, error.evidence]).includes(last), 'the token is not repeated');
      ok(JSON.stringify(error.evidence ?? null).length < 3000, 'evidence is bounded');
      const forms = publicForms.get(error.code) ?? new Set();
      publicForms.set(error.code, forms.add(publicForm(error)));
      return true;
    });
  });
}

test('from outside all refusals of one code are the same bytes', () => {
  deepStrictEqual([...publicForms.keys()].sort(), ['trust.malformed', 'trust.refused']);
  for (const [code, forms] of publicForms) strictEqual(forms.size, 1, code);
});

test('a token changed in any one place is refused', async () => {
  const token = issue(ec, honest);
  for (let at = 0; at < token.length; at += 1) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
    notStrictEqual(changed, token);
    await rejects(verify(changed), Refusal, `changed at ${at}`);
  }
});

test('no text makes the reader fail in any way but a refusal', () => {
  const part = fc.oneof(fc.base64String(), fc.json().map((json) => Buffer.from(json).toString('base64url')), fc.string());
  fc.assert(fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
    try {
      readToken(parts.join('.'));
    } catch (error) {
      ok(error instanceof Refusal && error.code === 'trust.malformed', String(error));
    }
  }), { numRuns: 500, verbose: true });
});

const defects: readonly (readonly [string, Partial<IssuerRules>, Date])[] = [
  ['a skew above a minute', { clockSkewSeconds: 61 }, now],
  ['a negative skew', { clockSkewSeconds: -1 }, now],
  ['a skew that is no number', { clockSkewSeconds: Number.NaN }, now],
  ['an unlimited lifetime', { maxLifetimeSeconds: Number.POSITIVE_INFINITY }, now],
  ['a lifetime that is no number', { maxLifetimeSeconds: Number.NaN }, now],
  ['a time that is none', {}, new Date(Number.NaN)],
];

for (const [name, changes, at] of defects) {
  test(`${name} is a defect, not an acceptance`, () => rejects(
    verifyToken(readToken(issue(ec, honest)), { ...rules, ...changes }, keys, at), /^Error: defect/,
  ));
}

/** All that a caller can see of a refusal. */
function publicForm({ code, record, say, errors, retryAfterSeconds }: Refusal): string {
  return JSON.stringify({ code, record, say, errors, retryAfterSeconds });
}

function swapped(token: string, other: string, part: number): string {
  return token.split('.').map((text, at) => at === part ? other.split('.')[at] : text).join('.');
}

/** s + L signs the same for a verifier that does not check the range (RFC 8032 §5.1.7). */
function withLargeS(bytes: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order;
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()]);
}

/** A 64-byte signature ends in a letter of which four bits count; the next letter has the same ones. */
function withTrailingBit(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? '') + 1];
}
