/**
 * `node scripts/make-upgrade-dump.ts NAME`: writes `test/upgrade/NAME.dump`, a backup of a small world with a resource of
 * every kind, made by this release, and `NAME.json`, which says what is in it. Done once per release, before it is tagged.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { manifestKind } from '#kernel/kind.ts';
import type { Remote, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import { parseAllDocuments } from 'yaml';
import { describeApp } from '../src/describe.ts';
import { plainEnvironment, setUpAdmin, startServe } from '../test/serve-process.ts';
import { upgradeRootKey } from '../test/upgrade/root-key.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const world = join(root, 'test/upgrade/world.yaml');

export interface UpgradeDump {
  /** `KIND PATH` of every resource that was applied, sorted. */
  readonly resources: readonly string[];
  /** Tables of the dump without a row: what it does not show. */
  readonly emptyTables: readonly string[];
}

/** Starts this release on an empty data directory, applies the world, starts its pipeline, and backs it all up. */
export async function makeUpgradeDump(dump: string): Promise<UpgradeDump> {
  const documents = parseAllDocuments(readFileSync(world, 'utf8')).map((document) => document.toJS() as { kind: string; scope?: string; identifier: string });
  const lacking = [...describeApp().kinds.kinds.keys()].map(manifestKind).filter((kind) => !documents.some((document) => document.kind === kind));
  if (lacking.length > 0) throw new Error(`${world} has no ${lacking.join(', ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'upgrade-dump-'));
  try {
    const data = join(directory, 'data');
    const key = join(directory, 'root.key');
    writeFileSync(key, upgradeRootKey, { mode: 0o600 });
    const server = await startServe({ data, flags: ['--port', '0', '--no-runner', '--root-key-file', key] });
    try {
      const token = await setUpAdmin(server, data);
      await fill({ url: server.url, token }, documents);
    } finally {
      await server.stop();
    }
    await run(['backup', '--data', data, '--root-key-file', key, '--to', dump]);
    chmodSync(dump, 0o644);
    return { resources: documents.map(({ kind, scope, identifier }) => `${kind} ${scope === undefined ? '' : `${scope}/`}${identifier}`).toSorted(), emptyTables: emptyTables(dump) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Resources, and the rows they leave behind when something is done with them. */
async function fill(remote: Remote, documents: readonly unknown[]): Promise<void> {
  const call = async (succeeds: boolean, method: string, path: string, more: Omit<RemoteRequest, 'method' | 'path'> = {}): Promise<void> => {
    const answer = await callRemote(remote, { method, path: `/api/v1/accounts/default${path}`, ...more });
    if (answer.status < 300 !== succeeds) throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  };
  await call(true, 'POST', '/manifests:apply', { body: { documents: [...documents, { kind: 'Organization', identifier: 'given_up', spec: {} }] } });
  await call(true, 'DELETE', '/organizations/given_up');
  await call(false, 'DELETE', '/users/alice'); // it is referred to; a refusal is a row of the audit
  await call(true, 'POST', '/api-tokens', { body: { name: 'ci', principal: { type: 'service_account', path: 'ci' }, ttl: '1d' } });
  // Nobody works on it: it is restored as it waits.
  await call(true, 'POST', '/orgs/payments/projects/checkout/executions', { body: { pipeline: 'recover', inputs: {} }, headers: { 'idempotency-key': 'upgrade-dump' } });
  await call(true, 'POST', '/audit:verify');
}

async function run(args: readonly string[]): Promise<void> {
  const child = spawn(join(root, 'bin/sallyport'), args, { env: plainEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number | null]>]);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${said}`);
}

function emptyTables(dump: string): string[] {
  const lines = gunzipSync(readFileSync(dump)).toString('utf8').trimEnd().split('\n');
  const { tables } = JSON.parse(lines[0]!) as { tables: { name: string }[] };
  const { rows } = JSON.parse(lines.at(-1)!) as { rows: Record<string, number> };
  return tables.map(({ name }) => name).filter((name) => !(name in rows));
}

if (import.meta.main) {
  const [name = ''] = process.argv.slice(2);
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw new Error('usage: node scripts/make-upgrade-dump.ts NAME, for example 0.1.0');
  const path = join(root, 'test/upgrade', `${name}.dump`);
  if (existsSync(path)) throw new Error(`${path} exists; dumps of releases are never made again`);
  const { resources, emptyTables: without } = await makeUpgradeDump(path);
  writeFileSync(path.replace(/dump$/, 'json'), `${JSON.stringify({ resources }, null, 2)}\n`);
  console.log(`wrote ${path}${without.length === 0 ? '' : `; without rows: ${without.join(', ')}`}`);
}
