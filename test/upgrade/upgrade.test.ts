/** Data of old releases lives on: every dump in this folder is restored, migrated, served, read and changed. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { call, newPlace, sallyport, serve } from '#test/host/sallyport.ts';
import { makeUpgradeDump } from '../../scripts/make-upgrade-dump.ts';
import { upgradeRootKey } from './root-key.ts';

const folder = import.meta.dirname;
const dumps = readdirSync(folder).filter((name) => name.endsWith('.dump')).map((name) => join(folder, name));
let key: string;
before(() => {
  key = newPlace('root.key');
  writeFileSync(key, upgradeRootKey, { mode: 0o600 });
});

/** Restores a dump into a new data directory and does with it what its owner would do after an upgrade. */
async function livesOn(dump: string, resources: readonly string[]): Promise<void> {
  const data = newPlace(basename(dump, '.dump'));
  const place = ['--data', data, '--root-key-file', key];
  await succeeds(['restore', ...place, '--from', dump]);
  const server = await serve({ data, flags: ['--root-key-file', key] });
  await succeeds(['admin', 'recover', ...place]);
  const code = readFileSync(join(data, 'setup-code'), 'utf8').trim();
  const setUp = await call(server, null, { method: 'POST', path: '/setup', body: { code, email: 'after-upgrade@example.com', password: 'a password for tests only' } });
  assert.equal(setUp.status, 201, JSON.stringify(setUp.body));
  const { token } = setUp.body as { token: string };

  const verified = await call(server, token, { method: 'POST', path: '/audit:verify' });
  assert.deepEqual((verified.body as { findings: unknown[] }).findings, []);

  const environment = { SALLYPORT_TOKEN: token, SALLYPORT_URL: server.url };
  const manifests = await succeeds(['export'], environment);
  const exported = parseAllDocuments(manifests).map((document) => document.toJS() as { kind: string; scope?: string; identifier: string });
  const present = exported.map(({ kind, scope, identifier }) => `${kind} ${scope === undefined ? '' : `${scope}/`}${identifier}`);
  assert.deepEqual(resources.filter((resource) => !present.includes(resource)), []);

  const file = newPlace('again.yaml');
  writeFileSync(file, `${manifests}\n---\nkind: Organization\nidentifier: made_after_the_upgrade\nspec: {}\n`);
  const plan = await succeeds(['apply', '-f', file], environment);
  assert.match(plan, /1 created, 0 updated, 0 deleted/);
  await succeeds(['doctor', ...place, '--no-runner']);
  await server.stop();
}

async function succeeds(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const { code, stdout, stderr } = await sallyport(args, environment);
  assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

test('a dump of this release, as `make-upgrade-dump` writes it, lives on', async (t) => {
  const dump = newPlace('now.dump');
  const { resources, emptyTables } = await makeUpgradeDump(dump);
  t.diagnostic(`tables without rows: ${emptyTables.join(', ') || 'none'}`);
  await livesOn(dump, resources);
});

describe('the dump of', () => {
  for (const dump of dumps) {
    test(`${basename(dump, '.dump')} lives on`, async () => {
      const { resources } = JSON.parse(readFileSync(dump.replace(/dump$/, 'json'), 'utf8')) as { resources: string[] };
      assert.ok(resources.length > 0);
      await livesOn(dump, resources);
    });
  }

  test('every release is there as two files; none has been made yet while the folder holds none', (t) => {
    const named = (ending: string) => readdirSync(folder).filter((name) => name.endsWith(ending)).map((name) => basename(name, ending));
    assert.deepEqual(named('.json'), named('.dump'));
    t.diagnostic(dumps.length === 0 ? 'test/upgrade holds no dump yet' : `${dumps.length} dumps`);
  });
});
