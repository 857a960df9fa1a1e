/**
 * Pipelines of two projects call a partner with tokens from one connector of the account. The partner, who knows only the
 * issuer's URL, learns from the token which execution asked.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { ExecutionView } from '#features/executions/schema.ts';
import type { PartnerRequest } from '#test/parties/partner.ts';
import { password, startJourney } from './world.ts';
import type { Journey, Run } from './world.ts';

interface Told {
  readonly run: Run;
  readonly execution: ExecutionView;
  readonly log: string;
  readonly build: PartnerRequest;
  readonly deploy: PartnerRequest;
}

let journey: Journey;
let checkout: Told;
let ledger: Told;
before(async () => {
  journey = await startJourney();
  checkout = await recover('payments/checkout', 'app_x');
  ledger = await recover('payments/ledger', 'app_y');
});

async function recover(scope: string, client: string): Promise<Told> {
  const run = await journey.run(`${scope}/recover`, await journey.session(client), { partner: journey.partner.address });
  const execution = await journey.ended(run);
  assert.equal(execution.status, 'Success', JSON.stringify(execution));
  const requests = journey.partner.accepted.filter(({ claims }) => claims['execution_id'] === run.id);
  const [build, deploy] = requests;
  assert.ok(build !== undefined && deploy !== undefined && requests.length === 2, JSON.stringify(journey.partner.refused));
  return { run, execution, log: await journey.log(run), build, deploy };
}

describe('the claims of a token', () => {
  test('in a CI stage know of no environment and no service', () => {
    const { claims } = checkout.build;
    assert.deepEqual(pick(claims, ['stage_id', 'stage_type', 'step_id', 'step_type']), ['build', 'CI', 'prepare', 'Run']);
    assert.deepEqual(pick(claims, ['environment_id', 'environment_uid', 'environment_type', 'service_id', 'service_name']), [null, null, null, null, null]);
  });

  test('in a deployment name both', () => {
    const { claims } = checkout.deploy;
    assert.deepEqual(pick(claims, ['stage_id', 'stage_type', 'environment_id', 'environment_type', 'service_id']), ['deploy', 'Deployment', 'prod', 'Production', 'web']);
    assert.equal(typeof claims['environment_uid'], 'string');
  });

  test('say where the run is, also where the connector is the same', () => {
    const where = ({ claims }: PartnerRequest) => pick(claims, ['connector_id', 'organization_id', 'project_id', 'pipeline_id']);
    assert.deepEqual([checkout.build, ledger.build].map(where), [['partner', 'payments', 'checkout', 'recover'], ['partner', 'payments', 'ledger', 'recover']]);
    assert.notEqual(checkout.build.claims['project_uid'], ledger.build.claims['project_uid']);
  });

  test('say who started the run, and what vouched for it', () => {
    for (const [{ build }, application] of [[checkout, 'app_x'], [ledger, 'app_y']] as const) {
      const { origin, triggered_by_type: type, triggered_by_name: name } = build.claims as Record<string, unknown>;
      assert.deepEqual([type, name], ['workload', `app:${application}`]);
      const { iss, sub } = origin as Record<string, unknown>;
      assert.deepEqual([iss, sub], [journey.provider.issuers.corporate, application]);
    }
  });

  test('have subjects of uids alone, one for each project and environment', () => {
    const uid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
    assert.match(checkout.build.claims.sub!, new RegExp(`^prj:${uid}:ppl:${uid}$`));
    assert.match(checkout.deploy.claims.sub!, new RegExp(`^prj:${uid}:ppl:${uid}:env:${uid}$`));
    assert.equal(new Set([checkout, ledger].flatMap(({ build, deploy }) => [build.claims.sub, deploy.claims.sub])).size, 4);
  });

  test('are good for ten minutes, once made', () => {
    const { iat, exp } = checkout.build.claims;
    assert.equal(exp! - iat!, 600);
  });
});

describe('what steps print', () => {
  test('is shown with the tokens and the password masked', () => {
    for (const { log, build, deploy } of [checkout, ledger]) {
      for (const secret of [build.token, deploy.token, password]) assert.ok(!log.includes(secret));
      assert.match(log, /^prepare was given the token \*\*\*$/m);
      assert.match(log, /^restart was given the password \*\*\* and the token \*\*\*$/m);
    }
  });

  test('is nowhere in the database either', async () => {
    const rows = await journey.server.sql<{ text: string }>(`select convert_from(bytes, 'UTF8') as text from log_segment`);
    const stored = rows.map(({ text }) => text).join('');
    assert.match(stored, /prepare was given the token \*\*\*/);
    for (const secret of [checkout.build.token, checkout.deploy.token, password]) assert.ok(!stored.includes(secret));
  });
});

test('a scope the connector does not name cannot use it, whatever its users may', async () => {
  await journey.server.apply([
    { kind: 'Organization', identifier: 'marketing', spec: {} },
    { kind: 'Project', scope: 'marketing', identifier: 'site', spec: {} },
    {
      kind: 'Pipeline', scope: 'marketing/site', identifier: 'borrow',
      spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'ask', type: 'Run', spec: { shell: 'Sh', command: 'true', envVariables: { TOKEN: '<+secrets.getJWT("account.partner")>' } } } }] } } } }] } },
    },
  ]);
  const answer = await journey.start('marketing/site/borrow', journey.server.adminToken);
  assert.equal(answer.status, 403, JSON.stringify(answer.body));
});

test('every token is in the ledger and in the audit, under the scope of its run', async () => {
  const minted = await journey.server.sql<{ id: string; audience: string }>('select id, audience from minted_token');
  const tokens = [checkout, ledger].flatMap(({ build, deploy }) => [build, deploy]);
  assert.deepEqual(minted.map(({ id }) => id).toSorted(), tokens.map(({ claims }) => claims.jti!).toSorted());
  const rows = await journey.audit({ action: 'token.mint' });
  const jtis = (scope: string) => rows.filter((row) => row.scope === scope).map(({ detail }) => detail?.['jti']).toSorted();
  for (const { run, build, deploy } of [checkout, ledger]) assert.deepEqual(jtis(run.scope), [build.claims.jti, deploy.claims.jti].toSorted());
});

function pick(claims: Readonly<Record<string, unknown>>, names: readonly string[]): unknown[] {
  return names.map((name) => claims[name]);
}
