/** `sallyport backup` and `sallyport restore`. */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { resolve } from 'node:path';
import { recordByOperator } from '#features/audit/feature.ts';
import { listAccounts } from '#features/tenancy/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import { asRefusal, openDatabase } from '#platform/database/database.ts';
import { writeDump } from '#platform/database/dump.ts';
import { checkBeforeRestore, restoreDump } from '#platform/database/restore.ts';
import type { CheckedDump } from '#platform/database/restore.ts';
import { checkRootKey, loadRootKey } from '#platform/keyring.ts';
import type { DataKey } from '#platform/sealing.ts';
import { commandLog, configOf, hostSettings, settingOptions } from './host-settings.ts';
import { isThere, openLogins, refuseNothingThere } from './host.ts';
import type { CommandInput, CommandRecord } from './surfaces/command-line.ts';

export const backupCommand: CommandRecord = {
  name: 'backup',
  summary: 'write all data to a new file, also beside a running server; the root key is never in it',
  options: [{ flags: '--to <file>', help: 'the file; an existing one is not overwritten', required: true }, ...settingOptions(hostSettings)],
  data: true,
  run: async (input) => {
    const config = configOf(input, hostSettings);
    const { terminal, json } = input;
    const path = resolve(String(input.options['to']));
    await refuseNothingThere(config);
    const rootKey = await loadRootKey(config.rootKeyFile, { create: false, randomness: systemRandomness });
    const logins = await openLogins(config, commandLog(config), { besideServer: true, progress: terminal.progress });
    try {
      await confirmKey(logins.owner, rootKey);
      const result = await writeDump(path, { login: logins.owner, rootKey, clock: systemClock, randomness: systemRandomness, progress: terminal.progress });
      if (json) terminal.print(JSON.stringify({ file: path, rootKey: rootKey.id, ...result }));
      else {
        terminal.print(`${result.rows} rows of ${result.tables} tables in ${path} (${result.bytes} bytes)`);
        terminal.print(`keep the root key \`${config.rootKeyFile}\` elsewhere: without it nobody can restore this`);
      }
    } finally {
      await logins.stop();
    }
  },
};

export const restoreCommand: CommandRecord = {
  name: 'restore',
  summary: 'load a backup into a new data directory or database, with the root key its data was made with',
  options: [{ flags: '--from <file>', help: 'what `backup` wrote', required: true }, ...settingOptions(hostSettings)],
  run: async (input) => {
    const config = configOf(input, hostSettings);
    const { progress, print } = input.terminal;
    const path = resolve(String(input.options['from']));
    if (!(await isThere(path))) throw refusal('host.backup', { say: `\`${path}\` cannot be read: there is no such file` });
    const rootKey = await givenKey(config.rootKeyFile);
    const dump = await checkBeforeRestore(path, { rootKey, progress });
    await restoreInto(config, dump, { rootKey, input });
    print(`${dump.rows} rows restored, as they were at ${dump.header.at}`);
  },
};

async function givenKey(path: string): Promise<DataKey> {
  if (!(await isThere(path))) {
    throw refusal('keys.wrong_root', { say: `a backup never holds the root key: copy the one its data was made with to \`${path}\`, or name its file by \`--root-key-file\`` });
  }
  return loadRootKey(path, { create: false, randomness: systemRandomness });
}

/** Everything that can be known without a database is known by now. */
async function restoreInto(config: Config, dump: CheckedDump, { rootKey, input }: { rootKey: DataKey; input: CommandInput }): Promise<void> {
  const { progress } = input.terminal;
  const logins = await openLogins(config, commandLog(config), { besideServer: false, progress });
  try {
    await restoreDump(dump, { login: logins.owner, rootKey, progress });
    await recordRestore(logins.application, dump);
  } finally {
    await logins.stop();
  }
}

/** Not in the transaction of the restore: that may have ended at an older schema than the one the audit is written in now. */
async function recordRestore(login: ClientConfig, dump: CheckedDump): Promise<void> {
  const database = await openDatabase({ login, maxConnections: 2, onError: () => {} });
  try {
    const accounts = await listAccounts(database);
    await database.transaction(async (tx) => {
      for (const { id, identifier } of accounts) {
        const resource = { kind: 'account', uid: id, path: identifier };
        await recordByOperator(tx, { clock: systemClock, randomness: systemRandomness }, id, { action: 'account.restore', resource, detail: { backupOf: dump.header.at } });
      }
    });
  } finally {
    await database.close();
  }
}

/** A backup made with another key than the data's could never be restored. */
async function confirmKey(login: ClientConfig, rootKey: DataKey): Promise<void> {
  const client = new Client(login);
  try {
    await client.connect();
    const { rows: [there] } = await client.query<{ is: boolean }>(`select to_regclass('public.root_key') is not null as is`);
    const { rows } = there!.is
      ? await client.query<{ id: string; check_value: Buffer }>('select id, check_value from root_key where retired_at is null')
      : { rows: [] };
    if (rows.length === 0) throw refusal('host.backup', { say: 'there is no data to back up: nothing was started here' });
    checkRootKey(rootKey, rows);
  } catch (error) {
    throw asRefusal(error);
  } finally {
    await client.end();
  }
}
