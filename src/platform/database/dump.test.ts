import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Client } from 'pg';
import { Refusal } from '#kernel/errors.ts';
import { testDatabase } from '#test/database/database.ts';
import type { TestDatabase } from '#test/database/database.ts';
import { runs } from '#test/mode.ts';
import { until } from '#test/until.ts';
import { systemClock, systemRandomness } from '../clock.ts';
import type { DataKey } from '../sealing.ts';
import { writeDump } from './dump.ts';
import { inOrder, keptTables } from './kept-tables.ts';
import { migrate } from './migrate.ts';
import { checkDump } from './read-dump.ts';
import { checkBeforeRestore, restoreDump } from './restore.ts';

const rootKey: DataKey = { id: 'aaaaaaaa-0000-8000-8000-000000000001', bytes: randomBytes(32) };
const directory = mkdtempSync(join(tmpdir(), 'dump-'));
after(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `${++files}.dump`);
const quiet = () => {};

async function ask(database: TestDatabase, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client(database.owner);
  await client.connect();
  try {
    return (await client.query(text, values)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

async function backUp(database: TestDatabase, key = rootKey, progress: (line: string) => void = quiet): Promise<string> {
  const path = newPath();
  await writeDump(path, { login: database.owner, rootKey: key, clock: systemClock, randomness: systemRandomness, progress });
  return path;
}

async function restore(path: string, database: TestDatabase, migrations?: URL): Promise<void> {
  const options = { rootKey, progress: quiet, ...(migrations === undefined ? {} : { migrations }) };
  await restoreDump(await checkBeforeRestore(path, options), { ...options, login: database.owner });
}

const textOf = (path: string) => gunzipSync(readFileSync(path)).toString('utf8');
const linesOf = (path: string) => textOf(path).trimEnd().split('\n');
/** Rows without the header and the end; their order inside a table is the database's. */
const rowsOf = (path: string) => linesOf(path).slice(1, -1).toSorted();

async function refused(action: Promise<unknown>, code: string, text: string): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.deepEqual([error.code, error.say?.includes(text)], [code, true], `\`${error.say}\` says \`${text}\``);
    return true;
  });
}

const account = '00000000-0000-7000-8000-00000000000a';
const awkward = 'quote " apostrophe \' backslash \\ tab \t line\nbreak \r\n nothing \u2028 emoji 🗝 {"table":"account","row":{}}';

/** Rows of every difficulty JSON, time and numbers have to offer. */
async function fill(database: TestDatabase): Promise<void> {
  await ask(database, `insert into account values ($1, 'default', $2, 9007199254740993, false, '2020-02-29 23:59:59.999+00')`, [account, awkward]);
  await ask(database, `insert into root_key values ($1, '\\x00ff0a', now(), null)`, [rootKey.id]);
  await ask(database, `insert into idempotency values ($1, 'a', 'sql null', '\\x', null, null, 'infinity'), ($1, 'a', 'json null', '\\x0a', 200, 'null', now())`, [account]);
  await ask(
    database,
    `insert into resource select $1, gen_random_uuid(), 'pipeline', $1, '/', 'r' || n, $2, null, jsonb_build_object('k', $2::text), '{"deep":[1,1e300,0.1,12345678901234567890]}', 1, '[]', n, null,
       now() - n * interval '1 day', 'user:x', now(), 'user:x' from generate_series(1, 300) n`,
    [account, awkward],
  );
  await ask(database, `insert into resource_ref select account_id, uid, '/spec/x', uid from resource`);
  await ask(database, `insert into log_segment values ($1, $1, 'stdout', 0, decode(repeat('00ff0a5c', 300000), 'hex'), 1, now())`, [account]);
  await ask(
    database,
    `insert into audit_event select $1, t, gen_random_uuid(), 1, null, null, null, 'x', null, null, null, '/', 'success', null, 'r', null, '{}', '{}', '\\x00'
     from unnest(array['1999-01-01', '2026-11-30 23:59:59.999', '2090-01-01']::timestamptz[]) t`,
    [account],
  );
}

