/** Commands that ask who may do what. */
import { stringify } from 'yaml';
import type { CommandRecord } from './command-line.ts';
import { remote } from './remote-command.ts';

interface Reason {
  readonly code: string;
  readonly [part: string]: unknown;
}

interface Explained {
  readonly allowed: boolean;
  readonly reasons: readonly Reason[];
  readonly bindings: readonly { readonly binding: string; readonly role: string; readonly resourceGroup: string | null; readonly scope: string; readonly groupPath: readonly string[] }[];
  readonly grant: { readonly summary: string; readonly documents: readonly object[] } | null;
  readonly correlationId: string;
}

const principal: [string, string] = ['<principal>', '`user:alice`, `service_account:payments/ci`, `session:ID`, or `me`'];
const permission: [string, string] = ['<permission>', 'e.g. pipeline.execute'];
const resource: [string, string] = ['<resource>', 'path of the resource; with --scope its name there'];
const scope = { flags: '--scope <scope>', help: 'where it lies, for kinds of other systems, whose names are no paths' };

export const accessCommands: readonly CommandRecord[] = [
  remote({
    name: 'check',
    summary: 'whether a principal may do something; exit code 0 allowed, 1 not',
    args: [principal, permission, resource],
    options: [scope],
    data: true,
    run: async (server, { args, options, terminal, json }) => {
      const answer = (await server.call({ method: 'POST', path: `${server.api}/access:check`, body: questionOf(args, options) })) as Pick<Explained, 'allowed' | 'reasons'>;
      if (json) terminal.print(JSON.stringify(answer));
      else for (const line of decisionLines(answer)) terminal.print(line);
      return answer.allowed ? 0 : 1;
    },
  }),
  remote({
    name: 'explain',
    summary: 'why a principal may or may not: what allowed, or what was missing and the smallest grant that would help',
    args: [principal, permission, resource],
    options: [scope],
    data: true,
    run: async (server, { args, options, terminal, json }) => {
      const answer = (await server.call({ method: 'POST', path: `${server.api}/access:explain`, body: questionOf(args, options) })) as Explained;
      if (json) terminal.print(JSON.stringify(answer));
      else for (const line of explainedLines(answer)) terminal.print(line);
      return answer.allowed ? 0 : 1;
    },
  }),
];

function questionOf([who, what, which]: readonly string[], options: Readonly<Record<string, unknown>>): object {
  const place = options['scope'] === undefined ? which : { scope: options['scope'], identifier: which };
  return { permission: what, resource: place, ...(who === 'me' ? {} : { principal: who }) };
}

function decisionLines({ allowed, reasons }: Pick<Explained, 'allowed' | 'reasons'>): string[] {
  return [allowed ? 'allowed' : 'not allowed', ...reasons.map((reason) => `  ${reasonLine(reason)}`)];
}

/** That something is allowed has been said; what follows is by what. */
function reasonLine({ code, ...about }: Reason): string {
  const parts = Object.entries(about).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(' > ') : String(value)}`);
  return code === 'allowed' && parts.length > 0 ? `by ${parts.join(', ')}` : [code, ...parts].join(', ');
}

function explainedLines({ allowed, reasons, bindings, grant, correlationId }: Explained): string[] {
  const has = bindings.map(({ binding, role, resourceGroup, groupPath }) => {
    return `  ${binding}: role ${role}${resourceGroup === null ? '' : ` over ${resourceGroup}`}${groupPath.length === 0 ? '' : ` through ${groupPath.join(' > ')}`}`;
  });
  const documents = grant === null ? '' : grant.documents.map((document) => stringify(document)).join('---\n').trimEnd();
  return [
    ...decisionLines({ allowed, reasons }),
    ...(has.length === 0 ? [] : ['', 'bindings:', ...has]),
    ...(grant === null ? [] : ['', `what would help: ${grant.summary}`, ...(documents === '' ? [] : documents.split('\n').map((line) => `  ${line}`))]),
    '',
    `correlation id: ${correlationId}`,
  ];
}
