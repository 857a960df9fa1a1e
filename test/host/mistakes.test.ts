/** What people do by mistake, and what they are told. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from '#test/serve-process.ts';
import { newPlace, refused, sallyport } from './sallyport.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

test('a server whose port is taken says so and ends, and the next start is as if there had been none', async () => {
  const data = newPlace();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await refused(['serve', '--data', data, '--port', String(port), '--no-runner'], 1, `something else listens on port ${port} of \`127.0.0.1\``);
  other.close();
  assert.match(readFileSync(`${data}/setup-code`, 'utf8'), /^\S{20,}\n$/, 'the code of the first start stays good');
  await refused(['serve', '--data', data, '--port', '0', '--no-runner', '--host', '192.0.2.1'], 1, '`192.0.2.1` is no address of this machine');
});

describe('a mistyped data directory stays what it is for', { concurrency: 2 }, () => {
  const rows = [['account', 'list'], ['account', 'disable', 'default'], ['admin', 'recover'], ['backup', '--to', newPlace('backup')], ['keys', 'rotate', '--new-root-key-file', newPlace('key')]];
  for (const args of rows) {
    test(args.slice(0, 2).join(' '), async () => {
      const data = newPlace('mistyped');
      await refused([...args, '--data', data], 1, 'holds no data; name the data directory by `--data`');
      assert.ok(!existsSync(data));
    });
  }
});

describe('a file that is not there, or not what it should be, is named by', { concurrency: 2 }, () => {
  const absent = newPlace('absent');
  const note = newPlace('note');
  const rows: readonly (readonly [args: readonly string[], code: number, says: string])[] = [
    [['restore', '--from', absent, '--data', newPlace()], 1, `\`${absent}\` cannot be read: there is no such file`],
    [['audit', 'verify', '--file', absent], 1, `\`${absent}\` is not there`],
    [['audit', 'verify', '--file', note], 1, `\`${note}\`: line 1 is not part of an audit export`],
    [['mask', '--secrets', absent], 1, `\`${absent}\` is not there`],
    [['mask', '--secrets', note], 1, `\`${note}\`: the secrets file is not JSON`],
    [['token', 'exchange', '--token-file', absent], 1, `\`${absent}\` is not there`],
    [['serve', '--port', '0', '--no-runner', '--data', '/proc/sallyport/data'], 4, 'the data directory `/proc/sallyport/data` cannot be used'],
    [['apply', '--file', absent], 2, `\`${absent}\` does not exist`],
  ];
  for (const [args, code, says] of rows) {
    test(args.join(' ').replaceAll(/\S*\/\d+-/g, ''), async () => {
      writeFileSync(note, 'milk, bread\n');
      await refused(args, code, says);
    });
  }
});

test('what is printed may be read in part', async () => {
  const child = spawn(`${repository}/bin/sallyport`, ['--help'], { env: plainEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  assert.equal(said, '');
  assert.equal(code, 0);
});

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(`${repository}/package.json`, 'utf8')) as { version: string };
  const { code, stdout } = await sallyport(['--version']);
  assert.equal(code, 0);
  assert.equal(stdout, `${version}\n`);
});
