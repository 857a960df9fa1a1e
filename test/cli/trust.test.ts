import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { Terminal } from '#surfaces/command-line.ts';
import { commands } from '../../src/commands.ts';
import type { TrustWorld } from '../api/trust-world.ts';
import { startTrustWorld, workspace } from '../api/trust-world.ts';

let world: TrustWorld;
const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
const tokenFile = join(directory, 'token');

before(async () => {
  world = await startTrustWorld();
  writeFileSync(tokenFile, world.server.adminToken);
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** A command as the program runs it, its output caught. */
async function command(name: string, args: readonly string[], options: Record<string, unknown> = {}): Promise<{ code: number; out: string[]; warned: string[] }> {
  const out: string[] = [];
  const warned: string[] = [];
  const terminal: Terminal = { print: (line) => void out.push(line), warn: (line) => void warned.push(line), progress: () => undefined, isTerminal: false };
  const code = await commands.find((one) => one.name === name)!.run({ args, options: { url: world.server.url, tokenFile, ...options }, terminal, json: options['json'] === true });
  return { code: code ?? 0, out, warned };
}

const loose = `kind: ClaimMapping
identifier: loose
spec:
  issuer: hcp
  when:
    - { claim: /terraform_organization_id, equals: org-abc }
    - { claim: /terraform_workspace_name, equals: loose }
  grants: []
`;

test('`apply` prints warnings with their code and place on standard error, the plan as ever, and ends well', async () => {
  const file = join(directory, 'loose.yaml');
  writeFileSync(file, loose);
  for (const dryRun of [true, false]) {
    const { code, out, warned } = await command('apply', [], { file: [file], ...(dryRun ? { dryRun } : {}) });
    assert.equal(code, 0);
    assert.deepEqual(out, ['+  ClaimMapping  loose', `${dryRun ? 'would be ' : ''}1 created, 0 updated, 0 deleted, 0 unchanged`]);
    assert.deepEqual(warned.map((line) => line.replace(`${file}:`, 'FILE:').slice(0, 52)), [
      'warning: lint.mutable_name: FILE:7:7: `/terraform_wo', 'warning: lint.pull_request: FILE:5:3: runs of pull r',
    ]);
  }
});

test('`apply` prints what the linter refuses with its place, and ends with 1', async () => {
  const file = join(directory, 'never.yaml');
  writeFileSync(file, loose.replace('equals: loose', 'equals: 7'));
  const { code, out, warned } = await command('apply', [], { file: [file] });
  assert.deepEqual([code, out], [1, []]);
  assert.match(warned[1]!, /never\.yaml:7:\d+: `\/terraform_workspace_name` is always text and never a number/);
});

test('`issuer drift` lists names that came with another id, and takes the new one', async () => {
  await world.server.apply([workspace({ when: [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_name', equals: 'moved' }] }, 'moved')]);
  const token = (id: string): string => world.hcp.token(terraformClaims({ terraform_workspace_name: 'moved', terraform_workspace_id: id }));
  await world.exchange(token('ws-old'));
  assert.deepEqual((await command('issuer drift list', ['hcp'])).out, []);
  await world.tryExchange(token('ws-new'));
  const [line] = (await command('issuer drift list', ['hcp'])).out;
  assert.match(line!, /^[0-9a-f]{64}\s+\/terraform_workspace_name\s+moved\s+org-abc acme\s+ws-old\s+came as ws-new$/);
  const accepted = await command('issuer drift accept', ['hcp', line!.slice(0, 64)], { id: 'ws-new' });
  assert.deepEqual([accepted.code, accepted.out], [0, ['/terraform_workspace_name moved is ws-new from now on, and not ws-old']]);
  await world.exchange(token('ws-new'));
  const all = JSON.parse((await command('issuer drift list', ['hcp'], { all: true, json: true })).out[0]!) as { id: string }[];
  assert.deepEqual(all.map(({ id }) => id), ['ws-new']);
});
