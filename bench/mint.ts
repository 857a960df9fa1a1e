/**
 * Minting in process: claims of an execution, a signature with the account's key. Tokens per
 * second of processor time, which a busy machine distorts less than the clock does, against the bare signature over a
 * text of the same length. Nothing is stored: the ledger row belongs to the step's delivery.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importJWK, jwtVerify } from 'jose';
import type { ConnectorFacts } from '#features/connectors/schema.ts';
import { createMintKeys } from '#features/mint/feature.ts';
import type { MintKeys } from '#features/mint/feature.ts';
import { mintToken } from '#features/mint/mint.ts';
import type { MintRequest } from '#features/mint/mint.ts';
import { createAccount } from '#features/tenancy/feature.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import type { Entry } from '#kernel/world.ts';
import { readConfig } from '#platform/config.ts';
import { createLog } from '#platform/log.ts';
import { openHost } from '../src/host.ts';
import { signHere, signOnly } from './floor/sign.ts';
import { benchResult, compare, runAndPrint } from './result.ts';
import type { BenchResult } from './result.ts';

const rounds = 5;
const tokensPerRound = 3_000;
const issuer = 'https://sallyport.example/accounts/default';
const audience = 'https://partner.example';

export async function run(): Promise<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  const host = await openHost(readConfig({ flags: { data: join(directory, 'data') } }, {}), createLog('silent'), { besideServer: false, progress: () => undefined });
  try {
    const accountId = (await createAccount(host, 'default', null))!;
    const request = (): MintRequest => ({
      accountId, issuer, ownUrls: ['https://sallyport.example'], connector, audience: null, facts,
      attemptId: uid(20), tokenId: host.randomness.uid(), now: host.clock.now(),
    });
    const keys = createMintKeys({ ...host, policy: { lifeMs: 90 * 86_400_000, aheadMs: 3_600_000, overlapMs: 7_200_000 } });
    const rows = [];
    for (const algorithm of ['ES256', 'RS256'] as const) {
      const of: Entry = { ...connector, facts: { ...facts0, spec: { ...facts0.spec, algorithm } } };
      const mine = (): MintRequest => ({ ...request(), connector: of });
      const input = await checkedInput(keys, mine(), algorithm);
      const { privateKey } = algorithm === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
      for (const inFlight of [1, 32]) {
        rows.push(await compare({
          case: `${algorithm}, ${inFlight} at a time`, aim: '≥ 0.7×', rounds,
          floor: () => rate(inFlight, () => (algorithm === 'RS256' ? signOnly(input, privateKey) : signHere(input, privateKey))), ours: () => rate(inFlight, () => mintToken(keys, mine())),
        }));
      }
    }
    return benchResult({ name: 'minting', unit: 'tokens per processor second', rows });
  } finally {
    await host.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What is signed, of a token that another library has found right with the published key. */
async function checkedInput(keys: MintKeys, request: MintRequest, algorithm: string): Promise<string> {
  const { token } = await mintToken(keys, request);
  const jwk = (await keys.published(request.accountId)).find(({ alg }) => alg === algorithm);
  const { payload, protectedHeader } = await jwtVerify(token, await importJWK(jwk!), { issuer, audience, typ: 'JWT' });
  if (protectedHeader.alg !== algorithm || payload['environment_id'] !== 'prod' || payload.jti !== request.tokenId) throw new Error('the minted token is not what it should be');
  return token.slice(0, token.lastIndexOf('.'));
}

/** Signatures are made in the thread pool; its time counts too. */
async function rate(inFlight: number, make: () => Promise<unknown>): Promise<number> {
  let left = tokensPerRound;
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left > 0) {
      left -= 1;
      await make();
    }
  }));
  const { user, system } = process.cpuUsage(before);
  return tokensPerRound / ((user + system) / 1e6);
}

const uid = (n: number): string => `01a1fd3b-0000-7000-8000-${String(n).padStart(12, '0')}`;
const named = (identifier: string, n: number): ExecutionFacts['account'] => ({ identifier, uid: uid(n), name: null });

const facts: ExecutionFacts = {
  account: named('default', 1), organization: named('payments', 2), project: named('checkout', 3), pipeline: named('recover', 4), executionId: uid(5),
  stage: { identifier: 'deploy', type: 'Deployment' }, step: { identifier: 'restart', type: 'Run' },
  environment: { ...named('prod', 6), type: 'Production' }, service: named('web', 7), trigger: { type: 'MANUAL' },
  triggeredBy: { type: 'workload', id: 'https://id.example.com/corporate#app', name: 'app:app_x', email: null },
  origin: { issuer: 'https://id.example.com/corporate', subject: 'app', sessionId: uid(8) },
};

const facts0 = { spec: { type: 'jwt', audiences: [audience], ttl: '10m' }, usableFrom: ['payments/**'], audiences: [audience], ttlSeconds: 600 } as const satisfies ConnectorFacts;

const connector: Entry = {
  uid: uid(9), kind: 'connector', scope: '/', identifier: 'partner', name: null, version: 1, tags: {}, attributes: {},
  facts: facts0,
};

if (import.meta.main) await runAndPrint(run);
