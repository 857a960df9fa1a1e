import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readRemoteEnvironment } from '#platform/config.ts';
import { UsageError } from './command-line.ts';
import type { CommandInput } from './command-line.ts';
import { connect, remote } from './remote-command.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-remote-'));
const token = (text: string): string => {
  const path = join(directory, 'token');
  writeFileSync(path, text);
  return path;
};
const request = { method: 'GET', path: '/' };

/** What was sent to it last, and what it answers. */
let authorization: string | undefined;
let answer = { status: 200, type: 'application/json', body: '{}' };
const server = createServer((incoming, response) => {
  authorization = incoming.headers.authorization;
  response.writeHead(answer.status, { 'content-type': answer.type, connection: 'close' }).end(answer.body);
});
let url: string;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('nothing is asked', () => {
  const rows: readonly (readonly [name: string, options: () => Record<string, string>, says: string])[] = [
    ['where the URL has no scheme', () => ({ url: '127.0.0.1:8420' }), '`127.0.0.1:8420` is no URL of a server'],
    ['where the URL is not of the web', () => ({ url: 'ftp://127.0.0.1' }), '`ftp://127.0.0.1` is no URL of a server'],
    ['where the account is no identifier and would lead elsewhere', () => ({ url, account: '../x' }), '`../x` is no identifier of an account'],
    ['with a token of several lines', () => ({ url, tokenFile: token('a\nb\n') }), 'what was given as the token has'],
  ];
  for (const [name, options, says] of rows) {
    test(name, () => assert.throws(() => connect(options()), (error) => error instanceof UsageError && error.message.includes(says)));
  }
});

describe('what is wrong on the other side is told:', () => {
  test('something else answers', async () => {
    for (const status of [200, 404]) {
      answer = { status, type: 'text/html', body: '<html>' };
      await assert.rejects(connect({ url }).call(request), { message: `what answers at ${url} (${status}) is no Sallyport; name another URL by \`--url\` or SALLYPORT_URL` });
    }
  });

  test('https is asked of what speaks http', async () => {
    const https = url.replace('http:', 'https:');
    await assert.rejects(connect({ url: https }).call(request), /^Error: the server at https:\S+ does not answer: it speaks no TLS that is understood here \(ERR_SSL_\w+\); is it http\?$/);
  });

  test('nobody listens', async () => {
    await assert.rejects(connect({ url: 'http://127.0.0.1:1' }).call(request), /ECONNREFUSED.*is it running there\?$/);
  });
});

describe('a refusal is shown', () => {
  const shown = async (problem: object): Promise<string> => {
    answer = { status: 401, type: 'application/problem+json', body: JSON.stringify(problem) };
    const lines: string[] = [];
    const input = { args: [], options: { url }, json: false, terminal: { print: () => {}, warn: (line: string) => void lines.push(line), progress: () => {}, isTerminal: false } };
    const code = await remote({ name: 'ask', summary: 'ask', run: async (asked) => void (await asked.call(request)) }).run(input);
    assert.equal(code, 1);
    return lines.join('\n');
  };

  test('with what somebody at the command line can do', async () => {
    const said = await shown({ title: 'a credential is needed', code: 'credential.missing', help: 'send `Authorization: Bearer …`', instance: '7' });
    assert.equal(said, [
      'sallyport: a credential is needed [credential.missing]',
      '  name the file of your token by `--token-file` or SALLYPORT_TOKEN_FILE, or put the token in SALLYPORT_TOKEN',
      '  request 7',
    ].join('\n'));
  });

  test('with each fault instead of the advice to look at them', async () => {
    const said = await shown({ title: 'the request is not valid', code: 'request.invalid', help: 'correct the fields named under `errors`', errors: [{ pointer: '/ttl', message: 'is too long' }], instance: '7' });
    assert.equal(said, 'sallyport: the request is not valid [request.invalid]\n  request 7\n  /ttl: is too long');
  });
});

test('a command that needs no token of ours sends none, and does not look for one', async () => {
  answer = { status: 200, type: 'application/json', body: '{}' };
  const input = (tokenFile: string) => ({ args: [], options: { url, tokenFile }, json: false, terminal: {} }) as unknown as CommandInput;
  const ask = (anonymous: boolean) => remote({ name: 'ask', summary: 'ask', ...(anonymous ? { anonymous } : {}), run: async (asked) => void (await asked.call(request)) });
  await ask(false).run(input(token('stale')));
  assert.equal(authorization, 'Bearer stale');
  await ask(true).run(input(token('stale')));
  assert.equal(authorization, undefined);
  await ask(true).run(input(join(directory, 'nothing')));
});

describe('where the token is from', () => {
  const rows: readonly (readonly [says: string, environment: Record<string, string>, flag: boolean, expected: string | RegExp])[] = [
    ['the variable', { SALLYPORT_TOKEN: 'v' }, false, 'v'],
    ['the file a variable names', { SALLYPORT_TOKEN_FILE: 'FILE' }, false, 'in the file'],
    ['neither, when both variables are set', { SALLYPORT_TOKEN: 'v', SALLYPORT_TOKEN_FILE: 'FILE' }, false, /are both set/],
    ['the flag, whatever variables are set', { SALLYPORT_TOKEN: 'v', SALLYPORT_TOKEN_FILE: '/nothing' }, true, 'in the file'],
  ];
  for (const [says, environment, flag, expected] of rows) {
    test(says, () => {
      const file = token('in the file');
      const variables = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value.replace('FILE', file)]));
      const read = () => readRemoteEnvironment(flag ? { tokenFile: file } : {}, variables).token;
      if (expected instanceof RegExp) assert.throws(read, { code: 'config.invalid', message: expected });
      else assert.equal(read(), expected);
    });
  }
});
