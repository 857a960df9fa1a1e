import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { findBinaries } from './binaries.ts';
import { startEmbedded } from './embedded.ts';
import {
  isGone, killed, linuxOnly, place, postmasterPid, query, quick, refused, serverProcess,
  start, steady, words,
} from './embedded.world.ts';
import { findWay } from './unprivileged.ts';

/** Polled condition of a process that has to end or come up; never reached unless the guarantee is broken. */
const soon = { timeout: 30_000, interval: 10 };

describe('crashes', () => {
  test('kill -9 of the postmaster resolves `lost`, and the next start recovers', linuxOnly, async (t) => {
    const dataDirectory = place();
    const db = await start(t, dataDirectory);
    await query(db.owner, "INSERT INTO kept VALUES ('second')");
    process.kill(postmasterPid(dataDirectory), 'SIGKILL');
    const loss = await db.lost;
    assert.equal(loss.signal, 'SIGKILL');
    assert.ok(loss.lastLines.some((line) => line.includes('ready to accept connections')));
    await db.stop();
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first', 'second']);
  });

  for (const allowUserNamespaces of [true, false]) {
    const how = allowUserNamespaces ? '' : ' (as another user)';
    test(`kill -9 of the server ends its database, and the next start recovers${how}`, linuxOnly, async (t) => {
      const dataDirectory = place();
      const server = serverProcess(t, { dataDirectory, ...quick, allowUserNamespaces });
      const { owner } = await server.answer;
      assert.ok(owner !== undefined, JSON.stringify(await server.answer));
      await query(owner, "INSERT INTO kept VALUES ('second')");
      const pid = postmasterPid(dataDirectory);
      await killed(server);
      await t.waitFor(() => assert.ok(isGone(pid)), soon);
      assert.deepEqual(await words(await start(t, dataDirectory, { allowUserNamespaces })), ['first', 'second']);
    });
  }

  test('kill -9 of server and postmaster together loses nothing committed', linuxOnly, async (t) => {
    const dataDirectory = place();
    const server = serverProcess(t, { dataDirectory, ...quick });
    const { owner } = await server.answer;
    assert.ok(owner !== undefined);
    await query(owner, "INSERT INTO kept VALUES ('second')");
    process.kill(postmasterPid(dataDirectory), 'SIGKILL');
    await killed(server);
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first', 'second']);
  });

  test('kill -9 of the server while it makes the cluster: the next start makes a whole one', linuxOnly, async (t) => {
    const dataDirectory = place('nothing');
    const server = serverProcess(t, { dataDirectory, ...quick });
    await t.waitFor(() => assert.ok(existsSync(join(dataDirectory, 'postgres.new', 'PG_VERSION'))), soon);
    await killed(server);
    assert.equal(existsSync(join(dataDirectory, 'postgres')), false);
    const db = await start(t, dataDirectory);
    assert.equal((await query(db.application, 'SELECT 1 AS one'))[0]?.['one'], 1);
  });

  test('a start waits for PostgreSQL processes of a killed server, within bounds', linuxOnly, async (t) => {
    const dataDirectory = steady;
    const server = serverProcess(t, { dataDirectory, ...quick });
    assert.ok((await server.answer).owner);
    const pid = postmasterPid(dataDirectory);
    process.kill(pid, 'SIGSTOP');
    t.after(() => isGone(pid) || process.kill(pid, 'SIGCONT'));
    await killed(server);
    const impatient = startEmbedded({ dataDirectory, ...quick, leftoverPatienceMs: 100 });
    await refused(impatient, 'host.in_use', 'of an earlier server');
    const patient = start(t, dataDirectory);
    process.kill(pid, 'SIGCONT');
    assert.deepEqual(await words(await patient), ['first']);
  });

  test('a postmaster that was not told of the death of its server is ended by the next start', linuxOnly, async (t) => {
    const dataDirectory = steady;
    const way = await findWay(findBinaries(), true);
    const untold = way.prefix.slice(0, Math.max(0, way.prefix.indexOf('setpriv')));
    const server = barePostmaster(t, dataDirectory, untold);
    await once(server.stdout, 'data');
    const pid = postmasterPid(dataDirectory);
    server.kill('SIGKILL');
    await once(server, 'exit');
    assert.ok(!isGone(pid));
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first']);
    assert.ok(isGone(pid));
  });

  test('a stale postmaster.pid that names a living process of somebody else is no obstacle', async (t) => {
    const dataDirectory = steady;
    const text = ['1', join(dataDirectory, 'postgres'), '1', '5432', '/tmp', '', '', 'ready   ', ''].join('\n');
    writeFileSync(join(dataDirectory, 'postgres', 'postmaster.pid'), text);
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first']);
  });
});

/** A process that starts the postmaster without `startEmbedded`, with a command prefix of the test's choice. */
function barePostmaster(t: TestContext, dataDirectory: string, prefix: readonly string[]) {
  const modules = ['directory-lock', 'postmaster', 'binaries'].map((name) => import.meta.resolve(`./${name}.ts`));
  const socket = mkdtempSync(join(tmpdir(), 'bare-'));
  t.after(() => rmSync(socket, { recursive: true, force: true }));
  const script = `
    const [{ lockForProcesses }, { startPostmaster }, { findBinaries }] =
      await Promise.all(${JSON.stringify(modules)}.map((url) => import(url)));
    const { postgres } = findBinaries();
    const lock = await lockForProcesses(${JSON.stringify(dataDirectory)}, { onBusy() {}, patienceMs: 0 });
    const cluster = ${JSON.stringify(join(dataDirectory, 'postgres'))};
    const way = { prefix: ${JSON.stringify(prefix)} };
    const common = { settings: { fsync: 'off' }, socketDirectory: ${JSON.stringify(socket)}, lockFd: lock.fd, log() {} };
    await startPostmaster({ postgres, way, cluster, ...common });
    console.log('ready');`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}
