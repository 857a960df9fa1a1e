import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dataDirectoryFinding, diskFinding, keyPlaceFinding, publicUrlFinding } from './host-checks.ts';
import type { Finding } from './host-checks.ts';

const base = mkdtempSync(join(tmpdir(), 'checks-'));
after(() => rmSync(base, { recursive: true, force: true }));

describe('the data directory', () => {
  const cases: [string, number | 'absent' | 'a file', Finding['level'], string][] = [
    ['of its owner alone is fine', 0o700, 'ok', '0700'],
    ['which the group of PostgreSQL passes through is fine', 0o710, 'ok', '0710'],
    ['the group may read is not', 0o750, 'fail', 'set it to 0700'],
    ['others may pass through is not', 0o701, 'fail', 'set it to 0700'],
    ['anybody may write is not', 0o777, 'fail', 'set it to 0700'],
    ['that does not exist is made later', 'absent', 'warn', 'does not exist'],
    ['that is a file cannot be used', 'a file', 'fail', 'is no directory'],
  ];
  for (const [says, mode, level, text] of cases) {
    test(says, async () => {
      const path = join(base, String(mode));
      if (mode === 'a file') writeFileSync(path, '');
      else if (mode !== 'absent') {
        mkdirSync(path);
        chmodSync(path, mode);
      }
      const found = await dataDirectoryFinding(path);
      assert.deepEqual([found.level, found.says.includes(text)], [level, true], found.says);
    });
  }
});

test('the room on the disk is told for a place that does not exist yet', async () => {
  const found = await diskFinding(join(base, 'not', 'there', 'yet'));
  assert.match(found.says, /^\d+ MiB free/);
  assert.ok(found.says.includes(`\`${base}\``), found.says);
});

describe('the root key', () => {
  const data = join(base, 'data');
  const outside = join(base, 'outside');
  const link = join(base, 'link');
  mkdirSync(data);
  mkdirSync(outside);
  symlinkSync(data, link);
  const cases: [string, string, string, Finding['level']][] = [
    ['in the data directory is warned of', data, join(data, 'root.key'), 'warn'],
    ['below the data directory is warned of', data, join(data, 'keys', 'root.key'), 'warn'],
    ['in the data directory named by a link is warned of', link, join(data, 'root.key'), 'warn'],
    ['named by a link into the data directory is warned of', data, join(link, 'root.key'), 'warn'],
    ['elsewhere is fine', data, join(outside, 'root.key'), 'ok'],
    ['in a directory whose name begins the same is fine', data, join(base, 'data-keys', 'root.key'), 'ok'],
    ['in a directory above is fine', data, join(base, 'root.key'), 'ok'],
    ['in the data directory with a name that begins with dots is warned of', data, join(data, '..key'), 'warn'],
  ];
  for (const [says, directory, rootKeyFile, level] of cases) {
    test(says, () => assert.equal(keyPlaceFinding({ data: directory, rootKeyFile }).level, level));
  }
});

describe('the public URL', () => {
  const cases: [string, Parameters<typeof publicUrlFinding>[0], Finding['level']][] = [
    ['is not needed where only this machine calls', { host: '127.0.0.1', publicUrl: undefined }, 'ok'],
    ['is not needed on IPv6 loopback', { host: '::1', publicUrl: undefined }, 'ok'],
    ['is missing where others can call', { host: '0.0.0.0', publicUrl: undefined }, 'warn'],
    ['is missing where others can call by IPv6', { host: '::', publicUrl: undefined }, 'warn'],
    ['of https is fine', { host: '0.0.0.0', publicUrl: 'https://sallyport.example' }, 'ok'],
    ['of loopback is known here only', { host: '127.0.0.1', publicUrl: 'http://127.0.0.1:8420' }, 'warn'],
  ];
  for (const [says, config, level] of cases) test(says, () => assert.equal(publicUrlFinding(config).level, level));
});
