/** `token mint`, for a running step: asks the endpoint that its runner has put into its environment. */
import { readVariable } from '#platform/config.ts';
import { callRemote } from '#platform/remote.ts';
import type { CommandRecord } from './command-line.ts';
import { UsageError } from './command-line.ts';

export const stepTokenCommand: CommandRecord = {
  name: 'token mint',
  summary: 'inside a step: a token of one of its `identities`; prints it',
  options: [
    { flags: '--audience <audience>', help: 'one of an identity’s; without it the first' },
    { flags: '--identity <name>', help: 'as the pipeline calls it; needed when there are several and no audience is given' },
  ],
  data: true,
  run: async ({ options, terminal, json }) => {
    const [place, secret] = [readVariable('ACTIONS_ID_TOKEN_REQUEST_URL'), readVariable('ACTIONS_ID_TOKEN_REQUEST_TOKEN')];
    if (place === undefined || secret === undefined) throw new UsageError('this is for a step that has `identities`: their runner sets ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN');
    if (!URL.canParse(place)) throw new UsageError('ACTIONS_ID_TOKEN_REQUEST_URL is no URL');
    const url = new URL(place);
    for (const name of ['audience', 'identity']) if (typeof options[name] === 'string') url.searchParams.set(name, options[name]);
    const answer = await callRemote({ url: url.origin, token: secret }, { method: 'GET', path: `${url.pathname}${url.search}` });
    const { value, message } = (typeof answer.body === 'object' && answer.body !== null ? answer.body : {}) as { readonly value?: unknown; readonly message?: unknown };
    if (answer.status !== 200 || typeof value !== 'string') throw new Error(typeof message === 'string' ? message.slice(0, 2_000) : `the runner answered ${answer.status}`);
    terminal.print(json ? JSON.stringify({ value }) : value);
  },
};
