/** What a run may do is decided anew at each use, with what its starter has then. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { keepBootstrapToken } from '#features/credentials/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { TestServer } from '#test/server.ts';
import { auditMark } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';
import type { Made } from './principals.ts';
import { Runs, checkout, pipeline, runWorld, step } from './runs.ts';
import type { Manifest } from './runs.ts';
import { only, startTrustWorld } from './trust-world.ts';
import type { TrustWorld } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let runs: Runs;

const password = 'correct-horse-battery';
const secret: Manifest = { kind: 'Secret', scope: checkout, identifier: 'password', spec: { type: 'text', value: password } };
const connector = (usableFrom: readonly string[]): Manifest => ({ kind: 'Connector', identifier: 'partner', name: 'The partner', spec: { type: 'jwt', audiences: ['https://partner.example'], usableFrom } });
const runner = (permissions: readonly string[]): Manifest => ({ kind: 'Role', identifier: 'runner', spec: { level: 'project', permissions } });
const runnerPermissions = ['pipeline.execute', 'secret.access', 'connector.access', 'environment.access', 'service.access'];
/** Waits with its first step, then uses one thing in each of three. */
const uses = pipeline('uses', {
  build: [step('first'), step('secret', { env: { X: '<+secrets.getValue("password")>' } }), step('token', { env: { X: '<+secrets.getJWT("account.partner")>' } })],
  deploy: [step('ship')],
});
const restored = [...runWorld.filter(({ kind }) => kind !== 'Connector'), secret, connector([checkout]), runner(runnerPermissions), uses];

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  runs = new Runs(server);
  await server.apply(restored);
});

async function bound(identifier: string, wish: Parameters<typeof makeUser>[3] = {}): Promise<Made> {
  return makeUser(server, identifier, [{ role: 'account.runner', scope: checkout, resourceGroup: 'all_project_level_resources' }], wish);
}

const remove = async (collection: string, scope: string, query = ''): Promise<void> => {
  const answer = await server.call({ method: 'DELETE', path: `${scopeApi(server, scope)}/${collection}${query}` });
  assert.equal(answer.status, 204, JSON.stringify(answer.body));
};