describe('a backup', () => {
  let source: TestDatabase;
  let path: string;
  before(async () => {
    source = await testDatabase();
    await fill(source);
    path = await backUp(source);
  });

  test('loaded into an empty database gives the same rows to the last bit', async () => {
    const target = await testDatabase();
    await restore(path, target);
    assert.deepEqual(rowsOf(await backUp(target)), rowsOf(path));
    assert.ok(rowsOf(path).length > 600);
    const nulls = await ask(target, 'select key, answer is null as sql, jsonb_typeof(answer) as json from idempotency order by key');
    assert.deepEqual(nulls, [{ key: 'json null', sql: false, json: 'null' }, { key: 'sql null', sql: true, json: null }]);
    const [row] = await ask(target, 'select name, revision::text from account');
    assert.deepEqual(row, { name: awkward, revision: '9007199254740993' });
  });

  test('is loaded into a database without any table, too', async () => {
    const target = await testDatabase({ migrated: false });
    await restore(path, target);
    assert.deepEqual(rowsOf(await backUp(target)), rowsOf(path));
    assert.deepEqual(await ask(target, 'select name, sha256 from migration order by name'), await ask(source, 'select name, sha256 from migration order by name'));
  });

  test('is a file for its owner alone, names its schema, and never overwrites', async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const header = JSON.parse(linesOf(path)[0]!) as { migrations: { name: string }[]; rootKey: string };
    assert.deepEqual(header.migrations.map(({ name }) => name), (await ask(source, 'select name from migration order by name')).map(({ name }) => name));
    assert.equal(header.rootKey, rootKey.id);
    const before = readFileSync(path);
    const options = { login: source.owner, rootKey, clock: systemClock, randomness: systemRandomness, progress: quiet };
    await refused(writeDump(path, options), 'host.backup', 'is not overwritten');
    await refused(writeDump(join(directory, 'absent', 'x.dump'), options), 'host.backup', 'cannot be written');
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(readdirSync(directory).filter((name) => name.endsWith('.part')), []);
  });

  test('holds every table of the schema but those that mean nothing elsewhere', async () => {
    const all = await ask(source, `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`);
    const header = JSON.parse(linesOf(path)[0]!) as { tables: { name: string }[] };
    const missing = all.map(({ name }) => name).filter((name) => !header.tables.some((table) => table.name === name));
    assert.deepEqual(missing.toSorted(), ['attempt_delivery', 'migration', 'node', 'rate_bucket']);
  });

  test('is of one moment: what is committed while it is made is not in it', async () => {
    const database = await testDatabase();
    await fill(database);
    const blocker = new Client(database.owner);
    await blocker.connect();
    await blocker.query('begin; lock table resource in access exclusive mode');
    const making = backUp(database);
    await until(async () => (await ask(database, `select 1 from pg_locks where not granted and relation = 'resource'::regclass`)).length === 1, 'the backup to wait for the lock');
    await blocker.query(`insert into job values (gen_random_uuid(), null, 'late', '{}', now()); delete from retired_identifier; update resource set name = 'late'; commit`);
    await blocker.end();
    assert.doesNotMatch(textOf(await making), /late/);
    assert.match(textOf(await backUp(database)), /late/);
  });

  test('keeps any text, number and JSON as it is', async () => {
    const database = await testDatabase();
    await fill(database);
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
    const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('\\u0000'));
    const row = fc.record({ text, json, number: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) });
    await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), async (rows) => {
      await ask(database, 'delete from job');
      const kept = JSON.stringify(rows.map(({ text: name, json: payload, number }) => ({ name, payload, number: String(number) })));
      await ask(database, `insert into job (id, account_id, name, payload, run_at) select gen_random_uuid(), $1, r ->> 'name', r, now() from jsonb_array_elements($2::jsonb) r`, [account, kept]);
      const target = await testDatabase();
      await restore(await backUp(database), target);
      const read = 'select name, payload::text from job order by id';
      assert.deepEqual(await ask(target, read), await ask(database, read));
      await target.drop();
    }), { numRuns: runs(4, 60) });
  });
});

