/** `setup`: the first administrator, and the password nobody sees. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { readSecretFile } from '#platform/config.ts';
import { UsageError } from './command-line.ts';
import { remote } from './remote-command.ts';

/** As the server asks for; told here, because a password that is refused there has been sent. */
const minPasswordLength = 15;

export const setup = remote({
  name: 'setup',
  summary: 'make the first administrator with the setup code; prints a personal access token once',
  options: [
    { flags: '--code <code>', help: 'the one-time setup code', required: true },
    { flags: '--email <email>', help: 'e-mail address of the administrator', required: true },
    { flags: '--identifier <name>', help: 'identifier of the user; made from the e-mail address if absent' },
    { flags: '--password-file <file>', help: 'file with the password; asked for if absent' },
  ],
  data: true,
  anonymous: true,
  run: async (server, { options, terminal, json }) => {
    const file = options['passwordFile'] as string | undefined;
    const password = file === undefined ? await askPassword() : longEnough(readSecretFile(file));
    const body = { code: options['code'], email: options['email'], password, ...(options['identifier'] === undefined ? {} : { identifier: options['identifier'] }) };
    const answer = (await server.call({ method: 'POST', path: `${server.api}/setup`, body })) as { user: string; token: string; expiresAt: string };
    terminal.warn(`administrator \`${answer.user}\` made; this token is shown once and ends at ${answer.expiresAt}`);
    terminal.print(json ? JSON.stringify(answer) : answer.token);
  },
});

async function askPassword(): Promise<string> {
  if (process.stdin.isTTY !== true) throw new UsageError('give `--password-file` where there is no terminal');
  const password = longEnough(await askSilently(`password (at least ${minPasswordLength} characters): `));
  if ((await askSilently('the same again: ')) !== password) throw new UsageError('the two passwords differ; nothing was done');
  return password;
}

async function askSilently(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  try {
    return await reader.question('');
  } catch {
    throw new UsageError('no password was given; nothing was done'); // Ctrl-C or Ctrl-D
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}

function longEnough(password: string): string {
  if (password.length < minPasswordLength) throw new UsageError(`the password has ${password.length} characters; at least ${minPasswordLength} are needed`);
  return password;
}
