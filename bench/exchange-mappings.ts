/**
 * Claims in, by the number of claim mappings of the issuer: exchanges per second where it has 10,000, against where it has
 * 10. Each token meets one of them.
 */
import { issue, issuerKey } from '#test/parties/tokens.ts';
import { postRates, rowsOf, startBenchServer } from './load.ts';
import type { LoadRequest, Rates } from './load.ts';
import { benchResult, interleave, runAndPrint } from './result.ts';
import type { BenchResult } from './result.ts';

const rounds = 5;
const tokens = 500;
const many = 10_000;
const few = 10;
const batch = 250;
const audience = 'https://sallyport.example';
const key = issuerKey('RS256', 'bench');

export async function run(): Promise<BenchResult> {
  const server = await startBenchServer();
  try {
    for (const [name, count] of [['few', few], ['many', many]] as const) {
      await server.call('/manifests:apply', { documents: [{ kind: 'TrustedIssuer', identifier: name, spec: { issuer: issuerOf(name), audiences: [audience], keys: { jwks: { keys: [key.jwk] } }, algorithms: ['RS256'] } }] });
      const mappings = Array.from({ length: count }, (_, n) => mapping(name, n));
      for (let from = 0; from < count; from += batch) await server.call('/manifests:apply', { documents: mappings.slice(from, from + batch) });
    }
    const [requestsOfMany, requestsOfFew] = [requests('many', many), requests('few', few)];
    const figures = await interleave<'many' | 'few', Rates>({
      rounds, candidates: { many: () => postRates(server, requestsOfMany), few: () => postRates(server, requestsOfFew) },
    });
    return benchResult({ name: 'token exchange by mappings', unit: 'exchanges per second', rows: rowsOf('10,000 mappings, against 10', { ours: figures.many, floor: figures.few, aim: '≥ 0.5×' }) });
  } finally {
    await server.stop();
  }
}

function issuerOf(name: string): string {
  return `https://${name}.example.com`;
}

/** Two claims all share and one that tells them apart, as workspaces of one organization. */
function mapping(issuer: string, n: number): object {
  const when = [{ claim: '/organization_id', equals: 'org-1' }, { claim: '/phase', equals: 'apply' }, { claim: '/workspace_id', equals: `ws-${n}` }];
  return { kind: 'ClaimMapping', identifier: `${issuer}_${n}`, spec: { issuer, when, grants: [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }] } };
}

function requests(issuer: string, mappings: number): LoadRequest[] {
  const iat = Math.floor(Date.now() / 1_000);
  return Array.from({ length: tokens }, (_, n) => {
    const workspace = `ws-${(n * 7) % mappings}`;
    const claims = { iss: issuerOf(issuer), aud: audience, sub: workspace, iat, exp: iat + 3_600, jti: `${issuer}-${n}`, organization_id: 'org-1', phase: 'apply', workspace_id: workspace };
    const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', subject_token: issue(key, claims) });
    return { path: '/accounts/default/oauth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form.toString() };
  });
}

if (import.meta.main) await runAndPrint(run);
