/** Commands that talk to a server: views of its operations. */
import { readFile } from 'node:fs/promises';
import { nearest } from '#kernel/identifier.ts';
import { collectionOf, manifestKind } from '#kernel/kind.ts';
import type { Kinds } from '#kernel/kind.ts';
import { levelOf, parseResourcePath, parseScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { stringify } from 'yaml';
import type { CommandRecord } from './command-line.ts';
import { UsageError, table } from './command-line.ts';
import { accessCommands } from './access-commands.ts';
import { sessionCommands } from './session-commands.ts';
import { auditColumns } from './audit-columns.ts';
import { changeCommands } from './change-commands.ts';
import { executionCommands } from './execution-commands.ts';
import { issuerDriftCommands } from './issuer-drift-commands.ts';
import { issuerCommands } from './issuer-commands.ts';
import { ownIssuerCommands } from './own-issuer-commands.ts';
import type { Wrapper } from './manifest-files.ts';
import { RemoteRefusal, collect, remote, scopeApi } from './remote-command.ts';
import { setup } from './setup-command.ts';
import { stepTokenCommand } from './step-token-command.ts';
import { trustCommands } from './trust-commands.ts';
import { unusedCommand } from './unused-command.ts';

export interface CliParts {
  readonly kinds: () => Promise<Kinds>;
  /** Turns a bare document of another tool into a manifest. */
  readonly wrap: Wrapper;
}

export function remoteCommands(parts: CliParts): CommandRecord[] {
  return [setup, ...changeCommands(parts), get(parts), remove(parts), exported, ...executionCommands, ...accessCommands, unusedCommand, ...tokens, stepTokenCommand, ...trustCommands, ...issuerDriftCommands, ...issuerCommands(parts), ...ownIssuerCommands, ...sessionCommands, ...audits];
}

function kindNamed(kinds: Kinds, text: string): string {
  const known = [...kinds.kinds.keys()];
  const wanted = text.toLowerCase().replaceAll('-', '_');
  const found = known.find((name) => [name, manifestKind(name).toLowerCase(), collectionOf(name).replaceAll('-', '_')].includes(wanted));
  if (found !== undefined) return found;
  const near = nearest(text, known.map(manifestKind));
  throw new UsageError(`there is no kind \`${text}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`);
}

function get(parts: CliParts): CommandRecord {
  return remote({
    name: 'get',
    summary: 'show one resource as a manifest, or list a kind in a scope',
    args: [['<kind>', 'e.g. Role'], ['[path]', 'path of the resource, or of a scope with a trailing slash; absent lists the account']],
    data: true,
    run: async (server, { args, terminal, json }) => {
      const kinds = await parts.kinds();
      const kind = kindNamed(kinds, args[0]!);
      const path = args[1];
      const listed = path === undefined || path.endsWith('/') ? parseScope(path?.slice(0, -1)) : null;
      if (listed !== null) {
        refuseOtherLevel(kinds, kind, listed);
        const items = await collect(server, `${scopeApi(server, listed)}/${collectionOf(kind)}`);
        if (json) return terminal.print(JSON.stringify(items));
        for (const line of table(items.map((item) => [String(item['path']), item['version'] === undefined ? '' : `v${String(item['version'])}`, String(item['name'] ?? '')]))) terminal.print(line.trimEnd());
        return undefined;
      }
      const place = placeOf(path!);
      refuseOtherLevel(kinds, kind, place.scope);
      const view = (await server.call({ method: 'GET', path: `${scopeApi(server, place.scope)}/${collectionOf(kind)}/${place.identifier}` })) as Record<string, unknown>;
      terminal.print(json ? JSON.stringify(view) : stringify(view).trimEnd());
    },
  });
}

/** There is nothing to be asked for at a level the kind does not have. */
function refuseOtherLevel(kinds: Kinds, kind: string, scope: ScopePath): void {
  const levels = kinds.kinds.get(kind)?.levels ?? [];
  if (levels.includes(levelOf(scope))) return;
  const name = manifestKind(kind);
  const places = { account: 'the account', org: 'an organization', project: 'a project' } as const;
  const example = { account: `get ${name}`, org: `get ${name} payments/`, project: `get ${name} payments/checkout/` } as const;
  throw new UsageError(`\`${name}\` lies in ${levels.map((level) => places[level]).join(' or ')}; list it by ${levels.map((level) => `\`${example[level]}\``).join(' or ')}`);
}

function placeOf(path: string): { scope: ScopePath; identifier: string } {
  const place = parseResourcePath(path);
  if (place === null) throw new UsageError(`\`${path}\` is not a path such as \`payments/checkout/recover\``);
  return place;
}

