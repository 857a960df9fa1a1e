/** Tokens out: what they say, who can verify them, for whom they are never made, and what is kept of them. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from 'jose';
import { None, allowInsecureRequests, discovery } from 'openid-client';
import { Client } from 'pg';
import type { ExecutionView } from '#features/executions/schema.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { auditMark } from './audit-rows.ts';
import { makeToken, makeUser } from './principals.ts';
import { Runs, checkout, claimsIn, pipeline, runWorld, step } from './runs.ts';
import type { Started } from './runs.ts';
import { only, startTrustWorld } from './trust-world.ts';
import type { TrustWorld } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let runs: Runs;
let issuer: string;
const uids: Record<string, string> = {};

const token = '<+secrets.getJWT("account.partner")>';

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  runs = new Runs(server);
  issuer = `${server.url}/accounts/default`;
  const answer = await server.apply([
    ...runWorld,
    { kind: 'Connector', scope: 'payments', identifier: 'cloud', spec: { type: 'gcp_oidc', projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport', ttl: '5m', usableFrom: ['payments/**'] } },
    { kind: 'ServiceAccount', identifier: 'ci', spec: {} },
    { kind: 'RoleBinding', scope: checkout, identifier: 'ci', spec: { principal: { type: 'service_account', id: 'account.ci' }, role: 'project_admin', resourceGroup: 'all_project_level_resources' } },
    only('runs_it', { grants: [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }] }),
    pipeline('asks', { build: [step('build_step', { env: { TOKEN: token } })], deploy: [step('ship', { env: { TOKEN: token } })] }),
  ]);
  for (const { kind, path, uid } of (answer.body as { changes: { kind: string; path: string; uid: string }[] }).changes) uids[`${kind} ${path}`] = uid;
});

/** What the tokens of the build and of the deployment say, apart from what differs between any two tokens. */
async function claimsOf(run: Started): Promise<Record<string, unknown>[]> {
  const both = [(await runs.nextPayload()).environment['TOKEN'], (await runs.nextPayload()).environment['TOKEN']].map(claimsIn);
  return both.map(({ jti, iat, nbf, exp, ...claims }) => {
    assert.match(String(jti), /^[0-9a-f-]{36}$/);
    assert.deepEqual([nbf, Number(exp) - Number(iat), Math.abs(Number(iat) * 1_000 - runs.now().getTime()) < 60_000], [iat, 600, true]);
    assert.equal(claims['execution_id'], run.id);
    return claims;
  });
}

