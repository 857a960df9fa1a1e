/** Conditions in CEL over HTTP: saved, met, changed under a living session, explained, and asked about by applications. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import { makeUser } from './principals.ts';
import type { TrustWorld } from './trust-world.ts';
import { only, startTrustWorld } from './trust-world.ts';

let world: TrustWorld;

before(async () => {
  world = await startTrustWorld();
});

const tokenOf = (workspace: string, claims: object = {}) => world.hcp.token(terraformClaims({ terraform_workspace_id: workspace, ...claims }));
const apply = (documents: readonly object[]): Promise<RemoteAnswer> => world.server.call({ method: 'POST', path: `${world.server.api}/manifests:apply`, body: { documents } });

describe('a claim mapping with an expression', () => {
  test('lets in who meets it, and says to the audit who did not', async () => {
    await world.server.apply([only('phased', { condition: 'claims.terraform_run_phase == "apply" && token.subject.startsWith("organization:acme:")' })]);
    const session = await world.exchange(tokenOf('phased'));
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
    const refused = await world.tryExchange(tokenOf('phased', { terraform_run_phase: 'plan' }));
    assert.equal(refused.status, 400);
    assert.doesNotMatch(JSON.stringify(refused.body), /phase|expression|condition/);
    const [event] = await world.audit({ action: 'session.refused' });
    const own = (event!.diff!.mappings as readonly { mapping: string; condition?: object }[]).find(({ mapping }) => mapping === 'phased');
    assert.deepEqual(own!.condition, { expression: 'claims.terraform_run_phase == "apply" && token.subject.startsWith("organization:acme:")', because: 'it is false' });
  });

  test('is decided anew at every request of a session', async () => {
    await world.server.apply([only('anew', { condition: 'claims.terraform_run_id == "run-1"' })]);
    const session = await world.exchange(tokenOf('anew'));
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
    await world.server.apply([only('anew', { condition: 'claims.terraform_run_id == "run-2"' })]);
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), 401, 'nothing is granted, so nobody is calling');
    await world.server.apply([only('anew', { condition: 'claims.terraform_run_id in ["run-1", "run-2"]' })]);
    assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
  });

  test('is explained with what kept it from holding', async () => {
    await world.server.apply([only('explained', { condition: 'claims.terraform_attempt == 1' })]);
    const answer = await world.server.call({ method: 'POST', path: `${world.server.api}/sessions:explain`, body: { token: tokenOf('explained') } });
    const { mappings } = answer.body as { mappings: readonly { mapping: string; matched: boolean; expression: object | null }[] };
    const { matched, expression } = mappings.find(({ mapping }) => mapping === 'explained')!;
    assert.deepEqual([matched, expression], [false, { source: 'claims.terraform_attempt == 1', because: 'a claim it reads is missing or of another type, or a number does not fit' }]);
    assert.equal(mappings.find(({ mapping }) => mapping === 'ws_platform')!.expression, null);
  });

  test('is refused with the place of what is wrong', async () => {
    const answer = await apply([only('wrong', { condition: 'claims.a == "b" &&\n  clams.b == "c"' })]);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    const [error] = (answer.body as { errors: readonly { pointer: string; message: string }[] }).errors;
    assert.deepEqual([error!.pointer, error!.message], ['/spec/condition', 'line 2, column 3: `clams` is no variable here; did you mean `claims`?']);
  });
});

describe('a grant with an expression', () => {
  test('of a mapping compares a tag with a claim', async () => {
    const resources = [{ type: 'pipeline', condition: 'resource.tags.application in principal.claims.applications' }];
    await world.server.apply([only('owner', { grants: [{ role: 'runs', scope: 'payments', includeChildScopes: true, resources }] })]);
    const session = await world.exchange(tokenOf('owner', { applications: ['app_z', 'app_x'] }));
    assert.equal(await world.may(session, 'pipeline.execute', 'payments/checkout/recover'), true);
    assert.equal(await world.may(session, 'pipeline.execute', 'payments/refunds/recover'), false);
  });

  test('of a resource group reads what an application says of the act and of who asks', async () => {
    const condition = 'action.soft == true && resource.attributes.priority > 3 && principal.department == "ops" && principal.email.endsWith("@example.com")';
    await world.server.apply([
      { kind: 'User', identifier: 'ann', spec: { email: 'ann@example.com' } },
      { kind: 'ResourceType', identifier: 'task', spec: { external: true, levels: ['account'], verbs: ['delete'], attributes: { priority: 'number' } } },
      { kind: 'Role', identifier: 'cleaner', spec: { level: 'account', permissions: ['task.delete'] } },
      { kind: 'ResourceGroup', identifier: 'old_tasks', spec: { resources: [{ type: 'task', condition }] } },
      { kind: 'RoleBinding', identifier: 'cleans', spec: { principal: { type: 'user', id: 'ann' }, role: 'cleaner', resourceGroup: 'old_tasks' } },
      { kind: 'Role', identifier: 'asker', spec: { level: 'account', permissions: ['access.check'] } },
    ]);
    const application = await makeUser(world.server, 'application', [{ role: 'asker' }]);
    const ask = async (subject: object, action: object, resource: object): Promise<unknown> => {
      const body = { subject: { type: 'user', id: 'ann', properties: subject }, action: { name: 'delete', properties: action }, resource: { type: 'task', id: '17', properties: resource } };
      const answer = await world.server.call({ method: 'POST', path: '/accounts/default/access/v1/evaluation', body, token: application.token });
      return (answer.body as { decision: unknown }).decision;
    };
    assert.equal(await ask({ department: 'ops' }, { soft: true }, { priority: 4 }), true);
    assert.equal(await ask({ department: 'ops', email: 'ann@evil.test' }, { soft: true }, { priority: 4 }), true, 'what the account knows wins');
    assert.equal(await ask({ department: 'dev' }, { soft: true }, { priority: 4 }), false);
    assert.equal(await ask({ department: 'ops' }, { soft: 'true' }, { priority: 4 }), false);
    assert.equal(await ask({ department: 'ops' }, { soft: true }, { priority: 3 }), false);
    assert.equal(await ask({ department: 'ops' }, {}, { priority: 4 }), false);
  });
});
