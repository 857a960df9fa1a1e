/** `run`, `logs`, `abort` and `tokens`: executions from the command line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { levelOf, parseResourcePath, parseScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { CommandRecord, Terminal } from './command-line.ts';
import { UsageError } from './command-line.ts';
import { createLogLines } from './log-lines.ts';
import type { LogChunk } from './log-lines.ts';
import type { Server } from './remote-command.ts';
import { remote, scopeApi } from './remote-command.ts';

/** How long to wait when there was nothing new. */
const pollMs = 500;

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly reason: { readonly message: string } | null;
}

interface Place {
  readonly scope: ScopePath;
  readonly id: string;
}

const executionArgument = ['<execution>', 'as `run` prints it: path of the project, then the id'] as const;

const run = remote({
  name: 'run',
  summary: 'start a pipeline; prints the execution. With --follow prints its output too and exits with 0 only on Success',
  args: [['<pipeline>', 'path, e.g. payments/checkout/recover']],
  options: [
    { flags: '--input <name=value>', help: 'an input the pipeline asks for (repeatable)', repeatable: true },
    { flags: '--follow', help: 'wait for the end and print the output of the steps; ending this command does not end the execution' },
  ],
  data: true,
  run: async (server, { args, options, terminal, json }) => {
    const place = parseResourcePath(args[0]!);
    if (place === null || levelOf(place.scope) !== 'project') throw new UsageError(`\`${args[0]}\` is not the path of a pipeline such as \`payments/checkout/recover\``);
    const body = { pipeline: place.identifier, inputs: readInputs((options['input'] as string[] | undefined) ?? []) };
    const started = (await server.call({ method: 'POST', path: `${scopeApi(server, place.scope)}/executions`, body })) as Execution;
    const path = { scope: place.scope, id: started.id };
    if (options['follow'] !== true) {
      terminal.print(json ? JSON.stringify(started) : `${path.scope}/${path.id}`);
      return 0;
    }
    // The output is what goes on; how to come back to it must not be mixed into it.
    terminal.warn(`${path.scope}/${path.id}`);
    return followToEnd(server, path, { terminal, json });
  },
});

const logs = remote({
  name: 'logs',
  summary: 'print what the steps of an execution printed, secrets masked',
  args: [executionArgument],
  options: [{ flags: '--follow', help: 'go on until the execution has ended; exits with 0 only on Success' }],
  data: true,
  run: async (server, { args, options, terminal, json }) => {
    const place = executionAt(args[0]!);
    if (options['follow'] === true) return followToEnd(server, place, { terminal, json });
    await printLogs(server, place, { terminal, json, follow: false });
    return 0;
  },
});

const abort = remote({
  name: 'abort',
  summary: 'stop an execution: running steps are told to end, nothing new starts',
  args: [executionArgument],
  data: true,
  run: async (server, { args, terminal, json }) => {
    const execution = (await server.call({ method: 'POST', path: `${pathOf(server, executionAt(args[0]!))}/abort` })) as Execution;
    terminal.print(json ? JSON.stringify(execution) : execution.status);
  },
});

interface MintedToken {
  readonly id: string;
  readonly connector: string | null;
  readonly audience: string;
  readonly execution: string;
  readonly step: string;
  readonly issuedAt: string;
  readonly fate: string;
}

const tokens = remote({
  name: 'tokens',
  summary: 'tokens that were minted for an execution, or for a connector whatever project used it',
  args: [['[execution]', 'as `run` prints it']],
  options: [{ flags: '--connector <path>', help: 'those of a connector instead, e.g. payments/partner' }],
  data: true,
  run: async (server, { args: [execution], options, terminal, json }) => {
    const connector = options['connector'] as string | undefined;
    if ((execution === undefined) === (connector === undefined)) throw new UsageError('name an execution, or a connector with --connector');
    const path = execution === undefined ? connectorPath(server, connector!) : pathOf(server, executionAt(execution));
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const query = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = (await server.call({ method: 'GET', path: `${path}/tokens?limit=200${query}` })) as { items: readonly MintedToken[]; next: string | null };
      for (const item of page.items) {
        terminal.print(json ? JSON.stringify(item) : [item.issuedAt, item.fate.padEnd(7), item.connector ?? '(gone)', item.audience, `${item.execution} ${item.step}`, item.id].join('  '));
      }
      cursor = page.next;
    }
  },
});

