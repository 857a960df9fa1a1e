/** The trust helper: the claims it previews are those of the tokens, and who may be told. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, claimsIn, pipeline, runWorld, step } from './runs.ts';

interface Trust {
  readonly claims: Record<string, unknown>;
  readonly parts: { readonly title: string; readonly format: string; readonly text: string }[];
  readonly checks: { readonly what: string; readonly matches: boolean }[];
  readonly matches: boolean;
  readonly refused: string | null;
}

let server: TestServer;
let runs: Runs;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  const env = { TOKEN: '<+secrets.getJWT("account.partner")>', BY_ENVIRONMENT: '<+secrets.getJWT("by_environment")>' };
  const given = pipeline('given', { build: [step('b')], deploy: [step('d')] }) as { spec: { pipeline: { stages: { stage: { spec: { environment?: object } } }[] } } };
  given.spec.pipeline.stages[1]!.stage.spec.environment = { environmentRef: '<+input>' };
  await server.apply([
    ...runWorld,
    { kind: 'Connector', scope: checkout, identifier: 'by_environment', spec: { type: 'jwt', audiences: ['https://partner.example'], subject: 'env:{environment_uid}' } },
    { kind: 'Connector', identifier: 'aws', spec: { type: 'aws_oidc', roleArn: 'arn:aws:iam::123456789012:role/deploy', sessionTags: ['project_id', 'step_id'], usableFrom: ['payments/**'], mintPolicy: { stageTypes: ['Deployment'] } } },
    { kind: 'Connector', identifier: 'elsewhere', spec: { type: 'jwt', audiences: ['https://partner.example'], usableFrom: ['platform/**'] } },
    pipeline('asks', { build: [step('b', { env: { TOKEN: env.TOKEN } })], deploy: [step('d', { env })] }),
    pipeline('alone', { build: [step('b')] }),
    given,
  ]);
});

const ask = (connector: string, body: object, { scope = '/', token }: { scope?: string; token?: string } = {}) =>
  server.call({ method: 'POST', path: `${scopeApi(server, scope)}/connectors/${connector}/trust`, body: body as Record<string, unknown>, ...(token === undefined ? {} : { token }) });

async function trust(connector: string, body: object, scope = '/'): Promise<Trust> {
  const answer = await ask(connector, body, { scope });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Trust;
}

describe('the trust helper', () => {
  test('previews what tokens of the stage say: each claim as it will be, and null where only a run knows', async () => {
    await runs.start('asks');
    const [build, deploy] = [(await runs.nextPayload()).environment, (await runs.nextPayload()).environment];
    const rows: [connector: string, scope: string, stage: string, token: string | undefined][] = [
      ['partner', '/', 'build', build['TOKEN']], ['partner', '/', 'deploy', deploy['TOKEN']], ['by_environment', checkout, 'deploy', deploy['BY_ENVIRONMENT']],
    ];
    const ofRuns = ['exp', 'iat', 'jti', 'nbf', 'execution_id', 'origin', 'step_id', 'step_type', 'trigger_type', 'triggered_by_email', 'triggered_by_id', 'triggered_by_name', 'triggered_by_type'];
    for (const [connector, scope, stage, token] of rows) {
      const said = claimsIn(token);
      const { claims, matches, refused } = await trust(connector, { pipeline: `${checkout}/asks`, stage }, scope);
      assert.deepEqual(claims, { ...said, ...Object.fromEntries(ofRuns.map((name) => [name, null])) }, `${connector} ${stage}`);
      assert.deepEqual([matches, refused], [true, null]);
    }
    assert.match(String(claimsIn(deploy['BY_ENVIRONMENT'])['sub']), /^env:[0-9a-f-]{36}$/);
  });

  test('makes the texts of the other side from them, and says what would not match: AWS asks by https alone', async () => {
    const { parts, claims, checks, matches } = await trust('aws', { pipeline: `${checkout}/asks`, stage: 'deploy' });
    assert.equal(parts.length, 2);
    const policy = JSON.parse(parts[1]!.text) as { Statement: [{ Condition: { StringEquals: Record<string, string> } }] };
    const host = String(claims['iss']).replace('http://', '');
    assert.deepEqual(policy.Statement[0].Condition.StringEquals, { [`${host}:aud`]: 'sts.amazonaws.com', [`${host}:sub`]: claims['sub'], 'aws:RequestTag/project_id': 'checkout' });
    assert.deepEqual([matches, checks.filter((one) => !one.matches).map(({ what }) => what)], [false, ['issuer']]);
  });

  test('says when the connector would give the stage no token', async () => {
    assert.match((await trust('aws', { pipeline: `${checkout}/asks`, stage: 'build' })).refused!, /stages of type Deployment/);
    assert.match((await trust('elsewhere', { pipeline: `${checkout}/asks`, stage: 'build' })).refused!, /usableFrom/);
  });

  test('takes the only stage where none is named, and an environment where the stage leaves it to the run', async () => {
    assert.equal((await trust('partner', { pipeline: `${checkout}/alone` })).claims['stage_id'], 'build');
    assert.equal((await trust('partner', { pipeline: `${checkout}/given`, stage: 'deploy', environment: 'prod' })).claims['environment_id'], 'prod');
  });

  const faults: [says: string, body: object, pointer: string][] = [
    ['which of several stages', { pipeline: `${checkout}/asks` }, '/stage'],
    ['a stage that is not there', { pipeline: `${checkout}/asks`, stage: 'nowhere' }, '/stage'],
    ['an environment that only a run knows', { pipeline: `${checkout}/given`, stage: 'deploy' }, '/environment'],
    ['another environment than the stage has', { pipeline: `${checkout}/asks`, stage: 'deploy', environment: 'other' }, '/environment'],
    ['an environment of a stage that has none', { pipeline: `${checkout}/asks`, stage: 'build', environment: 'prod' }, '/environment'],
    ['an audience that the connector does not have', { pipeline: `${checkout}/asks`, stage: 'build', audience: 'https://evil.example' }, '/audience'],
  ];
  for (const [says, body, pointer] of faults) {
    test(`does not guess ${says}`, async () => {
      assert.deepEqual(problem(await ask('partner', body), 400, 'request.invalid').errors?.map((error) => error.pointer), [pointer]);
    });
  }

  test('tells those who may see connector, pipeline, environment and service; to others none of them is there', async () => {
    const both = await makeUser(server, 'both', [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }, { role: 'project_viewer', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const connectors = await makeUser(server, 'connectors', [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }]);
    const projects = await makeUser(server, 'projects', [{ role: 'project_viewer', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const body = { pipeline: `${checkout}/asks`, stage: 'deploy' };
    assert.equal((await ask('partner', body, both)).status, 200);
    for (const { token } of [connectors, projects]) problem(await ask('partner', body, { token }), 404, 'access.not_found');
    problem(await ask('partner', { ...body, pipeline: `${checkout}/nowhere` }), 404, 'access.not_found');
    problem(await ask('nowhere', body), 404, 'access.not_found');
    problem(await ask('partner', { ...body, pipeline: `${checkout}/nowhere`, stage: 'nowhere' }, connectors), 404, 'access.not_found');
  });
});