describe('a backup that is not as it was written', () => {
  let path: string;
  let target: TestDatabase;
  before(async () => {
    const source = await testDatabase();
    await fill(source);
    await ask(source, 'delete from log_segment');
    path = await backUp(source);
    target = await testDatabase();
  });

  const lines = () => linesOf(path);
  const repacked = (all: string[], ending = '\n') => gzipSync(all.join('\n') + ending);
  const firstRow = () => lines().findIndex((line) => line.startsWith('{"table":"resource"'));

  /** As somebody without the root key would write it: with the right digest and counts. */
  function forged(change: (all: string[]) => string[]): Buffer {
    const changed = change(lines().slice(0, -1));
    const sha256 = createHash('sha256').update(changed.map((line) => `${line}\n`).join('')).digest('hex');
    const rows: Record<string, number> = {};
    for (const line of changed.slice(1)) {
      const table = /^\{"table":"(\w+)"/.exec(line)![1]!;
      rows[table] = (rows[table] ?? 0) + 1;
    }
    const mac = createHmac('sha256', Buffer.alloc(32)).update(sha256).digest('hex');
    return repacked([...changed, JSON.stringify({ end: 1, rows, sha256, mac })]);
  }

  const attacks: [string, string, () => Buffer][] = [
    ['cut off in the middle of the compressed bytes', 'cut off', () => readFileSync(path).subarray(0, 5_000)],
    ['cut off before the checksum of the compression', 'cut off', () => readFileSync(path).subarray(0, -8)],
    ['without its last line', 'cut off', () => repacked(lines().slice(0, -1))],
    ['cut off in the middle of a line', 'cut off', () => repacked([lines().join('\n').slice(0, 4_000)], '')],
    ['only a first line', 'cut off', () => repacked(lines().slice(0, 1))],
    ['of no bytes', 'cut off', () => Buffer.alloc(0)],
    ['of an empty text', 'cut off', () => gzipSync('')],
    ['not compressed', 'is no backup', () => Buffer.from(lines().join('\n'))],
    ['something else compressed', 'not a backup', () => gzipSync('{"kind":"User"}\n')],
    ['of a later format', 'format is 2', () => repacked(lines().with(0, lines()[0]!.replace('"format":1', '"format":2')))],
    // What the decompression makes of it, and so what is said, depends on the byte.
    ['with a byte flipped inside', 'the backup cannot be used', () => { const bytes = readFileSync(path); bytes[Math.floor(bytes.length / 2)]! ^= 4; return bytes; }],
    ['with a row less', 'altered', () => repacked(lines().toSpliced(firstRow(), 1))],
    ['with a row twice', 'altered', () => repacked(lines().toSpliced(firstRow(), 0, lines()[firstRow()]!))],
    ['with two rows exchanged', 'altered', () => repacked(lines().with(firstRow(), lines()[firstRow() + 1]!).with(firstRow() + 1, lines()[firstRow()]!))],
    ['with a value changed', 'altered', () => repacked(lines().with(firstRow(), lines()[firstRow()]!.replace('user:x', 'user:y')))],
    ['with something after its end', 'after its last line', () => repacked([...lines(), '{"table":"account","row":{}}'])],
    ['with another backup after its end', 'after its last line', () => Buffer.concat([readFileSync(path), readFileSync(path)])],
    ['with an unknown table', 'does not name the table', () => forged((all) => [...all, '{"table":"pg_authid","row":{"rolname":"x"}}'])],
    ['with a value changed and the digest with it', 'holder of the root key', () => forged((all) => all.with(firstRow(), all[firstRow()]!.replace('user:x', 'user:y')))],
    ['with a migration changed and the digest with it', 'holder of the root key', () => forged((all) => all.with(0, all[0]!.replace(/"sha256":"./, '"sha256":"0')))],
  ];
  for (const [how, says, make] of attacks) {
    test(`${how} is refused before anything is written`, async () => {
      const bad = newPath();
      writeFileSync(bad, make());
      await refused(restore(bad, target), 'host.backup', says);
      assert.deepEqual(await ask(target, 'select 1 from account'), []);
    });
  }

  test('is refused whichever bit is flipped, unless the text is the same', async () => {
    const whole = readFileSync(path);
    await fc.assert(fc.asyncProperty(fc.nat({ max: 8 * whole.length - 1 }), async (bit) => {
      const bad = newPath();
      writeFileSync(bad, whole.with(bit >> 3, whole[bit >> 3]! ^ (1 << (bit & 7))));
      const fault = await checkDump(bad, rootKey).then(() => null, (error: unknown) => error);
      // Time and system in the head of gzip, and the filling of its last byte, are no part of the text (RFC 1952 §2.3.1).
      if (fault === null) assert.equal(textOf(bad), textOf(path));
      else assert.ok(fault instanceof Refusal && fault.code === 'host.backup', String(fault));
    }), { numRuns: runs(40, 2_000) });
  });

  test('is refused wherever it is cut', async () => {
    const whole = readFileSync(path);
    await fc.assert(fc.asyncProperty(fc.nat({ max: whole.length - 1 }), async (length) => {
      const bad = newPath();
      writeFileSync(bad, whole.subarray(0, length));
      await assert.rejects(checkDump(bad, rootKey), (error) => error instanceof Refusal && error.code === 'host.backup');
    }), { numRuns: runs(40, 2_000) });
  });

  test('made with another root key is refused, and the refusal names both keys', async () => {
    const other = { id: 'bbbbbbbb-0000-8000-8000-000000000002', bytes: randomBytes(32) };
    await refused(checkDump(path, other), 'keys.wrong_root', `\`${rootKey.id}\`, not with \`${other.id}\``);
  });

  test('that is no file is refused with its name', async () => {
    await refused(checkDump(join(directory, 'absent.dump'), rootKey), 'host.backup', 'absent.dump');
  });
});

describe('a restore', () => {
  let path: string;
  let source: TestDatabase;
  before(async () => {
    source = await testDatabase();
    await fill(source);
    path = await backUp(source);
  });

  test('is refused where there is data, and changes none of it', async () => {
    const target = await testDatabase();
    await ask(target, `insert into job values (gen_random_uuid(), null, 'mine', '{}', now())`);
    await refused(restore(path, target), 'host.not_empty', 'the table `job` holds data');
    assert.equal((await ask(target, 'select 1 from job')).length, 1);
    assert.equal((await ask(target, 'select 1 from account')).length, 0);
  });

  test('takes a database in which only `migrate` has been, which leaves the row of the root key', async () => {
    const target = await testDatabase();
    await ask(target, `insert into root_key values ($1, '\\x01', now(), null)`, [rootKey.id]);
    await restore(path, target);
    assert.deepEqual(rowsOf(await backUp(target)), rowsOf(path));
  });

  test('is refused where another root key has been', async () => {
    const target = await testDatabase();
    await ask(target, `insert into root_key values (gen_random_uuid(), '\\x01', now(), null)`);
    await refused(restore(path, target), 'host.not_empty', 'the table `root_key` holds data');
  });

  test('that fails leaves the database empty', async () => {
    const target = await testDatabase();
    await ask(target, 'alter table resource add check (identifier <> $$r200$$)');
    await assert.rejects(restore(path, target), /violates check constraint/);
    assert.deepEqual(await ask(target, 'select 1 from account'), []);
  });

  test('is refused where a table is not the one the migrations make', async () => {
    const target = await testDatabase();
    await ask(target, 'alter table job add column mine text');
    await refused(restore(path, target), 'host.backup', 'the table `job` is not the one its migrations make');
  });

  describe('of an older schema', () => {
    const folder = join(directory, 'migrations');
    const newer = pathToFileURL(`${folder}/`);
    before(() => {
      mkdirSync(folder);
      cpSync(new URL('../../../migrations/', import.meta.url), folder, { recursive: true });
      writeFileSync(join(folder, '9998-label.sql'), `alter table account add column label text not null default 'was ' || 'none'; update account set label = 'was ' || identifier;`);
      writeFileSync(join(folder, '9999-more.sql'), 'create table more (account_id uuid primary key references account (id)); insert into more select id from account;');
    });

    test('loads it as it was and then migrates it on', async () => {
      const target = await testDatabase({ migrated: false });
      await restore(path, target, newer);
      assert.deepEqual(await ask(target, 'select label, more.account_id from account join more on more.account_id = id'), [{ label: 'was default', account_id: account }]);
    });

    test('begins where an empty database already is between the two', async () => {
      const target = await testDatabase();
      await restore(path, target, newer);
      assert.deepEqual(await ask(target, 'select label from account'), [{ label: 'was default' }]);
    });

    test('is refused where the database is further, though empty', async () => {
      const target = await testDatabase({ migrated: false });
      await migrate(target.owner, { folder: newer });
      await refused(restore(path, target, newer), 'host.not_empty', '`9998-label.sql`');
    });

    test('is refused by a release that does not know its migrations, or knows them otherwise', async () => {
      const further = await testDatabase({ migrated: false });
      await migrate(further.owner, { folder: newer });
      await refused(restore(await backUp(further), await testDatabase()), 'host.backup', 'newer release (`9998-label.sql`)');
      writeFileSync(join(folder, '0001-ground.sql'), `${readFileSync(join(folder, '0001-ground.sql'), 'utf8')}\n`);
      await refused(restore(path, await testDatabase(), newer), 'host.backup', '`0001-ground.sql` of this release is not the one');
    });
  });
});

describe('the order of tables', () => {
  const cases: [string, string[], [string, string][], string[]][] = [
    ['is by name where nothing else decides', ['b', 'a'], [], ['a', 'b']],
    ['puts what is referred to first', ['a', 'b', 'c'], [['a', 'b'], ['b', 'c']], ['c', 'b', 'a']],
    ['ignores references to what is left out', ['a', 'b'], [['a', 'x']], ['a', 'b']],
  ];
  for (const [says, names, keys, expected] of cases) {
    test(says, () => {
      const ordered = inOrder(names.map((name) => ({ name })), keys.map(([from, to]) => ({ from, to })));
      assert.deepEqual(ordered.map(({ name }) => name), expected);
    });
  }

  test('does not exist for a cycle, nor for a table that refers to itself', () => {
    assert.throws(() => inOrder([{ name: 'a' }, { name: 'b' }], [{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }]), /cycle among a, b/);
    assert.throws(() => inOrder([{ name: 'a' }], [{ from: 'a', to: 'a' }]), /cycle among a/);
  });

  test('exists for our schema, which has no sequence a restore would have to set', async () => {
    const database = await testDatabase();
    const client = new Client(database.owner);
    await client.connect();
    try {
      const names = (await keptTables(client)).map(({ name }) => name);
      assert.ok(names.indexOf('account') < names.indexOf('resource') && names.indexOf('root_key') < names.indexOf('data_key'));
      assert.deepEqual((await client.query(`select sequencename from pg_sequences where schemaname = 'public'`)).rows, []);
    } finally {
      await client.end();
    }
  });
});
