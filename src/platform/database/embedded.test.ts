import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import pg from 'pg';
import { startEmbedded } from './embedded.ts';
import {
  base, linuxOnly, place, postmasterPid, query, quick, refused, rootOnly, serverProcess,
  start, steady, words,
} from './embedded.world.ts';

describe('starting and stopping', () => {
  test('what was committed before a stop is there after the next start', async (t) => {
    const dataDirectory = place('nothing');
    const first = await startEmbedded({ dataDirectory });
    await query(first.owner, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('durable')");
    await first.stop();
    assert.deepEqual(await words(await start(t, dataDirectory)), ['durable']);
  });

  test('the cluster is UTF8, in the C locale and with checksums', async (t) => {
    const db = await start(t, steady);
    const show = async (name: string) => (await query(db.owner, `SHOW ${name}`))[0]?.[name];
    assert.equal(await show('server_encoding'), 'UTF8');
    assert.equal(await show('data_checksums'), 'on');
    const [collation] = await query(db.owner, 'SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()');
    assert.deepEqual(collation, { datcollate: 'C', datctype: 'C' });
  });

  test('stop rolls open transactions back, may be called twice, and is no loss', async (t) => {
    const dataDirectory = steady;
    const db = await start(t, dataDirectory);
    const client = new pg.Client(db.owner);
    client.on('error', () => {});
    await client.connect();
    await client.query("BEGIN; INSERT INTO kept VALUES ('open')");
    await Promise.all([db.stop(), db.stop()]);
    assert.equal(await Promise.race([db.lost, Promise.resolve('no loss')]), 'no loss');
    assert.equal(existsSync(db.owner.host), false, 'the socket directory is removed');
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first']);
  });

  test('a data directory with a path far longer than a socket path, with spaces and quotes, works', async (t) => {
    const dataDirectory = join(base, ...Array.from({ length: 6 }, (_, level) => `${level} it's "quoted" $HOME ${'x'.repeat(90)}`));
    assert.ok(Buffer.byteLength(dataDirectory) > 600);
    const db = await start(t, dataDirectory);
    assert.ok(Buffer.byteLength(`${db.owner.host}/.s.PGSQL.${db.owner.port}.lock`) < 104);
    assert.equal((await query(db.application, 'SELECT 1 AS one'))[0]?.['one'], 1);
  });

  test('a path longer than PostgreSQL can hold is refused', async () => {
    const dataDirectory = join(base, ...Array.from({ length: 5 }, () => 'y'.repeat(200)));
    await refused(startEmbedded({ dataDirectory, ...quick }), 'host.database', 'longer than 800 bytes');
  });

  test('a server that cannot start says why and leaves the directory free', async (t) => {
    const dataDirectory = steady;
    const broken = { dataDirectory, settings: { shared_buffers: 'plenty' } };
    await refused(startEmbedded(broken), 'host.database', 'shared_buffers', '--database-url');
    assert.deepEqual(await words(await start(t, dataDirectory)), ['first']);
  });

  test('Ctrl-C in the terminal of the server does not reach the database', linuxOnly, async (t) => {
    const dataDirectory = steady;
    await start(t, dataDirectory);
    const processGroup = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2];
    assert.notEqual(processGroup(postmasterPid(dataDirectory)), processGroup(process.pid));
  });
});

