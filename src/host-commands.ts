/** Commands of the operator, on the machine that has the data directory or the database; and the server itself. */
import { open, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeSetupCode } from '#features/credentials/feature.ts';
import { formOf, readKept, verifyExport } from '#features/audit/feature.ts';
import { readSecretsFile, maskStream } from '#features/masking/filter.ts';
import type { Kept, Verification } from '#features/audit/feature.ts';
import { createAccount, findAccount, listAccounts, setAccountDisabled } from '#features/tenancy/feature.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import type { CommandRecord } from './surfaces/command-line.ts';
import { UsageError, table } from './surfaces/command-line.ts';
import type { Server } from './surfaces/remote-command.ts';
import { RemoteRefusal, connect, remoteOptions } from './surfaces/remote-command.ts';
import { backupCommand, restoreCommand } from './host-backup.ts';
import { doctorCommand } from './host-doctor.ts';
import { rotateCommand } from './host-keys.ts';
import { configOf, hostCommand, settingOptions } from './host-settings.ts';
import { announcing, serve } from './serve.ts';

const maxTries = 30;
const busyMs = 1_000;

export const hostCommands: readonly CommandRecord[] = [
  {
    name: 'serve',
    summary: 'start the server, its embedded database and a local runner',
    options: settingOptions(),
    run: (input) => serve(configOf(input), input.terminal),
  },
  hostCommand({
    name: 'account create',
    summary: 'make an account; prints the setup code of its first administrator',
    args: [['<identifier>', 'identifier of the account']],
    options: [{ flags: '--name <name>', help: 'name for people' }],
    begins: true,
    run: async (opened, { args, options, terminal }, config) => {
      if (!isIdentifier(args[0]!)) throw new UsageError(`\`${args[0]}\` is no identifier: a letter or \`_\`, then at most 127 letters, digits and \`_\``);
      const id = await createAccount(opened, args[0]!, (options['name'] as string | undefined) ?? null);
      if (id === null) throw refusal('resource.exists', { say: `there is an account \`${args[0]}\`` });
      terminal.print(`account ${args[0]} made`);
      await makeSetupCode(opened, id, announcing(config, terminal));
    },
  }),
  hostCommand({
    name: 'account list',
    summary: 'list the accounts',
    data: true,
    run: async (opened, { terminal, json }) => {
      const accounts = await listAccounts(opened.database);
      if (json) terminal.print(JSON.stringify(accounts));
      else for (const line of table(accounts.map((account) => [account.identifier, account.id, account.disabled ? 'disabled' : 'enabled', account.name ?? '']))) terminal.print(line.trimEnd());
    },
  }),
  ...(['disable', 'enable'] as const).map((verb) =>
    hostCommand({
      name: `account ${verb}`,
      summary: verb === 'disable' ? 'refuse every caller of an account' : 'let the callers of an account in again',
      args: [['<identifier>', 'identifier of the account']],
      run: async (opened, { args, terminal }) => {
        await setAccountDisabled(opened, args[0]!, verb === 'disable');
        terminal.print(`account ${args[0]} ${verb}d`);
      },
    }),
  ),
  hostCommand({
    name: 'admin recover',
    summary: 'make a new setup code, for a new administrator of an account nobody can administer any more',
    options: [{ flags: '--account <account>', help: 'identifier of the account (default)' }],
    run: async (opened, { options, terminal }, config) => {
      const identifier = (options['account'] as string | undefined) ?? 'default';
      const account = await findAccount(opened.database, identifier);
      if (account === null) throw refusal('access.not_found', { say: `there is no account \`${identifier}\`` });
      await makeSetupCode(opened, account.id, announcing(config, terminal));
    },
  }),
  hostCommand({
    name: 'migrate',
    summary: 'bring the schema up to date; `serve` does so itself where its login may',
    begins: true,
    run: async (_opened, { terminal }) => terminal.print('the schema is current'),
  }),
  backupCommand,
  restoreCommand,
  rotateCommand,
  doctorCommand,
  {
    name: 'audit verify',
    summary: 'verify an exported trail (--file), or the whole trail of the account on the server',
    options: [
      { flags: '--file <file>', help: 'what `audit export` printed' },
      { flags: '--checkpoint <file>', help: 'lines of `audit checkpoint`, or an earlier export: the trail must still be the one of then' },
      ...remoteOptions,
    ],
    data: true,
    run: async ({ options, terminal, json }) => {
      const [file, keptFile] = [options['file'], options['checkpoint']] as [string | undefined, string | undefined];
      const kept = keptFile === undefined ? null : await about(keptFile, readKept(linesOf(keptFile)));
      const result = file === undefined ? await verifyOnServer(connect(options), kept, terminal.progress) : await about(file, verifyExport(linesOf(file), kept));
      if (json) terminal.print(JSON.stringify(result));
      else {
        terminal.print(`${result.rows} rows, ${result.checkpoints} checkpoints, ${result.erasedFields} erased fields: ${result.findings.length === 0 ? 'unchanged' : 'CHANGED'}`);
        for (const finding of result.findings) terminal.print(`  row ${finding.seq}: ${finding.problem}`);
      }
      return result.findings.length === 0 ? 0 : 1;
    },
  },
  {
    name: 'mask',
    summary: 'filter standard input to standard output with secrets masked as a runner masks them',
    options: [{ flags: '--secrets <file>', help: 'JSON array of {"name", "value"}; "file": true for file secrets', required: true }],
    run: async ({ options }) => {
      const file = String(options['secrets']);
      const secrets = await about(file, readFile(file, 'utf8').then(readSecretsFile));
      await maskStream(process.stdin, secrets, (bytes) => new Promise((done, fail) => process.stdout.write(bytes, (error) => (error ? fail(error) : done()))));
    },
  },
];

/** Part by part: a trail may be longer than what one request verifies. */
async function verifyOnServer(server: Server, kept: Kept | null, progress: (line: string) => void): Promise<Verification> {
  const against = kept === null ? {} : { account: kept.accountId, checkpoints: kept.checkpoints.map(formOf) };
  let all: Verification = { rows: 0, checkpoints: 0, erasedFields: 0, findings: [] };
  for (let after: number | null = 0; after !== null; ) {
    const part = (await patiently(() => server.call({ method: 'POST', path: `${server.api}/audit:verify`, body: { after, ...against } }))) as Verification & { readonly next: number | null };
    all = {
      rows: all.rows + part.rows, checkpoints: all.checkpoints + part.checkpoints, erasedFields: all.erasedFields + part.erasedFields,
      findings: [...all.findings, ...part.findings],
    };
    after = part.next;
    if (after !== null) progress(`${all.rows} rows verified`);
  }
  return all;
}

/** A trail is verified for one caller at a time, part by part. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof RemoteRefusal && error.code === 'server.busy') || tries === maxTries) throw error;
      await sleep(busyMs);
    }
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  yield* createInterface({ input: (await open(file)).createReadStream(), crlfDelay: Infinity });
}

/** What is wrong with a file is told of the file; the help of the catalogue is for who sent a request. */
async function about<T>(file: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof Refusal) || !error.code.startsWith('request.')) throw error;
    const faults = error.errors.map(({ pointer, message }) => `\n  ${pointer}: ${message}`);
    throw new Error(`\`${file}\`: ${error.say ?? error.message}${faults.join('')}`, { cause: error });
  }
}