function remove(parts: CliParts): CommandRecord {
  return remote({
    name: 'delete',
    summary: 'delete a resource',
    args: [['<kind>', 'e.g. Role'], ['<path>', 'path of the resource']],
    options: [{ flags: '--cascade', help: 'also what is in it; references to it are left dangling' }],
    run: async (server, { args, options, terminal }) => {
      const kind = kindNamed(await parts.kinds(), args[0]!);
      const place = placeOf(args[1]!);
      await server.call({ method: 'DELETE', path: `${scopeApi(server, place.scope)}/${collectionOf(kind)}/${place.identifier}${options['cascade'] === true ? '?cascade=true' : ''}` });
      terminal.print(`deleted ${manifestKind(kind)} ${args[1]!}`);
    },
  });
}

const exported = remote({
  name: 'export',
  summary: 'print the resources of a scope and everything below as manifests',
  args: [['[scope]', 'scope path; absent = the account']],
  data: true,
  run: async (server, { args, terminal, json }) => {
    const scope = parseScope(args[0]);
    if (scope === null) throw new UsageError(`\`${args[0]}\` is not a scope path`);
    const documents: unknown[] = [];
    for (let query = '', next: string | null = null; ; query = `?cursor=${encodeURIComponent(next)}`) {
      const part = (await server.call({ method: 'GET', path: `${scopeApi(server, scope)}/manifests${query}` })) as { documents: unknown[]; next: string | null };
      documents.push(...part.documents);
      ({ next } = part);
      if (next === null) break;
      terminal.progress(`${documents.length} resources exported`);
    }
    terminal.print(json ? JSON.stringify(documents) : documents.map((document) => stringify(document)).join('---\n').trimEnd());
  },
});

/** `user:alice` → type and path. */
function principalNamed(text: string): { type: string; path: string } {
  const [, type, path] = /^(user|service_account):(.+)$/.exec(text) ?? [];
  if (type === undefined || path === undefined) throw new UsageError(`\`${text}\` is no principal such as \`user:alice\` or \`service_account:payments/ci\``);
  return { type, path };
}

const tokens: CommandRecord[] = [
  remote({
    name: 'token create',
    summary: 'make an API token for yourself, or for a principal whose rights you hold; prints it once',
    options: [
      { flags: '--name <name>', help: 'what it is for', required: true },
      { flags: '--principal <principal>', help: '`user:alice` or `service_account:payments/ci`' },
      { flags: '--ttl <duration>', help: 'e.g. 30d' },
      { flags: '--may-administer', help: 'may change issuers, mappings, bindings, roles and runner registrations' },
    ],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const principal = options['principal'] as string | undefined;
      const body = {
        name: options['name'],
        ...(principal === undefined ? {} : { principal: principalNamed(principal) }),
        ...(options['ttl'] === undefined ? {} : { ttl: options['ttl'] }),
        ...(options['mayAdminister'] === true ? { mayAdminister: true } : {}),
      };
      const answer = (await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body })) as { token: string };
      terminal.print(json ? JSON.stringify(answer) : answer.token);
    },
  }),
  remote({
    name: 'token impersonate',
    summary: 'make a short token to act as a principal whose rights you hold; it may do what both may, and the audit names both',
    args: [['<principal>', '`user:alice` or `service_account:payments/ci`']],
    options: [
      { flags: '--reason <reason>', help: 'why; the audit keeps it', required: true },
      { flags: '--ttl <duration>', help: 'at most 1h; absent = 15m' },
    ],
    data: true,
    run: async (server, { args, options, terminal, json }) => {
      const body = { principal: principalNamed(args[0]!), reason: options['reason'], ...(options['ttl'] === undefined ? {} : { ttl: options['ttl'] }) };
      const answer = (await server.call({ method: 'POST', path: `${server.api}/api-tokens:impersonate`, body })) as { token: string };
      terminal.print(json ? JSON.stringify(answer) : answer.token);
    },
  }),
  remote({
    name: 'token exchange',
    summary: 'trade the OIDC token of an outside system for a session; prints the session token',
    options: [
      { flags: '--token-file <file>', help: 'file with the outside token; none of ours is needed', required: true },
      { flags: '--scope <permissions>', help: 'permissions to be held to, with blanks between them' },
      { flags: '--details <json>', help: 'JSON array of `sallyport_grant` to be held to (RFC 9396)' },
    ],
    data: true,
    anonymous: true,
    run: async (server, { options, terminal, json }) => {
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: (await readFile(String(options['tokenFile']), 'utf8')).trim(),
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        ...(options['scope'] === undefined ? {} : { scope: String(options['scope']) }),
        ...(options['details'] === undefined ? {} : { authorization_details: String(options['details']) }),
      };
      if (form.subject_token === '') throw new UsageError(`\`${String(options['tokenFile'])}\` is empty`);
      const answer = (await server.call({ method: 'POST', path: `/accounts/${server.account}/oauth/token`, form }).catch((error: unknown) => {
        if (error instanceof RemoteRefusal) error.message += '\n  an administrator sees why: `sallyport token explain --correlation ID`';
        throw error;
      })) as { access_token: string };
      terminal.print(json ? JSON.stringify(answer) : answer.access_token);
    },
  }),
];

