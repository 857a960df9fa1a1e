/** The texts for each cloud, as they are, and what they make of the token they are for and of others. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectorKind } from '#features/connectors/schema.ts';
import type { ConnectorFacts, ConnectorSpec } from '#features/connectors/schema.ts';
import { trustOf } from './trust.ts';
import type { PreviewedClaims } from './words.ts';

const file = join(import.meta.dirname, 'trust.golden.txt');
const uid = (n: number): string => `01a1fd3b-0000-7000-8000-${String(n).padStart(12, '0')}`;

const specs: Readonly<Record<string, object>> = {
  'Google with a service account': { type: 'gcp_oidc', projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport', serviceAccountEmail: 'deployer@example.iam.gserviceaccount.com' },
  'Google without one': { type: 'gcp_oidc', projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' },
  AWS: { type: 'aws_oidc', roleArn: 'arn:aws:iam::123456789012:role/deploy' },
  'AWS with session tags': { type: 'aws_oidc', roleArn: 'arn:aws-us-gov:iam::123456789012:role/deploy', sessionTags: ['project_id', 'environment_type', 'service_id'] },
  Azure: { type: 'azure_oidc', tenantId: '8f2c1f3a-6f5d-4c7e-9b1a-2d3e4f5a6b7c', clientId: '1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d' },
  Vault: { type: 'vault_jwt', address: 'https://vault.example:8200', role: 'deploy', namespace: 'teams/payments' },
  Kubernetes: { type: 'kubernetes_oidc', server: 'https://10.0.0.1:6443', audience: 'https://cluster.example' },
  'a verifier': { type: 'jwt', audiences: ['https://partner.example', 'https://second.example'], algorithm: 'ES256' },
};

function connector(spec: object): { spec: ConnectorSpec; audience: string } {
  const parsed = connectorKind(() => []).spec.parse(spec) as ConnectorSpec;
  const facts = connectorKind(() => []).facts!({ spec: parsed } as never) as ConnectorFacts;
  return { spec: parsed, audience: facts.audiences[0]! };
}

function claims(audience: string, changed: object = {}): PreviewedClaims {
  return {
    iss: 'https://sallyport.example/accounts/default', aud: audience, sub: `prj:${uid(3)}:ppl:${uid(4)}:env:${uid(7)}`,
    project_id: 'checkout', project_uid: uid(3), pipeline_id: 'recover', pipeline_uid: uid(4), environment_id: 'prod', environment_uid: uid(7), environment_type: 'Production', service_id: null,
    ...changed,
  };
}

const wishFor = (spec: object, changed: object = {}) => {
  const made = connector(spec);
  return { spec: made.spec, claims: claims(made.audience, changed), connector: 'payments/cloud' };
};

function golden(): string {
  return Object.entries(specs).map(([says, spec]) => [`=== ${says}`, ...trustOf(wishFor(spec)).parts.map(({ title, format, text }) => `--- ${title} (${format})\n${text}`)].join('\n')).join('\n');
}

if (process.argv.includes('--write')) writeFileSync(file, golden());

test('the texts for the other side are what they were', () => assert.equal(golden(), readFileSync(file, 'utf8')));

describe('what is configured', () => {
  const others: [says: string, changed: object][] = [
    ['another project', { project_uid: uid(30), sub: `prj:${uid(30)}:ppl:${uid(4)}:env:${uid(7)}` }],
    ['another pipeline', { pipeline_uid: uid(40), sub: `prj:${uid(3)}:ppl:${uid(40)}:env:${uid(7)}` }],
    ['another environment', { environment_uid: uid(70), sub: `prj:${uid(3)}:ppl:${uid(4)}:env:${uid(70)}` }],
    ['a stage without an environment', { environment_uid: null, environment_id: null, environment_type: null, sub: `prj:${uid(3)}:ppl:${uid(4)}` }],
    ['another issuer', { iss: 'https://sallyport.example/accounts/other' }],
    ['another audience', { aud: 'https://other.example' }],
  ];
  for (const [says, spec] of Object.entries(specs)) {
    test(`for ${says} takes the token it is for, and none of another stage, issuer or audience`, () => {
      const wish = wishFor(spec);
      const { check } = trustOf(wish);
      assert.deepEqual(check(wish.claims).filter(({ matches }) => !matches), []);
      for (const [other, changed] of others) assert.ok(check(claims(wish.claims.aud, changed)).some(({ matches }) => !matches), other);
    });
  }

  test('is said where it cannot be: an issuer that AWS cannot ask by https', () => {
    const wish = wishFor(specs['AWS']!, { iss: 'http://127.0.0.1:8420/accounts/default' });
    assert.deepEqual(trustOf(wish).check(wish.claims).filter(({ matches }) => !matches).map(({ what }) => what), ['issuer']);
  });

  test('holds nothing that a shell would run', () => {
    const wish = wishFor(specs['AWS']!, { iss: "https://sallyport.example/accounts/x'$(id)" });
    assert.match(trustOf(wish).parts[0]!.text, /--url 'https:\/\/sallyport\.example\/accounts\/x'\\''\$\(id\)'/);
  });
});
