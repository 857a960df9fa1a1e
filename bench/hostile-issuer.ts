/**
 * What an issuer that drips its keys, and a flood of tokens in its name, do to the tokens of another: how long one of a
 * hundred exchanges takes (p99) beside it, against without it. More than 1 is worse.
 */
import autocannon from 'autocannon';
import { keysPath, startIssuer } from '#test/parties/issuer.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import { startBenchServer } from './load.ts';
import { benchResult, interleave, median, runAndPrint } from './result.ts';
import type { BenchResult } from './result.ts';

const rounds = 5;
const seconds = 4;
const audience = 'https://sallyport.example';
const key = issuerKey('RS256', 'bench');
const honest = 'https://honest.example.com';
/** Fewer than saturate the server: then the figure would be how long the line is. */
const connections = 8;
const hostileConnections = 32;

export async function run(): Promise<BenchResult> {
  const hostile = await startIssuer();
  hostile.trick(keysPath, { kind: 'drip', everyMs: 100 });
  const server = await startBenchServer({ flags: ['--allow-private-origin', hostile.url] });
  try {
    const spec = { audiences: [audience], algorithms: ['RS256'] };
    const grants = [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }];
    await server.call('/manifests:apply', {
      documents: [
        { kind: 'TrustedIssuer', identifier: 'honest', spec: { ...spec, issuer: honest, keys: { jwks: { keys: [key.jwk] } } } },
        { kind: 'TrustedIssuer', identifier: 'hostile', spec: { ...spec, issuer: hostile.url, keys: { jwksUri: `${hostile.url}${keysPath}` } } },
        { kind: 'ClaimMapping', identifier: 'honest', spec: { issuer: 'honest', when: [{ claim: '/sub', equals: 'x' }], grants } },
      ],
    });
    const good = requestOf(issue(key, claimsOf(honest)));
    const bad = requestOf(issue(issuerKey('RS256', 'unknown'), claimsOf(hostile.url)));
    const alone = () => p99(server.url, good);
    const beside = async (): Promise<number> => {
      const flood = autocannon({ url: server.url, connections: hostileConnections, duration: seconds + 2, overallRate: 400, requests: [bad] });
      const figure = await p99(server.url, good);
      await flood;
      return figure;
    };
    const figures = await interleave({ rounds, candidates: { alone, beside } });
    const ratioMedian = median(figures.beside.map((figure, round) => figure / figures.alone[round]!));
    return benchResult({ name: 'a hostile issuer beside another', unit: 'ms of one exchange in a hundred', rows: [{ case: 'its keys drip, 400 tokens a second in its name', ours: figures.beside, floor: figures.alone, ratioMedian, aim: '≤ 2×' }] });
  } finally {
    await Promise.all([server.stop(), hostile.stop()]);
  }
}

function claimsOf(issuer: string): object {
  const iat = Math.floor(Date.now() / 1_000);
  return { iss: issuer, aud: audience, sub: 'x', iat, exp: iat + 3_600, jti: 'bench' };
}

function requestOf(token: string) {
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', subject_token: token });
  return { method: 'POST' as const, path: '/accounts/default/oauth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form.toString() };
}

async function p99(url: string, request: ReturnType<typeof requestOf>): Promise<number> {
  const { latency, non2xx, statusCodeStats } = await autocannon({ url, connections, duration: seconds, overallRate: 80, requests: [request] });
  if (non2xx > 0) throw new Error(`good tokens were answered ${JSON.stringify(statusCodeStats)}`);
  return latency.p99;
}

if (import.meta.main) await runAndPrint(run);
