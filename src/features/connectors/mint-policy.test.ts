import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import type { MintPolicy } from './mint-policy.ts';
import { againstPolicy, mintPolicy } from './mint-policy.ts';

const named = (identifier: string) => ({ identifier, uid: `uid of ${identifier}`, name: null });

const ci: ExecutionFacts = {
  account: named('default'), organization: named('payments'), project: named('checkout'), pipeline: named('recover'), executionId: 'e',
  stage: { identifier: 'build', type: 'CI' }, step: { identifier: 's', type: 'Run' }, environment: null, service: null,
  trigger: { type: 'MANUAL' }, triggeredBy: { type: 'user', id: 'u', name: null, email: null }, origin: null,
};
const deploy: ExecutionFacts = { ...ci, stage: { identifier: 'deploy', type: 'Deployment' }, environment: { ...named('prod'), type: 'Production' } };

const rows: readonly (readonly [says: string, policy: MintPolicy | undefined, facts: ExecutionFacts, allowed: boolean])[] = [
  ['without a policy every step is given tokens', undefined, ci, true],
  ['an empty policy says nothing', {}, ci, true],
  ['a stage of a listed type', { stageTypes: ['CI'] }, ci, true],
  ['a stage of another type', { stageTypes: ['Deployment'] }, ci, false],
  ['no type listed is nobody', { stageTypes: [] }, ci, false],
  ['no stage is of no type', { stageTypes: ['CI'] }, { ...ci, stage: null }, false],
  ['a listed pipeline', { pipelines: ['payments/checkout/recover'] }, ci, true],
  ['another pipeline', { pipelines: ['payments/checkout/other'] }, ci, false],
  ['a pipeline of the same name elsewhere', { pipelines: ['payments/ledger/recover'] }, ci, false],
  ['all pipelines of the project', { pipelines: ['payments/checkout/*'] }, ci, true],
  ['all pipelines of a project whose name begins alike', { pipelines: ['payments/check/*'] }, ci, false],
  ['all pipelines of the organization', { pipelines: ['payments/**'] }, ci, true],
  ['all pipelines of an organization whose name begins alike', { pipelines: ['pay/**'] }, ci, false],
  ['all pipelines', { pipelines: ['**'] }, ci, true],
  ['a listed environment', { environments: ['payments/checkout/prod'] }, deploy, true],
  ['another environment', { environments: ['payments/checkout/staging'] }, deploy, false],
  ['a stage without an environment is in none', { environments: ['**'] }, ci, false],
  ['an environment of a listed type', { environmentTypes: ['Production'] }, deploy, true],
  ['an environment of another type', { environmentTypes: ['PreProduction'] }, deploy, false],
  ['a stage without an environment is of no type', { environmentTypes: ['Production', 'PreProduction'] }, ci, false],
  ['every list must have it', { stageTypes: ['Deployment'], environments: ['payments/checkout/staging'] }, deploy, false],
];

describe('the mint policy of a connector', () => {
  for (const [says, policy, facts, allowed] of rows) {
    test(`${allowed ? 'lets through' : 'stops'}: ${says}`, () => assert.equal(againstPolicy(policy, facts) === null, allowed));
  }
  for (const text of ['', '/', '*', 'payments', 'payments/*/recover', '../x/y', 'a//b', 'payments/checkout/recover/**/x', '__proto__/**/']) {
    test(`takes no \`${text}\` for the path of a pipeline`, () => assert.equal(mintPolicy.safeParse({ pipelines: [text] }).success, false));
  }
});
