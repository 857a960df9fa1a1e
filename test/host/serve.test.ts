import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import { startEmbedded } from '#platform/database/embedded.ts';
import type { PgLogin } from '#platform/database/embedded.ts';
import { callRemote } from '#platform/remote.ts';
import { databasePid, setUpAdmin } from '#test/serve-process.ts';
import { until } from '#test/until.ts';
import { base, call, copyOf, newPlace, refused, resourcesOf, sallyport, serve, steadyData } from './sallyport.ts';
import type { Steady } from './sallyport.ts';

let steady: Steady;
before(async () => void (steady = await steadyData()));

const isGone = (pid: number) => {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
};

describe('a first start', () => {
  test('says where it is ready, keeps its key and setup code to itself, and ends with 0 when asked to', async () => {
    const data = newPlace();
    const server = await serve({ data });
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal((await callRemote({ url: server.url, token: null }, { method: 'GET', path: '/readyz' })).status, 200);
    assert.equal(statSync(data).mode & 0o777, 0o700);
    for (const file of ['root.key', 'setup-code', 'postgres.json']) assert.equal(statSync(join(data, file)).mode & 0o777, 0o600, file);
    assert.match(readFileSync(join(data, 'setup-code'), 'utf8'), /^\S{20,}\n$/);
    const postgres = databasePid(data)!;
    await server.stop();
    assert.equal(await server.exit, 0);
    assert.ok(isGone(postgres));
  });

  test('lets a request under way end before it stops', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    const body = JSON.stringify({ documents: [{ kind: 'Organization', identifier: 'late', spec: {} }] });
    const headers = { authorization: `Bearer ${steady.token}`, 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' };
    const applying = request(`${server.url}/api/v1/accounts/default/manifests:apply`, { method: 'POST', headers });
    applying.flushHeaders();
    await once(applying, 'continue'); // the server has the head of the request and waits for its body
    process.kill(server.pid, 'SIGTERM');
    await until(() => server.log().includes('draining'), 'the server to have seen the signal');
    applying.end(body);
    const [answer] = (await once(applying, 'response')) as [IncomingMessage];
    assert.equal(answer.statusCode, 200, await text(answer));
    assert.equal(await server.exit, 0);
  });

  test('that was killed half-way is finished by the next', async () => {
    const data = newPlace();
    const first = await serve({ data });
    await first.stop();
    rmSync(join(data, 'setup-code'));
    // As a kill between the account and its setup code leaves it.
    const database = await startEmbedded({ dataDirectory: data });
    await ask(database.owner, `delete from credential where kind = 'setup'`).finally(() => database.stop());
    const second = await serve({ data });
    await setUpAdmin(second, data);
    rmSync(join(data, 'setup-code'));
    await second.stop();
    const third = await serve({ data });
    assert.ok(!existsSync(join(data, 'setup-code')), 'and no start after that is a first one');
    await third.stop();
  });

  test('that could not say the setup code is finished by the next, with a code that is said and works', async () => {
    const data = newPlace();
    mkdirSync(join(data, 'setup-code'), { recursive: true, mode: 0o700 });
    chmodSync(data, 0o700);
    await refused(['serve', '--data', data, '--port', '0', '--no-runner'], 1, 'setup-code');
    rmSync(join(data, 'setup-code'), { recursive: true });
    const server = await serve({ data });
    await setUpAdmin(server, data);
    await server.stop();
  });

  test('gives the setup code to nobody twice', async () => {
    const data = newPlace();
    const server = await serve({ data });
    await setUpAdmin(server, data);
    await assert.rejects(setUpAdmin(server, data), /was answered 401/);
    await server.stop();
  });
});

describe('a data directory in use', () => {
  test('is refused to a second server with exit code 3, and the first goes on', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    await refused(['serve', '--data', data, '--port', '0', '--no-runner'], 3, `in use by process ${server.pid}`);
    assert.equal((await call(server, steady.token, { method: 'GET', path: '/organizations' })).status, 200);
    await server.stop();
  });

  test('is open to commands that work beside a server', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    const listed = await sallyport(['account', 'list', '--data', data, '--json']);
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal((JSON.parse(listed.stdout) as { identifier: string }[])[0]!.identifier, 'default');
    await server.stop();
  });
});

describe('a crash', () => {
  test('of the server loses nothing that was answered, and the next start needs no repair', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    const applied = await call(server, steady.token, { method: 'POST', path: '/manifests:apply', body: { documents: [{ kind: 'Organization', identifier: 'last', spec: {} }] } });
    assert.equal(applied.status, 200);
    const postgres = databasePid(data)!;
    await server.kill();
    await until(() => isGone(postgres), 'the database to end with its server');
    const again = await serve({ data });
    assert.equal((await call(again, steady.token, { method: 'GET', path: '/organizations/last' })).status, 200);
    const verified = await call(again, steady.token, { method: 'POST', path: '/audit:verify' });
    assert.deepEqual((verified.body as { findings: unknown[] }).findings, []);
    await again.stop();
  });

  test('of the database ends the server with exit code 4, and both start again', async () => {
    const data = copyOf(steady);
    const server = await serve({ data });
    process.kill(databasePid(data)!, 'SIGKILL');
    assert.equal(await server.exit, 4);
    assert.match(server.log(), /the database went away/);
    const again = await serve({ data });
    assert.equal((await resourcesOf(again, steady.token)).length, 6);
    await again.stop();
  });
});