describe('what is found in the data directory', () => {
  test('an unfinished cluster is thrown away and made again', async (t) => {
    const dataDirectory = place('nothing');
    mkdirSync(join(dataDirectory, 'postgres.new', 'base'), { recursive: true, mode: 0o700 });
    writeFileSync(join(dataDirectory, 'postgres.new', 'PG_VERSION'), '18\n');
    chmodSync(dataDirectory, 0o700);
    const db = await start(t, dataDirectory);
    assert.equal(existsSync(join(dataDirectory, 'postgres.new')), false);
    assert.equal((await query(db.application, 'SELECT 1 AS one'))[0]?.['one'], 1);
  });

  test('an empty cluster directory counts as none', async (t) => {
    const dataDirectory = place('nothing');
    mkdirSync(join(dataDirectory, 'postgres'), { recursive: true, mode: 0o700 });
    chmodSync(dataDirectory, 0o700);
    await start(t, dataDirectory);
    assert.ok(existsSync(join(dataDirectory, 'postgres', 'PG_VERSION')));
  });

  const damages: { name: string; damage: (path: string) => void; says: string[] }[] = [
    {
      name: 'a cluster without PG_VERSION is refused, not overwritten',
      damage: (path) => unlinkSync(join(path, 'postgres', 'PG_VERSION')),
      says: ['not a whole PostgreSQL cluster', 'restore it from a backup'],
    },
    {
      name: 'a cluster without control file is refused, not overwritten',
      damage: (path) => unlinkSync(join(path, 'postgres', 'global', 'pg_control')),
      says: ['not a whole PostgreSQL cluster'],
    },
    {
      name: 'a cluster of another major version is refused with what to do',
      damage: (path) => writeFileSync(join(path, 'postgres', 'PG_VERSION'), '17\n'),
      says: ['PostgreSQL 17', 'brings 18', 'dump it', 'restore'],
    },
    {
      name: 'a cluster whose passwords are missing is refused',
      damage: (path) => unlinkSync(join(path, 'postgres.json')),
      says: ['postgres.json', 'is missing'],
    },
    {
      name: 'passwords that cannot be read are refused without quoting them',
      damage: (path) => writeFileSync(join(path, 'postgres.json'), '{"version":1,"ownerPassword":"hunter2'),
      says: ['does not hold the database passwords'],
    },
    {
      name: 'a file in place of the cluster is refused',
      damage: (path) => {
        rmSync(join(path, 'postgres'), { recursive: true });
        writeFileSync(join(path, 'postgres'), '');
      },
      says: ['make it a directory'],
    },
  ];
  for (const { name, damage, says } of damages) {
    test(name, async () => {
      const dataDirectory = place('mere files');
      damage(dataDirectory);
      const found = readdirSync(dataDirectory, { recursive: true }).sort();
      await refused(startEmbedded({ dataDirectory, ...quick }), 'host.database', ...says);
      assert.deepEqual(readdirSync(dataDirectory, { recursive: true }).sort(), found, 'nothing was added or removed');
    });
  }

  test('a directory of others that holds files is neither used nor closed to them', async () => {
    const shared = place('nothing');
    mkdirSync(shared, { mode: 0o755 });
    writeFileSync(join(shared, 'somebody.txt'), '');
    await refused(startEmbedded({ dataDirectory: shared, ...quick }), 'host.database', 'holds other files');
    assert.equal(statSync(shared).mode & 0o777, 0o755);
    assert.deepEqual(readdirSync(shared), ['somebody.txt']);
  });

  test('the root of a fresh volume of another user is taken and closed', rootOnly, async (t) => {
    const volume = place('nothing');
    mkdirSync(join(volume, 'lost+found'), { recursive: true });
    chownSync(volume, 12345, 12345);
    await start(t, volume);
    const { mode, uid } = statSync(volume);
    assert.deepEqual([uid, mode & 0o777], [0, 0o700]);
  });

  test('root does not take over the used directory of another user', rootOnly, async () => {
    const dataDirectory = place('mere files');
    chownSync(dataDirectory, 12345, 12345);
    await refused(startEmbedded({ dataDirectory, ...quick }), 'host.database', 'uid 12345');
  });
});

describe('one server per directory', () => {
  test('a second start in the same process, another one and through a link is refused', async (t) => {
    const dataDirectory = steady;
    await start(t, dataDirectory);
    const link = join(base, 'link');
    symlinkSync(dataDirectory, link);
    await refused(startEmbedded({ dataDirectory, ...quick }), 'host.in_use', `process ${process.pid}`, 'stop that server');
    await refused(startEmbedded({ dataDirectory: link, ...quick }), 'host.in_use');
    assert.equal((await serverProcess(t, { dataDirectory, ...quick }).answer).code, 'host.in_use');
  });

  test('a second start in a container that shares only the volume is refused', rootOnly, async (t) => {
    const dataDirectory = steady;
    const db = await start(t, dataDirectory);
    const container = ['unshare', '--net', '--pid', '--ipc', '--uts', '--mount-proc', '--fork', '--kill-child'];
    assert.equal((await serverProcess(t, { dataDirectory, ...quick }, container).answer).code, 'host.in_use');
    assert.deepEqual(await words(db), ['first']);
  });

  test('of many that start at once on a new directory exactly one wins', async (t) => {
    const dataDirectory = place('nothing');
    const servers = Array.from({ length: 4 }, () => serverProcess(t, { dataDirectory, ...quick }));
    const answers = await Promise.all(servers.map((server) => server.answer));
    assert.deepEqual(answers.map((answer) => answer.code ?? 'started').sort(), ['host.in_use', 'host.in_use', 'host.in_use', 'started']);
  });

  for (const removed of [['lock'], ['lock', 'postgres.lock']]) {
    test(`a running server whose \`${removed.join('` and `')}\` was removed neither shares its directory nor is stopped`, async (t) => {
      const dataDirectory = steady;
      const db = await start(t, dataDirectory);
      for (const name of removed) unlinkSync(join(dataDirectory, name));
      await refused(startEmbedded({ dataDirectory, ...quick }), 'host.in_use', 'lock file was removed');
      assert.deepEqual(await words(db), ['first']);
    });
  }
});
