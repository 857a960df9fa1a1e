/** The frame of commands that talk to a server: where it is, as whom, and how its refusals are shown. */
import { devNull } from 'node:os';
import type { ErrorCode, FieldError } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import { accountScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { readRemoteEnvironment } from '#platform/config.ts';
import type { Remote, RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import type { CommandInput, CommandOption, CommandRecord } from './command-line.ts';
import { UsageError } from './command-line.ts';
import { describeErrors } from './manifest-files.ts';

export const remoteOptions: readonly CommandOption[] = [
  { flags: '--url <url>', help: 'server (SALLYPORT_URL, http://127.0.0.1:8420)' },
  { flags: '--account <account>', help: 'account (SALLYPORT_ACCOUNT, `default`)' },
  { flags: '--token-file <file>', help: 'file with the token (SALLYPORT_TOKEN_FILE); otherwise the token is in SALLYPORT_TOKEN' },
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
  readonly code: string;
  readonly requestId: string;
  readonly errors: readonly FieldError[];

  constructor(message: string, { code, requestId, errors }: { code: string; requestId: string; errors: readonly FieldError[] }) {
    super(message);
    this.code = code;
    this.requestId = requestId;
    this.errors = errors;
  }
}

export function connect(options: Readonly<Record<string, unknown>>): Server {
  const { url, account, token } = readRemoteEnvironment({
    url: options['url'] as string | undefined, account: options['account'] as string | undefined, tokenFile: options['tokenFile'] as string | undefined,
  });
  if (!['http:', 'https:'].includes(URL.parse(url)?.protocol ?? '')) throw new UsageError(`\`${url}\` is no URL of a server such as \`http://127.0.0.1:8420\``);
  if (!isIdentifier(account)) throw new UsageError(`\`${account}\` is no identifier of an account`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new UsageError('what was given as the token has spaces, line ends or other characters no token has');
  const remote = { url, token: token ?? null };
  return {
    remote, account, api: `/api/v1/accounts/${account}`,
    call: async (request) => {
      let answer: RemoteAnswer;
      try {
        answer = await callRemote(remote, request);
      } catch (cause) {
        throw new Error(`the server at ${url} does not answer: ${silence(cause)}`, { cause });
      }
      if (typeof answer.body === 'string') throw new Error(`what answers at ${url} (${answer.status}) is no Sallyport; name another URL by \`--url\` or SALLYPORT_URL`);
      if (answer.status >= 300) throw refusalOf(answer);
      return answer.body;
    },
  };
}

function silence(cause: unknown): string {
  const { code = '', message } = cause as { code?: string; message?: string };
  if (code.startsWith('ERR_SSL_')) return `it speaks no TLS that is understood here (${code}); is it http?`;
  return `${message || code || String(cause)}${code === 'ECONNREFUSED' ? '; is it running there?' : ''}`;
}

/** What somebody at the command line can do, where that is not what the catalogue tells other callers. */
const helpHere: Partial<Record<ErrorCode, string>> = {
  'credential.missing': 'name the file of your token by `--token-file` or SALLYPORT_TOKEN_FILE, or put the token in SALLYPORT_TOKEN',
  'credential.invalid': 'it expired, was revoked, or is for another account or server; obtain a new one',
};

function refusalOf(answer: RemoteAnswer): RemoteRefusal {
  const problem = (answer.body ?? {}) as Record<string, unknown>;
  const errors = (problem['errors'] as FieldError[] | undefined) ?? [];
  const title = problem['title'] ?? problem['error_description'] ?? `the server answered ${answer.status}`;
  const code = problem['code'] ?? problem['error'];
  const detail = problem['detail'] === undefined ? '' : `: ${String(problem['detail'])}`;
  const id = problem['instance'] ?? problem['correlation_id'];
  const help = helpHere[code as ErrorCode] ?? problem['help'];
  const lines = [
    `${String(title)}${detail}${code === undefined ? '' : ` [${String(code)}]`}`,
    ...(help === undefined || errors.length > 0 ? [] : [`  ${String(help)}`]), // each error says what to do
    ...(id === undefined ? [] : [`  request ${String(id)}`]),
  ];
  return new RemoteRefusal(lines.join('\n'), { code: String(code), requestId: String(id), errors });
}

/** Path of the API of a scope. */
export function scopeApi(server: Server, scope: ScopePath): string {
  if (scope === accountScope) return server.api;
  const [org, project] = scope.split('/');
  return `${server.api}/orgs/${org}${project === undefined ? '' : `/projects/${project}`}`;
}

type RemoteCommand = Omit<CommandRecord, 'run'> & {
  /** Asks without a token, also where the caller's environment has one: a stale one would be in the way. */
  readonly anonymous?: true;
  readonly run: (server: Server, input: CommandInput) => Promise<number | void>;
};

/** A command of the CLI that asks a server; its refusals are printed and end it with 1. */
export function remote({ anonymous, run, ...record }: RemoteCommand): CommandRecord {
  const own = record.options ?? [];
  // Where `--token-file` is the token the command is about, the caller's own comes from the environment.
  const hasOther = anonymous === true || own.some(({ flags }) => flags.startsWith('--token-file'));
  const tokenFile = anonymous === true ? devNull : undefined;
  return {
    ...record,
    options: [...own, ...remoteOptions.filter(({ flags }) => !hasOther || !flags.startsWith('--token-file'))],
    run: async (input) => {
      try {
        return await run(connect(hasOther ? { ...input.options, tokenFile } : input.options), input);
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