describe('what a running execution wants next is decided by what there is then', () => {
  const changes: [says: string, change: (user: string) => Promise<unknown>, refused: readonly string[]][] = [
    ['with nothing changed it gets all of it', async () => undefined, []],
    ['with the binding of its starter removed it gets nothing', (user) => remove(`role-bindings/${user}_0`, checkout), ['build.secret', 'build.token', 'deploy.ship']],
    ['with its starter disabled it gets nothing', (user) => server.apply([{ kind: 'User', identifier: user, spec: { email: `${user}@example.com`, disabled: true } }]), ['build.secret', 'build.token', 'deploy.ship']],
    ['with its starter gone it gets nothing', (user) => remove(`users/${user}`, '/', '?cascade=true'), ['build.secret', 'build.token', 'deploy.ship']],
    ['with `secret.access` taken from the role it gets no secret', () => server.apply([runner(runnerPermissions.filter((each) => each !== 'secret.access'))]), ['build.secret']],
    ['with `connector.access` taken from the role it gets no token', () => server.apply([runner(runnerPermissions.filter((each) => each !== 'connector.access'))]), ['build.token']],
    ['with `environment.access` taken from the role it does not deploy', () => server.apply([runner(runnerPermissions.filter((each) => each !== 'environment.access'))]), ['deploy.ship']],
    ['with `service.access` taken from the role it does not deploy', () => server.apply([runner(runnerPermissions.filter((each) => each !== 'service.access'))]), ['deploy.ship']],
    ['with `pipeline.execute` taken from the role it goes on: that was asked at the start', () => server.apply([runner(runnerPermissions.filter((each) => each !== 'pipeline.execute'))]), []],
    ['with the connector not usable from here any more it gets no token', () => server.apply([connector(['payments/ledger'])]), ['build.token']],
    ['with the secret gone it gets none', () => remove('secrets/password', checkout), ['build.secret']],
    ['with the environment gone it does not deploy', () => remove('environments/prod', checkout, '?cascade=true'), ['deploy.ship']],
    ['with another environment under its name it does not deploy there', async () => {
      await remove('environments/prod', checkout, '?cascade=true');
      await server.apply([{ kind: 'Environment', scope: checkout, identifier: 'prod', spec: { type: 'PreProduction' } }]);
    }, ['deploy.ship']],
  ];
  for (const [i, [says, change, refused]] of changes.entries()) {
    test(says, async () => {
      await server.apply(restored);
      const { token } = await bound(`starter_${i}`);
      const run = await runs.start('uses', { token });
      await runs.nextPayload();
      await change(`starter_${i}`);
      const rows = await auditMark(server);
      await runs.drain();
      const { stages } = await runs.show(run);
      const reached = stages.flatMap((stage) => stage.steps.map((each) => ({ uid: `${stage.identifier}.${each.identifier}`, ...each })));
      // A stage does not begin after one that failed, so the deployment is asked for only when all before it was given.
      const expected = refused.includes('build.secret') ? ['build.secret'] : refused.includes('build.token') ? ['build.token'] : refused;
      const failed = reached.filter(({ status }) => status === 'Failed');
      assert.deepEqual(failed.map(({ uid, reason }) => [uid, reason?.code]), expected.map((uid) => [uid, 'access.denied']));
      assert.deepEqual((await rows()).filter(({ action }) => action === 'run.use').map(({ outcome, actor }) => [outcome, actor]), expected.map(() => ['refused', `user:starter_${i}`]));
      assert.equal(reached.every(({ attempts }) => attempts.length <= 1), true);
    });
  }

  test('started by who acts as another it gets what both may then, and the rows name both', async () => {
    await server.apply(restored);
    const starter = await bound('acted_as');
    const actor = await bound('acting');
    await server.apply([{ kind: 'Role', identifier: 'acts', spec: { level: 'account', permissions: ['user.impersonate'] } }]);
    await server.apply([{ kind: 'RoleBinding', identifier: 'acting', spec: { principal: { type: 'user', id: 'acting' }, role: 'acts', resourceGroup: 'all_account_level_resources' } }]);
    const body = { principal: { type: 'user', path: starter.identifier }, reason: 'of a test' };
    const { token } = (await server.call({ method: 'POST', path: `${server.api}/api-tokens:impersonate`, token: actor.token, body })).body as { token: string };
    const run = await runs.start('uses', { token });
    await runs.nextPayload();
    await remove('role-bindings/acting_0', checkout);
    const rows = await auditMark(server);
    await runs.drain();
    assert.equal((await runs.step(run, 'build.secret')).reason?.code, 'access.denied');
    const uses = (await rows()).filter(({ action }) => action === 'run.use');
    assert.deepEqual(uses.map(({ outcome, actor: who, personal }) => [outcome, who, personal['actor']?.value]), [['refused', 'user:acted_as', { path: 'acted_as', by: 'user:acting' }]]);
  });

  test('what it is refused is told to whoever sees it in the words of what is not there', async () => {
    await server.apply([...restored, pipeline('asks', { build: [step('first'), step('asks', { env: { X: '<+secrets.getValue("password")>' } })] })]);
    const run = await runs.start('asks');
    await runs.nextPayload();
    await remove('secrets/password', checkout);
    await runs.drain();
    assert.equal((await runs.step(run, 'build.asks')).reason?.message, 'the run may not use secret `password`, or it does not exist');
  });

  test('a secret made again under its name is asked for as what it is now', async () => {
    await server.apply(restored);
    const run = await runs.start('uses');
    await runs.nextPayload();
    await remove('secrets/password', checkout);
    await server.apply([{ ...secret, spec: { type: 'text', value: 'another-value-entirely' } }]);
    assert.equal((await runs.nextPayload()).environment['X'], 'another-value-entirely');
    await runs.drain();
    assert.equal((await runs.show(run)).status, 'Success');
  });

  test('a right taken between the claim and the payload stops the payload', async () => {
    await server.apply(restored);
    const { token } = await bound('quick');
    const run = await runs.start('uses', { token });
    await runs.nextPayload();
    const ref = (await runs.lease())!;
    await remove('role-bindings/quick_0', checkout);
    await assert.rejects(runs.payload(ref), { code: 'runner.stale_fence' });
    await assert.rejects(runs.begin(ref), { code: 'runner.stale_fence' });
    assert.equal((await runs.step(run, 'build.secret')).status, 'Failed');
  });
});

