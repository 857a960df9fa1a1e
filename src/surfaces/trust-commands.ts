/** Commands about claims in: why a token is refused. */
import { readFile } from 'node:fs/promises';
import { parseScope } from '#kernel/scope.ts';
import type { CommandRecord, Terminal } from './command-line.ts';
import { UsageError, table } from './command-line.ts';
import { remote, scopeApi } from './remote-command.ts';

interface Trace {
  readonly accepted: boolean;
  readonly causes: readonly string[];
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly checks: readonly { readonly check: string; readonly outcome: string }[];
  readonly mappings: readonly MappingTrace[];
  readonly hiddenMappings: number;
  readonly unknownClaims: readonly string[];
  readonly missingClaims: readonly string[];
  readonly event: { readonly id: string; readonly at: string; readonly correlationId: string; readonly mappings: readonly { readonly mapping: string; readonly version: number; readonly matched: boolean }[] } | null;
}

interface MappingTrace {
  readonly mapping: string;
  readonly version: number;
  readonly matched: boolean;
  readonly conditions: readonly { readonly claim: string; readonly expected: unknown; readonly actual: unknown; readonly holds: boolean | null }[];
  readonly expression: { readonly source: string; readonly because: string | null } | null;
  readonly grants: readonly { readonly grant: number; readonly role: string; readonly scope: string | null; readonly because: string | null }[];
}

export const trustCommands: readonly CommandRecord[] = [
  remote({
    name: 'token explain',
    summary: 'why an outside token is accepted or refused, or an exchange of the past was; grants nothing',
    options: [
      { flags: '--token-file <file>', help: 'file with the outside token; your own is in SALLYPORT_TOKEN_FILE or SALLYPORT_TOKEN' },
      { flags: '--correlation <id>', help: 'what the refused caller was given' },
      { flags: '--audit <event>', help: 'id of an audit event: an exchange, or what a session did' },
      { flags: '--scope <scope>', help: 'scope path whose claim mappings you administer; absent = the account' },
    ],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const scope = parseScope(options['scope'] as string | undefined);
      if (scope === null) throw new UsageError('`--scope` is not a scope path');
      const trace = (await server.call({ method: 'POST', path: `${scopeApi(server, scope)}/sessions:explain`, body: await questionOf(options) })) as Trace;
      if (json) terminal.print(JSON.stringify(trace, null, 2));
      else printTrace(terminal, trace);
    },
  }),
];

async function questionOf(options: Readonly<Record<string, unknown>>): Promise<Record<string, string>> {
  const given = ['tokenFile', 'correlation', 'audit'].filter((name) => options[name] !== undefined);
  if (given.length !== 1) throw new UsageError('name exactly one of `--token-file`, `--correlation` and `--audit`');
  if (options['audit'] !== undefined) return { event: String(options['audit']) };
  if (options['correlation'] !== undefined) return { correlationId: String(options['correlation']) };
  return { token: (await readFile(String(options['tokenFile']), 'utf8')).trim() };
}

function printTrace(terminal: Terminal, trace: Trace): void {
  const [cause, ...others] = trace.causes;
  terminal.print(trace.accepted ? 'accepted' : `refused: ${cause ?? 'the cause was not recorded'}`);
  for (const other of others) terminal.print(`  then: ${other}`);
  if (trace.issuer !== null) terminal.print(`issuer   ${trace.issuer}`);
  if (trace.subject !== null) terminal.print(`subject  ${trace.subject}`);
  terminal.print(`checks   ${checksLine(trace)}`);
  if (trace.event !== null) terminal.print(`event    ${trace.event.id}, ${trace.event.at}, correlation id ${trace.event.correlationId}`);
  for (const { mapping, version, matched } of trace.event?.mappings ?? []) terminal.print(`then     ${mapping} v${version} ${matched ? 'matched' : 'did not match'}`);
  for (const mapping of trace.mappings) for (const line of mappingLines(mapping)) terminal.print(line);
  if (trace.unknownClaims.length > 0) terminal.print(`unknown  ${trace.unknownClaims.join(' ')}`);
  if (trace.missingClaims.length > 0) terminal.print(`missing  ${trace.missingClaims.join(' ')}`);
  if (trace.hiddenMappings > 0) terminal.print(`and ${trace.hiddenMappings} claim mappings you may not view`);
}

function checksLine({ checks }: Trace): string {
  const of = (outcome: string): string[] => checks.filter((each) => each.outcome === outcome).map(({ check }) => check);
  const failed = of('failed');
  if (failed.length === 0) return of('not_kept').length > 0 ? 'not kept' : `all ${checks.length} passed`;
  return `${of('passed').length} passed, failed: ${failed.join(' ')}${of('not_reached').length === 0 ? '' : `, not reached: ${of('not_reached').join(' ')}`}`;
}

function mappingLines({ mapping, version, matched, conditions, expression, grants }: MappingTrace): string[] {
  const sign = (holds: boolean | null): string => (holds === null ? '?' : holds ? '=' : 'x');
  const rows = [
    ...conditions.map(({ claim, expected, actual, holds }) => [`  ${sign(holds)}`, claim, JSON.stringify(expected), `has ${JSON.stringify(actual)}`]),
    ...(expression === null ? [] : [[`  ${sign(expression.because === null)}`, 'condition', expression.source, expression.because ?? '']]),
    ...grants.map(({ role, scope, because }) => [`  ${sign(because === null)}`, 'grants', `${role} at ${scope ?? '?'}`, because ?? '']),
  ];
  return [`${matched ? 'matches' : 'does not match'}: ${mapping} v${version}`, ...table(rows).map((line) => line.trimEnd())];
}