describe('the bootstrap token of an unattended installation', () => {
  const bootstrapToken = 'bootstrap-0123456789abcdef0123456789abcdef';

  for (const how of ['variable', 'file'] as const) {
    test(`given by ${how} acts as system:bootstrap, is in no child's environment and no file, and ends with the first admin`, async () => {
      const data = newPlace();
      const file = join(base, `token-${how}`);
      writeFileSync(file, `${bootstrapToken}\n`, { mode: 0o600 });
      const environment = { ...(how === 'file' ? { SALLYPORT_BOOTSTRAP_TOKEN_FILE: file } : { SALLYPORT_BOOTSTRAP_TOKEN: bootstrapToken }) };
      const server = await serve({ data, environment, runner: how === 'variable' });
      const applied = await call(server, bootstrapToken, { method: 'POST', path: '/manifests:apply', body: { documents: [{ kind: 'Organization', identifier: 'made', spec: {} }] } });
      assert.equal(applied.status, 200, JSON.stringify(applied.body));

      const children = descendants(server.pid);
      assert.ok(children.includes(databasePid(data)!));
      for (const pid of children) assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /BOOTSTRAP|bootstrap/, `environment of ${pid}`);
      assert.doesNotMatch(server.log(), /bootstrap-0123/);

      const admin = await setUpAdmin(server, data);
      const audit = await call(server, admin, { method: 'GET', path: '/audit?action=organization.create' });
      assert.deepEqual((audit.body as { items: { actor: { type: string; uid: string } }[] }).items.map(({ actor }) => `${actor.type}:${actor.uid}`), ['system:bootstrap']);
      await until(async () => (await call(server, bootstrapToken, { method: 'GET', path: '/organizations' })).status === 401, 'the bootstrap token to end');
      await server.stop();
      const backup = newPlace('bootstrap.dump');
      assert.equal((await sallyport(['backup', '--data', data, '--to', backup])).code, 0);
      assert.ok(!readdirSync(data).some((name) => /bootstrap/.test(name)));
    });
  }

  test('is not read at a later start', async () => {
    const data = copyOf(steady);
    const server = await serve({ data, environment: { SALLYPORT_BOOTSTRAP_TOKEN: bootstrapToken } });
    assert.equal((await call(server, bootstrapToken, { method: 'GET', path: '/organizations' })).status, 401);
    await server.stop();
  });

  test('in a file that is gone after the first start keeps neither the next start nor a host command from working', async () => {
    const data = copyOf(steady);
    const environment = { SALLYPORT_BOOTSTRAP_TOKEN_FILE: join(base, 'deleted-after-installation') };
    const listed = await sallyport(['account', 'list', '--data', data], environment);
    assert.equal(listed.code, 0, listed.stderr);
    const server = await serve({ data, environment });
    assert.equal((await call(server, steady.token, { method: 'GET', path: '/organizations' })).status, 200);
    await server.stop();
  });

  test('in a file that is not there at the first start is missed', async () => {
    await refused(['serve', '--data', newPlace(), '--port', '0', '--no-runner'], 1, 'no-such-token` cannot be read', { SALLYPORT_BOOTSTRAP_TOKEN_FILE: join(base, 'no-such-token') });
  });

  test('that is refused at the first start is taken at the next, as if it were the first', async () => {
    const data = newPlace();
    await refused(['serve', '--data', data, '--port', '0', '--no-runner'], 1, 'nor like a JWT', { SALLYPORT_BOOTSTRAP_TOKEN: `eyJ${bootstrapToken}` });
    const server = await serve({ data, environment: { SALLYPORT_BOOTSTRAP_TOKEN: bootstrapToken } });
    assert.equal((await call(server, bootstrapToken, { method: 'GET', path: '/organizations' })).status, 200);
    await setUpAdmin(server, data);
    await server.stop();
  });

  test('is refused when it is short', async () => {
    await refused(['serve', '--data', newPlace(), '--port', '0'], 1, 'must have 32 to 512 characters', { SALLYPORT_BOOTSTRAP_TOKEN: 'short' });
  });
});

async function ask(login: PgLogin, text: string): Promise<void> {
  const client = new Client(login);
  await client.connect();
  await client.query(text).finally(() => client.end());
}

/** All processes started by this one and by those, and so on. */
function descendants(pid: number): number[] {
  const direct = readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
  return [...direct, ...direct.flatMap(descendants)];
}