const audits: CommandRecord[] = [
  remote({
    name: 'audit list',
    summary: 'audit events, newest first',
    options: [
      { flags: '--scope <scope>', help: 'scope path; absent = the account' },
      { flags: '--since <time>', help: 'RFC 3339' },
      { flags: '--until <time>', help: 'RFC 3339' },
      { flags: '--actor <actor>', help: 'uid, `user:alice`, `service_account:payments/ci`' },
      { flags: '--action <action>', help: 'e.g. role.create' },
      { flags: '--resource <resource>', help: 'uid or path' },
      { flags: '--outcome <outcome>', help: 'success, refused or failed' },
      { flags: '--session <id>', help: 'session' },
      { flags: '--request <id>', help: 'request id' },
      { flags: '--claim <claim>', help: 'a verified claim: `/terraform_workspace_id=ws-123`, `/run:number=5`, or members as JSON' },
      { flags: '--token-sha256 <hash>', help: 'hash of the outside token of an exchange, in hex' },
      { flags: '--limit <n>', help: 'at most 200' },
    ],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const scope = parseScope(options['scope'] as string | undefined);
      if (scope === null) throw new UsageError('`--scope` is not a scope path');
      const query = new URLSearchParams();
      for (const [name, parameter] of [['since'], ['until'], ['actor'], ['action'], ['resource'], ['outcome'], ['session'], ['request', 'requestId'], ['claim'], ['tokenSha256'], ['limit']] as [string, string?][]) {
        if (options[name] !== undefined) query.set(parameter ?? name, String(options[name]));
      }
      const page = (await server.call({ method: 'GET', path: `${scopeApi(server, scope)}/audit?${query}` })) as { items: Record<string, unknown>[]; next: string | null };
      if (json) return terminal.print(JSON.stringify(page));
      for (const line of table(page.items.map(auditColumns))) terminal.print(line.trimEnd());
      if (page.next !== null) terminal.warn('there is more; narrow the time or use --json and the cursor');
      return undefined;
    },
  }),
  remote({
    name: 'audit checkpoint',
    summary: 'print the newest signed checkpoint with the public keys, a line to keep elsewhere and verify against later',
    run: async (server, { terminal }) => terminal.print(JSON.stringify(await server.call({ method: 'GET', path: `${server.api}/audit:checkpoint` }))),
  }),
  remote({
    name: 'audit export',
    summary: 'print the numbered trail with checkpoints and public keys as JSON lines, for keeping and verifying elsewhere',
    run: async (server, { terminal }) => {
      for (let after: number | null = 0; after !== null; ) {
        const part = (await server.call({ method: 'GET', path: `${server.api}/audit:export?after=${after}` })) as { next: number | null };
        terminal.print(JSON.stringify(part));
        after = part.next;
      }
    },
  }),
];
