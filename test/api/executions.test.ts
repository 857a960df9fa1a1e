import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { AttemptRef, StepPayload, StepResult } from '#features/runners/schema.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';

let server: TestServer;
const runnerId = randomUUID();

before(async () => {
  server = await startTestServer();
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'ledger', spec: {} },
    { kind: 'Connector', identifier: 'partner', spec: { type: 'jwt', audiences: ['https://partner.example'], usableFrom: ['payments/checkout'] } },
    { kind: 'Secret', scope: 'payments', identifier: 'db_password', spec: { type: 'text', value: 'correct-horse-battery', usableFrom: ['payments/**'] } },
    { kind: 'Environment', scope: 'payments/checkout', identifier: 'prod', spec: { type: 'Production' } },
    { kind: 'Service', scope: 'payments/checkout', identifier: 'web', spec: {} },
    pipeline('recover', [
      { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'VERSION=7; echo hello', outputVariables: [{ name: 'VERSION' }] } },
      { identifier: 'use', type: 'Run', spec: { shell: 'Bash', command: './use.sh', envVariables: { PASSWORD: '<+secrets.getValue("org.db_password")>', TOKEN: '<+secrets.getJWT("account.partner")>' } } },
    ]),
  ]);
});
after(() => server.stop());

function pipeline(identifier: string, steps: readonly object[], scope = 'payments/checkout'): Record<string, unknown> {
  const build = { identifier: 'build', type: 'CI', spec: { execution: { steps: steps.map((step) => ({ step })) } } };
  const deploy = {
    identifier: 'deploy', type: 'Deployment', failureStrategies: [{ onFailure: { errors: ['AllErrors'], action: { type: 'Abort' } } }],
    spec: { service: { serviceRef: 'web' }, environment: { environmentRef: 'prod' }, execution: { steps: [{ step: { identifier: 'ship', type: 'Run', spec: { shell: 'Bash', command: 'true', envVariables: { TOKEN: '<+secrets.getJWT("account.partner")>' } } } }] } },
  };
  return { kind: 'Pipeline', scope, identifier, tags: { application: 'app_x' }, spec: { pipeline: { stages: [{ stage: build }, { stage: deploy }] } } };
}

const api = (scope = 'payments/checkout'): string => `${server.api}/orgs/${scope.split('/')[0]}/projects/${scope.split('/')[1]}`;

async function start(name: string, headers: Record<string, string> = {}): Promise<{ id: string; status: string }> {
  const answer = await server.call({ method: 'POST', path: `${api()}/executions`, body: { pipeline: name }, headers });
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  return answer.body as { id: string; status: string };
}

async function show(id: string): Promise<{ status: string; stages: { identifier: string; status: string; steps: { identifier: string; status: string; reason: { code: string; message: string } | null; outputs: object }[] }[]; outputs: Record<string, string> }> {
  return (await server.call({ method: 'GET', path: `${api()}/executions/${id}` })).body as never;
}

async function lease(): Promise<AttemptRef | null> {
  const now = server.clock.now();
  const claimed = await server.app.desk.claim({ accountId: server.account.id, runnerId, scope: '/', labels: [], claimId: randomUUID(), now });
  return claimed === null ? null : { accountId: server.account.id, runnerId, attemptId: claimed.attemptId, fence: claimed.fence };
}

const nothing = { bytes: 0, sha256: createHash('sha256').digest('hex') };
const success: StepResult = { exit: 'success', code: 0, signal: null, message: null, outputs: [], logs: { stdout: nothing, stderr: nothing, truncated: false } };

/** Claims and ends one step as a runner would. */
async function runStep(result: StepResult = success): Promise<StepPayload | null> {
  const ref = await lease();
  if (ref === null) return null;
  const payload = await server.app.desk.payload(ref, server.clock.now());
  await server.app.desk.started(ref, server.clock.now());
  await server.app.desk.result(ref, result, server.clock.now());
  return payload;
}

function claimsIn(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
}