const revoke = async (selector: Readonly<Record<string, string>>): Promise<void> => {
  const answer = await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: selector });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
};

describe('a run of a workload', () => {
  const grants = [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }];
  const changes: [says: string, name: string, change: () => Promise<unknown>, status: string][] = [
    ['goes on when its session is over', 'over', async () => server.clock.advance(3_600_000), 'Success'],
    ['goes on when its mapping gives more than before', 'wider', () => server.apply([only('wider', { grants: [...grants, { ...grants[0], scope: 'payments/refunds' }] })]), 'Success'],
    ['stops when its session is revoked', 'revoked', () => revoke({ mapping: 'revoked' }), 'Failed'],
    ['stops when its subject is revoked, though its session is over', 'revoked_late', async () => {
      server.clock.advance(3_600_000);
      await revoke({ mapping: 'revoked_late' });
    }, 'Failed'],
    ['stops when its mapping gives less', 'less', () => server.apply([only('less', { grants: [{ ...grants[0], scope: 'payments/refunds' }] })]), 'Failed'],
    ['stops when its mapping asks for more', 'stricter', () => server.apply([only('stricter', { when: [{ claim: '/terraform_workspace_id', equals: 'nobody' }] })]), 'Failed'],
    ['stops when its mapping is gone', 'gone', () => remove('claim-mappings/gone', '/'), 'Failed'],
    ['stops when its mapping is of another issuer', 'moved', () => server.apply([only('moved', { issuer: 'corporate' })]), 'Failed'],
  ];
  for (const [says, name, change, status] of changes) {
    test(says, async () => {
      await server.apply([...restored, only(name, { grants })]);
      const session = await world.exchangeAs(name);
      const run = await runs.start('uses', { token: session });
      await runs.nextPayload();
      await change();
      await runs.drain();
      assert.equal((await runs.show(run)).status, status);
    });
  }
});

describe('a run keeps the bounds of the credential it was started with', () => {
  const named = pipeline('named', { build: [step('first'), step('uses', { env: { X: '<+secrets.getValue(<+pipeline.name> == "named" ? "password" : "other")>' } })] });
  const within = (permissions: readonly string[]) => [{ permissions, scope: checkout, includeChildScopes: false, resources: 'all' }];
  const rows: [says: string, permissions: readonly string[], status: string][] = [
    ['what they allow is given', ['pipeline.execute', 'secret.access'], 'Success'],
    ['what they leave out is not, though its starter has it', ['pipeline.execute'], 'Failed'],
  ];
  for (const [i, [says, permissions, status]] of rows.entries()) {
    test(says, async () => {
      await server.apply([...restored, named]);
      const { token } = await bound(`bounded_${i}`, { bounds: within(permissions) });
      const run = await runs.start('named', { token });
      await runs.drain();
      assert.equal((await runs.show(run)).status, status);
    });
  }
});

test('a run of the bootstrap token ends its rights with the token', async () => {
  await server.apply(restored);
  const token = randomBytes(32).toString('base64url');
  await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, server.account.id, token);
  const run = await runs.start('uses', { token });
  await runs.nextPayload();
  assert.equal((await runs.nextPayload()).environment['X'], password);
  await server.sql(`update credential set revoked_at = now() where kind = 'bootstrap'`);
  await runs.drain();
  assert.deepEqual([(await runs.step(run, 'build.token')).status, (await runs.step(run, 'build.token')).reason?.code], ['Failed', 'access.denied']);
});

test('the events of every run above lead to what is stored of it', () => runs.assertReplays());
