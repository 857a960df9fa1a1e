/** What a step is given by its `identities`, decided when it begins and again whenever it asks. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AttemptRef, StepPayload } from '#features/runners/schema.ts';
import { startGcp } from '#test/parties/gcp.ts';
import type { Gcp } from '#test/parties/gcp.ts';
import { startVault } from '#test/parties/vault.ts';
import type { Cloud } from '#test/parties/cloud.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { auditMark } from './audit-rows.ts';
import { makeToken } from './principals.ts';
import { Runs, checkout, claimsIn, pipeline, runWorld, step } from './runs.ts';
import type { Manifest } from './runs.ts';

const provider = { projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' };
const gcpName = '//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/delivery/providers/sallyport';
const email = 'deployer@example.iam.gserviceaccount.com';
const [tenantId, clientId] = ['8f2c1f3a-6f5d-4c7e-9b1a-2d3e4f5a6b7c', '1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d'];
const arn = 'arn:aws:iam::123456789012:role/deploy';

let server: TestServer;
let runs: Runs;
let gcp: Gcp;
let vault: Cloud;

before(async () => {
  [gcp, vault] = await Promise.all([
    startGcp({ ...provider, serviceAccounts: { [email]: () => true } }),
    startVault({ mount: 'jwt', name: 'deploy', audience: () => vault.url, boundClaims: () => true }),
  ]);
  server = await startTestServer({ settings: { allowPrivateOrigin: [gcp.url, vault.url], cloudEndpoint: [`gcp_sts=${gcp.url}`, `gcp_iam_credentials=${gcp.url}`] } });
  for (const cloud of [gcp, vault]) cloud.trust(`${server.url}/accounts/default`);
  runs = new Runs(server);
  const connector = (identifier: string, spec: object) => ({ kind: 'Connector', identifier, spec: { ...spec, usableFrom: ['payments/**'] } });
  await server.apply([
    ...runWorld,
    connector('gcp', { type: 'gcp_oidc', ...provider, serviceAccountEmail: email, accessTokenLifetime: '30m', ttl: '5m' }),
    connector('aws', { type: 'aws_oidc', roleArn: arn, region: 'eu-central-1' }),
    connector('azure', { type: 'azure_oidc', tenantId, clientId }),
    connector('vault', { type: 'vault_jwt', address: vault.url, role: 'deploy', namespace: 'teams/a' }),
    connector('cluster', { type: 'kubernetes_oidc', server: 'https://10.0.0.1:6443', certificateAuthority: '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n' }),
    connector('deploys', { type: 'jwt', audiences: ['https://deploys.example'], mintPolicy: { stageTypes: ['Deployment'] } }),
    connector('tricky', { type: 'kubernetes_oidc', server: 'https://attacker.example/${SALLYPORT_TOKEN_SECRET}' }),
    { kind: 'ServiceAccount', identifier: 'ci', spec: {} },
    { kind: 'RoleBinding', scope: checkout, identifier: 'ci', spec: { principal: { type: 'service_account', id: 'account.ci' }, role: 'project_admin', resourceGroup: 'all_project_level_resources' } },
  ]);
});
after(() => Promise.all([gcp, vault].map((cloud) => cloud.stop())));

let named = 0;

type Identities = Readonly<Record<string, object>>;

function withIdentities(identities: Identities, env: Record<string, string> = {}): Manifest {
  const { step: one } = step('go', { env }) as { step: Manifest };
  return { step: { ...one, identities } };
}

interface Begun {
  readonly ref: AttemptRef;
  readonly payload: StepPayload;
  readonly run: Awaited<ReturnType<Runs['start']>>;
}

async function begun(identities: Identities, { env, token }: { readonly env?: Record<string, string>; readonly token?: string } = {}): Promise<Begun> {
  const identifier = `i${++named}`;
  await server.apply([pipeline(identifier, { build: [withIdentities(identities, env)] })]);
  const run = await runs.start(identifier, token === undefined ? {} : { token });
  const ref = await runs.lease();
  assert(ref !== null, 'there is no step to do');
  return { ref, payload: await runs.payload(ref), run };
}

async function given(identities: Identities) {
  const { ref, payload } = await begun(identities);
  await runs.begin(ref);
  await runs.end(ref);
  const { environment, files, asked } = payload.identities!;
  return { payload, environment, asked, files: new Map(files.map((file) => [file.name, file])) };
}

const isMasked = ({ secrets }: StepPayload, value: string): boolean => secrets.some((secret) => secret.value === value);

describe('what tools read', () => {
  test('of a partner is the token, in the variable of the identity', async () => {
    const { environment, payload, asked, files } = await given({ PARTNER: { connector: 'account.partner' } });
    assert.deepEqual([claimsIn(environment['PARTNER'])['aud'], claimsIn(environment['PARTNER'])['step_id']], ['https://partner.example', 'go']);
    assert.ok(isMasked(payload, environment['PARTNER']!));
    assert.deepEqual(asked.map(({ audience }) => audience), ['https://partner.example', 'https://second.example']);
    assert.equal(files.size, 0);
  });

  test('for several audiences is a variable of each, and nothing else may be asked for', async () => {
    const { environment, asked } = await given({ PARTNER: { connector: 'account.partner', audience: ['https://partner.example', 'https://second.example'] } });
    assert.deepEqual(Object.keys(environment), ['PARTNER__HTTPS___PARTNER_EXAMPLE', 'PARTNER__HTTPS___SECOND_EXAMPLE']);
    assert.equal(claimsIn(environment['PARTNER__HTTPS___SECOND_EXAMPLE'])['aud'], 'https://second.example');
    assert.equal(asked.length, 2);
  });

  test('of Google is an access token for gcloud, and a key file with a token file for its libraries', async () => {
    const { environment, files, payload } = await given({ GOOGLE: { connector: 'account.gcp' } });
    assert.equal(gcp.holder(environment['CLOUDSDK_AUTH_ACCESS_TOKEN']!), email);
    assert.ok(isMasked(payload, environment['CLOUDSDK_AUTH_ACCESS_TOKEN']!));
    assert.equal(environment['GOOGLE_APPLICATION_CREDENTIALS'], '${SALLYPORT_FILES}/GOOGLE.google.json');
    assert.deepEqual(JSON.parse(files.get('GOOGLE.google.json')!.content), {
      type: 'external_account', audience: gcpName, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_url: `${gcp.url}/v1/token`,
      service_account_impersonation_url: `${gcp.url}/v1/projects/-/serviceAccounts/${encodeURIComponent(email)}:generateAccessToken`,
      service_account_impersonation: { token_lifetime_seconds: 1_800 },
      credential_source: { file: '${SALLYPORT_FILES}/GOOGLE.jwt', format: { type: 'text' } },
    });
    const token = files.get('GOOGLE.jwt')!;
    assert.equal(claimsIn(token.content)['aud'], `https:${gcpName}`);
    assert.ok(isMasked(payload, token.content));
    assert.ok(token.of!.lifeMs > 290_000 && token.of!.lifeMs <= 300_000);
  });

  test('of Google asks the endpoint of the step where that alone is given', async () => {
    const { environment, files } = await given({ GOOGLE: { connector: 'account.gcp', as: ['endpoint'] } });
    assert.deepEqual(Object.keys(environment), ['GOOGLE_APPLICATION_CREDENTIALS']);
    assert.deepEqual([...files.keys()], ['GOOGLE.google.json']);
    assert.deepEqual(JSON.parse(files.get('GOOGLE.google.json')!.content).credential_source, {
      url: `\${SALLYPORT_TOKEN_URL}&audience=${encodeURIComponent(`https:${gcpName}`)}`,
      headers: { Authorization: 'Bearer ${SALLYPORT_TOKEN_SECRET}' }, format: { type: 'json', subject_token_field_name: 'value' },
    });
  });

  test('of AWS is a role and a token file', async () => {
    const { environment, files } = await given({ AWS: { connector: 'account.aws' } });
    const { AWS_ROLE_SESSION_NAME: session, ...rest } = environment;
    assert.deepEqual(rest, { AWS_ROLE_ARN: arn, AWS_WEB_IDENTITY_TOKEN_FILE: '${SALLYPORT_FILES}/AWS.jwt', AWS_REGION: 'eu-central-1' });
    assert.match(session!, /^sallyport-[0-9a-f-]{36}$/);
    assert.equal(claimsIn(files.get('AWS.jwt')!.content)['aud'], 'sts.amazonaws.com');
  });

  test('of Azure is an application and a token file', async () => {
    const { environment } = await given({ AZURE: { connector: 'account.azure' } });
    assert.deepEqual(environment, { AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: tenantId, AZURE_FEDERATED_TOKEN_FILE: '${SALLYPORT_FILES}/AZURE.jwt', AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/' });
  });

  test('of Vault is its address and a token of its own', async () => {
    const { environment, payload } = await given({ VAULT: { connector: 'account.vault' } });
    assert.deepEqual([environment['VAULT_ADDR'], environment['VAULT_NAMESPACE']], [vault.url, 'teams/a']);
    assert.ok(isMasked(payload, environment['VAULT_TOKEN']!));
  });

  test('of kubectl is a configuration whose credential says when it ends', async () => {
    const { environment, files } = await given({ CLUSTER: { connector: 'account.cluster' } });
    assert.deepEqual(environment, { KUBECONFIG: '${SALLYPORT_FILES}/CLUSTER.kubeconfig' });
    const { users, clusters } = JSON.parse(files.get('CLUSTER.kubeconfig')!.content);
    assert.deepEqual(users[0].user.exec, { apiVersion: 'client.authentication.k8s.io/v1', command: 'cat', args: ['${SALLYPORT_FILES}/CLUSTER.credential.json'], interactiveMode: 'Never' });
    assert.equal(clusters[0].cluster.server, 'https://10.0.0.1:6443');
    const { status } = JSON.parse(files.get('CLUSTER.credential.json')!.content);
    assert.equal(Date.parse(status.expirationTimestamp) / 1_000, claimsIn(status.token)['exp']);
  });
});

describe('a step that runs', () => {
  const wish = { identity: 'GOOGLE', audience: `https:${gcpName}` };

  test('is given a new token and the files made of it, with a row in the ledger and one in the audit', async () => {
    const { ref, payload, run } = await begun({ GOOGLE: { connector: 'account.gcp', as: ['file'] } });
    await runs.begin(ref);
    const rowsSince = await auditMark(server);
    const made = await server.app.desk.token(ref, wish, runs.now());
    assert.deepEqual(made.files, [{ name: 'GOOGLE.jwt', content: made.token }]);
    assert.deepEqual(made.secrets.map(({ value }) => value), [made.token]);
    const { jti, execution_id: execution } = claimsIn(made.token);
    assert.equal(execution, run.id);
    assert.notEqual(jti, claimsIn(payload.identities!.files.find(({ name }) => name === 'GOOGLE.jwt')!.content)['jti']);
    assert.deepEqual((await rowsSince()).map(({ action, detail }) => [action, (detail as { jti: string }).jti]), [['token.mint', jti]]);
    assert.equal((await server.sql('select id from minted_token where id = $1', [jti])).length, 1);
    await runs.end(ref);
  });

  test('is given the same values again when its runner asks for the payload again', async () => {
    const { ref, payload } = await begun({ GOOGLE: { connector: 'account.gcp' } });
    const again = await runs.payload(ref);
    assert.deepEqual(again.identities!.environment, payload.identities!.environment);
    assert.deepEqual(again.identities!.files.map(({ content }) => content), payload.identities!.files.map(({ content }) => content));
    await runs.begin(ref);
    await runs.end(ref);
  });

  test('is given nothing when it has ended, nor under another lease', async () => {
    const { ref } = await begun({ GOOGLE: { connector: 'account.gcp' } });
    await runs.begin(ref);
    await assert.rejects(server.app.desk.token({ ...ref, fence: ref.fence + 1 }, wish, runs.now()), { code: 'runner.stale_fence' });
    await runs.end(ref);
    await assert.rejects(server.app.desk.token(ref, wish, runs.now()), { code: 'runner.stale_fence' });
  });

  const refused: readonly (readonly [says: string, identity: string, audience: string])[] = [
    ['an audience the connector has not', 'PARTNER', 'https://elsewhere.example'],
    ['an audience of the connector that its identity leaves out', 'PARTNER', 'https://second.example'],
    ['an identity it has not', 'OTHER', 'https://partner.example'],
    ['an identity that is not asked for at run time', 'FIXED', 'https://partner.example'],
    ['`__proto__`', '__proto__', 'https://partner.example'],
  ];
  for (const [says, identity, audience] of refused) {
    test(`is refused ${says}, and the audit has it`, async () => {
      const partner = { connector: 'account.partner', audience: 'https://partner.example' };
      const { ref } = await begun({ PARTNER: partner, FIXED: { ...partner, as: ['variable'] } });
      await runs.begin(ref);
      const rowsSince = await auditMark(server);
      await assert.rejects(server.app.desk.token(ref, { identity, audience }, runs.now()), { code: 'mint.refused' });
      assert.deepEqual((await rowsSince()).map(({ action, outcome }) => [action, outcome]), [['run.use', 'refused']]);
      await runs.end(ref);
    });
  }

  test('is refused a token when its starter has lost the right', async () => {
    const { token } = await makeToken(server, { type: 'service_account', path: 'ci' });
    const { ref } = await begun({ PARTNER: { connector: 'account.partner' } }, { token });
    await runs.begin(ref);
    const ask = () => server.app.desk.token(ref, { identity: 'PARTNER', audience: 'https://partner.example' }, runs.now());
    assert.ok((await ask()).token);
    await server.call({ method: 'DELETE', path: `${server.api}/orgs/payments/projects/checkout/role-bindings/ci` });
    await assert.rejects(ask(), { code: 'access.denied' });
    await runs.end(ref);
  });
});

describe('identities are refused', () => {
  const steps: readonly (readonly [says: string, identities: Identities, text: RegExp, env?: Record<string, string>])[] = [
    ['when the policy of the connector lists other stages', { X: { connector: 'account.deploys' } }, /gives this step no token: it gives tokens to stages of type Deployment/],
    ['when the connector has no such audience', { X: { connector: 'account.partner', audience: 'https://elsewhere.example' } }, /has no audience `https:\/\/elsewhere.example`/],
    ['when two of them would be the same variable', { A: { connector: 'account.aws' }, B: { connector: 'account.aws' } }, /the variable `AWS_ROLE_ARN` is of the identity `B` and of the identity `A`/],
    ['when the step has such a variable already', { AWS: { connector: 'account.aws' } }, /the variable `AWS_ROLE_ARN` is of the identity `AWS` and of the environment of the step/, { AWS_ROLE_ARN: 'other' }],
    ['when the connector speaks to the runner', { X: { connector: 'account.tricky' } }, /means something to runners/],
  ];
  for (const [says, identities, text, env = {}] of steps) {
    test(says, async () => {
      const identifier = `i${++named}`;
      await server.apply([pipeline(identifier, { build: [withIdentities(identities, env)] })]);
      const run = await runs.start(identifier);
      await runs.refusedPayload();
      assert.match(JSON.stringify(await runs.show(run)), text);
    });
  }

  test('at save when the connector is not there', async () => {
    await assert.rejects(server.apply([pipeline('nowhere', { build: [withIdentities({ X: { connector: 'account.nothing' } })] })]), /there is no Connector `account.nothing`/);
  });

  test('at the start when the starter may not use the connector', async () => {
    await server.apply([{ kind: 'Connector', identifier: 'elsewhere', spec: { type: 'jwt', audiences: ['https://x.example'], usableFrom: ['platform/**'] } }, pipeline('uses_it', { build: [withIdentities({ X: { connector: 'account.elsewhere' } })] })]);
    const answer = await runs.tryStart('uses_it');
    assert.equal(answer.status, 403);
    assert.match(JSON.stringify(answer.body), /the run may not use connector `account.elsewhere`/);
  });
});
