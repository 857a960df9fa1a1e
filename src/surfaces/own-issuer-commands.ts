/** Commands about the account as an issuer: its keys, its documents as files, and who is to trust it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseResourcePath } from '#kernel/scope.ts';
import type { CommandRecord } from './command-line.ts';
import { UsageError, table } from './command-line.ts';
import { remote, scopeApi } from './remote-command.ts';

interface Key {
  readonly id: string;
  readonly algorithm: string;
  readonly state: string;
  readonly signsFrom: string;
  readonly publishedUntil: string | null;
}

const keys = remote({
  name: 'issuer keys',
  summary: 'keys that minted tokens are, were and will be signed with',
  data: true,
  run: async (server, { terminal, json }) => {
    const { items } = (await server.call({ method: 'GET', path: `${server.api}/signing-keys` })) as { items: readonly Key[] };
    if (json) return terminal.print(JSON.stringify(items));
    for (const line of table(items.map((key) => [key.id, key.algorithm, key.state, `signs from ${key.signsFrom}`, key.publishedUntil === null ? '' : `published until ${key.publishedUntil}`]))) terminal.print(line.trimEnd());
    return undefined;
  },
});

const rotate = remote({
  name: 'issuer rotate-keys',
  summary: 'let the next keys sign as soon as they have been published for long enough',
  data: true,
  run: async (server, { terminal, json }) => {
    const { items } = (await server.call({ method: 'POST', path: `${server.api}/signing-keys:rotate`, body: {} })) as { items: readonly Key[] };
    if (json) return terminal.print(JSON.stringify(items));
    for (const { id, algorithm, signsFrom } of items) terminal.print(`${algorithm}: ${id} signs from ${signsFrom}`);
    return undefined;
  },
});

const revoke = remote({
  name: 'issuer revoke-key',
  summary: 'take a key out of `/jwks` at once: its tokens are dead, and the next key signs',
  args: [['<kid>', 'of the key']],
  data: true,
  run: async (server, { args: [kid], terminal, json }) => {
    const done = (await server.call({ method: 'POST', path: `${server.api}/signing-keys/${encodeURIComponent(kid!)}/revoke` })) as { was: string; signsNow: string | null };
    if (json) return terminal.print(JSON.stringify(done));
    terminal.print(done.signsNow === null ? `revoked ${kid!}, which was a ${done.was} key` : `revoked ${kid!}; ${done.signsNow} signs now`);
    terminal.print('others believe what they have kept of the keys for five minutes at most');
    return undefined;
  },
});

const exported = remote({
  name: 'issuer export',
  summary: 'write discovery, metadata and keys as files for a static host under the public URL, for clouds that cannot reach the server',
  args: [['<dir>', 'directory, made if it is not there']],
  data: true,
  anonymous: true,
  run: async (server, { args: [directory], terminal, json }) => {
    const account = `accounts/${server.account}`;
    const paths = [`${account}/.well-known/openid-configuration`, `${account}/jwks`, `.well-known/openid-configuration/${account}`, `.well-known/oauth-authorization-server/${account}`];
    const documents = await Promise.all(paths.map(async (path) => ({ path, text: JSON.stringify(await server.call({ method: 'GET', path: `/${path}` })) })));
    for (const { path, text } of documents) {
      const file = join(directory!, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    if (json) terminal.print(JSON.stringify(paths));
    else for (const path of paths) terminal.print(path);
  },
});

interface Trust {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly parts: readonly { readonly title: string; readonly text: string }[];
  readonly checks: readonly { readonly what: string; readonly wants: string; readonly has: string; readonly matches: boolean }[];
  readonly matches: boolean;
  readonly refused: string | null;
}

const trust = remote({
  name: 'connector trust',
  summary: 'what the other side of a connector is to be told to trust the tokens of a stage, and the claims they will have',
  args: [['<connector>', 'its path, e.g. gcp_prod or payments/gcp_prod']],
  options: [
    { flags: '--pipeline <path>', help: 'e.g. payments/checkout/recover', required: true },
    { flags: '--stage <stage>', help: 'absent = its only stage' },
    { flags: '--environment <reference>', help: 'where the stage leaves it to the run' },
    { flags: '--audience <audience>', help: 'one of the connector’s; absent = its first' },
  ],
  data: true,
  run: async (server, { args: [path], options, terminal, json }) => {
    const connector = parseResourcePath(path!);
    if (connector === null) throw new UsageError(`\`${path!}\` is no path of a connector`);
    const given = ['pipeline', 'stage', 'environment', 'audience'].flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]));
    const found = (await server.call({ method: 'POST', path: `${scopeApi(server, connector.scope)}/connectors/${connector.identifier}/trust`, body: Object.fromEntries(given) as Record<string, unknown> })) as Trust;
    if (json) terminal.print(JSON.stringify(found));
    else for (const line of trustLines(found)) terminal.print(line);
    return found.matches && found.refused === null ? 0 : 1;
  },
});

function trustLines({ claims, parts, checks, refused }: Trust): string[] {
  return [
    '# claims of a token; null also where only a run knows', JSON.stringify(claims, null, 2),
    ...parts.flatMap(({ title, text }) => ['', `# ${title}`, text.trimEnd()]),
    '', '# such a token', ...checks.map(({ what, wants, has, matches }) => (matches ? `matches  ${what}` : `differs  ${what}: wants ${wants}, has ${has}`)),
    ...(refused === null ? [] : ['', `# the connector would give this stage no token: ${refused}`]),
  ];
}

export const ownIssuerCommands: readonly CommandRecord[] = [keys, rotate, revoke, exported, trust];
