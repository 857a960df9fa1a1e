/** What steps are given of the clouds, which stand in as servers that verify our tokens as the real ones do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { startAws } from '#test/parties/aws.ts';
import { startAzure } from '#test/parties/azure.ts';
import type { Cloud, CloudTrick } from '#test/parties/cloud.ts';
import type { Gcp } from '#test/parties/gcp.ts';
import { startGcp } from '#test/parties/gcp.ts';
import { startVault } from '#test/parties/vault.ts';
import { auditMark } from './audit-rows.ts';
import { Runs, pipeline, runWorld, step } from './runs.ts';
import type { StepWish } from './runs.ts';

const email = 'deployer@example.iam.gserviceaccount.com';
const arn = 'arn:aws:iam::123456789012:role/deploy';
const [tenantId, clientId] = ['8f2c1f3a-6f5d-4c7e-9b1a-2d3e4f5a6b7c', '1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d'];
const provider = { projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' };
const usableFrom = ['payments/**'];

let gcp: Gcp;
let aws: Cloud;
let azure: Cloud;
let vault: Cloud;
let server: TestServer;
let runs: Runs;
let trusted = (_claims: Record<string, unknown>): boolean => true;

before(async () => {
  [gcp, aws, azure, vault] = await Promise.all([
    startGcp({ ...provider, condition: (claims) => trusted(claims), serviceAccounts: { [email]: (subject) => subject.startsWith('prj:') && trusted({}), 'nobody@example.iam.gserviceaccount.com': () => false } }),
    startAws([{ arn, audience: 'sts.amazonaws.com', trusts: (claims) => trusted(claims), maxSeconds: 3_600 }]),
    startAzure({ tenantId, clientId, audience: 'api://AzureADTokenExchange', subject: (sub) => trusted({ sub }) }),
    startVault({ mount: 'jwt', name: 'deploy', audience: () => vault.url, boundClaims: (claims) => trusted(claims) }),
  ]);
  const clouds = [gcp, aws, azure, vault];
  server = await startTestServer({
    settings: {
      allowPrivateOrigin: clouds.map(({ url }) => url),
      cloudEndpoint: [`gcp_sts=${gcp.url}`, `gcp_iam_credentials=${gcp.url}`, `aws_sts=${aws.url}/`, `azure_authority=${azure.url}`],
    },
  });
  for (const cloud of clouds) cloud.trust(`${server.url}/accounts/default`);
  runs = new Runs(server);
  const connector = (identifier: string, spec: object) => ({ kind: 'Connector', identifier, spec: { ...spec, usableFrom } });
  await server.apply([
    ...runWorld,
    connector('gcp', { type: 'gcp_oidc', ...provider }),
    connector('gcp_sa', { type: 'gcp_oidc', ...provider, serviceAccountEmail: email, accessTokenLifetime: '30m' }),
    connector('gcp_long', { type: 'gcp_oidc', ...provider, serviceAccountEmail: email, accessTokenLifetime: '12h' }),
    connector('gcp_nobody', { type: 'gcp_oidc', ...provider, serviceAccountEmail: 'nobody@example.iam.gserviceaccount.com' }),
    connector('gcp_gone', { type: 'gcp_oidc', ...provider, serviceAccountEmail: 'gone@example.iam.gserviceaccount.com' }),
    connector('gcp_deploys', { type: 'gcp_oidc', ...provider, mintPolicy: { stageTypes: ['Deployment'] } }),
    connector('gcp_elsewhere', { type: 'gcp_oidc', ...provider, poolId: 'other' }),
    connector('aws', { type: 'aws_oidc', roleArn: arn, sessionTags: ['project_id', 'environment_type', 'step_id'] }),
    connector('aws_long', { type: 'aws_oidc', roleArn: arn, sessionDuration: '12h' }),
    connector('aws_other', { type: 'aws_oidc', roleArn: arn, audience: 'https://another.example' }),
    connector('azure', { type: 'azure_oidc', tenantId, clientId, scopes: ['https://vault.azure.net/.default', 'https://unknown.example/.default'] }),
    connector('vault', { type: 'vault_jwt', address: vault.url, role: 'deploy', namespace: 'teams/a' }),
    connector('vault_nobody', { type: 'vault_jwt', address: vault.url, role: 'nobody' }),
  ]);
});
after(() => Promise.all([gcp, aws, azure, vault].map((cloud) => cloud.stop())));

let named = 0;

/** The environment a step is given. */
async function given(env: Record<string, string>): Promise<Readonly<Record<string, string>>> {
  const { payload } = await started([step('go', { env })]);
  return payload.environment;
}

async function started(build: ReturnType<typeof step>[]) {
  const identifier = `p${++named}`;
  await server.apply([pipeline(identifier, { build })]);
  const run = await runs.start(identifier);
  return { run, payload: await runs.nextPayload() };
}

