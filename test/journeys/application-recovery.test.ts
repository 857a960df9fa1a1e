/** Monitoring finds an application ill and starts its recovery pipeline. It can do that for itself alone. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { scopeApi, startJourney, told } from './world.ts';
import type { Journey } from './world.ts';

let journey: Journey;
let session: string;
before(async () => {
  journey = await startJourney();
  session = await journey.session('app_x');
});

describe('an application', () => {
  test('runs its own recovery pipeline to the end', async () => {
    const run = await journey.run('payments/checkout/recover', session);
    const execution = await journey.ended(run);
    assert.equal(execution.status, 'Success', JSON.stringify(execution));
    assert.deepEqual(execution.startedBy, { type: 'workload', id: `${journey.provider.issuers.corporate}#app_x`, name: 'app:app_x', origin: execution.startedBy.origin });
  });

  test('may watch what it started', async () => {
    const run = await journey.run('payments/checkout/recover', session);
    await journey.ended(run);
    const seen = await journey.server.call({ method: 'GET', path: `${scopeApi(journey.server, run.scope)}/executions/${run.id}`, token: session });
    assert.equal((seen.body as { status: string }).status, 'Success');
  });

  test('is told of the pipeline of another application what it is told of one that does not exist', async () => {
    const [hidden, absent] = [await journey.start('payments/ledger/recover', session), await journey.start('payments/ledger/no_such_pipeline', session)];
    assert.equal(hidden.status, 404);
    assert.equal(told(hidden), told(absent));
    assert.doesNotMatch(told(hidden), /app_|application|tag|mapping|execute/);
  });

  test('sees only its own pipelines', async () => {
    const list = async (project: string): Promise<string[]> => {
      const { body } = await journey.server.call({ method: 'GET', path: `${scopeApi(journey.server, `payments/${project}`)}/pipelines`, token: session });
      return ((body as { items?: { path: string }[] }).items ?? []).map((item) => item.path);
    };
    assert.deepEqual([await list('checkout'), await list('ledger')], [['payments/checkout/recover'], []]);
  });

  test('changes nothing, not even its own pipeline', async () => {
    const pipeline = `${scopeApi(journey.server, 'payments/checkout')}/pipelines/recover`;
    assert.equal((await journey.server.call({ method: 'DELETE', path: pipeline, token: session })).status, 403);
  });
});

describe('the administrator', () => {
  test('reads who was refused, with which claims, and what was missing', async () => {
    const { body } = await journey.start('payments/ledger/recover', session);
    const rows = await journey.audit({ action: 'execution.start', outcome: 'refused', requestId: String((body as { instance: string }).instance) });
    assert.deepEqual(rows.map(({ scope, actor, claims, detail }) => [scope, actor?.path, claims?.['application_id'], detail?.['evidence']]), [
      ['payments/ledger', 'app:app_x', 'app_x', { kind: 'pipeline', scope: 'payments/ledger', identifier: 'recover', permission: 'pipeline.execute' }],
    ]);
  });

  test('gives an application a pipeline by a tag, and it is found at the next request', async () => {
    const scope = 'payments/ledger';
    const stages = [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'only', type: 'Run', spec: { shell: 'Sh', command: 'true' } } }] } } } }];
    const pipeline = { kind: 'Pipeline', scope, identifier: 'shared', spec: { pipeline: { stages } } };
    await journey.server.apply([pipeline]);
    assert.equal((await journey.start(`${scope}/shared`, session)).status, 404);
    await journey.server.apply([{ ...pipeline, tags: { application: 'app_x' } }]);
    assert.equal((await journey.ended(await journey.run(`${scope}/shared`, session))).status, 'Success');
  });
});

test('a token of the same issuer without an application is not let in', async () => {
  const answer = await journey.exchange('no_application');
  assert.deepEqual([answer.status, (answer.body as { error: string }).error], [400, 'invalid_request']);
});
