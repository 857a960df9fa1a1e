import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { UsageError } from '#surfaces/command-line.ts';
import type { Terminal } from '#surfaces/command-line.ts';
import { commands } from '../../src/commands.ts';
import { decoded, only, startTrustWorld } from '../api/trust-world.ts';
import type { TrustWorld } from '../api/trust-world.ts';
import { terraformClaims } from '../parties/issuer.ts';

let world: TrustWorld;
const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
const tokenFile = join(directory, 'token');

before(async () => {
  world = await startTrustWorld();
  writeFileSync(tokenFile, world.server.adminToken);
  await world.server.apply([only('one'), only('two'), only('asks')]);
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function command(name: string, options: Record<string, unknown> = {}): Promise<string[]> {
  const out: string[] = [];
  const terminal: Terminal = { print: (line) => void out.push(line), warn: () => undefined, progress: () => undefined, isTerminal: false };
  await commands.find((one) => one.name === name)!.run({ args: [], options: { url: world.server.url, tokenFile, ...options }, terminal, json: options['json'] === true });
  return out;
}

const alive = async (token: string): Promise<boolean> => (await world.may(token, 'pipeline.edit', 'payments/checkout/recover')) === true;

describe('sessions on the command line', () => {
  test('are listed by mapping, as a table and as JSON', async () => {
    const id = String(decoded(await world.exchangeAs('one')).payload['jti']);
    const [head, first, ...others] = await command('session list', { mapping: 'one' });
    assert.deepEqual([head!.split(/\s+/)[0], first!.startsWith(`${id}  tfc:platform  hcp`), others.length], ['id', true, 0]);
    const [json] = await command('session list', { mapping: 'one', json: true });
    assert.deepEqual((JSON.parse(json!) as { id: string }[]).map((item) => item.id), [id]);
  });

  test('are ended one by one and all of a mapping', async () => {
    const [a, b, c] = [await world.exchangeAs('two'), await world.exchangeAs('two'), await world.exchangeAs('two')];
    assert.deepEqual(await command('session revoke', { id: String(decoded(a!).payload['jti']) }), ['1 session has ended']);
    assert.deepEqual([await alive(a!), await alive(b!)], [false, true]);
    assert.deepEqual(await command('session revoke', { mapping: 'two' }), ['2 sessions have ended']);
    assert.deepEqual([await alive(b!), await alive(c!)], [false, false]);
  });

  test('are ended by exactly one thing', async () => {
    await assert.rejects(command('session revoke'), UsageError);
    await assert.rejects(command('session revoke', { mapping: 'two', issuer: 'hcp' }), UsageError);
  });

  test('are had for less than the token gives', async () => {
    const outside = join(directory, 'outside');
    writeFileSync(outside, world.hcp.token(terraformClaims({ terraform_workspace_id: 'asks' })));
    const [session] = await command('token exchange', { tokenFile: outside, scope: 'pipeline.view' });
    assert.deepEqual([await world.may(session!, 'pipeline.view', 'payments/checkout/recover'), await alive(session!)], [true, false]);
    const [narrow] = await command('token exchange', { tokenFile: outside, details: '[{"type":"sallyport_grant","permissions":["pipeline.edit"],"scope":"payments/checkout"}]' });
    assert.deepEqual([await alive(narrow!), await world.may(narrow!, 'pipeline.view', 'payments/checkout/recover')], [true, false]);
  });
});
