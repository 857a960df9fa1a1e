/**
 * What tokens say in every combination of stage, step, caller, connector's scope and known entities, pinned as text.
 * `node src/features/mint/claims-matrix.test.ts --write` writes it anew; a difference is a change of what others trust.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ConnectorFacts } from '#features/connectors/schema.ts';
import type { ExecutionFacts, TriggeredBy } from '#kernel/execution-facts.ts';
import type { Entry } from '#kernel/world.ts';
import type { MintKeys } from './keys.ts';
import { mintToken } from './mint.ts';

const file = join(import.meta.dirname, 'claims-matrix.txt');
const uid = (n: number): string => `01a1fd3b-0000-7000-8000-${String(n).padStart(12, '0')}`;
const named = (identifier: string, n: number, name: string | null = null) => ({ identifier, uid: uid(n), name });

const stages = { CI: { identifier: 'build', type: 'CI' }, Deployment: { identifier: 'deploy', type: 'Deployment' }, none: null };
const steps = { Run: { identifier: 'act', type: 'Run' }, ShellScript: { identifier: 'act', type: 'ShellScript' }, none: null };
const origin = { issuer: 'https://app.terraform.io', subject: 'organization_id:org-a:workspace_id:ws-1', sessionId: uid(20) };
const by = (type: TriggeredBy['type'], id: string, name: string | null, email: string | null): TriggeredBy => ({ type, id, name, email });
const callers: Readonly<Record<string, Pick<ExecutionFacts, 'triggeredBy' | 'origin' | 'trigger'>>> = {
  user: { triggeredBy: by('user', uid(10), 'Alice', 'alice@example.com'), origin: null, trigger: { type: 'MANUAL' } },
  service_account: { triggeredBy: by('service_account', uid(11), 'ci', null), origin: null, trigger: { type: 'MANUAL' } },
  workload: { triggeredBy: by('workload', 'https://app.terraform.io#organization_id:org-a:workspace_id:ws-1', 'tfc:platform', null), origin, trigger: { type: 'MANUAL' } },
  system: { triggeredBy: by('system', 'bootstrap', null, null), origin: null, trigger: { type: 'MANUAL' } },
};
const entities: Readonly<Record<string, Pick<ExecutionFacts, 'environment' | 'service'>>> = {
  none: { environment: null, service: null },
  environment: { environment: { ...named('prod', 7), type: 'Production' }, service: null },
  both: { environment: { ...named('staging', 8), type: 'PreProduction' }, service: named('web', 9, 'Web shop') },
};
const scopes = ['/', 'payments', 'payments/checkout'] as const;

/** Signs as the real ones do; the life of keys is not what this is about. */
const keys = {
  policy: { lifeMs: 1, aheadMs: 1, overlapMs: 3_600_000 },
  current: () => Promise.resolve({ id: 'k', algorithm: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, publicJwk: {} }),
} as unknown as MintKeys;

function connector(scope: string): Entry {
  const audiences = ['https://partner.example'];
  const facts: ConnectorFacts = { spec: { type: 'jwt', audiences, ttl: '10m', algorithm: 'ES256' }, usableFrom: ['payments/**'], audiences, ttlSeconds: 600 };
  return { uid: uid(15), kind: 'connector', scope, identifier: 'partner', name: 'The partner', version: 1, tags: {}, attributes: {}, facts };
}

async function claims(facts: ExecutionFacts, scope: string): Promise<Readonly<Record<string, unknown>>> {
  const { token } = await mintToken(keys, {
    accountId: uid(1), issuer: 'https://sallyport.example/accounts/default', ownUrls: [], connector: connector(scope), audience: null, facts,
    attemptId: uid(30), tokenId: uid(31), now: new Date(1_700_000_000_000),
  });
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
}

interface Row {
  readonly says: string;
  readonly facts: ExecutionFacts;
}

const rows: Row[] = Object.entries(stages).flatMap(([stageName, stage]) => Object.entries(steps).filter(([, step]) => stage !== null || step === null).flatMap(([stepName, step]) =>
  Object.entries(callers).flatMap(([caller, who]) => Object.entries(entities).map(([known, what]) => ({
    says: `stage ${stageName}, step ${stepName}, by ${caller}, known ${known}`,
    facts: { account: named('default', 1), organization: named('payments', 2), project: named('checkout', 3), pipeline: named('recover', 4), executionId: uid(5), stage, step, ...who, ...what },
  })))));

/** Each combination, and under it the claims that are not the same in all. */
async function matrix(): Promise<string> {
  const all = await Promise.all(rows.map(async ({ says, facts }) => ({ says, said: await claims(facts, '/') })));
  const names = Object.keys(all[0]!.said);
  const same = new Set(names.filter((name) => new Set(all.map(({ said }) => JSON.stringify(said[name]))).size === 1));
  const told = (said: Readonly<Record<string, unknown>>, which: readonly string[]) => which.map((name) => `  ${name} ${JSON.stringify(said[name])}`);
  return [
    'always', ...told(all[0]!.said, names.filter((name) => same.has(name))),
    ...all.flatMap(({ says, said }) => [says, ...told(said, names.filter((name) => !same.has(name)))]),
  ].join('\n') + '\n';
}

if (process.argv.includes('--write')) writeFileSync(file, await matrix());

describe('the claims of tokens', () => {
  test('are in every combination what they were', async () => assert.equal(await matrix(), readFileSync(file, 'utf8')));

  test('do not depend on where the connector lies', async () => {
    for (const { says, facts } of rows) {
      const [account, ...below] = await Promise.all(scopes.map((scope) => claims(facts, scope)));
      for (const other of below) assert.deepEqual(other, account, says);
    }
  });
});