/** What a person is told of a step that was not given what it asked for. */
async function refusal(env: StepWish['env'] & {}): Promise<string> {
  const identifier = `p${++named}`;
  await server.apply([pipeline(identifier, { build: [step('go', { env })] })]);
  const run = await runs.start(identifier);
  await runs.refusedPayload();
  const shown = JSON.stringify(await runs.show(run));
  assert.ok(!shown.includes('eyJ'), 'the token is in what is shown');
  return shown;
}

describe('a step is given', () => {
  test('a federated token of Google Cloud', async () => {
    const { TOKEN } = await given({ TOKEN: '<+secrets.getGCPAccessToken("account.gcp")>' });
    assert.match(gcp.holder(TOKEN!)!, /^prj:[0-9a-f-]{36}:ppl:[0-9a-f-]{36}$/);
  });

  test('a token of the service account its connector names', async () => {
    const { TOKEN } = await given({ TOKEN: '<+secrets.getGCPAccessToken("account.gcp_sa")>' });
    assert.equal(gcp.holder(TOKEN!), email);
    assert.equal(JSON.parse(gcp.requests.at(-1)!.body).lifetime, '1800s');
  });

  test('credentials of a role of AWS, field by field, of one trade, with session tags of its claims', async () => {
    const before_ = aws.requests.length;
    const c = '<+secrets.getAWSCredentials("account.aws")';
    const environment = await given({ AWS_ACCESS_KEY_ID: `${c}.accessKeyId>`, AWS_SECRET_ACCESS_KEY: `${c}.secretAccessKey>`, AWS_SESSION_TOKEN: `${c}.sessionToken>`, UNTIL: `${c}.expiration>` });
    assert.match(environment['AWS_ACCESS_KEY_ID']!, /^ASIA/);
    assert.ok(environment['AWS_SECRET_ACCESS_KEY']!.length > 20 && environment['AWS_SESSION_TOKEN']!.length > 100);
    assert.match(environment['UNTIL']!, /^\d{4}-.*Z$/);
    assert.equal(aws.requests.length - before_, 1);
    assert.deepEqual(aws.believed.at(-1)!['https://aws.amazon.com/tags'], { principal_tags: { project_id: ['checkout'], environment_type: [''], step_id: ['go'] } });
    assert.match(new URLSearchParams(aws.requests.at(-1)!.body).get('RoleSessionName')!, /^sallyport-[0-9a-f-]{36}$/);
  });

  test('an access token of Azure, for the first scope of the connector', async () => {
    const { TOKEN } = await given({ TOKEN: '<+secrets.getAzureAccessToken("account.azure")>' });
    assert.match(TOKEN!, /^eyJ\./);
    assert.equal(new URLSearchParams(azure.requests.at(-1)!.body).get('scope'), 'https://vault.azure.net/.default');
  });

  test('a token of Vault, from its namespace', async () => {
    const { TOKEN } = await given({ TOKEN: '<+secrets.getVaultToken("account.vault")>' });
    assert.match(TOKEN!, /^hvs\./);
    assert.equal(vault.requests.at(-1)!.headers['x-vault-namespace'], 'teams/a');
  });

  test('values that its masker knows', async () => {
    const { payload } = await started([step('go', { env: { K: '<+secrets.getAWSCredentials("account.aws").secretAccessKey>' } })]);
    assert.ok(payload.secrets.some(({ value }) => value === payload.environment['K']));
  });
});

