/** The frame of commands that talk to a server: where it is, as whom, and how its refusals are shown. */
import type { FieldError } from '#kernel/errors.ts';
import { accountScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { readRemoteEnvironment } from '#platform/config.ts';
import type { Remote, RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import type { CommandInput, CommandOption, CommandRecord } from './command-line.ts';
import { describeErrors } from './manifest-files.ts';

export const remoteOptions: readonly CommandOption[] = [
  { flags: '--url <url>', help: 'server (SALLYPORT_URL, http://127.0.0.1:8420)' },
  { flags: '--account <account>', help: 'account (SALLYPORT_ACCOUNT, default)' },
  { flags: '--token-file <file>', help: 'file with the token; otherwise SALLYPORT_TOKEN' },
];

export interface Server {
  readonly remote: Remote;
  readonly account: string;
  /** Path of the account's API. */
  readonly api: string;
  call(request: RemoteRequest): Promise<unknown>;
}

/** A refusal of the server, ready to be shown. */
export class RemoteRefusal extends Error {
  readonly errors: readonly FieldError[];

  constructor(message: string, errors: readonly FieldError[]) {
    super(message);
    this.errors = errors;
  }
}

export function connect(options: Readonly<Record<string, unknown>>): Server {
  const { url, account, token } = readRemoteEnvironment({
    url: options['url'] as string | undefined, account: options['account'] as string | undefined, tokenFile: options['tokenFile'] as string | undefined,
  });
  const remote = { url, token: token ?? null };
  return {
    remote, account, api: `/api/v1/accounts/${account}`,
    call: async (request) => {
      let answer: RemoteAnswer;
      try {
        answer = await callRemote(remote, request);
      } catch (cause) {
        throw new Error(`the server at ${url} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
      if (answer.status >= 300) throw refusalOf(answer);
      return answer.body;
    },
  };
}

function refusalOf(answer: RemoteAnswer): RemoteRefusal {
  const problem = (typeof answer.body === 'object' && answer.body !== null ? answer.body : {}) as Record<string, unknown>;
  const title = problem['title'] ?? problem['error_description'] ?? `the server answered ${answer.status}`;
  const code = problem['code'] ?? problem['error'];
  const detail = problem['detail'] === undefined ? '' : `: ${String(problem['detail'])}`;
  const id = problem['instance'] ?? problem['correlation_id'];
  const help = problem['help'] === undefined ? '' : `\n  ${String(problem['help'])}`;
  return new RemoteRefusal(`${String(title)}${detail}${code === undefined ? '' : ` [${String(code)}]`}${help}${id === undefined ? '' : `\n  request ${String(id)}`}`, (problem['errors'] as FieldError[] | undefined) ?? []);
}

/** Path of the API of a scope. */
export function scopeApi(server: Server, scope: ScopePath): string {
  if (scope === accountScope) return server.api;
  const [org, project] = scope.split('/');
  return `${server.api}/orgs/${org}${project === undefined ? '' : `/projects/${project}`}`;
}

/** A command of the CLI that asks a server; its refusals are printed and end it with 1. */
export function remote(record: Omit<CommandRecord, 'run'> & { run: (server: Server, input: CommandInput) => Promise<number | void> }): CommandRecord {
  const own = record.options ?? [];
  // Where `--token-file` is the token the command is about, the caller's own comes from the environment.
  const isAboutToken = own.some(({ flags }) => flags.startsWith('--token-file'));
  return {
    ...record,
    options: [...own, ...remoteOptions.filter(({ flags }) => !isAboutToken || !flags.startsWith('--token-file'))],
    run: async (input) => {
      try {
        return await record.run(connect(isAboutToken ? { ...input.options, tokenFile: undefined } : input.options), input);
      } catch (error) {
        if (!(error instanceof RemoteRefusal)) throw error;
        input.terminal.warn(`sallyport: ${error.message}`);
        for (const line of describeErrors(error.errors, [])) input.terminal.warn(`  ${line}`);
        return 1;
      }
    },
  };
}

/** All pages of a list. */
export async function collect(server: Server, path: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const separator = path.includes('?') ? '&' : '?';
    const page = (await server.call({ method: 'GET', path: `${path}${separator}limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}` })) as { items: Record<string, unknown>[]; next: string | null };
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}
