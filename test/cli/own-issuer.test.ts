import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { Terminal } from '#surfaces/command-line.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { commands } from '../../src/commands.ts';
import { Runs, checkout, pipeline, runWorld, step } from '../api/runs.ts';

let server: TestServer;
const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
const tokenFile = join(directory, 'token');

before(async () => {
  server = await startTestServer();
  writeFileSync(tokenFile, server.adminToken);
  await server.apply([...runWorld, pipeline('asks', { build: [step('s', { env: { TOKEN: '<+secrets.getJWT("account.partner")>' } })] })]);
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function command(name: string, args: readonly string[] = [], options: Record<string, unknown> = {}): Promise<{ out: string[]; code: number }> {
  const out: string[] = [];
  const terminal: Terminal = { print: (line) => void out.push(line), warn: (line) => void out.push(line), progress: () => undefined, isTerminal: false };
  const code = await commands.find((one) => one.name === name)!.run({ args: [...args], options: { url: server.url, tokenFile, ...options }, terminal, json: options['json'] === true });
  return { out, code: code ?? 0 };
}

describe('issuer export', () => {
  test('writes the documents as they are served, byte for byte, where a static host has to have them; they verify a token', async () => {
    const runs = new Runs(server);
    await runs.start('asks');
    const token = (await runs.nextPayload()).environment['TOKEN']!;
    const bucket = join(directory, 'bucket');
    const { out } = await command('issuer export', [bucket]);
    const account = 'accounts/default';
    assert.deepEqual(out, [`${account}/.well-known/openid-configuration`, `${account}/jwks`, `.well-known/openid-configuration/${account}`, `.well-known/oauth-authorization-server/${account}`]);
    for (const path of out) assert.deepEqual(readFileSync(join(bucket, path)), Buffer.from(await (await fetch(`${server.url}/${path}`)).arrayBuffer()), path);
    const { jwks_uri: keys, issuer } = JSON.parse(readFileSync(join(bucket, out[0]!), 'utf8')) as { jwks_uri: string; issuer: string };
    const published = JSON.parse(readFileSync(join(bucket, keys.slice(server.url.length)), 'utf8')) as { keys: never[] };
    await jwtVerify(token, createLocalJWKSet(published), { issuer, audience: 'https://partner.example' });
  });
});

describe('keys of the issuer on the command line', () => {
  test('are shown, rotated and revoked', async () => {
    await server.app.mintKeys.tend(server.account.id);
    const [current] = JSON.parse((await command('issuer keys', [], { json: true })).out[0]!) as [{ id: string; state: string; algorithm: string }];
    assert.deepEqual([current.state, current.algorithm], ['current', 'RS256']);
    assert.match((await command('issuer keys')).out[0]!, new RegExp(`^${current.id} +RS256 +current +signs from `));
    assert.match((await command('issuer rotate-keys')).out.join('\n'), /^RS256: [\w-]{22} signs from .*\nES256: [\w-]{22} signs from /);
    assert.match((await command('issuer revoke-key', [current.id])).out[0]!, new RegExp(`^revoked ${current.id}; [\\w-]{22} signs now$`));
    assert.equal((await command('issuer revoke-key', [current.id])).code, 1);
  });
});

describe('connector trust', () => {
  test('shows claims, texts and whether such a token matches, and ends with 1 where it would not', async () => {
    const { out, code } = await command('connector trust', ['partner'], { pipeline: `${checkout}/asks` });
    assert.equal(code, 0);
    assert.equal((JSON.parse(out[1]!) as { pipeline_id: string }).pipeline_id, 'asks');
    assert.ok(out.includes('# what a token must have') && out.includes('matches  issuer'));
    await server.apply([{ kind: 'Connector', identifier: 'others', spec: { type: 'jwt', audiences: ['https://partner.example'] } }]);
    const refused = await command('connector trust', ['others'], { pipeline: `${checkout}/asks` });
    assert.equal(refused.code, 1);
    assert.match(refused.out.at(-1)!, /would give this stage no token: its `usableFrom`/);
  });
});