describe('a trade', () => {
  test('is made once for a step, however often it is delivered, and anew for another step', async () => {
    const before_ = gcp.requests.length;
    const env = { TOKEN: '<+secrets.getGCPAccessToken("account.gcp")>' };
    const { payload } = await started([step('one', { env }), step('two', { env })]);
    const second = await runs.nextPayload();
    assert.notEqual(payload.environment['TOKEN'], second.environment['TOKEN']);
    assert.equal(gcp.requests.length - before_, 2);
  });

  test('leaves a row in the ledger and one in the audit, and neither has a token', async () => {
    const rowsSince = await auditMark(server);
    await given({ TOKEN: '<+secrets.getGCPAccessToken("account.gcp_sa")>' });
    const rows = (await rowsSince()).filter(({ action }) => action === 'token.mint');
    assert.equal(rows.length, 1);
    const { jti, traded } = rows[0]!.detail as { jti: string; traded: string };
    assert.equal(traded, 'gcp_oidc');
    const ledger = await server.sql<{ audience: string }>('select audience from minted_token where id = $1', [jti]);
    assert.match(ledger[0]!.audience, /^https:\/\/iam\.googleapis\.com\//);
    assert.doesNotMatch(JSON.stringify([rows, ledger]), /ya29|eyJ/);
  });

  test('is tried again when the other side stumbles', async () => {
    vault.trick({ status: 503, body: '{"errors":[]}' }, { status: 429, body: '{}' });
    const { TOKEN } = await given({ TOKEN: '<+secrets.getVaultToken("account.vault")>' });
    assert.match(TOKEN!, /^hvs\./);
  });
});

describe('what is to be mended is told', () => {
  const rows: readonly (readonly [says: string, env: string, text: RegExp, trusts?: boolean])[] = [
    ['Google knows no such pool', '<+secrets.getGCPAccessToken("account.gcp_elsewhere")>', /there is no pool `other` with a provider `sallyport`/],
    ['the condition of the provider does not hold', '<+secrets.getGCPAccessToken("account.gcp")>', /the attribute condition of the provider `sallyport` does not hold/, false],
    ['the service account may not be used', '<+secrets.getGCPAccessToken("account.gcp_nobody")>', /roles\/iam\.workloadIdentityUser/],
    ['the service account is not there', '<+secrets.getGCPAccessToken("account.gcp_gone")>', /there is no service account `gone@/],
    ['the service account gives no token for so long', '<+secrets.getGCPAccessToken("account.gcp_long")>', /more than `1h` needs the policy/],
    ['the trust policy of the role does not hold', '<+secrets.getAWSCredentials("account.aws").accessKeyId>', /the trust policy of `arn:aws:iam::123456789012:role\/deploy` does not allow/, false],
    ['AWS has no provider for the issuer and audience', '<+secrets.getAWSCredentials("account.aws_other").accessKeyId>', /needs an OIDC provider for/],
    ['the role allows no session so long', '<+secrets.getAWSCredentials("account.aws_long").accessKeyId>', /allows no session of 12h/],
    ['the application has no such federated credential', '<+secrets.getAzureAccessToken("account.azure")>', /needs a federated credential with the issuer/, false],
    ['Azure does not know the scope', '<+secrets.getAzureAccessToken("account.azure", "https://unknown.example/.default")>', /a scope of the connector is not known/],
    ['the connector lists no such scope', '<+secrets.getAzureAccessToken("account.azure", "https://graph.microsoft.com/.default")>', /the connector has no scope/],
    ['Vault has no such role', '<+secrets.getVaultToken("account.vault_nobody")>', /the role `nobody` of `auth\/jwt` is not there/],
    ['the policy of the connector lists other stages', '<+secrets.getGCPAccessToken("account.gcp_deploys")>', /the connector `gcp_deploys` gives this step no token: it gives tokens to stages of type Deployment/],
    ['the connector is of another type', '<+secrets.getVaultToken("account.gcp")>', /needs one of type `vault_jwt`/],
  ];
  for (const [says, expression, text, trusts = true] of rows) {
    test(says, async () => {
      trusted = () => trusts;
      try {
        assert.match(await refusal({ X: expression }), text);
      } finally {
        trusted = () => true;
      }
    });
  }
});

describe('a hostile cloud', () => {
  const token = '<+secrets.getGCPAccessToken("account.gcp")>';
  const tricks: readonly (readonly [string, readonly CloudTrick[]])[] = [
    ['that sends us elsewhere is not followed', ['redirect', 'redirect', 'redirect']],
    ['that answers without end is cut short', ['endless', 'endless', 'endless']],
    ['whose answer is no JSON is odd', [{ status: 200, body: '<html>' }]],
    ['whose token would be two variables is odd', [{ status: 200, body: JSON.stringify({ access_token: 'a\nLD_PRELOAD=/x', expires_in: 1 }) }]],
    ['whose token is an object is odd', [{ status: 200, body: JSON.stringify({ access_token: { toString: 'x' } }) }]],
    ['whose token is empty is odd', [{ status: 200, body: JSON.stringify({ access_token: '' }) }]],
    ['that repeats our token in its error is not repeated', [{ status: 400, body: JSON.stringify({ error: 'eyJhbGciOiJSUzI1NiJ9', error_description: 'eyJhbGciOiJSUzI1NiJ9' }) }]],
    ['whose error is `__proto__` says nothing', [{ status: 400, body: '{"error":"__proto__"}' }]],
  ];
  for (const [says, said] of tricks) {
    test(says, async () => {
      gcp.trick(...said);
      assert.match(await refusal({ X: token }), /Google (cannot be asked|answered in a form|does not accept)/);
    });
  }

  test('of XML knows no entities of its own', async () => {
    const bomb = '<!DOCTYPE a [<!ENTITY e "AccessDenied">]><ErrorResponse><Error><Code>&e;</Code></Error></ErrorResponse>';
    aws.trick({ status: 403, type: 'text/xml', body: bomb });
    assert.match(await refusal({ X: '<+secrets.getAWSCredentials("account.aws").accessKeyId>' }), /it answered 403 without a reason that is known/);
  });
});
