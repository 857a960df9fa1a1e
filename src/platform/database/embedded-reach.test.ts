import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { startEmbedded } from './embedded.ts';
import type { EmbeddedDatabase, PgLogin } from './embedded.ts';
import {
  base, linuxOnly, place, postmasterPid, query, quick, refused, rootOnly, serverProcess,
  start, steady, words,
} from './embedded.world.ts';
import { socketDirectory } from './socket-directory.ts';
import { findWay } from './unprivileged.ts';

describe('who can reach the database', () => {
  let db: EmbeddedDatabase;
  const dataDirectory = steady;
  before(async () => {
    db = await startEmbedded({ dataDirectory, settings: { ...quick.settings, listen_addresses: '*' } });
  });
  after(() => db.stop());

  test('there is no TCP socket, whatever the settings say', linuxOnly, async () => {
    const descriptors = `/proc/${postmasterPid(dataDirectory)}/fd`;
    const sockets = readdirSync(descriptors).map((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(join(descriptors, fd)))?.[1]);
    const inodes = sockets.filter((inode) => inode !== undefined);
    const inodesIn = (table: string) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
    const unix = new Set(inodesIn('unix').map((columns) => columns[6]));
    const tcp = new Set(['tcp', 'tcp6', 'udp', 'udp6'].flatMap(inodesIn).map((columns) => columns[9]));
    assert.ok(inodes.some((inode) => unix.has(inode)), 'the unix socket is seen this way');
    assert.deepEqual(inodes.filter((inode) => tcp.has(inode)), []);
    assert.deepEqual(await query(db.owner, 'SHOW listen_addresses'), [{ listen_addresses: '' }]);
  });

  test('directories and files are closed to others', () => {
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    const modes = [dataDirectory, join(dataDirectory, 'postgres'), join(dataDirectory, 'postgres.json'), db.owner.host].map(mode);
    assert.deepEqual(modes, ['700', '700', '600', '700']);
    assert.equal(mode(`${db.owner.host}/.s.PGSQL.5432`), '600');
  });

  test('another user of the host cannot connect, though it knows the password', rootOnly, () => {
    assert.match(connectAs(65534, db.owner), /EACCES/);
    assert.match(connectAs(0, db.owner), /connected/);
  });

  test('a wrong password and none are refused', async () => {
    await assert.rejects(query({ ...db.owner, password: 'wrong' }, 'SELECT 1'), { code: '28P01' });
    await assert.rejects(query({ ...db.owner, password: '' }, 'SELECT 1'), /password/);
    await assert.rejects(query({ ...db.owner, user: 'postgres' }, 'SELECT 1'), { code: '28P01' });
  });

  const forbidden = [
    'CREATE TABLE mine (a int)',
    'CREATE TEMPORARY TABLE mine (a int)',
    'CREATE SCHEMA mine',
    'CREATE DATABASE mine',
    'CREATE ROLE mine',
    'CREATE EXTENSION pgcrypto',
    'CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    'DROP TABLE kept',
    'ALTER TABLE kept ADD COLUMN a int',
    'SELECT * FROM kept',
    'DROP DATABASE postgres',
    'ALTER ROLE sallyport_app SUPERUSER',
    'ALTER ROLE sallyport_app CREATEROLE',
    "ALTER ROLE sallyport PASSWORD 'mine'",
    'SET ROLE sallyport',
    'GRANT sallyport TO sallyport_app',
    'SELECT * FROM pg_authid',
    "SELECT pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "ALTER SYSTEM SET listen_addresses = '*'",
  ];
  for (const statement of forbidden) {
    test(`the application role is refused: ${statement}`, async () => {
      await assert.rejects(query(db.application, statement), { code: '42501' });
    });
  }

  for (const database of ['postgres', 'template1']) {
    test(`the application role cannot connect to ${database}`, async () => {
      await assert.rejects(query({ ...db.application, database }, 'SELECT 1'), { code: '42501' });
    });
  }

  test('the passwords appear in no command line, environment or log, neither while the cluster is made nor later', linuxOnly, async (t) => {
    const newDirectory = place('nothing');
    const seen = new Set<string>();
    const lines: string[] = [];
    let done = false;
    const watching = (async () => {
      while (!done) {
        for (const text of processTexts(newDirectory)) seen.add(text);
        await turn();
      }
    })();
    const fresh = await start(t, newDirectory, { log: (line) => lines.push(line), settings: { ...quick.settings, log_statement: 'all' } });
    await query(fresh.application, 'SELECT 1');
    done = true;
    await watching;
    for (const program of ['initdb', '--single', 'unix_socket_directories']) {
      assert.ok([...seen].some((text) => text.includes(program)), `${program} was watched`);
    }
    assert.ok(lines.length > 0);
    const everything = [...seen, ...lines].join('\n');
    for (const { password } of [fresh.owner, fresh.application]) assert.ok(!everything.includes(password));
    const inherited = Object.entries(process.env).filter(([name]) => /^(HOME|USER|npm_|NODE_)/.test(name));
    for (const [name, value] of inherited) assert.ok(!everything.includes(`${name}=${value}`), `\`${name}\` is not passed on`);
  });

  test('a socket directory that belongs to somebody else is refused', rootOnly, async (t) => {
    const dataDirectory = place('mere files');
    const squatted = socketDirectory(dataDirectory);
    t.after(() => rmSync(squatted, { recursive: true, force: true }));
    mkdirSync(squatted, { mode: 0o700 });
    chownSync(squatted, 12345, 12345);
    await refused(startEmbedded({ dataDirectory, ...quick }), 'host.database', squatted);
    rmSync(squatted, { recursive: true });
    symlinkSync(base, squatted);
    await refused(startEmbedded({ dataDirectory, ...quick }), 'host.database', squatted);
  });
});

