/**
 * Trust is taken back while it is in use. A run may outlive the session that started it, but not the mapping: what a
 * running execution wants next is decided by what the administrator has left.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import { until } from '#test/until.ts';
import { scopeApi, startJourney } from './world.ts';
import type { Journey, Manifest } from './world.ts';

let journey: Journey;
before(async () => {
  journey = await startJourney();
  await journey.server.apply([longRecovery('app_x', 'outlives'), longRecovery('app_y', 'outlived'), shortSessions]);
});

/** Its first step waits at the gate, its second asks for a token. */
function longRecovery(application: string, identifier: string): Manifest {
  const step = (name: string, command: string, envVariables: Record<string, string> = {}) => ({ step: { identifier: name, type: 'Run', timeout: '2m', spec: { shell: 'Bash', command, envVariables } } });
  const steps = [
    step('wait', `${journey.gate.script}echo waiting; gate ${identifier}`),
    step('call', 'echo called with "$TOKEN"', { TOKEN: '<+secrets.getJWT("account.partner")>' }),
  ];
  return { kind: 'Pipeline', scope: 'payments/checkout', identifier, tags: { application }, spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps } } } }] } } };
}

/** The mapping of the example for `app_x`, with sessions that are over soon. */
const shortSessions: Manifest = {
  kind: 'ClaimMapping', identifier: 'self_recovery',
  spec: {
    issuer: 'corporate',
    when: [{ claim: '/application_id', exists: true }],
    grants: [
      { role: 'recovery', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.application': { equalsClaim: '/application_id' } } }] },
      { role: 'runtime', scope: 'payments', includeChildScopes: true, resources: [{ type: 'connector', identifiers: ['partner'] }] },
    ],
    session: { ttl: '5s', label: 'app:{/application_id}' },
  },
};

function look(token: string): Promise<RemoteAnswer> {
  return journey.server.call({ method: 'GET', path: `${scopeApi(journey.server, 'payments/checkout')}/pipelines`, token });
}

/** 401, in the words every dead credential is answered with. */
function assertDead({ status, body }: RemoteAnswer): void {
  assert.equal(status, 401, JSON.stringify(body));
  assert.equal((body as { code: string }).code, 'credential.invalid');
}

describe('a run', () => {
  test('goes on when the session that started it is over', async () => {
    const session = await journey.session('app_x');
    const run = await journey.run('payments/checkout/outlives', session);
    const waiting = await journey.gate.visit('outlives');
    assertDead(await until(async () => {
      const answer = await look(session);
      return answer.status === 401 ? answer : null;
    }, 'the end of the session'));
    waiting.go();
    const execution = await journey.ended(run);
    assert.equal(execution.status, 'Success', JSON.stringify(execution));
    assert.equal(await journey.log(run), 'waiting\ncalled with ***\n');
  });

  test('gets nothing more when the mapping that let it start is removed; nor does its session', async () => {
    const session = await journey.session('app_y');
    const run = await journey.run('payments/checkout/outlived', session);
    const waiting = await journey.gate.visit('outlived');
    const gone = await journey.server.call({ method: 'DELETE', path: `${journey.server.api}/claim-mappings/self_recovery` });
    assert.equal(gone.status, 204, JSON.stringify(gone.body));
    assertDead(await look(session));
    waiting.go();
    const execution = await journey.ended(run);
    const [wait, call] = execution.stages[0]!.steps;
    assert.deepEqual([execution.status, wait!.status, call!.status], ['Failed', 'Success', 'Failed'], JSON.stringify(execution));
    assert.equal(await journey.log(run), 'waiting\n');
    const minted = await journey.server.sql('select 1 from minted_token where execution_id = $1', [run.id]);
    assert.deepEqual(minted, []);
  });

  test('and the administrator reads what it was refused', async () => {
    const [row] = await journey.audit({ action: 'run.use', outcome: 'refused' });
    assert.deepEqual([row?.actor?.path, row?.scope, row?.detail?.['code']], ['app:app_y', 'payments/checkout', 'access.denied']);
  });
});

describe('an issuer that is removed', () => {
  let session: string;

  test('takes its live sessions with it, at the next request, and lets nobody in any more', async () => {
    session = await journey.session('checkout_apply');
    assert.equal((await look(session)).status, 200);
    const gone = await journey.server.call({ method: 'DELETE', path: `${journey.server.api}/trusted-issuers/terraform?cascade=true` });
    assert.equal(gone.status, 204, JSON.stringify(gone.body));
    assertDead(await look(session));
    const again = await journey.exchange('checkout_apply');
    assert.deepEqual([again.status, (again.body as { error: string }).error], [400, 'invalid_request']);
  });

  test('does not bring them back when it comes back under its name', async () => {
    const audience = `${journey.server.url}/accounts/${journey.server.account.identifier}`;
    await journey.server.apply([{
      kind: 'TrustedIssuer', identifier: 'terraform',
      spec: { issuer: journey.provider.issuers.terraform, preset: 'hcp_terraform', audiences: [audience], keys: { discovery: true }, algorithms: ['RS256'] },
    }, {
      kind: 'ClaimMapping', identifier: 'checkout_workspace',
      spec: { issuer: 'terraform', when: [{ claim: '/terraform_workspace_id', equals: 'ws-checkout' }], grants: [{ role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' }] },
    }]);
    assert.equal((await look(await journey.session('checkout_apply'))).status, 200);
    assertDead(await look(session));
  });
});