test('a run goes through its steps: values reach the attempt, outputs come back, claims tell CI from deployment', async () => {
  const { id } = await start('recover');
  const hello = await runStep({ ...success, outputs: [{ name: 'VERSION', value: '7', secrets: [] }] });
  assert.equal(hello?.environment['TOKEN'], undefined);
  const use = await runStep();
  assert.equal(use?.environment['PASSWORD'], 'correct-horse-battery');
  assert.deepEqual(use?.secrets.map((secret) => secret.name).toSorted(), ['connector partner', 'secret payments/db_password']);
  const ci = claimsIn(use!.environment['TOKEN']!);
  assert.deepEqual([ci['stage_type'], ci['environment_id'], ci['service_id'], ci['step_id']], ['CI', null, null, 'use']);
  const ship = await runStep();
  const deploy = claimsIn(ship!.environment['TOKEN']!);
  assert.deepEqual([deploy['stage_type'], deploy['environment_id'], deploy['environment_type'], deploy['service_id']], ['Deployment', 'prod', 'Production', 'web']);
  const done = await show(id);
  assert.equal(done.status, 'Success');
  assert.deepEqual(done.outputs, { 'build.hello.VERSION': '7' });
});

test('the same idempotency key starts one execution', async () => {
  const first = await start('recover', { 'idempotency-key': 'once' });
  const second = await start('recover', { 'idempotency-key': 'once' });
  assert.equal(first.id, second.id);
  while ((await runStep()) !== null);
});

test('a pipeline that names what its scope may not use is not started, and no word tells whether it is there', async () => {
  const deny = async (reference: string): Promise<string> => {
    const spec = { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 's', type: 'Run', spec: { shell: 'Bash', command: 'true', envVariables: { T: `<+secrets.getJWT("${reference}")>` } } } }] } } } }] } };
    await server.apply([{ kind: 'Pipeline', scope: 'payments/ledger', identifier: 'steal', spec }]);
    const answer = await server.call({ method: 'POST', path: `${api('payments/ledger')}/executions`, body: { pipeline: 'steal' } });
    assert.equal(answer.status, 403);
    return JSON.stringify({ ...(answer.body as object), instance: null }).replaceAll(reference, 'X');
  };
  assert.equal(await deny('account.partner'), await deny('account.nothing'));
});

test('a lease that runs out after the start ends the step for good: it is not run again', async () => {
  const { id } = await start('recover');
  const ref = (await lease())!;
  await server.app.desk.payload(ref, server.clock.now());
  await server.app.desk.started(ref, server.clock.now());
  server.clock.advance(60_000);
  const ended = async (): Promise<boolean> => (await show(id)).status !== 'Running';
  for (let tries = 0; tries < 200 && !(await ended()); tries++);
  const execution = await show(id);
  assert.equal(execution.stages[0]?.steps[0]?.status, 'Errored');
  assert.equal(await lease(), null);
  await assert.rejects(server.app.desk.result(ref, success, server.clock.now()), { code: 'runner.stale_fence' });
});

test('a lease that runs out before the start is offered again under a new fence', async () => {
  const { id } = await start('recover');
  const first = (await lease())!;
  server.clock.advance(60_000);
  let second: AttemptRef | null = null;
  for (let tries = 0; tries < 200 && second === null; tries++) second = await lease();
  assert.notEqual(second, null);
  assert.notEqual(second?.attemptId, first.attemptId);
  await server.call({ method: 'POST', path: `${api()}/executions/${id}/abort` });
});

test('aborting takes back what has not started', async () => {
  const { id } = await start('recover');
  const answer = await server.call({ method: 'POST', path: `${api()}/executions/${id}/abort` });
  assert.equal((answer.body as { status: string }).status, 'Aborted');
  assert.equal(await lease(), null);
});

test('removing the right to a secret stops its next use in a running execution', async () => {
  await server.apply([{ kind: 'User', identifier: 'bob', spec: { email: 'bob@example.com' } }, {
    kind: 'RoleBinding', scope: 'payments/checkout', identifier: 'bob_admin',
    spec: { principal: { type: 'user', id: 'bob' }, role: 'project_admin', resourceGroup: 'all_project_level_resources' },
  }]);
  const made = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { principal: { type: 'user', path: 'bob' }, name: 'test' } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const token = (made.body as { token: string }).token;
  const started = await server.call({ method: 'POST', path: `${api()}/executions`, body: { pipeline: 'recover' }, token });
  assert.equal(started.status, 202, JSON.stringify(started.body));
  const { id } = started.body as { id: string };
  await runStep();
  await server.call({ method: 'DELETE', path: `${api()}/role-bindings/bob_admin` });
  assert.equal(await lease(), null);
  const step = (await show(id)).stages[0]?.steps[1];
  assert.equal(step?.status, 'Failed');
  assert.equal(step?.reason?.code, 'access.denied');
});
