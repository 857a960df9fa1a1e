/**
 * README.md, followed as it is written: every command of its `sh` blocks and every `sallyport` command of its prose, in
 * order, in one shell on a terminal. Of the first block the test takes the part of `npm start`: it starts the same
 * program, with data and a port of its own. What the prose says to do is done: the password is typed, `issuers.yaml`
 * names a provider, `oidc.jwt` holds a token of it.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { atEnd } from '#test/endings.ts';
import { applicationClient, startOidcProvider } from '#test/parties/oidc-provider.ts';
import { plainEnvironment, startServe } from '#test/serve-process.ts';
import { ShellTerminal, absentPrograms } from './terminal.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const absent = absentPrograms(['bash', 'curl', 'script']);
const skip = absent.length === 0 ? false : `needs: ${absent.join(', ')}`;

/** Played by the test, see above. */
const start = 'npm ci && npm start';
const passwords = [['password (', 'long enough for a readme'], ['again: ', 'long enough for a readme']] as const;

/** The commands in their order, each with what shows that it did what it is there for. */
const expected: readonly (readonly [command: string, shows: RegExp | null])[] = [
  ['bin/sallyport doctor', /^(ok|warn) +isolation/m],
  [start, null],
  ['export PATH="$PWD/bin:$PATH" SALLYPORT_URL=http://127.0.0.1:8420', null],
  ['(umask 077; sallyport setup --code CODE --email you@example.com > token)', /administrator `you` made/],
  ['export SALLYPORT_TOKEN_FILE="$PWD/token"', null],
  ['sallyport apply -f examples/quickstart/organization.yaml --dry-run', /^would be 7 created, 0 updated, 0 deleted/m],
  ['sallyport apply -f examples/quickstart/organization.yaml', /^7 created, 0 updated, 0 deleted/m],
  ['sallyport get Project payments/', /^payments\/checkout .*Checkout$/m],
  ['sallyport check me service.edit payments/checkout/web', /^allowed\n.*role account_admin/m],
  ['sallyport audit list', /success +project\.create +user:you +payments\/ledger/],
  ['DB_PASSWORD=correct-horse-battery sallyport apply -f examples/quickstart', /^10 created, 0 updated, 0 deleted, 7 unchanged/m],
  ['(umask 077; sallyport token exchange --token-file oidc.jwt > session)', null],
  ['SALLYPORT_TOKEN_FILE=session sallyport run payments/checkout/recover --follow', /^Success$/m],
  ['sallyport token explain --token-file oidc.jwt', /^accepted$/m],
  [`tr -d '\\n' < oidc.jwt | curl "$SALLYPORT_URL/accounts/default/oauth/token" \\
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt --data-urlencode subject_token@-`, /"access_token":"ey/],
  ['sallyport run payments/checkout/recover --follow', /was given the password \*\*\* and the token \*\*\*/],
  ['curl "$SALLYPORT_URL/accounts/default/.well-known/openid-configuration"', /"jwks_uri":"http:/],
  ['curl "$SALLYPORT_URL/accounts/default/jwks"', /"alg":"RS256"/],
  ['sallyport audit list --action token.mint', /success +token\.mint/],
];

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }));

/** The commands of a block; a line that ends with a backslash goes on, comments are for the reader. */
function commandsOf({ text }: Block): string[] {
  const commands = text.replaceAll('\\\n', '\u0000').split('\n').map((line) => line.replaceAll('\u0000', '\\\n').replace(/(^|\s+)# .*$/, ''));
  return commands.filter((line) => line.trim() !== '');
}

/** Of the blocks and of the prose between them, in reading order. */
const commands = [...readme.matchAll(/^```(\w*)\n(.*?)^```$|`((?:bin\/)?sallyport [^`]+)`/gms)].flatMap(([, language, text = '', inProse]) => {
  if (inProse !== undefined) return [inProse.replaceAll('\n', ' ')];
  return language === 'sh' ? commandsOf({ language, text }) : [];
});

/** What the reader puts in place of what the README cannot know. */
const placeholders = new Map<string, string>();
let terminal: ShellTerminal;

before(async () => {
  if (skip !== false) return;
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-readme-'));
  atEnd(async () => rmSync(directory, { recursive: true, force: true }));
  const provider = await startOidcProvider({ clients: { terraform: [], corporate: [applicationClient('app_x', { application_id: 'app_x' })] } });
  atEnd(() => provider.stop());
  // Isolated where that is possible here; if it is not, the commands of the README are tried all the same.
  const flags = ['--port', '0', '--log-level', 'warn', '--allow-private-origin', provider.origin, '--unsafe-local-runner'];
  const server = await startServe({ data: join(directory, 'data'), flags });
  atEnd(() => server.stop());

  const clone = join(directory, 'sallyport');
  mkdirSync(clone);
  symlinkSync(join(repository, 'bin'), join(clone, 'bin'));
  cpSync(join(repository, 'examples'), join(clone, 'examples'), { recursive: true });
  const issuers = join(clone, 'examples/quickstart/issuers.yaml');
  writeFileSync(issuers, readFileSync(issuers, 'utf8').replaceAll('https://id.example.com', provider.origin).replaceAll('https://sallyport.example', server.url));
  const token = await provider.token('app_x', `${server.url}/accounts/default`);
  writeFileSync(join(clone, 'oidc.jwt'), `${token}\n`);

  placeholders.set('http://127.0.0.1:8420', server.url);
  placeholders.set('CODE', readFileSync(join(directory, 'data/setup-code'), 'utf8').trim());
  terminal = await ShellTerminal.open({ directory: clone, environment: plainEnvironment() });
  atEnd(() => terminal.close());
});

test('every command of the README is known here, in its order, and every block is of a known language', () => {
  assert.equal(blocks.length, [...readme.matchAll(/^```/gm)].length / 2);
  assert.deepEqual([...new Set(blocks.map(({ language }) => language))].toSorted(), ['sh', 'yaml']);
  assert.deepEqual(commands, expected.map(([command]) => command));
});

test('what the README shows of a pipeline stands in the example', () => {
  const example = readFileSync(join(repository, 'examples/quickstart/checkout-recover.yaml'), 'utf8');
  const lines = blocks.filter(({ language }) => language === 'yaml').flatMap(commandsOf);
  for (const line of lines) assert.ok(example.includes(line.trim()), line);
});

for (const [command, shows] of expected) {
  if (command === start) continue;
  test(command, { skip }, async () => {
    let typed = command;
    for (const [placeholder, value] of placeholders) typed = typed.replaceAll(placeholder, value);
    const { code, output } = await terminal.run(typed, command.includes('sallyport setup') ? passwords : []);
    assert.equal(code, 0, output);
    if (shows !== null) assert.match(output, shows);
  });
}
