/** A credential is read in one way: at most one recogniser fits whatever is brought as a Bearer token. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { keepBootstrapToken, makeSetupCode } from '#features/credentials/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { RegisteredIdentity } from '#runner/identity.ts';
import { requestToken } from '#runner/request-token.ts';
import { runs } from '#test/mode.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import { makeRegistration, registerRunner } from '#test/runners/runner-server.ts';
import type { TestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeToken } from './principals.ts';
import { Runs, pipeline, runWorld, step } from './runs.ts';
import { only, startTrustWorld } from './trust-world.ts';
import type { TrustWorld } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let runner: RegisteredIdentity;

const bootstrap = `first-${randomBytes(32).toString('hex')}`;
const credentials: Record<string, string> = {};

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  await server.apply([
    ...runWorld,
    { kind: 'ServiceAccount', identifier: 'ci', spec: {} },
    only('caller'),
    pipeline('asks', { build: [step('mints', { env: { TOKEN: '<+secrets.getJWT("account.partner")>' } })] }),
  ]);
  await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, server.account.id, bootstrap);
  runner = await registerRunner(server, { identifier: 'known' });
  const made = new Runs(server);
  await made.start('asks');
  Object.assign(credentials, {
    personal: (await makeToken(server, { type: 'user', path: 'admin' })).token,
    serviceAccount: (await makeToken(server, { type: 'service_account', path: 'ci' })).token,
    bootstrap,
    session: await world.exchangeAs('caller'),
    runner: tokenOfRunner(),
    runnerOf: requestToken(runner.signingKey, { issuer: 'registration', audience: 'registration', path: `${server.api}/runners:register`, body: {}, now: server.clock.now() }),
    registration: (await makeRegistration(server)).token,
    setup: await makeSetupCode({ database: server.database, clock: server.clock, randomness: systemRandomness }, server.account.id),
    minted: (await made.nextPayload()).environment['TOKEN']!,
    outside: world.hcp.token(terraformClaims({})),
  });
});

function tokenOfRunner(): string {
  const { runnerId, audience } = runner.registration;
  return requestToken(runner.signingKey, { issuer: runnerId, audience, path: `${server.api}/runners`, body: {}, now: server.clock.now() });
}

function fitting(token: string): string[] {
  return server.app.recognisers.filter((recogniser) => recogniser.matches(token)).map(({ name }) => name);
}

const ask = (token: string) => server.call({ method: 'GET', path: `${server.api}/organizations`, token });

describe('one recogniser and no other reads', () => {
  const rows: readonly [what: string, credential: string, recogniser: string, calls: boolean][] = [
    ['a personal access token', 'personal', 'api_token', true],
    ['a token of a service account', 'serviceAccount', 'api_token', true],
    ['a bootstrap token', 'bootstrap', 'bootstrap', true],
    ['a session token', 'session', 'session', true],
    ['a request token of a runner', 'runner', 'runner', true],
    ['the proof of a registration, which lets nobody in', 'runnerOf', 'runner', false],
    ['a registration token, which lets nobody in', 'registration', 'api_token', false],
    ['a setup code, which lets nobody in', 'setup', 'bootstrap', false],
    ['a token of an issuer, which has to be exchanged unless the issuer\'s document says otherwise', 'outside', 'outside', false],
    ['a token minted for others, which lets nobody in', 'minted', 'outside', false],
  ];
  for (const [what, credential, recogniser, calls] of rows) {
    test(what, async () => {
      assert.deepEqual(fitting(credentials[credential]!), [recogniser]);
      const { status } = await ask(credentials[credential]!);
      assert.equal(status !== 401, calls, `answered ${status}`);
    });
  }
  test('so that each recogniser of the server is in this table', () => {
    assert.deepEqual([...new Set(rows.map(([, , recogniser]) => recogniser))].toSorted(), server.app.recognisers.map(({ name }) => name).toSorted());
  });
});

describe('what borrows from two credentials is at most one of them', () => {
  const encoded = (text: string): string => Buffer.from(text).toString('base64url');
  const runnerHeader = '{"alg":"EdDSA","typ":"sallyport-runner+jwt"}';
  const payload = (): string => credentials['session']!.split('.')[1]!;
  const attacks: readonly [attack: string, token: () => string][] = [
    ['the header of a runner in a token of two parts that begins with a space', () => `${encoded(` ${runnerHeader}`)}.${payload()}`],
    ['the header of a runner in a token of four parts that begins with a space', () => `${encoded(` ${runnerHeader}`)}.${payload()}.x.y`],
    ['the header of a runner, a dot and nothing', () => `${encoded(`\n${runnerHeader}`)}.`],
    ['the header of a runner over the claims of a session', () => `${encoded(runnerHeader)}.${payload()}.${'A'.repeat(86)}`],
    ['the header of a session over the claims of a runner', () => [credentials['session'], credentials['runner'], credentials['session']].map((token, at) => token!.split('.')[at]).join('.')],
    ['two types in one header', () => `${encoded('{"alg":"EdDSA","typ":"sallyport-runner+jwt","typ":"at+jwt"}')}.${payload()}.${'A'.repeat(86)}`],
    ['two types in one header, one of them spelled out', () => `${encoded('{"alg":"ES256","typ":"at+jwt","\\u0074yp":"sallyport-runner+jwt"}')}.${payload()}.${'A'.repeat(86)}`],
    ['the prefix of our tokens before a session token', () => `sallyport_pat_${credentials['session']!}`],
    ['the prefix of our tokens before a request token', () => `sallyport_${credentials['runner']!}`],
    ['a token of ours with two dots', () => `${credentials['personal']!}.${payload()}.x`],
    ['a token of ours in capitals', () => credentials['personal']!.toUpperCase()],
    ['a bootstrap token with two dots', () => `${bootstrap}.${bootstrap}.${bootstrap}`],
    ['a bootstrap token after the beginning of a JWT', () => `eyJ${bootstrap}`],
    ['a session token without its signature', () => credentials['session']!.split('.').slice(0, 2).join('.')],
    ['a session token with a part more', () => `${credentials['session']!}.x`],
  ];
  for (const [attack, token] of attacks) {
    test(attack, async () => {
      assert(fitting(token()).length <= 1, fitting(token()).join(' and '));
      problem(await ask(token()), 401, 'credential.invalid');
    });
  }

  test('parts of all of them in any order, with any prefix', () => {
    const words = ['sallyport_', 'sallyport_pat_', 'eyJ', '.', '..', ' ', '', 'at+jwt', 'application/at+jwt', 'sallyport-runner+jwt', randomUUID(), bootstrap.slice(0, 8)];
    const headers = fc.record({ space: fc.constantFrom('', ' ', '\n', '\t '), alg: fc.constantFrom('EdDSA', 'ES256', 'none'), typ: fc.constantFrom('at+jwt', 'AT+JWT', 'application/at+jwt', 'sallyport-runner+jwt', 'JWT') })
      .map(({ space, ...header }) => encoded(space + JSON.stringify(header)));
    const parts = Object.values(credentials).flatMap((token) => [token, ...token.split('.')]);
    const piece = fc.oneof(fc.constantFrom(...parts), fc.constantFrom(...words), headers, fc.string({ maxLength: 8 }));
    const token = fc.tuple(fc.array(piece, { minLength: 1, maxLength: 5 }), fc.constantFrom('.', '.', '')).map(([pieces, between]) => pieces.join(between));
    fc.assert(fc.property(token, (text) => {
      assert(fitting(text).length <= 1, `${fitting(text).join(' and ')}: ${text}`);
    }), { numRuns: runs(2_000, 50_000) });
  });
});
