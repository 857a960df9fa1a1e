/** Commands that ask who may do what. */
import { stringify } from 'yaml';
import type { CommandRecord } from './command-line.ts';
import type { Server } from './remote-command.ts';
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
  remote({
    name: 'who-can',
    summary: 'who may do something to a resource, and by what; and which workloads could come with which claims',
    args: [permission, resource],
    options: [scope],
    data: true,
    run: async (server, { args, options, terminal, json }) => {
      const body = questionOf(['me', ...args], options);
      for await (const item of pages<Person | Workload>(server, 'access:whoCan', body)) {
        terminal.print(json ? JSON.stringify(item) : whoLine(item));
      }
    },
  }),
  remote({
    name: 'what-can',
    summary: 'what a principal may do, resource by resource',
    args: [principal],
    options: [{ flags: '--scope <scope>', help: 'nothing outside it' }, { flags: '--kind <kind>', help: 'of this kind alone, e.g. pipeline' }],
    data: true,
    run: async (server, { args: [who], options, terminal, json }) => {
      const body = { ...(who === 'me' ? {} : { principal: who }), ...(options['scope'] === undefined ? {} : { scope: options['scope'] }), ...(options['kind'] === undefined ? {} : { kind: options['kind'] }) };
      for await (const item of pages<Thing>(server, 'access:whatCan', body)) {
        terminal.print(json ? JSON.stringify(item) : `${item.kind} ${item.id}: ${item.permissions.map((one) => one.slice(item.kind.length + 1)).join(', ')}`);
      }
    },
  }),
];

interface Person {
  readonly type: 'user' | 'service_account';
  readonly path: string;
  readonly reasons: readonly Reason[];
}

interface Workload {
  readonly type: 'workload';
  readonly path: string;
  readonly issuer: string;
  readonly when: readonly Readonly<Record<string, unknown>>[];
}

interface Thing {
  readonly kind: string;
  readonly id: string;
  readonly permissions: readonly string[];
}

/** All pages, one after the other. */
async function* pages<T>(server: Server, path: string, body: object): AsyncGenerator<T> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = (await server.call({ method: 'POST', path: `${server.api}/${path}`, body: { ...body, limit: 200, ...(cursor === undefined ? {} : { cursor }) } })) as { items: T[]; next: string | null };
    yield* page.items;
    cursor = page.next;
  }
}

function whoLine(item: Person | Workload): string {
  if (item.type !== 'workload') return `${item.type}:${item.path}  ${item.reasons.map(reasonLine).join('; ')}`;
  const claims = item.when.map(({ claim, ...must }) => `${String(claim)} ${Object.entries(must).map(([how, value]) => `${how} ${JSON.stringify(value)}`).join(', ')}`);
  return `workload of ${item.issuer} through mapping ${item.path}  ${claims.join('; ')}`;
}

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
