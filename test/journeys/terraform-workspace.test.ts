/**
 * A platform team lets the runs of one Terraform workspace administer one project. Nothing is stored on Terraform's side,
 * and the workspace reaches nothing else.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { workspaceClient } from '#test/parties/oidc-provider.ts';
import { scopeApi, startJourney, told } from './world.ts';
import type { Journey, Manifest } from './world.ts';

/** Somebody deleted the workspace and made another of the same name: other id, same `sub`. */
const recycled = workspaceClient('checkout_recycled', { organization: 'acme', project: 'shop', workspace: 'checkout' });
const impostor = { ...recycled, claims: { ...recycled.claims, terraform_workspace_id: 'ws-recycled' } };

let journey: Journey;
let session: string;
before(async () => {
  journey = await startJourney({ terraform: [impostor] });
  session = await journey.session('checkout_apply');
});

const inProject = (project: string): Manifest[] => [
  { kind: 'Environment', scope: `payments/${project}`, identifier: 'staging', spec: { type: 'PreProduction' } },
  {
    kind: 'Pipeline', scope: `payments/${project}`, identifier: 'smoke', tags: { owner: 'terraform' },
    spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'hello', type: 'Run', spec: { shell: 'Sh', command: 'echo made by terraform' } } }] } } } }] } },
  },
];

function apply(documents: readonly Manifest[]) {
  return journey.server.call({ method: 'POST', path: `${journey.server.api}/manifests:apply`, body: { documents }, token: session });
}

/** All there is, as the database has it. */
function everything() {
  return journey.server.sql('select kind, scope, identifier, version from resource order by uid');
}

describe('the runs of a workspace', () => {
  test('make, change and remove what their project holds', async () => {
    assert.equal((await apply(inProject('checkout'))).status, 200);
    assert.equal((await apply([{ ...inProject('checkout')[0]!, name: 'Staging' }])).status, 200);
    const path = `${scopeApi(journey.server, 'payments/checkout')}/environments/staging`;
    assert.equal((await journey.server.call({ method: 'DELETE', path, token: session })).status, 204);
  });

  test('run what they made, on a real runner', async () => {
    const run = await journey.run('payments/checkout/smoke', session);
    assert.equal((await journey.ended(run)).status, 'Success');
    assert.equal(await journey.log(run), 'made by terraform\n');
  });

  test('are known in the audit by what their token said', async () => {
    const rows = await journey.audit({ claim: JSON.stringify({ terraform_workspace_id: 'ws-checkout' }), action: 'pipeline.create' });
    assert.deepEqual(rows.map(({ scope, actor, claims }) => [scope, actor?.type, actor?.path, claims?.['terraform_run_phase']]), [['payments/checkout', 'workload', 'tfc:checkout', 'apply']]);
  });

  const elsewhere: readonly (readonly [string, readonly Manifest[]])[] = [
    ['the project beside theirs', inProject('ledger')],
    ['their organization', [{ kind: 'Project', scope: 'payments', identifier: 'another', spec: {} }]],
    ['the account', [{ kind: 'Organization', identifier: 'another', spec: {} }]],
  ];
  for (const [place, documents] of elsewhere) {
    test(`change nothing in ${place}, not even together with what they may`, async () => {
      const before = await everything();
      const answer = await apply([...inProject('checkout'), ...documents]);
      assert.ok([403, 404].includes(answer.status), told(answer));
      assert.deepEqual(await everything(), before);
    });
  }

  test('cannot tell what the project beside theirs holds from what nobody has made', async () => {
    const look = (path: string) => journey.server.call({ method: 'GET', path: `${scopeApi(journey.server, path)}/pipelines/recover`, token: session });
    const [hidden, absent] = [await look('payments/ledger'), await look('payments/no_such_project')];
    assert.equal(hidden.status, 404);
    assert.equal(told(hidden), told(absent));
  });

  test('do not widen what they are trusted with', async () => {
    const principal = { type: 'user', id: 'admin' };
    const widening: Manifest[][] = [
      [{ kind: 'RoleBinding', scope: 'payments/checkout', identifier: 'friend', spec: { principal, role: 'project_admin', resourceGroup: 'all_project_level_resources' } }],
      [{ kind: 'ClaimMapping', scope: 'payments/checkout', identifier: 'friends', spec: { issuer: 'account.terraform', when: [{ claim: '/sub', exists: true }], grants: [{ role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' }] } }],
      [{ kind: 'Role', scope: 'payments/checkout', identifier: 'more', spec: { level: 'project', permissions: ['pipeline.execute'] } }],
    ];
    for (const documents of widening) assert.equal((await apply(documents)).status, 403, String(documents[0]!['kind']));
    const token = await journey.server.call({ method: 'POST', path: `${journey.server.api}/api-tokens`, body: { name: 'for later', principal: { type: 'user', path: 'admin' } }, token: session });
    assert.ok([403, 404].includes(token.status), told(token));
  });
});

describe('nobody else is let in', () => {
  const strangers: readonly (readonly [string, string, string])[] = [
    ['another workspace of the same organization', 'playground_apply', '/terraform_workspace_id'],
    ['a plan of the workspace, which anybody who can open a pull request starts', 'checkout_plan', '/terraform_run_phase'],
    ['a new workspace under the name of the old one', impostor.clientId, '/terraform_workspace_id'],
  ];
  for (const [who, client, claim] of strangers) {
    test(`${who}: told nothing, and the administrator reads which claim did not fit`, async () => {
      const answer = await journey.exchange(client);
      assert.deepEqual([answer.status, (answer.body as { error: string }).error], [400, 'invalid_request']);
      assert.doesNotMatch(JSON.stringify(answer.body), /mapping|workspace|phase|checkout/i);
      const requestId = String((answer.body as Record<string, unknown>)['correlation_id']);
      const [row] = await journey.audit({ action: 'session.refused', requestId });
      assert.equal(row?.detail?.['code'], 'trust.no_mapping');
      const { mappings } = row.diff as { mappings: { mapping: string; failed: { claim: string }[] }[] };
      assert.deepEqual(mappings.map(({ mapping, failed }) => [mapping, failed.map((one) => one.claim)]), [['checkout_workspace', [claim]]]);
    });
  }
});
