import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxSubjectBytes } from '#features/connectors/schema.ts';
import { claimNames, claimsOf, subjectOf } from './claims.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';

const uid = (n: number): string => `01a1fd3b-0000-7000-8000-${String(n).padStart(12, '0')}`;

const ci: ExecutionFacts = {
  account: { identifier: 'default', uid: uid(1), name: null },
  organization: { identifier: 'payments', uid: uid(2), name: 'Payments' },
  project: { identifier: 'checkout', uid: uid(3), name: null },
  pipeline: { identifier: 'recover', uid: uid(4), name: 'Recover' },
  executionId: uid(5),
  stage: { identifier: 'build', type: 'CI' },
  step: { identifier: 'hello', type: 'Run' },
  environment: null,
  service: null,
  trigger: { type: 'MANUAL' },
  triggeredBy: { type: 'user', id: uid(6), name: 'alice', email: 'alice@example.com' },
  origin: null,
};

const parameters = {
  issuer: 'https://sallyport.example/accounts/default', audience: 'https://partner.example', tokenId: uid(9), nowSeconds: 1_700_000_000, ttlSeconds: 600,
  connector: { identifier: 'partner', name: null },
};

const deploy: ExecutionFacts = {
  ...ci,
  stage: { identifier: 'deploy', type: 'Deployment' },
  environment: { identifier: 'prod', uid: uid(7), name: null, type: 'Production' },
  service: { identifier: 'web', uid: uid(8), name: 'Web' },
};

for (const [name, facts] of [['a CI stage', ci], ['a deploy stage', deploy], ['nothing but the pipeline', { ...ci, stage: null, step: null }]] as const) {
  test(`every claim is there in ${name}, and none is undefined`, () => {
    const claims = claimsOf(facts, parameters);
    assert.deepEqual(Object.keys(claims).toSorted(), claimNames.toSorted());
    assert.ok(Object.values(claims).every((value) => value !== undefined));
  });
}

test('a CI stage has no environment and no service: null, not absent and not empty', () => {
  const claims = claimsOf(ci, parameters);
  for (const name of ['environment_id', 'environment_uid', 'environment_type', 'service_id', 'service_name', 'origin'] as const) assert.equal(claims[name], null, name);
});

test('a deploy stage names its environment and service', () => {
  const claims = claimsOf(deploy, parameters);
  assert.deepEqual([claims['environment_id'], claims['environment_type'], claims['service_id'], claims['service_name']], ['prod', 'Production', 'web', 'Web']);
});

test('a workload that started the run is told by its outside identity', () => {
  const origin = { issuer: 'https://app.terraform.io', subject: 'organization:o', sessionId: uid(10) };
  assert.deepEqual(claimsOf({ ...ci, origin }, parameters)['origin'], { iss: origin.issuer, sub: origin.subject, session_id: origin.sessionId });
});

test('the longest subject fits what Google takes', () => {
  assert.ok(Buffer.byteLength(subjectOf(deploy)) <= maxSubjectBytes);
});

test('the subject tells pipelines and environments apart and says nothing of the execution', () => {
  assert.notEqual(subjectOf(ci), subjectOf(deploy));
  assert.equal(subjectOf({ ...ci, executionId: uid(99) }), subjectOf(ci));
});
