import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { refusal } from '#kernel/errors.ts';
import type { TokenQuestion } from '#runner/token-endpoint.ts';
import { openTokenEndpoint } from '#runner/token-endpoint.ts';
import type { CommandInput } from './command-line.ts';
import { stepTokenCommand } from './step-token-command.ts';

const [urlName, secretName] = ['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'];
afterEach(() => {
  delete process.env[urlName];
  delete process.env[secretName];
});

async function mint(options: Readonly<Record<string, string>>, json = false): Promise<string[]> {
  const printed: string[] = [];
  const terminal = { print: (line: string) => void printed.push(line), warn: () => {} };
  await stepTokenCommand.run({ args: [], options, json, terminal } as unknown as CommandInput);
  return printed;
}

async function inStep(work: (asked: TokenQuestion[]) => Promise<void>, secret = 'secret'): Promise<void> {
  const asked: TokenQuestion[] = [];
  const endpoint = await openTokenEndpoint({
    secret: 'secret',
    token: async (question) => {
      asked.push(question);
      if (question.audience === 'https://elsewhere.example') throw refusal('mint.refused', { say: 'the step has no such audience' });
      return 'eyJ.token.text';
    },
  });
  process.env[urlName] = endpoint.url;
  process.env[secretName] = secret;
  try {
    await work(asked);
  } finally {
    endpoint.close();
  }
}

test('`token mint` prints the token of the audience or identity it names', async () => {
  await inStep(async (asked) => {
    assert.deepEqual(await mint({ audience: 'https://x.example/?a=b&c=d' }), ['eyJ.token.text']);
    assert.deepEqual(await mint({ identity: 'CLOUD' }, true), ['{"value":"eyJ.token.text"}']);
    assert.deepEqual(asked, [{ identity: null, audience: 'https://x.example/?a=b&c=d' }, { identity: 'CLOUD', audience: null }]);
  });
});

test('`token mint` says why there is no token', async () => {
  await inStep(async () => assert.rejects(mint({ audience: 'https://elsewhere.example' }), /^Error: the step has no such audience$/));
  await inStep(async () => assert.rejects(mint({}), /the secret is not that of this step/), 'another');
});

test('`token mint` outside of a step says where it belongs', async () => {
  await assert.rejects(mint({}), /this is for a step that has `identities`/);
});