describe('the claims of a token', () => {
  const starters: [says: string, start: () => Promise<{ run: Started; by: object }>][] = [
    ['started by a user', async () => {
      const { token: mine } = await makeUser(server, 'alice', [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
      const [{ uid }] = await server.sql<{ uid: string }>(`select uid from resource where kind = 'user' and identifier = 'alice'`) as [{ uid: string }];
      return { run: await runs.start('asks', { token: mine }), by: { triggered_by_type: 'user', triggered_by_id: uid, triggered_by_name: 'alice', triggered_by_email: 'alice@example.com', origin: null } };
    }],
    ['started by a service account', async () => {
      const made = await makeToken(server, { type: 'service_account', path: 'ci' });
      return { run: await runs.start('asks', { token: made.token }), by: { triggered_by_type: 'service_account', triggered_by_id: uids['ServiceAccount ci'], triggered_by_name: 'ci', triggered_by_email: null, origin: null } };
    }],
    ['started by a workload', async () => {
      const session = await world.exchangeAs('runs_it');
      const [row] = await server.sql<{ id: string; subject: string }>('select id, subject from workload_session order by created_at desc limit 1');
      const origin = { iss: world.hcp.url, sub: row!.subject, session_id: row!.id };
      return {
        run: await runs.start('asks', { token: session }),
        by: { triggered_by_type: 'workload', triggered_by_id: `${world.hcp.url}#${row!.subject}`, triggered_by_name: 'tfc:platform', triggered_by_email: null, origin },
      };
    }],
  ];
  for (const [says, start] of starters) {
    test(`of a run ${says} say all that is known, and null for what is not`, async () => {
      const { run, by } = await start();
      const common = {
        iss: issuer, aud: 'https://partner.example', account_id: 'default', organization_id: 'payments', organization_uid: uids['Organization payments'],
        project_id: 'checkout', project_uid: uids[`Project ${checkout}`], pipeline_id: 'asks', pipeline_uid: uids[`Pipeline ${checkout}/asks`], execution_id: run.id,
        connector_id: 'partner', connector_name: 'The partner', trigger_type: 'MANUAL', context: 'PIPELINE_EXECUTION', step_type: 'Run', ...by,
      };
      const subject = `prj:${common.project_uid}:ppl:${common.pipeline_uid}`;
      const nowhere = { environment_id: null, environment_uid: null, environment_type: null, service_id: null, service_name: null };
      const prod = { environment_id: 'prod', environment_uid: uids[`Environment ${checkout}/prod`], environment_type: 'Production', service_id: 'web', service_name: 'Web shop' };
      assert.deepEqual(await claimsOf(run), [
        { ...common, ...nowhere, sub: subject, stage_id: 'build', stage_type: 'CI', step_id: 'build_step' },
        { ...common, ...prod, sub: `${subject}:env:${prod.environment_uid}`, stage_id: 'deploy', stage_type: 'Deployment', step_id: 'ship' },
      ]);
    });
  }

  test('are those of the start: who is renamed meanwhile is called as before, and the caller’s words are in none of them', async () => {
    await server.apply([pipeline('given', { build: [step('s', { env: { TOKEN: token, X: '<+input>' } })] })]);
    const { token: mine } = await makeUser(server, 'renamed', [{ role: 'project_admin', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    await runs.start('given', { token: mine, inputs: { 'stages.build.steps.s.envVariables.X': 'words-of-the-caller' } });
    await server.apply([{ kind: 'User', identifier: 'renamed', name: 'Somebody Else', spec: { email: 'else@example.com' } }]);
    const claims = claimsIn((await runs.nextPayload()).environment['TOKEN']);
    assert.deepEqual([claims['triggered_by_name'], claims['triggered_by_email']], ['renamed', 'renamed@example.com']);
    assert.doesNotMatch(JSON.stringify(claims), /words-of-the-caller/);
  });

  const audiences: [says: string, expression: string, audience: string, seconds: number][] = [
    ['the first audience of the connector when none is named', token, 'https://partner.example', 600],
    ['the one that is named', '<+secrets.getJWT("account.partner", "https://second.example")>', 'https://second.example', 600],
    ['a connector that is named by a computation of the author', '<+secrets.getJWT("account.part" + "ner")>', 'https://partner.example', 600],
    ['the provider of a cloud connector of the organization, for as long as that says', '<+secrets.getJWT("org.cloud")>', 'https://iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/delivery/providers/sallyport', 300],
  ];
  for (const [i, [says, expression, audience, seconds]] of audiences.entries()) {
    test(`aud: ${says}`, async () => {
      await server.apply([pipeline(`aud_${i}`, { build: [step('s', { env: { TOKEN: expression } })] })]);
      await runs.start(`aud_${i}`);
      const claims = claimsIn((await runs.nextPayload()).environment['TOKEN']);
      assert.deepEqual([claims['aud'], Number(claims['exp']) - Number(claims['iat'])], [audience, seconds]);
    });
  }
});

describe('whom a token is never made for', () => {
  async function refusedStep(name: string, expression: string): Promise<[code: string | undefined, message: string | undefined]> {
    await server.apply([pipeline(name, { build: [step('s', { env: { TOKEN: expression } })] })]);
    const run = await runs.start(name);
    await runs.refusedPayload();
    const { reason } = await runs.step(run, 'build.s');
    return [reason?.code, reason?.message];
  }

  const counted = async (outcome: string): Promise<number> => {
    const { body } = await server.call({ method: 'GET', path: '/metrics', token: null });
    return Number(new RegExp(`^sallyport_mints_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(String(body))?.[1] ?? 0);
  };

  test('a refusal and a token are counted as such', async () => {
    const before = [await counted('refused'), await counted('success')];
    await refusedStep('counted_refusal', '<+secrets.getJWT("account.partner", "https://evil.example")>');
    await server.apply([pipeline('counted', { build: [step('s', { env: { TOKEN: token } })] })]);
    await runs.start('counted');
    await runs.nextPayload();
    assert.deepEqual([await counted('refused'), await counted('success')], before.map((count) => count + 1));
  });

  test('an audience the connector does not have', async () => {
    const [code, message] = await refusedStep('other_audience', '<+secrets.getJWT("account.partner", "https://evil.example")>');
    assert.equal(code, 'mint.refused');
    assert.match(message!, /no audience `https:\/\/evil\.example`/);
  });

  const own = (): [says: string, audience: string][] => [
    ['our URL', server.url], ['an account below it', issuer], ['a sister account', `${server.url}/accounts/other`], ['in capitals', issuer.toUpperCase()],
    ['with another scheme', issuer.replace('http:', 'https:')], ['without a scheme', issuer.replace('http://', '')],
  ];
  test('ourselves: refused when the connector is saved, at its place', async () => {
    for (const [says, audience] of own()) {
      const answer = await server.call({ method: 'POST', path: `${server.api}/connectors`, body: { identifier: 'self', spec: { type: 'jwt', audiences: ['https://partner.example', audience] } } });
      assert.deepEqual(problem(answer, 400, 'request.invalid').errors?.map(({ pointer }) => pointer), ['/spec/audiences/1'], says);
    }
  });

  test('ourselves, also when we came to be called so after the connector was saved', async () => {
    const renamed = await startTestServer({ beside: server, settings: { publicUrl: 'https://partner.example/gate', rootKeyFile: '/elsewhere/root.key' } });
    renamed.clock.advance(server.clock.now().getTime() - renamed.clock.now().getTime());
    await server.apply([{ kind: 'Connector', scope: checkout, identifier: 'became_us', spec: { type: 'jwt', audiences: ['https://partner.example/gate/accounts/default'] } }, pipeline('became_us', { build: [step('s', { env: { TOKEN: '<+secrets.getJWT("became_us")>' } })] })]);
    const run = await runs.start('became_us');
    const ref = (await runs.lease())!;
    await assert.rejects(renamed.app.desk.payload(ref, runs.now()), { code: 'runner.stale_fence' });
    const { reason } = await runs.step(run, 'build.s');
    assert.equal(reason?.code, 'mint.refused');
    assert.match(reason.message, /^a token for this server itself is never minted/);
    await renamed.stop();
  });
});

describe('who knows only the issuer', () => {
  let minted: string;
  before(async () => {
    await runs.start('asks');
    minted = (await runs.nextPayload()).environment['TOKEN']!;
    await runs.drain();
  });

  for (const [says, algorithm] of [['OpenID Connect Discovery', 'oidc'], ['RFC 8414', 'oauth2']] as const) {
    test(`finds by ${says} what verifies a token`, async () => {
      const configuration = await discovery(new URL(issuer), 'verifier', undefined, None(), { algorithm, execute: [allowInsecureRequests] });
      const metadata = configuration.serverMetadata();
      assert.equal(metadata.issuer, issuer);
      const { protectedHeader } = await jwtVerify(minted, createRemoteJWKSet(new URL(metadata.jwks_uri!)), { issuer, audience: 'https://partner.example', typ: 'JWT', algorithms: metadata['id_token_signing_alg_values_supported'] as string[] });
      assert.deepEqual([protectedHeader.alg, protectedHeader.typ], ['RS256', 'JWT']);
    });
  }

  test('is told of every claim there is', async () => {
    const { body } = await server.call({ method: 'GET', path: '/accounts/default/.well-known/openid-configuration', token: null });
    assert.deepEqual((body as { claims_supported: string[] }).claims_supported.toSorted(), Object.keys(claimsIn(minted)).toSorted());
  });

  test('is told of endpoints that are there', async () => {
    const { body } = await server.call({ method: 'GET', path: '/accounts/default/.well-known/openid-configuration', token: null });
    for (const [name, url] of Object.entries(body as Record<string, string>).filter(([each]) => each.endsWith('_endpoint'))) {
      const answer = await server.call({ method: 'POST', path: url.slice(server.url.length), form: { token: 'x' }, token: null });
      assert.notEqual(answer.status, 404, name);
    }
  });

  test('finds the same document at each of its paths, kept for minutes, also by HEAD', async () => {
    const paths = ['/accounts/default/.well-known/openid-configuration', '/.well-known/openid-configuration/accounts/default', '/.well-known/oauth-authorization-server/accounts/default'];
    const answers = await Promise.all(paths.map((path) => fetched(`${server.url}${path}`)));
    assert.equal(new Set(answers.map(({ body }) => body)).size, 1);
    for (const path of [...paths, '/accounts/default/jwks']) {
      const [get, head] = [await fetched(`${server.url}${path}`), await fetched(`${server.url}${path}`, 'HEAD')];
      assert.deepEqual([get.status, get.cache, get.type], [200, 'public, max-age=300', 'application/json; charset=utf-8']);
      assert.deepEqual([head.status, head.cache, head.body], [200, 'public, max-age=300', '']);
    }
  });

  test('gets public keys for minted tokens, and no others', async () => {
    // Keys of every purpose are there.
    await Promise.all((['session', 'checkpoint'] as const).map((purpose) => server.keyring.signingKey(server.account.id, purpose)));
    const { keys } = (await server.call({ method: 'GET', path: '/accounts/default/jwks', token: null })).body as { keys: Record<string, string>[] };
    const signing = await Promise.all((['RS256', 'ES256'] as const).map((algorithm) => server.app.mintKeys.current(server.account.id, algorithm)));
    assert.deepEqual(keys.map(({ kid, alg, use, kty }) => [kid, alg, use, kty]), [[signing[0]!.id, 'RS256', 'sig', 'RSA'], [signing[1]!.id, 'ES256', 'sig', 'EC']]);
    assert.deepEqual(keys.map((key) => Object.keys(key).toSorted()), [['alg', 'e', 'kid', 'kty', 'n', 'use'], ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']]);
  });

  test('cannot take a session token for a minted one, nor a minted one of another account for one of ours', async () => {
    const session = await world.exchangeAs('runs_it');
    const { keys } = (await server.call({ method: 'GET', path: '/accounts/default/jwks', token: null })).body as { keys: Record<string, string>[] };
    await assert.rejects(jwtVerify(session, createLocalJWKSet({ keys: keys as never })));
    await server.addAccount('sister');
    const sister = (await server.call({ method: 'GET', path: '/accounts/sister/jwks', token: null })).body as { keys: Record<string, string>[] };
    await assert.rejects(jwtVerify(minted, createLocalJWKSet({ keys: sister.keys as never })));
    const [input, signature] = [minted.slice(0, minted.lastIndexOf('.')), minted.slice(minted.lastIndexOf('.') + 1)];
    assert.equal(verify('sha256', Buffer.from(input), createPublicKey({ key: keys[0]!, format: 'jwk' }), Buffer.from(signature, 'base64url')), true);
  });

  test('finds nothing of an account that is disabled, in the words of one that is not there', async () => {
    await server.addAccount('closed');
    await server.sql(`update account set disabled = true where identifier = 'closed'`);
    await until(async () => (await server.call({ method: 'GET', path: '/accounts/closed/jwks', token: null })).status === 404, 'the account to be forgotten');
    for (const path of ['/accounts/NAME/jwks', '/accounts/NAME/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/accounts/NAME', '/.well-known/openid-configuration/accounts/NAME']) {
      const [closed, absent] = await Promise.all(['closed', 'nobody'].map((name) => server.call({ method: 'GET', path: path.replace('NAME', name), token: null })));
      problem(closed!, 404, 'access.not_found');
      assert.deepEqual({ ...(closed!.body as object), instance: '' }, { ...(absent!.body as object), instance: '' });
    }
  });
});

describe('what is kept of a token', () => {
  test('a row of the ledger and a row of the audit, however often its payload is asked for; never the token', async () => {
    const rows = await auditMark(server);
    const run = await runs.start('asks');
    const ref = (await runs.lease())!;
    const tokens = [(await runs.payload(ref)).environment['TOKEN']!];
    assert.deepEqual((await runs.payload(ref)).environment['TOKEN'], tokens[0]);
    const minted = tokens.map(claimsIn);
    const ledger = await server.sql<{ id: string; audience: string; subject: string; attempt_id: string }>('select id, audience, subject, attempt_id from minted_token where execution_id = $1', [run.id]);
    assert.deepEqual(ledger.map((row) => [row.id, row.audience, row.subject, row.attempt_id]).toSorted(), minted.map((claims) => [claims['jti'], claims['aud'], claims['sub'], ref.attemptId]).toSorted());
    const mints = (await rows()).filter(({ action }) => action === 'token.mint');
    assert.deepEqual(mints.map(({ actor, resource, scope, outcome }) => [actor, resource, scope, outcome]), minted.map(() => ['user:admin', 'connector partner', checkout, 'success']));
    assert.deepEqual(mints.map(({ detail }) => (detail as { jti: string }).jti).toSorted(), minted.map(({ jti }) => jti).toSorted());
    await runs.begin(ref);
    await runs.end(ref);
    await runs.drain();
    const dump = JSON.stringify(await server.sql('select e.*, x.state, a.* from audit_event e, execution x, attempt a where x.id = $1 and a.execution_id = $1', [run.id]));
    for (const each of tokens) assert.ok(!dump.includes(each.slice(-40)));
  });

  test('nothing when the lease was lost before the token could leave', async () => {
    const run = await runs.start('asks');
    const ref = (await runs.lease())!;
    server.clock.advance(60_000);
    await assert.rejects(runs.payload(ref), { code: 'runner.stale_fence' });
    assert.deepEqual(await server.sql('select 1 from minted_token where execution_id = $1', [run.id]), []);
    await runs.call(run, { below: '/abort' });
  });

  test('the same call twice in a step is one token, another audience another, and the masker knows both', async () => {
    await server.apply([pipeline('twice', { build: [step('s', { env: { A: token, B: `Bearer ${token}`, C: '<+secrets.getJWT("account.partner", "https://second.example")>' } })] })]);
    const run = await runs.start('twice');
    const { environment, secrets } = await runs.nextPayload();
    assert.equal(environment['B'], `Bearer ${environment['A']}`);
    assert.notEqual(environment['A'], environment['C']);
    assert.deepEqual(new Set(secrets.map(({ value }) => value)), new Set([environment['A'], environment['B'], environment['C']]));
    assert.equal((await server.sql('select 1 from minted_token where execution_id = $1', [run.id])).length, 2);
    assert.equal(((await runs.show(run)) as ExecutionView).status, 'Success');
  });
});

describe('an apply under way', () => {
  test('holds up neither the start of a run nor the token of its step', async () => {
    // The first of an account makes its keys.
    await runs.start('asks');
    await runs.drain();
    const owner = new Client(server.rows.owner);
    await owner.connect();
    try {
      await owner.query(`begin; select 1 from resource where identifier = 'ci' and kind = 'service_account' for update`);
      const applying = server.apply([{ kind: 'ServiceAccount', identifier: 'ci', name: 'renamed', spec: {} }]);
      const { rows: [holder] } = await owner.query<{ pid: number }>('select pg_backend_pid() as pid');
      const waits = () => server.sql('select 1 from pg_locks where not granted and $1 = any(pg_blocking_pids(pid))', [holder!.pid]);
      await until(async () => (await waits()).length > 0, 'the apply to wait for the row');
      const run = await runs.start('asks', { token: (await makeToken(server, { type: 'service_account', path: 'ci' })).token });
      assert.equal(claimsIn((await runs.nextPayload()).environment['TOKEN'])['execution_id'], run.id);
      await owner.query('commit');
      assert.equal((await applying).status, 200);
    } finally {
      await owner.end();
    }
    await runs.drain();
  });
});

async function fetched(url: string, method = 'GET'): Promise<{ status: number; body: string; cache: string | null; type: string | null }> {
  const answer = await fetch(url, { method });
  return { status: answer.status, body: await answer.text(), cache: answer.headers.get('cache-control'), type: answer.headers.get('content-type') };
}
