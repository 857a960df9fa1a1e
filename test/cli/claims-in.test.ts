/** The commands about claims in, as the program runs them: why, how an issuer stands, what was caught, what a draft would change. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { UsageError } from '#surfaces/command-line.ts';
import type { Terminal } from '#surfaces/command-line.ts';
import { startTrustWorld, only } from '#test/api/trust-world.ts';
import type { TrustWorld } from '#test/api/trust-world.ts';
import { atEnd } from '#test/endings.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import { commands } from '../../src/commands.ts';

let world: TrustWorld;
let directory: string;
before(async () => {
  world = await startTrustWorld();
  directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  atEnd(async () => rmSync(directory, { recursive: true, force: true }));
  file('token', world.server.adminToken);
});

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

async function command(name: string, args: readonly string[], options: Record<string, unknown> = {}): Promise<{ readonly code: number; readonly out: string }> {
  const lines: string[] = [];
  const terminal: Terminal = { print: (line) => void lines.push(line), warn: (line) => void lines.push(line), progress: () => undefined, isTerminal: false };
  process.env['SALLYPORT_TOKEN_FILE'] = join(directory, 'token');
  const code = await commands.find((one) => one.name === name)!.run({ args, options: { url: world.server.url, ...options }, terminal, json: options['json'] === true });
  return { code: code ?? 0, out: lines.join('\n') };
}

describe('token explain', () => {
  test('says the cause first, from the id the refused caller was told', async () => {
    const tokenFile = file('outside.jwt', world.hcp.token(terraformClaims({ terraform_workspace_id: 'WS-123' })));
    const told = await command('token exchange', [], { tokenFile }).catch((error: unknown) => String(error));
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(JSON.stringify(told))?.[0];
    assert.ok(id !== undefined, JSON.stringify(told));
    assert.match(JSON.stringify(told), /token explain --correlation/);
    const { out } = await command('token explain', [], { correlation: id });
    const [first, ...others] = out.split('\n');
    assert.equal(first, 'refused: claim mapping `ws_platform`: `/terraform_workspace_id` is "WS-123" and must equal "ws-123": only upper and lower case differ');
    assert.ok(others.includes('issuer   hcp') && others.some((line) => /^checks {3}all \d+ passed$/.test(line)), out);
    assert.match(out, /does not match: ws_platform v1/);
  });

  test('says that a token would be accepted', async () => {
    const { out } = await command('token explain', [], { tokenFile: file('good.jwt', world.hcp.token(terraformClaims())) });
    assert.match(out, /^accepted\n/);
  });

  for (const options of [{}, { correlation: 'x', audit: 'y' }]) {
    test(`wants one question: ${JSON.stringify(options)}`, async () => assert.rejects(command('token explain', [], options), UsageError));
  }
});

describe('issuer', () => {
  test('status tells of keys and tokens', async () => {
    const { out } = await command('issuer status', ['hcp']);
    assert.match(out, /^keys {5}good, by discovery, had .*\n {9}key-1 RS256\n/);
    assert.match(out, /tokens {3}\d+ of the last day looked at/);
  });

  test('catch, caught and catch-stop', async () => {
    assert.match((await command('issuer catch', ['hcp'], { for: '1m', tenant: '/terraform_organization_id=org-abc' })).out, /^catching until /);
    await world.exchange(world.hcp.token(terraformClaims({ terraform_run_id: 'run-caught' })));
    const { out } = await command('issuer caught', ['hcp']);
    assert.match(out, /success {2}terraform_organization_id=org-abc/);
    assert.match(out, /"terraform_run_id":"run-caught"/);
    assert.match((await command('issuer catch-stop', ['hcp'])).out, /nothing of hcp is caught/);
    assert.equal((await command('issuer caught', ['hcp'])).out, 'not catching');
    await assert.rejects(command('issuer catch', ['hcp'], { tenant: 'org-abc' }), UsageError);
  });
});

describe('shadow', () => {
  test('tells workload by workload what a draft would change, and applies nothing', async () => {
    await world.tryExchange(world.hcp.token(terraformClaims({ terraform_workspace_id: 'drafted' })));
    const draft = file('draft.yaml', stringify(only('drafted')));
    const { code, out } = await command('shadow', [], { file: [draft] });
    assert.equal(code, 0);
    assert.match(out, /terraform_workspace_id=drafted {2}\(1 exchanges\)\n {2}\+ project_admin at payments\/checkout {2}by drafted\n/);
    assert.match(out, /\d+ exchanges looked at, \d+ unchanged$/);
    assert.equal((await world.tryExchange(world.hcp.token(terraformClaims({ terraform_workspace_id: 'drafted' })))).status, 400);
  });

  test('shows faults where they are', async () => {
    const { code, out } = await command('shadow', [], { file: [file('wrong.yaml', stringify(only('wrong', { issuer: 'nobody' })))] });
    assert.equal(code, 1);
    assert.match(out, /wrong\.yaml/);
  });
});
