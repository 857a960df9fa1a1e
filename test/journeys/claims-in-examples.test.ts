/**
 * `examples/terraform-workspaces` and `examples/application-recovery`, applied as they are but for the hosts: three
 * workspaces that each reach what their mapping says, and applications that start their own recovery and nothing else.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RemoteAnswer } from '#platform/remote.ts';
import { readManifestFiles } from '#surfaces/manifest-files.ts';
import { atEnd } from '#test/endings.ts';
import { startIssuer, terraformClaims } from '#test/parties/issuer.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { startTestServer } from '#test/server.ts';
import type { TestServer } from '#test/server.ts';
import { scopeApi } from './world.ts';
import type { Manifest } from './world.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwt = 'urn:ietf:params:oauth:token-type:jwt';

interface Example {
  readonly server: TestServer;
  readonly issuer: TestIssuer;
  readonly audience: string;
  exchange(claims: Readonly<Record<string, unknown>>, more?: Readonly<Record<string, string>>): Promise<RemoteAnswer>;
  session(claims: Readonly<Record<string, unknown>>, more?: Readonly<Record<string, string>>): Promise<string>;
  may(session: string, permission: string, resource: string | { scope: string; identifier: string }): Promise<boolean>;
}

async function play(name: string, outsideIssuer: string): Promise<Example> {
  const issuer = await startIssuer();
  atEnd(() => issuer.stop());
  const server = await startTestServer({ settings: { allowPrivateOrigin: [issuer.url] } });
  const audience = `${server.url}/accounts/default`;
  const directory = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
  const files = await readManifestFiles([directory], { variable: () => undefined, stdin: () => Promise.reject(new Error('nobody is asked')) }, async () => null);
  const text = JSON.stringify(files.map((file) => file.manifest)).replaceAll(outsideIssuer, issuer.url).replaceAll('https://sallyport.example', server.url);
  await server.apply(JSON.parse(text) as Manifest[]);
  const example: Example = {
    server, issuer, audience,
    exchange: (claims, more = {}) => server.call({
      method: 'POST', path: '/accounts/default/oauth/token', token: null,
      form: { grant_type: tokenExchange, subject_token_type: jwt, subject_token: issuer.token({ aud: audience, ...claims }), ...more },
    }),
    async session(claims, more) {
      const answer = await example.exchange(claims, more);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return (answer.body as { access_token: string }).access_token;
    },
    async may(session, permission, resource) {
      const answer = await server.call({ method: 'POST', path: `${server.api}/access:check`, body: { permission, resource }, token: session });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return (answer.body as { allowed: boolean }).allowed;
    },
  };
  return example;
}

describe('three Terraform workspaces', () => {
  let example: Example;
  before(async () => {
    example = await play('terraform-workspaces', 'https://app.terraform.io');
  });

  const run = (workspace: string, changes: object = {}): Record<string, unknown> => ({ ...terraformClaims({ terraform_organization_id: 'org-acme', terraform_workspace_id: workspace, ...changes }), aud: example.audience });
  const apply = (session: string, ...documents: Manifest[]): Promise<RemoteAnswer> => example.server.call({ method: 'POST', path: `${example.server.api}/manifests:apply`, body: { documents }, token: session });
  const service = (scope: string, identifier: string): Manifest => ({ kind: 'Service', scope, identifier, spec: {} });

  test('the landing zone administers the account: it makes an organization, a project and who may do what there', async () => {
    const session = await example.session(run('ws-landing-zone'));
    const made = await apply(session,
      { kind: 'Organization', identifier: 'data', spec: {} }, { kind: 'Project', scope: 'data', identifier: 'lake', spec: {} },
      { kind: 'User', identifier: 'lea', spec: { email: 'lea@example.com' } },
      { kind: 'RoleBinding', scope: 'data/lake', identifier: 'lea_admin', spec: { principal: { type: 'user', id: 'lea' }, role: 'project_admin', resourceGroup: 'all_project_level_resources' } });
    assert.equal(made.status, 200, JSON.stringify(made.body));
  });

  test('the team\'s workspace administers its project, and neither the one beside nor the organization', async () => {
    const session = await example.session(run('ws-checkout'));
    assert.equal((await apply(session, service('payments/checkout', 'web'), { kind: 'Environment', scope: 'payments/checkout', identifier: 'prod', spec: { type: 'Production' } })).status, 200);
    for (const document of [service('payments/ledger', 'web'), { kind: 'Project', scope: 'payments', identifier: 'more', spec: {} }]) assert.ok([403, 404].includes((await apply(session, document)).status));
    const binding = { kind: 'RoleBinding', scope: 'payments/checkout', identifier: 'friend', spec: { principal: { type: 'user', id: 'admin' }, role: 'project_admin', resourceGroup: 'all_project_level_resources' } };
    assert.equal((await apply(session, binding)).status, 403, 'it gives no rights');
  });

  test('the catalogue\'s workspace makes, reads, changes and removes services in every project of its organization, and nothing else', async () => {
    const session = await example.session(run('ws-catalogue'));
    for (const project of ['payments/checkout', 'payments/ledger']) {
      assert.equal((await apply(session, service(project, 'listed'))).status, 200);
      const path = `${scopeApi(example.server, project)}/services/listed`;
      assert.equal((await example.server.call({ method: 'GET', path, token: session })).status, 200);
      assert.equal((await apply(session, { ...service(project, 'listed'), name: 'Listed' })).status, 200);
      assert.equal((await example.server.call({ method: 'DELETE', path, token: session })).status, 204);
    }
    const others = [{ kind: 'Environment', scope: 'payments/checkout', identifier: 'other', spec: { type: 'Production' } }, service('platform/edge', 'web')];
    for (const document of others) assert.ok([403, 404].includes((await apply(session, document)).status), JSON.stringify(document));
  });

  test('a run of the landing zone that asks for one project gets that project', async () => {
    const details = JSON.stringify([{ type: 'sallyport_grant', role: 'project_admin', scope: 'payments/checkout' }]);
    const session = await example.session(run('ws-landing-zone'), { authorization_details: details });
    assert.equal((await apply(session, service('payments/checkout', 'asked'))).status, 200);
    assert.ok([403, 404].includes((await apply(session, service('payments/ledger', 'asked'))).status));
  });

  test('and one that asks for one kind of thing gets that', async () => {
    const permissions = ['service.view', 'service.create', 'service.edit', 'service.delete'];
    const details = JSON.stringify([{ type: 'sallyport_grant', permissions, scope: 'payments', includeChildScopes: true, resources: [{ type: 'service' }] }]);
    const session = await example.session(run('ws-landing-zone'), { authorization_details: details });
    assert.equal((await apply(session, service('payments/ledger', 'asked'))).status, 200);
    assert.ok([403, 404].includes((await apply(session, { kind: 'Environment', scope: 'payments/ledger', identifier: 'asked', spec: { type: 'Production' } })).status));
  });

  const refused: [says: string, claims: () => Record<string, unknown>, cause: RegExp][] = [
    ['a plan', () => run('ws-checkout', { terraform_run_phase: 'plan' }), /`checkout_workspace`: `\/terraform_run_phase` is "plan" and must equal "apply"/],
    ['a workspace of the same id in another organization', () => run('ws-checkout', { terraform_organization_id: 'org-evil' }), /`checkout_workspace`: `\/terraform_organization_id` is "org-evil"/],
    ['a workspace nobody mapped', () => run('ws-new'), /`\/terraform_workspace_id` is "ws-new"/],
  ];
  for (const [says, claims, cause] of refused) {
    test(`${says} is told nothing, and the administrator the cause`, async () => {
      const answer = await example.exchange(claims());
      assert.equal(answer.status, 400);
      assert.doesNotMatch(JSON.stringify(answer.body), /workspace|phase|organization/);
      const { correlation_id: correlationId } = answer.body as { correlation_id: string };
      const { body } = await example.server.call({ method: 'POST', path: `${example.server.api}/sessions:explain`, body: { correlationId } });
      assert.match((body as { cause: string }).cause, cause);
    });
  }
});

describe('applications that recover themselves', () => {
  let example: Example;
  before(async () => {
    example = await play('application-recovery', 'https://id.example.com');
  });

  const client = (application: string | undefined, changes: object = {}): Record<string, unknown> => ({
    aud: example.audience, sub: 'monitoring-1', client_id: 'monitoring-1', ...(application === undefined ? {} : { application_id: application }), ...changes,
  });
  const start = (session: string, scope: string, pipeline: string): Promise<RemoteAnswer> => example.server.call({ method: 'POST', path: `${scopeApi(example.server, scope)}/executions`, body: { pipeline }, token: session });

  test('start their recovery pipeline', async () => {
    const session = await example.session(client('app_x'));
    const answer = await start(session, 'payments/checkout', 'recover');
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    assert.equal((await start(await example.session(client('app_y')), 'payments/ledger', 'recover')).status, 202);
  });

  const others: [says: string, scope: string, pipeline: string][] = [
    ['the recovery of another application', 'payments/ledger', 'recover'], ['another pipeline of their own', 'payments/checkout', 'release'], ['what is not there', 'payments/checkout', 'nothing'],
  ];
  for (const [says, scope, pipeline] of others) {
    test(`do not start ${says}`, async () => assert.equal((await start(await example.session(client('app_x')), scope, pipeline)).status, 404));
  }

  test('change nothing, their own tags least of all', async () => {
    const session = await example.session(client('app_x'));
    const answer = await example.server.call({ method: 'POST', path: `${example.server.api}/manifests:apply`, token: session, body: { documents: [{ kind: 'Pipeline', scope: 'payments/checkout', identifier: 'release', tags: { application: 'app_x', purpose: 'recovery' }, spec: {} }] } });
    assert.ok(answer.status >= 400 && answer.status < 500);
    assert.equal(await example.may(session, 'pipeline.edit', 'payments/checkout/recover'), false);
  });

  test('a client without an application, or one that is no monitoring, is not let in', async () => {
    assert.equal((await example.exchange(client(undefined))).status, 400);
    assert.equal((await example.exchange(client('app_x', { client_id: 'shop', sub: 'shop' }))).status, 400);
  });
});