describe('hosts that allow less', () => {
  test('without user namespaces PostgreSQL runs as another user, who owns the cluster and nothing else', rootOnly, async (t) => {
    const dataDirectory = steady;
    const db = await start(t, dataDirectory, { allowUserNamespaces: false });
    const owner = (path: string) => statSync(path).uid;
    assert.notEqual(owner(join(dataDirectory, 'postgres')), 0);
    assert.equal(owner(`/proc/${postmasterPid(dataDirectory)}`), owner(join(dataDirectory, 'postgres')));
    assert.deepEqual([dataDirectory, join(dataDirectory, 'postgres.json')].map(owner), [0, 0]);
    assert.equal(statSync(dataDirectory).mode & 0o777, 0o710);
    assert.match(connectAs(12345, db.owner), /EACCES/);
    assert.deepEqual(await words(db), ['first']);
  });

  test('a new cluster is made as another user too', rootOnly, async (t) => {
    const db = await start(t, place('nothing'), { allowUserNamespaces: false });
    assert.equal((await query(db.application, 'SELECT 1 AS one'))[0]?.['one'], 1);
  });

  test('the same cluster goes on when the host begins or ceases to allow namespaces', rootOnly, async () => {
    const dataDirectory = steady;
    for (const allowUserNamespaces of [false, true, false]) {
      const db = await startEmbedded({ dataDirectory, ...quick, allowUserNamespaces });
      assert.deepEqual(await words(db).finally(() => db.stop()), ['first']);
      assert.equal(statSync(join(dataDirectory, 'postgres')).uid === 0, allowUserNamespaces);
      assert.equal(statSync(dataDirectory).mode & 0o777, allowUserNamespaces ? 0o700 : 0o710);
    }
  });

  test('a directory the other user cannot reach is refused, pointing to --database-url', rootOnly, async (t) => {
    const secluded = mkdtempSync(join(tmpdir(), 'embedded-')); // 0700
    t.after(() => rmSync(secluded, { recursive: true }));
    const options = { dataDirectory: join(secluded, 'data'), ...quick, allowUserNamespaces: false };
    await refused(startEmbedded(options), 'host.database', 'Permission denied', '--database-url');
  });

  test('binaries that cannot be run in any way are refused, pointing to --database-url', async () => {
    const nowhere = { initdb: '/nonexistent/initdb', postgres: '/nonexistent/postgres' };
    await refused(findWay(nowhere, true), 'host.database', '/nonexistent/postgres', '--database-url');
  });

  for (const [uid, who] of [[65534, 'an ordinary user'], [54321, 'a user the host does not know']] as const) {
    test(`${who} starts it without being root`, rootOnly, async (t) => {
      const home = place('nothing');
      mkdirSync(home);
      chownSync(home, uid, uid);
      const asUser = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
      const answer = await serverProcess(t, { dataDirectory: join(home, 'data'), ...quick }, asUser).answer;
      assert.ok(answer.owner !== undefined, String(answer.code));
      assert.match(connectAs(uid, answer.owner), /connected/);
    });
  }
});

/** Tries the login as another user of the host and returns what happened. */
function connectAs(uid: number, login: PgLogin): string {
  const script = `
    import pg from ${JSON.stringify(import.meta.resolve('pg'))};
    const client = new pg.Client(JSON.parse(process.argv[1]));
    await client.connect().then(() => console.log('connected'), (error) => console.log(error.code));
    await client.end();`;
  const node = [process.execPath, '--input-type=module', '-e', script, JSON.stringify(login)];
  const become = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const { stdout, stderr } = spawnSync('setpriv', [...become, ...node], { encoding: 'utf8', cwd: '/', timeout: 20_000 });
  return stdout + stderr;
}

/** Command line and environment of every living process that works on a data directory, except ourselves. */
function processTexts(dataDirectory: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) > process.pid);
  return pids.flatMap((pid) => {
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const ours = commandLine.includes(dataDirectory) || readlinkSync(`/proc/${pid}/cwd`).startsWith(dataDirectory);
      return ours ? [commandLine + readFileSync(`/proc/${pid}/environ`, 'utf8')] : [];
    } catch {
      return []; // it has ended
    }
  });
}