function connectorPath(server: Server, text: string): string {
  const place = parseResourcePath(text);
  if (place === null) throw new UsageError(`\`${text}\` is not the path of a connector such as \`payments/partner\``);
  return `${scopeApi(server, place.scope)}/connectors/${place.identifier}`;
}

export const executionCommands: readonly CommandRecord[] = [run, logs, abort, tokens];

/** `payments/checkout/0198…`: the path of the project, then the id. */
function executionAt(text: string): Place {
  const slash = text.lastIndexOf('/');
  const scope = slash === -1 ? null : parseScope(text.slice(0, slash));
  const id = text.slice(slash + 1);
  if (scope === null || levelOf(scope) !== 'project' || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
    throw new UsageError(`\`${text}\` is not an execution such as \`payments/checkout/0198c5f2-7d1a-7c3e-9b1f-2a4d6e8f0a1b\``);
  }
  return { scope, id };
}

function pathOf(server: Server, { scope, id }: Place): string {
  return `${scopeApi(server, scope)}/executions/${id}`;
}

function readInputs(pairs: readonly string[]): Readonly<Record<string, string>> {
  const inputs = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals);
    if (equals < 1) throw new UsageError(`\`--input ${pair}\` is not \`name=value\``);
    if (inputs.has(name)) throw new UsageError(`the input \`${name}\` is given more than once`);
    inputs.set(name, pair.slice(equals + 1));
  }
  return Object.fromEntries(inputs);
}

interface Printing {
  readonly terminal: Terminal;
  readonly json: boolean;
}

async function followToEnd(server: Server, place: Place, printing: Printing): Promise<number> {
  const leave = (): void => {
    const path = `${place.scope}/${place.id}`;
    printing.terminal.warn(`\nthe execution goes on: \`sallyport logs ${path} --follow\` comes back to it, \`sallyport abort ${path}\` ends it`);
    process.kill(process.pid, 'SIGINT'); // as if nobody had listened, so that the shell knows
  };
  process.once('SIGINT', leave);
  try {
    return await untilEnded(server, place, printing);
  } finally {
    process.off('SIGINT', leave);
  }
}

async function untilEnded(server: Server, place: Place, printing: Printing): Promise<number> {
  await printLogs(server, place, { ...printing, follow: true });
  const execution = (await server.call({ method: 'GET', path: pathOf(server, place) })) as Execution;
  if (printing.json) printing.terminal.print(JSON.stringify(execution));
  else printing.terminal.warn(`${execution.status}${execution.reason === null ? '' : `: ${execution.reason.message}`}`);
  return execution.status === 'Success' ? 0 : 1;
}

/** Pages of the log until it has ended, or, without `follow`, until there is nothing more now. */
async function printLogs(server: Server, place: Place, { terminal, json, follow }: Printing & { follow: boolean }): Promise<void> {
  const lines = createLogLines((line) => terminal.print(line));
  for (let after = ''; ; ) {
    const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
    const page = (await server.call({ method: 'GET', path: `${pathOf(server, place)}/logs${query}` })) as { chunks: LogChunk[]; next: string; ended: boolean };
    for (const chunk of page.chunks) {
      if (json) terminal.print(JSON.stringify(chunk));
      else lines.add(chunk);
    }
    if (page.ended || (!follow && page.chunks.length === 0)) break;
    after = page.next;
    if (page.chunks.length === 0) await sleep(pollMs);
  }
  lines.end();
}
