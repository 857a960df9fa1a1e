/** Clients of others inside a step, unmodified, with nothing but the variables and files that its identities give it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { systemClock, systemRandomness } from '../src/platform/clock.ts';
import { PrivateFiles } from '../src/runner/private-files.ts';
import { StepIdentities } from '../src/runner/step-identities.ts';
import { Runs, claimsIn, pipeline, runWorld } from '../test/api/runs.ts';
import { startAws } from '../test/parties/aws.ts';
import type { Cloud } from '../test/parties/cloud.ts';
import { startGcp } from '../test/parties/gcp.ts';
import type { Gcp } from '../test/parties/gcp.ts';
import { startTestServer } from '../test/server.ts';
import type { TestServer } from '../test/server.ts';

const provider = { projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' };
const email = 'deployer@example.iam.gserviceaccount.com';
const arn = 'arn:aws:iam::123456789012:role/deploy';
const usableFrom = ['payments/**'];

let gcp: Gcp;
let aws: Cloud;
let server: TestServer;
let runs: Runs;
const ends: (() => Promise<void> | void)[] = [];

before(async () => {
  [gcp, aws] = await Promise.all([
    startGcp({ ...provider, condition: ({ project_id: project }) => project === 'checkout', serviceAccounts: { [email]: () => true } }),
    startAws([{ arn, audience: 'sts.amazonaws.com', trusts: ({ step_id: step }) => step === 'go', maxSeconds: 3_600 }]),
  ]);
  server = await startTestServer({ settings: { allowPrivateOrigin: [gcp.url, aws.url], cloudEndpoint: [`gcp_sts=${gcp.url}`, `gcp_iam_credentials=${gcp.url}`, `aws_sts=${aws.url}`] } });
  for (const cloud of [gcp, aws]) cloud.trust(`${server.url}/accounts/default`);
  runs = new Runs(server);
  await server.apply([
    ...runWorld,
    { kind: 'Connector', identifier: 'gcp', spec: { type: 'gcp_oidc', ...provider, usableFrom } },
    { kind: 'Connector', identifier: 'gcp_sa', spec: { type: 'gcp_oidc', ...provider, serviceAccountEmail: email, usableFrom } },
    { kind: 'Connector', identifier: 'aws', spec: { type: 'aws_oidc', roleArn: arn, region: 'eu-central-1', usableFrom } },
  ]);
});
after(() => Promise.all([gcp, aws].map((cloud) => cloud.stop())));
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

let named = 0;

/** The step's variables become those of this process, its files are as its runner writes them, until the test ends. */
async function insideStep(identities: object): Promise<void> {
  const identifier = `clients${++named}`;
  await server.apply([pipeline(identifier, { build: [{ step: { identifier: 'go', type: 'Run', identities, spec: { command: 'true' } } }] })]);
  await runs.start(identifier);
  const ref = await runs.lease();
  assert(ref !== null, 'there is no step to do');
  const { identities: given } = await runs.payload(ref);
  await runs.begin(ref);
  const root = mkdtempSync(join(tmpdir(), 'sp-clients-'));
  const directory = join(root, 'files');
  const step = await StepIdentities.open({
    given: given!, givenAtMs: systemClock.monotonicMs(), clock: systemClock, randomness: systemRandomness, directory,
    ask: (wish) => server.app.desk.token(ref, wish, runs.now()), learn: async () => {},
  });
  const files = await PrivateFiles.create(directory, null);
  for (const [name, content] of step.files) await files.write(name, content);
  step.keep(files);
  Object.assign(process.env, step.environment);
  ends.push(async () => {
    for (const name of Object.keys(step.environment)) delete process.env[name];
    await step.close();
    await runs.end(ref);
    rmSync(root, { recursive: true, force: true });
  });
}

describe('google-auth-library', () => {
  const rows = [
    ['with the key file and the token file, as a service account', { GOOGLE: { connector: 'account.gcp_sa', as: ['file'] } }, email],
    ['with the key file and the endpoint of the step, as a service account', { GOOGLE: { connector: 'account.gcp_sa', as: ['endpoint'] } }, email],
    ['with the key file and the token file, as the step itself', { GOOGLE: { connector: 'account.gcp' } }, null],
  ] as const;
  for (const [says, identities, holder] of rows) {
    test(`gets an access token ${says}`, async (t) => {
      const library = await import('google-auth-library').catch(() => null);
      if (library === null) return t.skip('needs: `npm ci` in interop');
      await insideStep(identities);
      const auth = new library.GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform', projectId: 'any' });
      const found = gcp.holder((await auth.getAccessToken())!);
      if (holder === null) assert.match(found!, /^prj:[0-9a-f-]{36}:ppl:/);
      else assert.equal(found, holder);
    });
  }
});

test('the AWS SDK gets credentials of a role with the token file', async (t) => {
  const library = await import('@aws-sdk/credential-providers').catch(() => null);
  if (library === null) return t.skip('needs: `npm ci` in interop');
  await insideStep({ AWS: { connector: 'account.aws' } });
  const { accessKeyId, sessionToken } = await library.fromTokenFile({ clientConfig: { region: process.env['AWS_REGION'] } })();
  assert.match(accessKeyId, /^ASIA/);
  assert.ok(sessionToken!.length > 100);
  assert.equal(aws.believed.at(-1)!['step_id'], 'go');
});

test('`@actions/core` gets a token for the audience it asks for, and no other', async (t) => {
  const core = await import('@actions/core').catch(() => null);
  if (core === null) return t.skip('needs: `npm ci` in interop');
  await insideStep({ PARTNER: { connector: 'account.partner', as: ['endpoint'] } });
  assert.equal(claimsIn(await core.getIDToken('https://second.example'))['aud'], 'https://second.example');
  await assert.rejects(core.getIDToken('https://elsewhere.example'));
});
