/**
 * Claims in: an RS256 token of an outside issuer for a session, over HTTP, with its session and audit rows on disk.
 * Exchanges per second with 32 connections, against the two signatures alone on one thread, and against those together
 * with the framework's route that does nothing (the harmonic sum: one after the other); then the same while the database
 * answers before what was written is on disk, which leaves what durability takes.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { callRemote } from '#platform/remote.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import { startTrivialRoute } from './floor/trivial-route.ts';
import { verifyAndSign } from './floor/verify-sign.ts';
import { json, postRates, rowsOf, startBenchServer } from './load.ts';
import type { BenchServer, Rates } from './load.ts';
import { benchResult, interleave, processorSeconds, runAndPrint } from './result.ts';
import type { BenchResult } from './result.ts';

const rounds = 5;
const tokens = 1_000;
const signaturesPerRound = 2_000;
const outside = 'https://id.example.com';
const key = issuerKey('RS256', 'bench');

export async function run(): Promise<BenchResult> {
  const [floor, server, relaxed] = await Promise.all([startTrivialRoute(), startBenchServer(), startBenchServer({ durable: false })]);
  try {
    const audience = 'https://sallyport.example';
    for (const each of [server, relaxed]) await each.call('/manifests:apply', { documents: trust(audience) });
    const subjects = Array.from({ length: tokens }, (_, n) => subjectToken(audience, { sub: `workload-${n % 50}` }));
    await checkAnswers(server, audience);
    const requests = subjects.map((token) => ({ path: '/accounts/default/oauth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: formOf(token).toString() }));
    const trivial = requests.map(({ body }) => ({ path: '/', headers: json, body: JSON.stringify(body) }));
    const figures = await interleave<'signatures' | 'trivial' | 'ours' | 'relaxed', Rates>({
      rounds,
      candidates: { signatures: () => signatureRates(subjects), trivial: () => postRates(floor, trivial), ours: () => postRates(server, requests), relaxed: () => postRates(relaxed, requests) },
    });
    await checkTrail(server);
    const { ours, relaxed: notOnDisk, signatures, trivial: route } = figures;
    const both = signatures.map((rates, round) => oneAfterTheOther(rates, route[round]!));
    const rows = [
      ...rowsOf('verify RS256, sign ES256', { ours, floor: signatures }),
      ...rowsOf('the trivial route', { ours, floor: route }),
      ...rowsOf('both, one after the other', { ours, floor: both, aim: '≥ 0.15×' }),
      ...rowsOf('the same, not waiting for the disk', { ours: notOnDisk, floor: both, aim: '≥ 0.5×' }),
      ...rowsOf('what waiting for the disk leaves', { ours, floor: notOnDisk }),
    ];
    return benchResult({ name: 'token exchange', unit: 'exchanges per second', rows });
  } finally {
    await Promise.all([floor.stop(), server.stop(), relaxed.stop()]);
  }
}

function oneAfterTheOther(one: Rates, other: Rates): Rates {
  const harmonic = (rate: keyof Rates): number => 1 / (1 / one[rate] + 1 / other[rate]);
  return { perSecond: harmonic('perSecond'), perProcessorSecond: harmonic('perProcessorSecond') };
}

function trust(audience: string): object[] {
  const mappings = Array.from({ length: 50 }, (_, n) => ({
    kind: 'ClaimMapping', identifier: `workload${n}`,
    spec: { issuer: 'outside', when: [{ claim: '/sub', equals: `workload-${n}` }], grants: [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }] },
  }));
  return [{ kind: 'TrustedIssuer', identifier: 'outside', spec: { issuer: outside, audiences: [audience], keys: { jwks: { keys: [key.jwk] } }, algorithms: ['RS256'] } }, ...mappings];
}

function subjectToken(audience: string, changes: Readonly<Record<string, unknown>>): string {
  const iat = Math.floor(Date.now() / 1_000);
  return issue(key, { iss: outside, aud: audience, iat, nbf: iat - 5, exp: iat + 3_600, jti: randomUUID(), repository: 'acme/checkout', ref: 'refs/heads/main', ...changes });
}

function formOf(token: string): URLSearchParams {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', subject_token: token,
  });
}

/** A fast server that believes everything does not pass. */
async function checkAnswers(server: BenchServer, audience: string): Promise<void> {
  const exchange = async (token: string): Promise<{ status: number; session: string | undefined }> => {
    const { status, body } = await callRemote({ url: server.url, token: null }, { method: 'POST', path: '/accounts/default/oauth/token', form: Object.fromEntries(formOf(token)) });
    return { status, session: (body as { access_token?: string }).access_token };
  };
  const good = await exchange(subjectToken(audience, { sub: 'workload-7' }));
  const { allowed } = (await server.call('/access:check', { permission: 'role.view', resource: 'any' }, good.session)) as { allowed: boolean };
  if (good.status !== 200 || !allowed) throw new Error(`a good token was answered ${good.status}`);
  const bad = {
    'an unknown workload': subjectToken(audience, { sub: 'workload-99' }),
    'another audience': subjectToken('https://somebody.else', { sub: 'workload-7' }),
    'an expired token': subjectToken(audience, { sub: 'workload-7', iat: 1_000, nbf: 1_000, exp: 2_000 }),
    'another key': issue(issuerKey('RS256', 'bench'), { iss: outside, aud: audience, sub: 'workload-7', exp: Math.floor(Date.now() / 1_000) + 600 }),
  };
  for (const [name, token] of Object.entries(bad)) {
    const { status } = await exchange(token);
    if (status !== 400) throw new Error(`${name} was answered ${status}`);
  }
}

/** Every exchange left its row in the trail, and the trail is whole. */
async function checkTrail(server: BenchServer): Promise<void> {
  const { rows, findings } = (await server.call('/audit:verify', undefined)) as { rows: number; findings: unknown[] };
  if (findings.length > 0 || rows < tokens) throw new Error(`the trail has ${rows} rows and ${findings.length} findings`);
}

const ownKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
/** As long as what a session token says. */
const ownClaims = 'x'.repeat(620);

function signatureRates(subjects: readonly string[]): Rates {
  const start = performance.now();
  const spent = processorSeconds(() => {
    for (let n = 0; n < signaturesPerRound; n += 1) verifyAndSign(subjects[n % subjects.length]!, key.publicKey, ownClaims, ownKey);
  });
  return { perSecond: signaturesPerRound / ((performance.now() - start) / 1_000), perProcessorSecond: signaturesPerRound / spent };
}

if (import.meta.main) await runAndPrint(run);
